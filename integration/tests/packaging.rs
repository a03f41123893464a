//! The tarball and the Debian package, made and used as somebody does who has no checkout.
#![allow(missing_docs)]

use integration::run::{finish, system_command, Finished, User};
use integration::scratch::Scratch;
use integration::{has, is_root, project_root, skipped};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// Only against hanging: compressing takes long on a busy machine.
const PATIENCE: Duration = Duration::from_secs(600);

/// Runs a shell script as `user`, with `words` as its $1, $2, …
fn shell(user: User, script: &str, words: &[&Path]) -> Finished {
    let mut command = system_command(user, "sh");
    command.args(["-euc", script, "sh"]).args(words);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    finish(command, PATIENCE)
}

/// Runs one of the scripts that make a package; the path that it prints.
fn make(script: &str, scratch: &Scratch) -> PathBuf {
    let binaries = integration::bin("repy-launch");
    let mut command = Command::new("sh");
    command.arg(script).arg(binaries.parent().expect("a directory")).arg(scratch.path());
    command.current_dir(project_root()).env("DEB_COMPRESSION", "gzip");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let run = finish(command, PATIENCE);
    run.expect_code(0);
    PathBuf::from(run.stdout.trim())
}

/// As a user without a delegated control group has to say it.
fn waiver(user: User) -> &'static str {
    if user == User::Ordinary || !is_root() {
        "--without cgroup"
    } else {
        ""
    }
}

#[test]
fn the_tarball_runs_where_it_was_unpacked_and_can_be_installed_and_removed() {
    let made = Scratch::new("dist");
    let tarball = make("packaging/dist.sh", &made);
    for user in integration::run::users() {
        let place = Scratch::new("unpacked");
        let owner = (user == User::Ordinary).then_some(integration::run::ORDINARY);
        let home = place.directory("home", owner);
        // The tutorial's own command line, in the directory of the tarball.
        let unpack = "umask 022; cd \"$1\"; tar -xzf \"$2\"; cd repy-launch-*;";
        let without = waiver(user);
        let run = format!(
            "{unpack} ./repy-launch {without} --policy restrictions.test example.1.1.repy; \
             ./repy {without} restrictions.test example.2.1.repy; cat hello.file"
        );
        shell(user, &run, &[&home, &tarball])
            .expect_code(0)
            .expect_stdout("Hello World\nhello world\n\nhello world\n");

        shell(user, "cd \"$1\"/repy-launch-*; sh install.sh --usage", &[&home]).expect_code(0);
        let wrong = shell(user, "cd \"$1\"/repy-launch-*; sh install.sh --prefx /x", &[&home]);
        wrong.expect_code(2).expect_stderr("unknown option --prefx");

        let prefix = home.join("prefix");
        let install = "cd \"$1\"/repy-launch-*; sh install.sh --prefix \"$2\"";
        shell(user, install, &[&home, &prefix]).expect_code(0);
        let use_it = format!(
            "mkdir \"$1\"/vessel; cd \"$1\"/vessel; PATH=\"$2\"/bin:$PATH; \
             repy-launch {without} --policy \"$2\"/share/repy/restrictions.test \"$2\"/share/repy/examples/example.1.1.repy; \
             test -s \"$2\"/share/man/man1/repy-launch.1"
        );
        shell(user, &use_it, &[&home, &prefix]).expect_code(0).expect_stdout("Hello World\n");

        std::fs::write(prefix.join("share/repy/own.repy"), "").expect("a file of somebody else's");
        let remove =
            "cd \"$1\"/repy-launch-*; sh install.sh --uninstall --prefix \"$2\"; cd \"$2\"; find . ! -type d";
        let removed = shell(user, remove, &[&home, &prefix]);
        removed.expect_code(0);
        assert!(removed.stdout.ends_with("\n./share/repy/own.repy\n"), "{}", removed.stdout);
    }
}

#[test]
fn the_same_input_gives_the_same_tarball() {
    let (one, two) = (Scratch::new("dist-one"), Scratch::new("dist-two"));
    let read = |path: PathBuf| std::fs::read(path).expect("readable");
    assert!(read(make("packaging/dist.sh", &one)) == read(make("packaging/dist.sh", &two)));
}

#[test]
fn the_debian_package_is_complete() {
    if !has("dpkg-deb") {
        return skipped("dpkg-deb is not installed");
    }
    let scratch = Scratch::new("deb");
    let package = make("packaging/deb.sh", &scratch);
    let unpacked = scratch.directory("tree", None);
    shell(User::Caller, "dpkg-deb --extract \"$1\" \"$2\"", &[&package, &unpacked]).expect_code(0);
    for path in [
        "usr/bin/repy-launch",
        "usr/bin/repy-interp",
        "usr/share/man/man1/repy-launch.1",
        "usr/lib/systemd/system/repy@.service",
        "usr/lib/systemd/system/repy.slice",
        "usr/share/repy/apparmor/repy-launch",
        "usr/share/repy/examples/example.1.1.repy",
        "etc/repy/restrictions.test",
    ] {
        assert!(unpacked.join(path).is_file(), "the package lacks {path}");
    }
    for page in entries(&project_root().join("docs")).filter(|name| name.ends_with(char::is_numeric)) {
        let section = page.chars().last().unwrap_or('1');
        assert!(
            unpacked.join(format!("usr/share/man/man{section}/{page}")).is_file(),
            "{page} is not installed"
        );
    }
    let completions = entries(&project_root().join("docs/completions")).count();
    let installed = ["bash-completion/completions", "zsh/site-functions", "fish/vendor_completions.d"]
        .map(|place| entries(&unpacked.join("usr/share").join(place)).count());
    assert_eq!(installed.iter().sum::<usize>(), completions, "completions: {installed:?}");
    let conffiles = shell(User::Caller, "dpkg-deb --info \"$1\" conffiles", &[&package]);
    for policy in std::fs::read_dir(unpacked.join("etc/repy")).expect("policies").flatten() {
        let line = format!("/etc/repy/{}\n", policy.file_name().to_string_lossy());
        assert!(conffiles.stdout.contains(&line), "{line} may be overwritten by an upgrade");
    }
    if !has("systemd-analyze") {
        return skipped("systemd-analyze is not installed");
    }
    // The unit names the program where the package puts it; here it lies elsewhere.
    let verify = "cd \"$1\"/usr/lib/systemd/system; sed -i \"s|/usr/bin/repy-launch|$1&|\" repy@.service; \
                  systemd-analyze --man=no verify \"$PWD\"/repy.slice \"$PWD\"/repy@.service 2>&1";
    let verified = shell(User::Caller, verify, &[&unpacked]);
    assert_eq!(verified.stdout, "", "systemd finds fault");
    verified.expect_code(0);
}

/// The names in a directory; none if there is no such directory.
fn entries(path: &Path) -> impl Iterator<Item = String> {
    std::fs::read_dir(path)
        .into_iter()
        .flatten()
        .flatten()
        .map(|e| e.file_name().to_string_lossy().into_owned())
}

/// A root of its own that holds nothing but busybox, with the package installed by dpkg.
const INSTALL: &str = r#"
root=$1 package=$2 busybox=$3
mkdir -p "$root/bin" "$root/etc" "$root/tmp" "$root/proc" "$root/sys" "$root/dev" "$root/old" "$root/home/user/vessel" \
  "$root/var/lib/dpkg/updates" "$root/var/lib/dpkg/info" "$root/var/lib/dpkg/triggers"
chmod 755 "$root" "$root"/*; chmod 1777 "$root/tmp"; chown -R 1000:1000 "$root/home/user"
cp "$busybox" "$root/bin/busybox"
for name in sh cat rm cp mkdir id su mount umount test; do ln -s busybox "$root/bin/$name"; done
printf 'root:x:0:0:root:/:/bin/sh\nuser:x:1000:1000::/home/user:/bin/sh\n' >"$root/etc/passwd"
printf 'root:x:0:\nuser:x:1000:\n' >"$root/etc/group"
: >"$root/var/lib/dpkg/status"
PATH=$PATH:/usr/sbin:/sbin dpkg --root="$root" --install "$package" >&2
"#;

/// Makes that root the root of a mount namespace (a program in a chroot may make no user
/// namespaces) and runs $2 there as root.
const ENTER: &str = r#"
mount --rbind "$1" "$1"
mount -t proc proc "$1/proc"
mount --rbind /sys "$1/sys"
mount --rbind /dev "$1/dev"
cd "$1"
pivot_root . old
exec /bin/busybox chroot . /bin/sh -euc 'umount -l /old; eval "$1"' sh "$2"
"#;

fn in_root(root: &Path, command: &str) -> Finished {
    let mut unshare = Command::new("unshare");
    unshare
        .args(["--mount", "--pid", "--fork", "--propagation", "private", "sh", "-euc", ENTER, "sh"])
        .arg(root);
    unshare.arg(command).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    finish(unshare, PATIENCE)
}

#[test]
fn the_debian_package_works_in_a_clean_root_as_an_ordinary_user() {
    if !is_root() {
        return skipped("installing a package needs root");
    }
    let busybox = ["/bin/busybox", "/usr/bin/busybox"].map(Path::new).into_iter().find(|path| path.is_file());
    let Some(busybox) = busybox.filter(|_| has("dpkg")) else {
        return skipped("dpkg or busybox-static is not installed");
    };
    let scratch = Scratch::new("clean-root");
    let package = make("packaging/deb.sh", &scratch);
    let root = scratch.directory("root", None);
    shell(User::Caller, INSTALL, &[&root, &package, busybox]).expect_code(0);

    let example = "--policy /etc/repy/restrictions.test /usr/share/repy/examples/example.1.1.repy";
    let as_user = |words: &str| {
        in_root(&root, &format!("cd /home/user/vessel; su user -s /bin/sh -c 'id -u; {words}'"))
    };
    as_user(&format!("repy-launch --without cgroup {example}"))
        .expect_code(0)
        .expect_stdout("1000\nHello World\n");
    // Nothing is waived in silence there either.
    let refused = as_user(&format!("repy-launch {example} || echo $?"));
    assert!(
        refused.stdout == "1000\nHello World\n" || refused.stdout == "1000\n4\n",
        "{}{}",
        refused.stdout,
        refused.stderr
    );
    in_root(&root, &format!("cd /home/user/vessel; repy-launch {example}"))
        .expect_code(0)
        .expect_stdout("Hello World\n");

    // Removed, the package leaves the operator's policies; purged, nothing.
    let remove = "PATH=$PATH:/usr/sbin:/sbin dpkg --root=\"$1\" $2 repy-launch >&2; find \"$1\"/usr \"$1\"/etc/repy ! -type d";
    let removed = shell(User::Caller, remove, &[&root, Path::new("--remove")]);
    assert!(removed.stdout.contains("/etc/repy/restrictions.test"), "{}", removed.stdout);
    assert!(!removed.stdout.contains("/usr/"), "{}", removed.stdout);
    shell(User::Caller, remove, &[&root, Path::new("--purge")]);
    assert!(!root.join("etc/repy").exists());
}
