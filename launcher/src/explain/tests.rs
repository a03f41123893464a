//! Tables and answers as an operator reads them, for one host and one policy.

use super::*;
use crate::plan::demand::Demand;
use crate::plan::layer::Layers;
use crate::request::Request;
use crate::testing::{plain_request, user_host};

const POLICY: &str = "\
resource cpu .10
resource memory 10000000
resource diskused 10000000
resource events 10
resource filesopened 5
resource insockets 1
resource outsockets 1
resource lograte 1000
resource messport 12345
call open arg 0 is notes.txt allow
call openconn arg 0 is 127.0.0.1 allow
call recvmess allow
call log.write allow
call file.__init__ arg 1 is w allow
";

fn policy() -> Policy {
    Policy::parse(POLICY.as_bytes(), "policy.test").expect("the policy of this test is valid").policy
}

fn plan(waived: Layers) -> Plan {
    let request = Request { waived, ..plain_request(Demand::of(&policy(), true)) };
    crate::plan::plan(&request, &user_host()).expect("this host can hold this policy")
}

fn ask(question: &str) -> String {
    match answer(&policy(), &plan(Layers::NONE), &["policy.test".to_owned()], question) {
        Ok(answer) => answer.to_string(),
        Err(error) => format!("{error}\n"),
    }
}

#[test]
fn the_table_names_every_line_and_what_holds_it() {
    let plan = plan(Layers::NONE);
    insta::assert_snapshot!(table(&rows(&policy(), &plan), &plan, Detail::Values));
}

#[test]
fn a_waived_layer_is_shown_as_absent() {
    let mut waived = Layers::NONE;
    waived.insert(Layer::Cgroup);
    let plan = plan(waived);
    let rows = rows(&policy(), &plan);
    let memory = rows.iter().find(|row| row.text.starts_with("resource memory")).expect("a row for memory");
    let group = memory.held_by.iter().find(|holder| holder.control == "cgroup-memory").expect("its control");
    assert_eq!(group.absent.as_deref(), Some("given up by --without cgroup"));
    assert!(memory.outside, "the monitor still holds it");
    let cpu = rows.iter().find(|row| row.text.starts_with("resource cpu")).expect("a row for cpu");
    assert!(cpu.held_by.iter().any(|holder| holder.control == "monitor-cpu" && holder.absent.is_none()));
}

#[test]
fn every_line_of_the_file_has_a_row() {
    let plan = plan(Layers::NONE);
    let rows = rows(&policy(), &plan);
    for line in 1..=POLICY.lines().count() as u32 {
        assert!(rows.iter().any(|row| row.line == line), "line {line}");
    }
    assert!(table_json(&rows, &plan)["lines"].as_array().is_some_and(|lines| lines.len() == rows.len()));
}

#[test]
fn questions_are_answered() {
    let questions = [
        "bind udp 12345",
        "bind udp 12346",
        "bind tcp 12345",
        "open notes.txt w",
        "open notes.txt r",
        "open other.txt",
        "connect 127.0.0.1 80",
        "connect 0x7f.1 80",
        "connect example.org 80",
        "remove notes.txt",
        "list",
        "syscall ptrace",
        "syscall read",
        "syscall clone3",
        "memory 20000000",
        "memory 1000000",
        "netsend 5",
        "open ../notes.txt w",
        "open notes.txt q",
        "call file.__init__ policy.test w",
        "syscall 101",
        "call recvmess 127.0.0.1 12345",
        "send 127.0.0.1 80",
        "call log.write hello",
    ];
    insta::assert_snapshot!(questions.map(ask).join("\n"));
}

#[test]
fn what_is_no_question_is_said_so() {
    let questions = [
        "",
        "bind",
        "bind sctp 5",
        "memory",
        "list all",
        "bind udp 0",
        "bind udp x",
        "fly me",
        "memory much",
        "memory -1",
        "syscall beam",
        "call fly",
    ];
    insta::assert_snapshot!(questions.map(ask).join("\n"));
}
