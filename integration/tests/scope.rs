//! An ordinary user's way to a control group: the launcher asks the user's systemd for a
//! delegated scope, once, and goes on as the same process. A stand-in for `systemd-run`
//! shows what is asked; that a real delegated group then holds is shown by `make vmtest`.
#![allow(missing_docs)]

use integration::run::{finish, program_of, User};
use integration::scratch::Scratch;
use integration::setting::{wide_policy, Setting};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use std::time::Duration;

#[test]
fn the_users_systemd_is_asked_once_for_a_delegated_scope() {
    if !integration::is_root() {
        integration::skipped("a /run of the test's own needs root");
        return;
    }
    let scratch = Scratch::new("scope");
    std::fs::set_permissions(scratch.path(), std::fs::Permissions::from_mode(0o777)).expect("mode set");
    let asked = scratch.join("asked");
    // Notes its words and its process number, then becomes the command, as systemd-run does.
    let stand_in = scratch.write(
        "systemd-run",
        format!(
            "#!/bin/sh\necho \"$$ $*\" >>{}\nwhile [ \"$1\" != -- ]; do shift; done\nshift\nexec \"$@\"\n",
            asked.display()
        ),
    );
    std::fs::set_permissions(&stand_in, std::fs::Permissions::from_mode(0o755)).expect("mode set");
    let setting = Setting::new("scope", User::Ordinary);
    let policy = setting.write("policy.test", wide_policy());
    let program = setting.write("program.repy", "print 'done'\n");
    let line = format!(
        "mount -t tmpfs tmpfs /run && mkdir -p /run/systemd/system /run/user/65534 && touch /run/user/65534/bus && \
         cd / && echo $$ && exec setpriv --reuid 65534 --regid 65534 --clear-groups \
         env PATH={}:/usr/bin:/bin {} --policy {} --vessel {} {}",
        scratch.path().display(),
        program_of(User::Ordinary, "repy-launch").display(),
        policy.display(),
        setting.vessel().display(),
        program.display()
    );
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", &line]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let run = finish(command, Duration::from_secs(60));
    let process = run.stdout.lines().next().expect("its number");
    let notes = std::fs::read_to_string(&asked).unwrap_or_default();
    if notes.is_empty() && run.code() == 0 {
        integration::skipped("this user has a delegated group already");
        return;
    }
    let lines: Vec<&str> = notes.lines().collect();
    assert_eq!(lines.len(), 1, "asked once: {notes:?}; {run:?}");
    assert!(lines[0].starts_with(&format!("{process} ")), "the same process: {notes:?}, {process}");
    for word in ["--user", "--scope", "Delegate=yes"] {
        assert!(lines[0].contains(word), "{notes:?} lacks {word}");
    }
    // The stand-in delegates nothing: then the layer is missing, and that is said.
    run.expect_code(4).expect_stderr("cgroup");
}
