use super::*;
use crate::{samples, Condition, Limit, PortKind};
use proptest::prelude::*;

/// A small valid file; the cases below change it.
const BASE: &str = "\
resource cpu .10
resource memory 15000000
resource diskused 10000000
resource events 10
resource filewrite 100000
resource lograte 30000
resource messport 12345
resource filesopened 5
resource outsockets 5
resource loopsend 1000
call log.write allow
call sleep allow
";

fn parse(text: impl AsRef<[u8]>) -> Result<Parsed, Vec<Diagnostic>> {
    Policy::parse(text.as_ref(), "restrictions.test")
}

fn policy(text: impl AsRef<[u8]>) -> Policy {
    match parse(text) {
        Ok(parsed) => parsed.policy,
        Err(errors) => panic!("{}", render(&errors)),
    }
}

fn codes(text: impl AsRef<[u8]>) -> Vec<&'static str> {
    parse(text).err().unwrap_or_default().iter().map(|error| error.code).collect()
}

fn warning_codes(text: impl AsRef<[u8]>) -> Vec<&'static str> {
    match parse(text) {
        Ok(parsed) => parsed.warnings.iter().map(|warning| warning.code).collect(),
        Err(errors) => panic!("{}", render(&errors)),
    }
}

fn render(diagnostics: &[Diagnostic]) -> String {
    diagnostics.iter().map(|diagnostic| format!("{diagnostic}\n\n")).collect()
}

fn with(line: &str) -> String {
    format!("{BASE}{line}\n")
}

fn instead(old: &str, new: &str) -> String {
    assert!(BASE.contains(old), "{old}");
    BASE.replacen(old, new, 1)
}

#[test]
fn a_plain_file_means_what_it_says() {
    let policy = policy(BASE);
    assert_eq!(policy.limit(Resource::Cpu), Limit::Share(0.1));
    assert_eq!(policy.limit(Resource::Memory), Limit::Bytes(15_000_000));
    assert_eq!(policy.limit(Resource::Events), Limit::Items(10));
    assert_eq!(policy.limit(Resource::FileWrite), Limit::Rate(100_000.0));
    assert_eq!(policy.limit(Resource::FileRead), Limit::Rate(0.0), "absent is zero");
    assert!(policy.grants_port(PortKind::Message, 12345));
    assert!(!policy.grants_port(PortKind::Connection, 12345), "UDP and TCP ports are two spaces");
    assert_eq!(policy.line(Resource::Memory), Some(2));
    assert_eq!(policy.line(Resource::MessPort), Some(7));
    assert_eq!(policy.line(Resource::FileRead), None);
    assert_eq!(policy.rules()[1].line, 12);
}

#[test]
fn layout_is_free() {
    let plain = policy(BASE);
    let loose: String = BASE
        .lines()
        .map(|line| format!("\n \t{}\x0b\x0c# caf\u{e9} resource cpu 9\r\n", line.replace(' ', "\t  ")))
        .collect();
    assert_eq!(policy(&loose), plain);
    assert_eq!(policy(BASE.trim_end()), plain, "no line end at the end");
    assert_eq!(policy(format!("\u{feff}{BASE}")), plain, "byte order mark");
    let mut latin = BASE.as_bytes().to_vec();
    latin.extend_from_slice(b"# caf\xe9\n");
    assert_eq!(policy(latin), plain, "a comment in another encoding");
}

#[test]
fn numbers_are_those_of_python() {
    for (word, value) in
        [("1e7", 10_000_000), ("+15.9", 15), ("007.", 7), ("0", 0), ("-0", 0), ("1e30", u64::MAX)]
    {
        assert_eq!(
            policy(instead("memory 15000000", &format!("memory {word}"))).whole(Resource::Memory),
            value,
            "{word}"
        );
    }
    assert_eq!(policy(with("resource netsend 1e-300")).limit(Resource::NetSend), Limit::Rate(1e-300));
    assert_eq!(policy(with("resource netsend 0")).limit(Resource::NetSend), Limit::Rate(0.0));
    assert!(policy(with("resource connport 1.2345e4")).grants_port(PortKind::Connection, 12345));
    assert_eq!(policy(instead("cpu .10", "cpu .001")).limit(Resource::Cpu), Limit::Share(0.001));
    assert_eq!(policy(instead("cpu .10", "cpu 2.5")).limit(Resource::Cpu), Limit::Share(2.5));
}

#[test]
fn values_that_are_no_limit_are_refused() {
    for word in [
        "nan",
        "-nan",
        "inf",
        "-inf",
        "Infinity",
        "1e400",
        "-1",
        "ten",
        "10k",
        "1_0",
        "\u{661}\u{660}",
        "0x10",
        "1e",
        ".",
    ] {
        for resource in ["netrecv", "insockets", "connport"] {
            assert_eq!(
                codes(with(&format!("resource {resource} {word}"))),
                ["invalid-value"],
                "{resource} {word}"
            );
        }
        for (old, name) in [("cpu .10", "cpu"), ("memory 15000000", "memory"), ("events 10", "events")] {
            assert_eq!(codes(instead(old, &format!("{name} {word}"))), ["invalid-value"], "{name} {word}");
        }
    }
    for (old, new) in
        [("events 10", "events 2.5"), ("cpu .10", "cpu 0"), ("cpu .10", "cpu .0009"), ("cpu .10", "cpu 1e9")]
    {
        assert_eq!(codes(instead(old, new)), ["invalid-value"], "{new}");
    }
    for port in ["0", "65536", "1.5", "1e9"] {
        assert_eq!(codes(with(&format!("resource messport {port}"))), ["invalid-value"], "{port}");
    }
}

#[test]
fn names_words_and_conditions_are_checked() {
    for (line, code) in [
        ("reource cpu 1", "unknown-line"),
        ("Resource netsend 1", "unknown-line"),
        ("resource", "item-count"),
        ("resource netsend", "item-count"),
        ("resource netsend 1 2", "item-count"),
        ("resource netsend = 1", "item-count"),
        ("resource network 1", "unknown-resource"),
        ("resource Netsend 1", "unknown-resource"),
        ("resource lograte 30000", "duplicate-resource"),
        ("resource memory 1", "duplicate-resource"),
        ("call", "item-count"),
        ("call eval allow", "unknown-call"),
        ("call file allow", "unknown-call"),
        ("call sleep", "unknown-action"),
        ("call sleep Allow", "unknown-action"),
        ("call sleep permit", "unknown-action"),
        ("call sleep allow allow", "condition"),
        ("call sleep arg 0 is allow", "condition"),
        ("call sleep arg 0 allow", "condition"),
        ("call sleep arg 0 = 1 allow", "condition"),
        ("call sleep arg x is 1 allow", "condition"),
        ("call sleep arg 1.0 is 1 allow", "condition"),
        ("call sleep arg 99999999999 is 1 allow", "condition"),
        ("call sleep noargs is -1 allow", "condition"),
        ("call sleep noargs is one allow", "condition"),
        ("call sleep noargs 1 allow", "condition"),
        ("call sleep noargs is allow", "condition"),
        ("call sleep args 0 is 1 allow", "condition"),
    ] {
        assert_eq!(codes(with(line)), [code], "{line}");
    }
}

#[test]
fn conditions_may_stand_in_any_number_and_order() {
    let policy = policy(with("call open noargs is 2 arg -1 is r arg 0 is \u{e9}t\u{e9} deny"));
    assert_eq!(
        policy.rules()[2].conditions,
        [
            Condition::CountIs(2),
            Condition::ArgumentIs(-1, "r".into()),
            Condition::ArgumentIs(0, "\u{e9}t\u{e9}".into())
        ]
    );
    let many = "arg 0 is a ".repeat(64);
    assert_eq!(codes(with(&format!("call open {many} allow"))), [""; 0]);
    assert_eq!(codes(with(&format!("call open {many} noargs is 1 allow"))), ["condition"]);
}

#[test]
fn characters_that_hide_something_are_refused() {
    for line in [
        "call sleep\0 allow",
        "# comment\0",
        "# comment\rcall exitall allow",
        "call \u{1b}[2Jevil allow",
        "call open arg 0 is a\u{202e}b allow",
        "call open arg 0 is a\u{200b} allow",
        "call open\u{a0}allow",
        "resource netsend 1\u{feff}",
        "call open arg 0 is \u{85} allow",
    ] {
        assert_eq!(codes(with(line)), ["characters"], "{line:?}");
    }
    let mut bytes = BASE.as_bytes().to_vec();
    bytes.extend_from_slice(b"call \xff\xfe allow\n");
    assert_eq!(codes(bytes), ["characters"]);
    let wide: Vec<u8> = BASE.encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_eq!(codes([b"\xff\xfe", &wide[..]].concat()), ["encoding"]);
}

#[test]
fn required_resources_must_be_there() {
    assert_eq!(codes(""), ["missing-resource"; 3]);
    for line in ["resource cpu .10\n", "resource memory 15000000\n", "resource diskused 10000000\n"] {
        assert_eq!(codes(instead(line, "")), ["missing-resource"], "{line}");
    }
    // A misspelt or badly valued line is one mistake, not two.
    assert_eq!(codes(instead("memory", "memroy")), ["unknown-resource"]);
    assert_eq!(codes(instead("memory 15000000", "memory 15MB")), ["invalid-value"]);
    assert_eq!(codes(instead("memory 15000000", "memory")), ["item-count"]);
}

#[test]
fn all_mistakes_are_told_up_to_a_hundred() {
    let text = format!("{BASE}{}", "call sleeep alow\n".repeat(300));
    let errors = parse(&text).unwrap_err();
    assert_eq!(errors.len(), 101);
    assert_eq!(errors[0].line, 13);
    assert_eq!(errors[99].line, 62);
    assert_eq!(errors[100].message, "500 more errors in 'restrictions.test' are not shown");
}

#[test]
fn files_over_the_limit_are_refused() {
    let mut text = BASE.as_bytes().to_vec();
    text.resize(MAXIMUM_FILE, b'#');
    assert!(parse(&text).is_ok());
    text.push(b'#');
    assert_eq!(codes(&text), ["too-large"]);
}

#[test]
fn rules_that_do_nothing_are_told() {
    for (lines, code) in [
        ("call sleep deny", "dead-rule"),
        ("call sleep arg 0 is 1 deny", "dead-rule"),
        ("call open arg 0 is a allow\ncall open noargs is 2 arg 0 is a deny", "dead-rule"),
        ("call open arg 1 is a allow\ncall open noargs is 2 arg -1 is a deny", "dead-rule"),
        (
            "call open arg 0 is a arg 1 is b allow\ncall open arg 1 is b arg 0 is a arg 0 is a allow",
            "dead-rule",
        ),
        ("call open arg 2 is a allow", "impossible-rule"),
        ("call open arg -3 is a allow", "impossible-rule"),
        ("call open noargs is 3 allow", "impossible-rule"),
        ("call open noargs is 0 allow", "impossible-rule"),
        ("call open noargs is 1 noargs is 2 allow", "impossible-rule"),
        ("call open arg 0 is a arg 0 is b allow", "impossible-rule"),
        ("call openconn arg 1 is 1 arg 1 is 2 allow", "impossible-rule"),
        ("call listdir arg 0 is a allow", "impossible-rule"),
        ("resource messport 12345.0", "repeated-port"),
        ("call randomfloat allow", "starved-call"),
        ("call randomfloat deny\ncall randomfloat allow", "dead-rule"),
        ("resource insockets 1\ncall waitforconn arg 1 is 80 allow", "starved-call"),
        ("resource random 0\ncall randomfloat prompt", "starved-call"),
    ] {
        assert_eq!(warning_codes(with(lines)), [code], "{lines}");
    }
    assert_eq!(warning_codes(instead("events 10", "events 0")), ["no-events"]);
    assert_eq!(warning_codes(instead("lograte 30000", "lograte 0")), ["starved-call"]);
}

#[test]
fn rules_that_do_something_are_not() {
    for lines in [
        "call open arg 0 is a deny\ncall open arg 1 is b deny\ncall open allow",
        "call open noargs is 2 arg 0 is a allow\ncall open arg 0 is a deny",
        "call open arg 0 is a allow\ncall file.__init__ arg 0 is a allow",
        // A host can be this text and, resolved, that address.
        "call openconn arg 0 is localhost arg 0 is 127.0.0.1 allow",
        "call sendmess arg 3 is 10.0.0.1 arg 4 is 12345 allow",
        "resource connport 12345",
        "call randomfloat deny",
        "call sendmess allow\ncall socket.send allow",
    ] {
        assert_eq!(warning_codes(with(lines)), [""; 0], "{lines}");
    }
}

#[test]
fn samples_are_clean_and_differ_as_they_should() {
    for (name, text) in samples::ALL {
        let parsed =
            Policy::parse(text.as_bytes(), name).unwrap_or_else(|errors| panic!("{}", render(&errors)));
        assert_eq!(render(&parsed.warnings), "", "{name}");
        assert!(text.is_ascii() && !text.contains(['\t', '\r']), "{name}");
    }
}

#[test]
fn the_listing_of_the_tutorial_reads_as_the_tutorial_says() {
    let policy = policy(samples::SAMPLE);
    assert_eq!(policy.limit(Resource::Cpu), Limit::Share(0.1));
    assert_eq!(policy.whole(Resource::Memory), 10_000_000);
    assert_eq!(policy.amount(Resource::FileRead), 10_000.0);
    assert!(policy.grants_port(PortKind::Message, 12346));
    assert_eq!(policy.ports(PortKind::Connection).len(), 1);
    assert_eq!(policy.rules_of(Call::Open).count(), 3);
    assert_eq!(policy.rules().len(), 35);
    assert!(policy.may_allow(Call::RandomFloat));
    assert!(!policy.may_allow(Call::GetHostByNameEx), "the listing does not name it");
}

#[test]
fn every_call_of_the_tutorials_programs_is_allowed_by_the_test_policy() {
    let policy = policy(samples::TEST);
    for call in Call::all() {
        assert!(policy.decided(call).is_some_and(|decision| decision.is_allow()), "{}", call.name());
    }
    for facts in &RESOURCES {
        assert!(policy.amount(facts.resource) > 0.0, "{}", facts.name);
    }
    assert!(policy.grants_port(PortKind::Message, 12345));
    assert!(policy.grants_port(PortKind::Connection, 12345));
}

#[test]
fn canonical_text_reads_as_written() {
    insta::assert_snapshot!("canonical", policy(with(
        "resource netsend 1e-300\nresource netrecv 1.5e+20\nresource messport 7\ncall open  noargs is +2\targ 00 is x prompt # c"
    )).to_string());
}

/// The look of diagnostics; one file with every kind of mistake.
#[test]
fn diagnostics_look_like_this() {
    let text = "\
reource cpu .10
resource memroy 15000000
resource diskused 10MB
resource events 2.5
resource events 3
resource filewrite 1_000
resource fileread inf
resource netsend -5
resource netrecv
resource loopsend 1 2
resource messport 70000
resource bandwidth 5
call opne allow
call file allow
call sleep
call sleep Allow
call open arg 0 is allow
call open arg zero is x allow
call open arg 0 equals x allow
call open noargs is -1 allow
call open filename is x allow
call \u{1b}[2J\u{202e}evil allow
call open arg 0 is junk
\tcall\tlistdir\tpermit\t# \u{fc}ber\u{1b}[31m
";
    insta::assert_snapshot!("every_mistake", render(&parse(text).unwrap_err()));
}

#[test]
fn long_and_odd_lines_look_like_this() {
    let long = format!("call open arg 0 is {} arg 1 is {} alow", "n".repeat(300), "é".repeat(200));
    let hidden = "call open arg 0 is \u{e9} arg \u{e9} is x allow".to_owned();
    let bytes = [
        BASE.as_bytes(),
        long.as_bytes(),
        b"\n",
        hidden.as_bytes(),
        b"\n# \xff\ncall sl\xff\xfeep allow # \x1b[0m\n",
    ]
    .concat();
    let errors = Policy::parse(&bytes, "odd\u{1b}[31mname").unwrap_err();
    insta::assert_snapshot!("long_and_odd", render(&errors));
    insta::assert_snapshot!("whole_file", render(&parse("").unwrap_err()));
}

#[test]
fn warnings_look_like_this() {
    let text = with(
        "call sleep arg 0 is 1 deny\ncall sleep allow\ncall open noargs is 9 allow\nresource messport 12345",
    );
    insta::assert_snapshot!("warnings", render(&parse(text).unwrap().warnings));
}

#[test]
fn colours_only_add_colours() {
    let errors = parse("call\u{7}").unwrap_err();
    let coloured = errors[0].render(true);
    assert!(coloured.contains('\u{1b}') && !coloured.contains('\u{7}'));
    let mut plain = String::new();
    let mut rest = coloured.as_str();
    while let Some((before, after)) = rest.split_once('\u{1b}') {
        plain.push_str(before);
        rest = after.split_once('m').map_or("", |(_, rest)| rest);
    }
    assert_eq!(plain + rest, errors[0].render(false));
}

fn words() -> impl Strategy<Value = String> {
    prop_oneof![
        "[ -~]{0,12}",
        "[0-9.e+-]{1,6}",
        ".{0,4}",
        prop::sample::select(vec![
            "arg", "noargs", "is", "allow", "deny", "prompt", "resource", "call", "0", "-1", "nan"
        ])
        .prop_map(str::to_owned),
        (0..RESOURCES.len()).prop_map(|index| RESOURCES[index].name.to_owned()),
        (0..CALLS.len()).prop_map(|index| CALLS[index].name.to_owned()),
    ]
}

fn lines() -> impl Strategy<Value = String> {
    (prop::sample::select(vec!["resource", "call", ""]), proptest::collection::vec(words(), 0..7))
        .prop_map(|(first, rest)| format!("{first} {}", rest.join(" ")))
}

/// Whether text may go to a terminal: nothing but visible characters, blanks and line feeds.
fn is_tame(text: &str) -> bool {
    text.chars().all(|character| character == '\n' || !crate::diagnostic::is_hidden(character))
}

/// Valid policies, through the builder.
fn policies() -> impl Strategy<Value = Policy> {
    let amounts =
        proptest::collection::vec((0..RESOURCES.len(), prop_oneof![0.0..1e5, 0.0..1e20, 0.0..1e-3]), 0..12);
    let condition = prop_oneof![
        (any::<i32>(), "[!-\"$-~\u{e0}-\u{ff}]{1,9}")
            .prop_map(|(index, value)| Condition::ArgumentIs(index, value)),
        (0..i32::MAX as u32).prop_map(Condition::CountIs),
    ];
    let rule = (
        0..CALLS.len(),
        proptest::collection::vec(condition, 0..4),
        prop::sample::select(vec![Action::Allow, Action::Deny, Action::Prompt]),
    );
    (amounts, proptest::collection::vec(rule, 0..10)).prop_map(|(amounts, rules)| {
        let mut builder = PolicyBuilder::new(0.25, 1 << 40, 77);
        for (resource, value) in amounts {
            builder = builder.set(RESOURCES[resource].resource, value);
        }
        for (call, conditions, action) in rules {
            builder = builder.rule(CALLS[call].call, conditions, action);
        }
        builder.build()
    })
}

proptest! {
    #[test]
    fn printing_and_reading_gives_the_same_policy(policy in policies()) {
        let text = policy.to_string();
        let read = match parse(&text) {
            Ok(parsed) => parsed.policy,
            Err(errors) => return Err(TestCaseError::fail(render(&errors))),
        };
        prop_assert_eq!(&read, &policy);
        prop_assert_eq!(read.to_string(), text);
    }

    #[test]
    fn any_bytes_are_read_and_answered_tamely(bytes in any::<Vec<u8>>()) {
        if let Err(errors) = parse(&bytes) {
            prop_assert!(is_tame(&render(&errors)), "{}", render(&errors));
        }
    }

    #[test]
    fn any_lines_are_read_and_answered_tamely(added in proptest::collection::vec(lines(), 1..6)) {
        let text = format!("{BASE}{}\n", added.join("\n"));
        match parse(&text) {
            Ok(parsed) => {
                prop_assert!(is_tame(&render(&parsed.warnings)));
                prop_assert_eq!(policy(parsed.policy.to_string()), parsed.policy);
            }
            Err(errors) => prop_assert!(is_tame(&render(&errors)), "{}", render(&errors)),
        }
    }

    /// A rule told dead or impossible can be taken out without changing any decision.
    #[test]
    fn dead_rules_are_dead(
        rules in proptest::collection::vec(("(arg -?[0-2] is [ab] |noargs is [0-4] ){0,3}", any::<bool>()), 1..7),
        calls in proptest::collection::vec(proptest::collection::vec("[ab]", 3..=5), 1..8),
    ) {
        let line = |(conditions, allow): &(String, bool)| {
            format!("call sendmess {conditions}{}\n", if *allow { "allow" } else { "deny" })
        };
        let text: String = rules.iter().map(line).collect();
        let whole = parse(with(&text)).unwrap();
        let first = BASE.lines().count() + 1;
        let dead = |at: usize| {
            whole.warnings.iter().any(|warning| warning.line as usize == first + at && warning.code.ends_with("-rule"))
        };
        let kept: String = rules.iter().enumerate().filter(|(at, _)| !dead(*at)).map(|(_, rule)| line(rule)).collect();
        let pruned = policy(with(&kept));
        for call in &calls {
            let arguments: Vec<_> = call.iter().map(|text| crate::Argument::text(text.as_bytes())).collect();
            prop_assert_eq!(
                whole.policy.decide(Call::SendMess, &arguments).action,
                pruned.decide(Call::SendMess, &arguments).action
            );
        }
    }
}
