use super::*;
use crate::PolicyBuilder;
use proptest::prelude::*;

fn policy(rules: &str) -> Policy {
    let text =
        format!("resource cpu .1\nresource memory 1e7\nresource diskused 1e7\nresource events 5\n{rules}");
    match Policy::parse(text.as_bytes(), "test") {
        Ok(parsed) => parsed.policy,
        Err(errors) => panic!("{}", errors[0]),
    }
}

fn texts<'a>(texts: &[&'a str]) -> Vec<Argument<'a>> {
    texts.iter().map(|text| Argument::text(text.as_bytes())).collect()
}

fn allows(policy: &Policy, call: Call, arguments: &[&str]) -> bool {
    policy.decide(call, &texts(arguments)).is_allow()
}

#[test]
fn without_a_matching_rule_a_call_is_denied() {
    let policy = policy("call sleep allow\n");
    assert!(allows(&policy, Call::Sleep, &["1"]));
    assert_eq!(policy.decide(Call::ListDir, &[]), Decision { action: Action::Deny, rule: None });
}

#[test]
fn the_first_matching_rule_decides() {
    let policy = policy(
        "call open arg 0 is secret deny\ncall open arg 1 is w prompt\ncall open allow\ncall open deny\n",
    );
    assert_eq!(policy.decide(Call::Open, &texts(&["secret", "r"])).rule, Some(0));
    assert_eq!(policy.decide(Call::Open, &texts(&["other", "w"])).action, Action::Prompt);
    assert!(!policy.decide(Call::Open, &texts(&["other", "w"])).is_allow());
    assert_eq!(policy.decide(Call::Open, &texts(&["other"])).rule, Some(2));
}

#[test]
fn the_examples_of_the_tutorial_hold() {
    let policy = policy(
        "call open arg 0 is junk_test.out allow\ncall open arg 1 is r allow\ncall open noargs is 1 allow\n\
         call file.__init__ arg 1 is r allow\ncall removefile arg 0 is junk allow\n",
    );
    assert!(allows(&policy, Call::Open, &["junk_test.out", "w"]));
    assert!(allows(&policy, Call::Open, &["any", "r"]));
    assert!(allows(&policy, Call::Open, &["any"]));
    assert!(!allows(&policy, Call::Open, &["any", "w"]));
    assert!(!allows(&policy, Call::Open, &["any", "rb"]));
    assert!(allows(&policy, Call::FileInit, &["any", "r"]));
    assert!(allows(&policy, Call::RemoveFile, &["junk"]));
    assert!(!allows(&policy, Call::RemoveFile, &["junk2"]));
}

#[test]
fn values_are_compared_as_text_and_all_conditions_must_hold() {
    let policy =
        policy("call sleep arg 0 is 0.1 allow\ncall openconn arg 0 is h arg 1 is 80 noargs is 2 allow\n");
    assert!(allows(&policy, Call::Sleep, &["0.1"]));
    assert!(!allows(&policy, Call::Sleep, &["0.10"]));
    assert!(allows(&policy, Call::OpenConn, &["h", "80"]));
    for other in [&["h", "81"][..], &["g", "80"], &["h", "80", "x"], &["h"], &[]] {
        assert!(!allows(&policy, Call::OpenConn, other), "{other:?}");
    }
}

#[test]
fn negative_numbers_count_from_the_last_argument() {
    let policy = policy("call open arg -1 is r allow\ncall open arg -2 is log allow\n");
    assert!(allows(&policy, Call::Open, &["r"]));
    assert!(allows(&policy, Call::Open, &["x", "r"]));
    assert!(allows(&policy, Call::Open, &["log", "w"]));
    assert!(!allows(&policy, Call::Open, &["log"]));
    assert!(!allows(&policy, Call::Open, &[]));
}

#[test]
fn absent_arguments_hold_their_place_and_are_not_counted() {
    // openconn(h, 80, timeout=2.5)
    let arguments = [
        Argument::text(b"h"),
        Argument::text(b"80"),
        Argument::Absent,
        Argument::Absent,
        Argument::text(b"2.5"),
    ];
    let decide = |rule: &str| {
        policy(&format!("call openconn {rule} allow\n")).decide(Call::OpenConn, &arguments).is_allow()
    };
    assert!(decide("noargs is 3"));
    assert!(!decide("noargs is 5"));
    assert!(decide("arg 4 is 2.5"));
    assert!(decide("arg -1 is 2.5"));
    assert!(!decide("arg 2 is None"));
}

#[test]
fn a_host_matches_by_its_text_or_its_address() {
    let home = Ipv4Addr::LOCALHOST;
    let denies = policy("call sendmess arg 0 is 127.0.0.1 deny\ncall sendmess allow\n");
    for text in ["127.0.0.1", "127.1", "0x7f.1", "localhost", "name.example"] {
        let arguments = [Argument::host(text.as_bytes(), home), Argument::text(b"9")];
        assert!(!denies.decide(Call::SendMess, &arguments).is_allow(), "{text}");
    }
    let elsewhere = [Argument::host(b"name.example", Ipv4Addr::new(192, 0, 2, 1)), Argument::text(b"9")];
    assert!(denies.decide(Call::SendMess, &elsewhere).is_allow());

    let named = policy("call openconn arg 0 is localhost allow\n");
    assert!(named.decide(Call::OpenConn, &[Argument::host(b"localhost", home)]).is_allow());
    // A name in a rule stands for the text only, never for what it resolves to.
    assert!(!named.decide(Call::OpenConn, &[Argument::host(b"127.0.0.1", home)]).is_allow());

    let spelt = policy("call openconn arg 0 is 0177.1 allow\n");
    assert!(spelt.decide(Call::OpenConn, &[Argument::host(b"localhost", home)]).is_allow());
}

#[test]
fn an_earlier_rule_on_an_address_wins_over_a_later_one_on_the_text() {
    let policy = policy("call openconn arg 0 is 127.0.0.1 deny\ncall openconn arg 0 is good.example allow\n");
    let rebound = [Argument::host(b"good.example", Ipv4Addr::LOCALHOST)];
    assert!(!policy.decide(Call::OpenConn, &rebound).is_allow());
    let honest = [Argument::host(b"good.example", Ipv4Addr::new(192, 0, 2, 1))];
    assert!(policy.decide(Call::OpenConn, &honest).is_allow());
}

#[test]
fn decisions_known_beforehand() {
    let policy = policy(
        "call sleep allow\ncall sleep arg 0 is 3 deny\ncall open arg 0 is f allow\ncall open deny\n\
         call openconn arg 0 is www.example allow\ncall sendmess arg 0 is 10.0.0.1 allow\n\
         call recvmess deny\n",
    );
    assert_eq!(policy.decided(Call::Sleep).map(|decision| decision.action), Some(Action::Allow));
    assert_eq!(policy.decided(Call::ListDir).map(|decision| decision.action), Some(Action::Deny));
    assert_eq!(policy.decided(Call::Open), None);
    assert!(policy.looks_at(Call::Open, 0));
    assert!(!policy.looks_at(Call::Open, 1));
    assert!(!policy.looks_at(Call::Sleep, 0), "the rule behind the empty one is not reached");
    assert!(!policy.looks_at_address(Call::OpenConn));
    assert!(policy.looks_at_address(Call::SendMess));
    assert!(policy.may_allow(Call::Open));
    assert!(!policy.may_allow(Call::RecvMess));
    assert!(!policy.may_allow(Call::ListDir));
}

#[test]
fn a_refusal_reads_as_in_the_original() {
    let policy = policy("call sleep arg 0 is 0.1 allow\ncall sleep noargs is 2 arg 5 is x allow\ncall sleep arg 3 is x allow\n");
    let refusal = policy.refusal(Call::Sleep, &texts(&["5"]));
    assert_eq!(refusal.rule, None);
    assert_eq!(
        refusal.message("(5,)"),
        "Call 'sleep' with args (5,) not allowed\nMatching dump:\n\
         rule: ('arg', 0, '0.1'), Value not allowed\n\
         rule: ('noargs', 2), Wrong args count\n\
         rule: ('arg', 3, 'x'), Missing arg\n\
         No matching rule found\n"
    );
}

#[test]
fn a_refusal_ends_at_the_rule_that_decides() {
    let text = |rules: &str| policy(rules).refusal(Call::Sleep, &texts(&["5"])).message("(5,)");
    let head = "Call 'sleep' with args (5,) not allowed\nMatching dump:\n";
    assert_eq!(text("call sleep deny\ncall sleep allow\n"), format!("{head}Always match the empty rule\n"));
    assert_eq!(
        text("call sleep arg 0 is 5 deny\ncall sleep allow\n"),
        format!("{head}All rules satisfied\n")
    );
    assert_eq!(text(""), format!("{head}No matching rule found\n"));
    assert_eq!(text("call sleep prompt\n"), "Call 'sleep' not allowed");
}

#[test]
fn values_in_a_refusal_are_python_text() {
    assert_eq!(python_repr(b"it's"), "\"it's\"");
    assert_eq!(python_repr(b"'\""), "'\\'\"'");
    assert_eq!(python_repr("é\\".as_bytes()), "'\\xc3\\xa9\\\\'");
    assert_eq!(python_repr(b"\n\r\t\x00\x7f"), "'\\n\\r\\t\\x00\\x7f'");
}

fn conditions() -> impl Strategy<Value = Vec<Condition>> {
    let one = prop_oneof![
        (-4i32..4, "[ab]").prop_map(|(index, value)| Condition::ArgumentIs(index, value)),
        (0u32..4).prop_map(Condition::CountIs),
    ];
    proptest::collection::vec(one, 0..3)
}

proptest! {
    /// The decision against the words of the language, written the plainest way.
    #[test]
    fn deciding_is_the_first_match(
        rules in proptest::collection::vec((conditions(), any::<bool>()), 0..5),
        arguments in proptest::collection::vec("[ab]", 0..4),
    ) {
        let mut builder = PolicyBuilder::new(1.0, 1, 1);
        for (conditions, allow) in &rules {
            let action = if *allow { Action::Allow } else { Action::Deny };
            builder = builder.rule(Call::SendMess, conditions.clone(), action);
        }
        let count = arguments.len() as i64;
        let expected = rules.iter().find(|(conditions, _)| {
            conditions.iter().all(|condition| match condition {
                Condition::CountIs(wanted) => i64::from(*wanted) == count,
                Condition::ArgumentIs(index, value) => {
                    let at = if *index < 0 { count + i64::from(*index) } else { i64::from(*index) };
                    (0..count).contains(&at) && arguments[at as usize] == *value
                }
            })
        });
        let given: Vec<Argument<'_>> = arguments.iter().map(|text| Argument::text(text.as_bytes())).collect();
        let policy = builder.build();
        let decision = policy.decide(Call::SendMess, &given);
        prop_assert_eq!(decision.is_allow(), expected.is_some_and(|(_, allow)| *allow));
        prop_assert_eq!(decision.rule.is_some(), expected.is_some());
        if let Some(beforehand) = policy.decided(Call::SendMess) {
            prop_assert_eq!(beforehand, decision);
        }
        if decision.is_allow() {
            prop_assert!(policy.may_allow(Call::SendMess));
        }
    }
}

#[test]
fn what_the_operator_was_asked_passes_and_nothing_else() {
    let text =
        "resource cpu .5\nresource memory 1\nresource diskused 1\ncall sendmess arg 0 is 127.0.0.1 deny\n\
                call sendmess prompt\ncall openconn arg 1 is 80 prompt\ncall sleep deny\n";
    let policy = Policy::parse(text.as_bytes(), "p").expect("a valid policy").policy;
    let passed = policy.with_prompts_passed();
    let decide = |call, words: &[&str]| {
        let arguments: Vec<Argument> = words.iter().map(|word| Argument::text(word.as_bytes())).collect();
        passed.decide(call, &arguments).action
    };
    assert_eq!(decide(Call::SendMess, &["127.0.0.1", "1", "x"]), Action::Deny);
    assert_eq!(decide(Call::SendMess, &["127.0.0.2", "1", "x"]), Action::Allow);
    assert_eq!(passed.decided(Call::SendMess), None, "never before the arguments are there");
    assert_eq!(decide(Call::OpenConn, &["h", "80"]), Action::Allow);
    assert_eq!(decide(Call::OpenConn, &["h", "81"]), Action::Deny);
    assert_eq!(decide(Call::Sleep, &["1"]), Action::Deny);
}
