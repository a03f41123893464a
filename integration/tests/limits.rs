//! Hard limits and the cpu share, seen from outside.
#![allow(missing_docs)]

use integration::run::{program_of, users, Finished, User};
use integration::setting::{wide_policy, wide_policy_with, Setting};
use serde_json::Value;

fn run_with_report(setting: &Setting, policy: &str, program: &str) -> (Finished, Value) {
    let path = setting.vessel().join("report.json");
    let run = setting.launch(policy, program).option("--report").option(&path).run(60);
    let text = std::fs::read_to_string(&path)
        .unwrap_or_else(|e| panic!("no report at {}: {e}\n{}", path.display(), run.stderr));
    let report = serde_json::from_str(&text).unwrap_or_else(|e| panic!("not JSON: {e}\n{text}"));
    (run, report)
}

#[test]
fn a_memory_hog_is_killed_and_its_modest_twin_is_not() {
    // Many small objects: no single allocation is large enough for a MemoryError.
    let program = |count: u32| {
        format!(
            "keep = []\ni = 0\nwhile i < {count}:\n  keep.append('x' * 1000)\n  keep[i] = keep[i] + str(i)\n  \
             i = i + 1\nprint 'done', len(keep)\n"
        )
    };
    for user in users() {
        let setting = Setting::new("memory", user);
        let policy = wide_policy_with("memory", "30000000");
        let (run, report) = run_with_report(&setting, &policy, &program(1_000_000));
        run.expect_code(5).expect_stderr("emory").expect_stderr("30000000");
        assert_eq!(report["exit_code"], 5, "{report}");

        let run = setting.launch(&policy, &program(5_000)).run(60);
        run.expect_code(0);
    }
}

#[test]
fn an_allocation_above_what_the_host_has_is_a_memory_error_whatever_the_policy_says() {
    let program = "try:\n  print len('x' * SIZE)\nexcept MemoryError:\n  print 'refused'\nprint 'goes on'\n";
    for user in users() {
        let setting = Setting::new("above", user);
        let policy = wide_policy_with("memory", "1e17");
        let run = setting.launch(&policy, &program.replace("SIZE", "10 ** 16")).option("--simple").run(60);
        assert_eq!(run.expect_code(0).stdout, "refused\ngoes on\n");
        let run = setting.launch(&policy, &program.replace("SIZE", "10 ** 6")).option("--simple").run(60);
        assert_eq!(run.expect_code(0).stdout, "1000000\ngoes on\n");
    }
}

#[test]
fn a_disk_hog_is_killed_with_nothing_past_the_limit() {
    let program =
        "f = open('big', 'w')\ni = 0\nwhile i < COUNT:\n  f.write('x' * 1000)\n  f.flush()\n  i = i + 1\nf.close()\n\
                   print 'done'\n";
    for user in users() {
        let setting = Setting::new("disk", user);
        let policy = wide_policy_with("diskused", "200000");
        let run = setting.launch(&policy, &program.replace("COUNT", "1000")).run(60);
        run.expect_code(6).expect_stderr("200000");
        let size = std::fs::metadata(setting.vessel().join("big")).expect("big exists").len();
        assert!(size + 4096 <= 200_000, "{size} bytes landed");

        std::fs::remove_file(setting.vessel().join("big")).expect("removable");
        setting.launch(&policy, &program.replace("COUNT", "50")).run(60).expect_code(0);
    }
}

#[test]
fn the_cpu_share_holds() {
    let program = "i = 0\nwhile getruntime() < 4.0:\n  i = i + 1\n";
    for user in users() {
        let setting = Setting::new("cpu", user);
        let (run, report) = run_with_report(
            &setting,
            &wide_policy_with("cpu", ".1"),
            &format!(
                "if callfunc == 'initialize':\n{}",
                program.lines().map(|l| format!("  {l}\n")).collect::<String>()
            ),
        );
        run.expect_code(0);
        let cpu = &report["resources"]["cpu"];
        let used = cpu["used_seconds"].as_f64().expect("the report gives the processor time");
        let wall = report["elapsed_seconds"].as_f64().expect("the report gives the elapsed time");
        // At most the share over every period begun, and at least most of it.
        assert!(used <= 0.1 * (wall + 0.2) + 0.02, "used {used} s of {wall} s");
        assert!(used >= 0.08 * wall, "used only {used} s of {wall} s");
        if user == User::Caller && integration::is_root() {
            assert!(cpu["throttled_periods"].as_u64().unwrap_or(0) > 0, "never throttled: {report}");
        }
    }
}

#[test]
fn a_denied_file_is_an_exception_and_its_allowed_twin_opens() {
    for user in users() {
        let setting = Setting::new("denied", user);
        let policy =
            wide_policy().replace("call open allow\n", "call open arg 0 is secret deny\ncall open allow\n");
        let program = "f = open('NAME', 'w')\nf.write('x')\nf.close()\n";
        let run = setting.launch(&policy, &program.replace("NAME", "secret")).run(20);
        run.expect_code(1).expect_stderr("Call 'open' with args ('secret', 'w') not allowed");
        assert!(!setting.vessel().join("secret").exists());

        setting.launch(&policy, &program.replace("NAME", "public")).run(20).expect_code(0);
        assert!(setting.vessel().join("public").exists());
    }
}

/// Without a control group memory is held by looking every 10 ms, and more often while a
/// program grows towards its limit. A look may come late on a busy machine, so the best of
/// some runs counts; that each is killed counts always.
#[test]
fn without_a_control_group_memory_is_passed_by_five_megabytes_at_most() {
    const LIMIT: u64 = 40_000_000;
    // Chains: no single list grows so large that it gets a MemoryError.
    let programs = [
        ("strings", Some("k = None\ni = 0\nwhile True:\n  k = [k, 'x' * 10000 + str(i)]\n  i = i + 1\n")),
        ("lists", Some("k = None\nwhile True:\n  k = [k, 1, 2]\n")),
        ("large strings", Some("s = 'x' * 60000\nk = None\nwhile True:\n  k = [k, s + 'y']\n")),
        // A native program in the interpreter's place.
        ("memory-by-growing", None),
        ("memory-by-advice", None),
    ];
    for user in users() {
        let setting = Setting::new("overshoot", user);
        let policy = wide_policy_with("memory", &LIMIT.to_string());
        for (name, program) in programs {
            let peak_of_one = || {
                let launch = setting.launch(&policy, program.unwrap_or("pass\n"));
                let mut launch = launch.option("--without").option("cgroup");
                let place = setting.vessel().join("report.json");
                launch = launch.option("--report").option(&place);
                if program.is_none() {
                    launch = launch.option("--interp").option(program_of(user, "breach")).argument(name);
                }
                launch.run(60).expect_code(5);
                let text = std::fs::read_to_string(&place).expect("a report");
                let value: Value = serde_json::from_str(&text).expect("JSON");
                value["resources"]["memory"]["peak"].as_f64().expect("a peak") as u64
            };
            let best = (0..20).map(|_| peak_of_one()).find(|peak| *peak <= LIMIT + 5_000_000);
            assert!(best.is_some(), "{user:?} {name}: never within 5 MB of the limit in 20 runs");
        }
    }
}
