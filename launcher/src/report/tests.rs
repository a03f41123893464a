//! The report against its schema.

use super::*;
use crate::cgroup::Use;
use crate::supervise::control::Told;
use crate::supervise::ending::Finding;
use crate::supervise::limits::Used;
use nix::sys::signal::Signal;
use policies::channel::control::Counter;
use policies::{PolicyBuilder, Resource};
use serde_json::Value;

fn schema() -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/report.schema.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// The part of JSON Schema that the file uses.
fn check(value: &Value, schema: &Value, root: &Value, at: &str) -> Result<(), String> {
    if let Some(name) = schema.get("$ref").and_then(Value::as_str) {
        let pointer = name.strip_prefix('#').ok_or("only local references")?;
        return check(value, root.pointer(pointer).ok_or(format!("no {name}"))?, root, at);
    }
    let wrong = |what: &str| Err(format!("{at}: {what}: {value}"));
    match schema["type"].as_str() {
        Some("object") => {
            let Some(object) = value.as_object() else { return wrong("not an object") };
            let known = schema["properties"].as_object();
            for key in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
                if !object.contains_key(key) {
                    return wrong(&format!("lacks {key}"));
                }
            }
            for (key, inner) in object {
                let place = format!("{at}/{key}");
                match known.and_then(|known| known.get(key)) {
                    Some(known) => check(inner, known, root, &place)?,
                    None => match &schema["additionalProperties"] {
                        Value::Object(_) => check(inner, &schema["additionalProperties"], root, &place)?,
                        _ => return wrong(&format!("unknown key {key}")),
                    },
                }
            }
            Ok(())
        }
        Some("array") => {
            let Some(items) = value.as_array() else { return wrong("not an array") };
            items.iter().try_for_each(|item| check(item, &schema["items"], root, at))
        }
        Some("string") => {
            let Some(text) = value.as_str() else { return wrong("not a string") };
            match schema["enum"].as_array() {
                Some(words) if !words.iter().any(|word| word == text) => wrong("not one of the words"),
                _ => Ok(()),
            }
        }
        Some("integer") if value.as_u64().is_none() => wrong("not an integer from 0"),
        Some("number") if value.as_f64().is_none() => wrong("not a number"),
        Some("boolean") if value.as_bool().is_none() => wrong("not a boolean"),
        Some("integer" | "number" | "boolean") => Ok(()),
        other => Err(format!("{at}: the schema says {other:?}")),
    }
}

fn valid(report: &Report) -> Value {
    let value: Value = serde_json::from_str(&report.to_json()).unwrap();
    let schema = schema();
    check(&value, &schema, &schema, "").unwrap();
    value
}

fn full(group: bool) -> Report {
    let policy = PolicyBuilder::new(0.1, 1 << 20, 1 << 16).set(Resource::Events, 3.0).build();
    let counters = vec![
        Counter { resource: Resource::Events, total: 7, peak: 3, denials: 1, waited_ns: 0 },
        Counter { resource: Resource::LogRate, total: 7, peak: 3, denials: 0, waited_ns: 5_000_000 },
    ];
    let ended = Ended {
        finding: Finding { ending: Ending::ForbiddenCall, reason: "r".into(), line: None },
        death: Death::Killed(Signal::SIGSYS),
        pid: 1,
        told: Told { outcome: None, counters, refusals: 2, accepted: 1, ..Default::default() },
        totals: Totals { stdout: 1, stderr: 2, dropped: 3 },
        used: Used {
            scratch: false,
            cpu: Duration::from_millis(5),
            group: group.then(Use::default),
            stops: (!group).then_some((4, Duration::from_secs(1))),
            memory_peak: 9,
            disk: (1, 2, 3),
        },
        notes: vec!["note".into()],
    };
    let mut report = Report::new(1.5);
    report.name = Some("run".into());
    report.program = Some(FileReport::new("p.repy", b"print 1"));
    report.policy = Some(FileReport::new("r.test", b""));
    report.vessel = Some("/v".into());
    report.interpreter = Some("/i".into());
    for (index, layer) in Layer::ALL.into_iter().enumerate() {
        report.layers.insert(layer.name(), ["enforced", "waived", "not needed"][index % 3]);
    }
    report.add_timings(&[Timing { step: "s", took: Duration::from_micros(7) }]);
    report.describe_run(&ended, &policy);
    report.conclude(Ending::ForbiddenCall, "r", Duration::from_millis(1_500));
    report
}

#[test]
fn reports_keep_to_the_schema() {
    for group in [true, false] {
        let value = valid(&full(group));
        assert_eq!(value["exit_code"], 71);
        assert_eq!(value["resources"].as_object().unwrap().len(), 17);
        assert_eq!(value["resources"]["events"]["denied_by"], "interpreter");
        assert_eq!(value["resources"]["cpu"]["used_seconds"], 0.005);
        assert_eq!(value["elapsed_seconds"], 1.5);
    }
    let mut refused = Report::new(0.0);
    refused.conclude(Ending::BadInput, "no such file", Duration::ZERO);
    assert_eq!(valid(&refused)["exit_code"], 2);
}

#[test]
fn the_schema_knows_no_key_that_no_report_has() {
    let schema = schema();
    let value = valid(&full(true));
    for key in schema["properties"].as_object().unwrap().keys() {
        assert!(value.get(key).is_some(), "no report has {key}");
    }
    let endings = schema["properties"]["ending"]["enum"].as_array().unwrap();
    let names: Vec<&str> = crate::verdict::TABLE.iter().map(|row| row.name).collect();
    assert_eq!(endings.iter().filter_map(Value::as_str).collect::<Vec<_>>(), names);
}

#[test]
fn the_kernels_record_is_found() {
    let log = "6,1,1,-;audit: type=1326 audit(1.0:2): auid=0 uid=0 gid=0 ses=1 pid=77 comm=\"repy-interp\" exe=\"x\" \
               sig=31 arch=c000003e syscall=41 compat=0 ip=0x0 code=0x80000000\n6,2,2,-;other pid=78 sig=31 \n";
    assert_eq!(number_in(log, 77), Some(41));
    assert_eq!(number_in(log, 78), None);
    assert!(ForbiddenCall::of(-5).find_with.contains("pid=-5 "));
}
