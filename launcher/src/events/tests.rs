use super::*;
use crate::registry::live::ResourceUse;
use crate::testing::Scratch;

fn denials(number: u64) -> ResourceUse {
    ResourceUse { denials: number, ..ResourceUse::default() }
}

#[test]
fn only_what_changed_is_told() {
    let before = Live { refusals: 1, throttled: 3, ..Live::default() };
    let mut after = before.clone();
    assert_eq!(Event::between(&before, &after), []);
    after.refusals = 4;
    after.throttled = 5;
    after.throttled_seconds = 0.5;
    after.resources.insert("events".to_owned(), denials(2));
    assert_eq!(
        Event::between(&before, &after),
        [
            Event::Denied { resource: "events".to_owned(), count: 2, total: 2 },
            Event::Denied { resource: "call".to_owned(), count: 3, total: 4 },
            Event::Throttled { periods: 2, seconds: 0.5 },
        ]
    );
}

#[test]
fn a_hard_limit_is_told_before_the_end() {
    let mut report = Report::new(0.0);
    report.conclude(
        Ending::HardLimit,
        "killed: the time given with --wall is over",
        std::time::Duration::from_secs(2),
    );
    let events = Event::ending(&report, Ending::HardLimit);
    assert!(matches!(&events[0], Event::Limit { resource, .. } if resource == "wall"));
    assert!(matches!(&events[1], Event::Ended { exit_code: 7, .. }));
    assert_eq!(Event::ending(&report, Ending::Done).len(), 1);
}

#[test]
fn lines_have_time_sequence_and_type() {
    let scratch = Scratch::new("events");
    let path = scratch.path().join("events");
    let mut events = Events::open(Some(&path), None, Some("web")).unwrap();
    events.tell(&Event::Throttled { periods: 1, seconds: 0.25 });
    events.tell(&Event::Denied { resource: "call".to_owned(), count: 1, total: 1 });
    let text = std::fs::read_to_string(&path).unwrap();
    let lines: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines[0]["event"], "throttled");
    assert_eq!(lines[0]["name"], "web");
    assert_eq!((&lines[0]["sequence"], &lines[1]["sequence"]), (&0.into(), &1.into()));
    assert!(lines[1]["time"].as_f64().unwrap() > 1e9);
    // A second run appends.
    Events::open(Some(&path), None, None).unwrap().tell(&Event::Throttled { periods: 1, seconds: 0.0 });
    assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), 3);
}

#[test]
fn only_regular_files_are_appended_to() {
    let scratch = Scratch::new("events");
    let link = scratch.path().join("link");
    std::os::unix::fs::symlink("/etc/passwd", &link).unwrap();
    assert!(Events::open(Some(&link), None, None).is_err());
    let pipe = scratch.path().join("pipe");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::from_bits_truncate(0o600)).unwrap();
    assert!(Events::open(Some(&pipe), None, None).is_err());
}
