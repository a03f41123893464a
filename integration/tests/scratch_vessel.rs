//! `--scratch`: the vessel is a filesystem in memory that is full exactly at the policy's
//! diskused, whoever writes; the directory on disk stays as it was.
#![allow(missing_docs)]

use integration::run::{program_of, users, Finished, User};
use integration::setting::{wide_policy_with, Setting};
use serde_json::Value;
use std::collections::BTreeMap;

/// 24 blocks of 4096, and a rest that no block fits into.
const LIMIT: u64 = 100_000;
const BLOCKS: u64 = 24;

/// Names and contents of the vessel on disk.
fn on_disk(setting: &Setting) -> BTreeMap<String, Vec<u8>> {
    let entries = std::fs::read_dir(setting.vessel()).expect("the vessel").flatten();
    entries
        .map(|entry| {
            let name = entry.file_name().to_string_lossy().into_owned();
            (name, std::fs::read(entry.path()).expect("a file of the vessel"))
        })
        .collect()
}

/// A vessel with one file, owned as the vessel is.
fn setting(label: &str, user: User) -> Setting {
    let setting = Setting::new(label, user);
    let file = setting.vessel().join("before.txt");
    std::fs::write(&file, "before\n").expect("a file in the vessel");
    if user == User::Ordinary {
        let (uid, gid) = integration::run::ORDINARY;
        std::os::unix::fs::chown(&file, Some(uid), Some(gid)).expect("root gives files away");
    }
    setting
}

fn policy() -> String {
    wide_policy_with("diskused", &LIMIT.to_string())
}

fn hostile(setting: &Setting, method: &str) -> Finished {
    let launch = setting.launch(&policy(), "pass\n").option("--scratch").option("--interp");
    launch.option(program_of(setting.user(), "breach")).argument(format!("fill:{method}")).run(60)
}

/// What a hostile program could take before the kernel refused. The monitor's count may end
/// the program before it has told: then it is asked again.
fn taken(setting: &Setting, method: &str) -> (u64, i32) {
    for _ in 0..50 {
        let run = hostile(setting, method);
        let words: Vec<&str> = run.stdout.split_whitespace().collect();
        if let ["FILLED", amount, errno] = words[..] {
            return (amount.parse().expect("an amount"), errno.parse().expect("a number"));
        }
        assert_eq!(run.code(), 6, "{}\n{}", run.stdout, run.stderr);
    }
    panic!("{method}: killed before it could tell, fifty times");
}

#[test]
fn a_hostile_program_gets_no_block_and_no_file_past_the_limit() {
    for user in users() {
        let setting = setting("scratch-hostile", user);
        let before = on_disk(&setting);
        let size = (BLOCKS - 1) * 4096; // one block is the file that was there
        let cases =
            [("write", size), ("sparse", size), ("unlinked", size), ("bytes", size), ("files", BLOCKS - 1)];
        for (method, amount) in cases {
            assert_eq!(taken(&setting, method), (amount, libc::ENOSPC), "{user:?} {method}");
            assert_eq!(on_disk(&setting), before, "{user:?} {method}");
        }
    }
}

/// The twin of the test above: without `--scratch` the same program writes to the disk.
#[test]
fn without_scratch_the_directory_itself_is_written() {
    for user in users() {
        let setting = setting("scratch-not", user);
        let launch = setting.launch(&policy(), "pass\n").option("--interp");
        launch.option(program_of(user, "breach")).argument("fill:write").run(60);
        assert!(setting.vessel().join("fill-write").exists(), "{user:?}");
    }
}

#[test]
fn a_program_reads_and_writes_its_copy_and_nothing_of_it_remains() {
    let program = "\
if callfunc == 'initialize':
  print open('before.txt').read()
  f = open('before.txt', 'w')
  f.write('after')
  f.close()
  f = open('more.txt', 'w')
  f.write('x' * 80000)
  f.close()
  print open('before.txt').read(), len(open('more.txt').read())
  names = listdir()
  names.sort()
  print names
  removefile('more.txt')
  print listdir()
";
    for user in users() {
        let setting = setting("scratch-copy", user);
        let report = setting.vessel().join("report.json");
        let run = setting.launch(&policy(), program).option("--scratch").option("--report").option(&report);
        run.run(60)
            .expect_code(0)
            .expect_stdout("before\n\nafter 80000\n['before.txt', 'more.txt']\n['before.txt']\n");
        let text = std::fs::read_to_string(&report).expect("the report lies in the vessel on disk");
        let value: Value = serde_json::from_str(&text).expect("JSON");
        let disk = &value["resources"]["diskused"];
        assert_eq!(disk["held_by"], "kernel (scratch vessel), interpreter, supervisor");
        assert_eq!(disk["used"], 4096 + 5, "{disk}");
        assert!(value["notes"].to_string().contains("--scratch"), "{}", value["notes"]);
        std::fs::remove_file(report).expect("the report");
        assert_eq!(on_disk(&setting), BTreeMap::from([("before.txt".into(), b"before\n".to_vec())]));
    }
}

#[test]
fn the_api_is_held_to_the_byte_as_without_it() {
    // One entry is there (4096 and 7), another costs 4096: this much content fits.
    let fits = LIMIT - 2 * 4096 - 7;
    for user in users() {
        let setting = setting("scratch-api", user);
        for (length, code) in [(fits, 0), (fits + 1, 6)] {
            let program = format!("f = open('new', 'w')\nf.write('x' * {length})\nf.flush()\nexitall()\n");
            setting.launch(&policy(), &program).option("--scratch").run(60).expect_code(code);
        }
    }
}

#[test]
fn memory_is_held_to_its_own_limit_and_the_vessel_does_not_count_in_it() {
    let policy = wide_policy_with("memory", "30000000").replace("diskused 50000000", "diskused 80000000");
    let hog = "k = None\ni = 0\nwhile True:\n  k = [k, 'x' * 10000 + str(i)]\n  i = i + 1\n";
    // Twice the memory limit on the disk.
    let writer = "\
f = open('big', 'w')
i = 0
while i < 60:
  f.write('x' * 1000000)
  i = i + 1
f.close()
exitall()
";
    for user in users() {
        let setting = setting("scratch-memory", user);
        let run = |program: &str| setting.launch(&policy, program).option("--scratch").run(120);
        run(hog).expect_code(5);
        run(writer).expect_code(0);
    }
}

#[test]
fn files_that_do_not_fit_are_refused_with_the_figures() {
    for user in users() {
        let setting = setting("scratch-full", user);
        std::fs::write(setting.vessel().join("large"), vec![0; 200_000]).expect("a file");
        let run = setting.launch(&policy(), "pass\n").option("--scratch").run(60);
        run.expect_code(2).expect_stderr("208199 bytes").expect_stderr("resource diskused 100000");
    }
}

#[test]
fn a_limit_below_one_block_lets_nothing_be_made() {
    let policy = wide_policy_with("diskused", "4000");
    for user in users() {
        let setting = Setting::new("scratch-none", user);
        let launch = setting.launch(&policy, "pass\n").option("--scratch").option("--interp");
        let run = launch.option(program_of(user, "breach")).argument("fill:files").run(60);
        run.expect_code(0).expect_stdout(&format!("FILLED 0 {}\n", libc::ENOSPC));
    }
}

/// As root a copy shows no file to the sandbox that the vessel's owner could not read.
#[test]
fn files_of_others_stay_closed() {
    if !integration::is_root() {
        return;
    }
    use std::os::unix::fs::PermissionsExt;
    let setting = Setting::new("scratch-others", User::Ordinary);
    for (name, mode) in [("closed", 0o600), ("shown", 0o644)] {
        let path = setting.vessel().join(name);
        std::fs::write(&path, name).expect("a file of root's");
        std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).expect("its mode");
    }
    let program = "print open('shown').read()\ntry:\n  print open('closed').read()\nexcept Exception, e:\n  print 'refused'\nexitall()\n";
    let policy = setting.write("policy.test", wide_policy_with("diskused", "100000"));
    let program = setting.write("program.repy", program);
    let as_root = integration::run::Launch::new(User::Caller, policy, program).vessel(setting.vessel());
    for option in [None, Some("--scratch")] {
        let launch = option.into_iter().fold(as_root.clone(), |launch, word| launch.option(word));
        launch.run(60).expect_code(0).expect_stdout("shown\nrefused\n");
    }
}

/// Files of the operator's are there and read-only, also those with a second name.
#[test]
fn the_operators_files_stay_reserved() {
    for user in users() {
        let setting = setting("scratch-reserved", user);
        let policy = setting.vessel().join("restrictions");
        std::fs::write(&policy, self::policy()).expect("the policy");
        std::fs::hard_link(&policy, setting.beside("other-name")).expect("a second name");
        let program = setting.write("program.repy", "pass\n");
        let launch = setting.launch_files(&policy, program).option("--scratch").option("--interp");
        let write = format!(
            "openat:4,=restrictions,{}",
            libc::O_WRONLY | libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_CLOEXEC
        );
        let run = launch.option(program_of(user, "probe")).argument(write).run(60);
        run.expect_code(0).expect_stdout(&format!("openat failed {}\n", libc::EROFS));
    }
}

#[test]
fn it_is_told_before_and_after_and_can_be_looked_at() {
    let setting = setting("scratch-told", User::Caller);
    let policy = setting.write("policy.test", policy());
    let explain = integration::run::as_user(User::Caller, &integration::bin("repy-launch"))
        .args(["explain", "--scratch"])
        .arg(&policy)
        .output()
        .expect("explain");
    let text = String::from_utf8_lossy(&explain.stdout).into_owned();
    assert!(text.contains("exact: 98304 bytes, 24 files"), "{text}");
    let plan = setting.launch_files(&policy, setting.write("program.repy", "pass\n"));
    let plan = plan.option("--scratch").option("--plan").run(60);
    assert!(plan.stdout.contains("scratch vessel"), "{}", plan.stdout);
}

#[test]
fn it_needs_a_mount_namespace() {
    for user in users() {
        let setting = setting("scratch-mountns", user);
        let launch =
            setting.launch(&policy(), "pass\n").option("--scratch").option("--without").option("mountns");
        launch.run(60).expect_code(4).expect_stderr("--scratch needs the layer 'mountns'");
    }
}
