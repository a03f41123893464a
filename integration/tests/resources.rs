//! Every resource of the restrictions language: below its limit, at it, above it, zero and
//! absent; over several events and handles; measured from outside where something can be
//! seen there. `row` has an arm for each resource: a new one does not compile without.
#![allow(missing_docs)]

use integration::network::{Network, OWN_ADDRESS};
use integration::run::{finish, users, Finished, User};
use integration::setting::{wide_policy, Setting};
use policies::Resource;
use serde_json::Value;
use std::time::Duration;

/// How a resource is shown.
enum Row {
    /// A share of the processor.
    Share,
    /// Bytes; past the limit the program is killed. Two programs: a modest one and a greedy one.
    Hard { limit: u64, modest: &'static str, greedy: &'static str, code: i32 },
    /// Items held at once: what takes one (the number is `i`), what gives `k[i]` back, and how
    /// many are taken before the program's first line.
    Items { take: &'static str, give: &'static str, before: u64 },
    /// A rate: what is done before, what moves `unit`, and whether the charge comes by itself
    /// some time later (received datagrams).
    Rate { setup: &'static str, step: &'static str, unit: u64, received: bool },
    /// Ports: what uses port `p`, and what gives handle `h` back.
    Ports { take: &'static str, give: &'static str },
}

fn row(resource: Resource) -> Row {
    use Resource::*;
    match resource {
        Cpu => Row::Share,
        Memory => Row::Hard {
            limit: 40_000_000,
            modest: "k = []\ni = 0\nwhile i < 100:\n  k.append('x' * 10000 + str(i))\n  i = i + 1\n",
            greedy: "k = []\ni = 0\nwhile True:\n  k.append('x' * 10000 + str(i))\n  i = i + 1\n",
            code: 5,
        },
        DiskUsed => Row::Hard {
            limit: 200_000,
            // Three files of 4096 for the entry and 60 000 bytes each; then one byte past the limit.
            modest: "for n in ['a', 'b', 'c']:\n  f = open(n, 'w')\n  f.write('x' * 60000)\n  f.close()\n",
            greedy: "k = []\nfor n in ['a', 'b', 'c', 'd']:\n  k.append(open(n, 'w'))\nwhile True:\n  for f in k:\n    f.write('x' * 100)\n    f.flush()\n",
            code: 6,
        },
        Events => Row::Items { take: "settimer(30, nothing, ())", give: "canceltimer(k[i])", before: 1 },
        FilesOpened => Row::Items { take: "open('f' + str(i), 'w')", give: "k[i].close()", before: 0 },
        InSockets => Row::Items {
            take: "recvmess('127.0.0.1', 20000 + i, got)",
            give: "stopcomm(k[i])",
            before: 0,
        },
        OutSockets => Row::Items { take: "openconn('127.0.0.1', 20100)", give: "k[i].close()", before: 0 },
        FileWrite => Row::Rate {
            setup: "mycontext['f'] = open('written', 'w')",
            step: "mycontext['f'].write('y' * 1000)",
            unit: 1000,
            received: false,
        },
        FileRead => Row::Rate {
            setup: "mycontext['f'] = open('data')",
            step: "mycontext['f'].read(1000)",
            unit: 1000,
            received: false,
        },
        LogRate => {
            Row::Rate { setup: "pass", step: "print 'y' * 999", unit: 1000, received: false }
        }
        Random => Row::Rate { setup: "pass", step: "randomfloat()", unit: 1, received: false },
        NetSend => Row::Rate { setup: "pass", step: SEND_OUTSIDE, unit: 1000, received: false },
        NetRecv => Row::Rate { setup: "recvmess('OWN', 20001, got)", step: SEND_OUTSIDE, unit: 1000, received: true },
        LoopSend => Row::Rate { setup: "pass", step: SEND_LOOP, unit: 1000, received: false },
        LoopRecv => {
            Row::Rate { setup: "recvmess('127.0.0.1', 20001, got)", step: SEND_LOOP, unit: 1000, received: true }
        }
        MessPort => Row::Ports { take: "recvmess('127.0.0.1', p, got)", give: "stopcomm(h)" },
        ConnPort => Row::Ports { take: "waitforconn('127.0.0.1', p, connected)", give: "stopcomm(h)" },
    }
}

const SEND_OUTSIDE: &str = "sendmess('OWN', 20001, 'y' * 1000, 'OWN', 20002)";
const SEND_LOOP: &str = "sendmess('127.0.0.1', 20001, 'y' * 1000, '127.0.0.1', 20002)";
const CALLBACKS: &str = "mycontext['got'] = 0\nmycontext['done'] = 0\ndef nothing():\n  pass\ndef got(ip, port, text, handle):\n  mycontext['got'] = mycontext['got'] + 1\n\
                         def connected(ip, port, connection, this, listener):\n  mycontext[port] = connection\n";

/// Where the programs run: as root in a network of their own, so that ports are free.
struct Bed {
    setting: Setting,
    network: Option<Network>,
}

impl Bed {
    fn new(label: &str, user: User) -> Bed {
        let network = (user == User::Caller).then(|| Network::new(label)).flatten();
        Bed { setting: Setting::new(label, user), network }
    }

    fn run(&self, policy: &str, program: &str) -> (Finished, Value) {
        let report = self.setting.vessel().join("report.json");
        let program = program.replace("OWN", OWN_ADDRESS);
        let launch = self.setting.launch(policy, &program).option("--report").option(&report);
        let command = launch.option("--wall").option("60").command();
        let run = match &self.network {
            Some(network) => finish(network.inside(&command), Duration::from_secs(120)),
            None => finish(command, Duration::from_secs(120)),
        };
        let text = std::fs::read_to_string(&report).unwrap_or_default();
        let value = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text:?}\n{}", run.stderr));
        let _ = std::fs::remove_file(report);
        (run, value)
    }

    fn clear(&self) {
        for entry in std::fs::read_dir(self.setting.vessel()).expect("the vessel").flatten() {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

/// The wide policy with ports for these programs, and `resource` at `value` (`None`: absent).
fn policy(resource: Resource, value: Option<&str>) -> String {
    let name = resource.name();
    let mut text: String = wide_policy()
        .lines()
        .filter(|line| !line.starts_with("resource messport") && !line.starts_with("resource connport"))
        .filter(|line| !line.starts_with(&format!("resource {name} ")))
        .map(|line| format!("{line}\n"))
        .collect();
    for port in (20_000..20_012).filter(|_| resource != Resource::MessPort) {
        text += &format!("resource messport {port}\n");
    }
    if resource != Resource::ConnPort {
        text += "resource connport 20100\n";
    }
    if let Some(value) = value {
        for value in value.split(' ') {
            text += &format!("resource {name} {value}\n");
        }
    }
    text
}

fn number(report: &Value, resource: Resource, key: &str) -> f64 {
    report["resources"][resource.name()][key].as_f64().unwrap_or(0.0)
}

#[test]
fn every_resource_holds_below_at_above_zero_and_absent() {
    // Rates mostly wait, so they are shown together.
    std::thread::scope(|scope| {
        for resource in Resource::all().filter(|resource| matches!(row(*resource), Row::Rate { .. })) {
            scope.spawn(move || show(resource, User::Caller));
        }
    });
    for user in users() {
        for resource in Resource::all().filter(|resource| !matches!(row(*resource), Row::Rate { .. })) {
            // Free ports need a network of the test's own, which only root can make.
            let ports = matches!(row(resource), Row::Ports { .. })
                || [Resource::InSockets, Resource::OutSockets].contains(&resource);
            if !(ports && (user == User::Ordinary || !integration::is_root())) {
                show(resource, user);
            }
        }
    }
}

fn show(resource: Resource, user: User) {
    if matches!(row(resource), Row::Rate { .. })
        && !integration::is_root()
        && ["net", "loop"].iter().any(|kind| resource.name().starts_with(kind))
    {
        integration::skipped(&format!(
            "{} needs a network of the test's own, and root for it",
            resource.name()
        ));
        return;
    }
    let bed = Bed::new(resource.name(), user);
    match row(resource) {
        Row::Share => share(&bed, resource),
        Row::Hard { limit, modest, greedy, code } => hard(&bed, resource, limit, modest, greedy, code),
        Row::Items { take, give, before } => items(&bed, resource, take, give, before),
        Row::Rate { setup, step, unit, received } => rates(&bed, resource, setup, step, unit, received),
        Row::Ports { take, give } => ports(&bed, resource, take, give),
    }
}

/// The share itself is measured below; here what a policy may say of it.
fn share(bed: &Bed, resource: Resource) {
    for value in [Some("0"), None, Some("-1"), Some("0.0001")] {
        let (run, report) = bed.run(&policy(resource, value), "pass\n");
        run.expect_code(2);
        assert_eq!(report["ending"], "bad input", "{value:?}");
    }
    for value in ["0.02", "1", "1.5"] {
        bed.run(&policy(resource, Some(value)), "pass\n").0.expect_code(0);
    }
}

fn hard(bed: &Bed, resource: Resource, limit: u64, modest: &str, greedy: &str, code: i32) {
    bed.clear();
    let (run, report) = bed.run(&policy(resource, Some(&limit.to_string())), modest);
    run.expect_code(0);
    let peak = number(&report, resource, "peak");
    assert!(peak > 0.0 && peak <= limit as f64, "{}: peak {peak}", resource.name());
    // At the limit: what the modest program needed, for memory with room for one run's difference.
    let needed = if resource == Resource::Memory { peak * 1.2 } else { peak };
    bed.clear();
    bed.run(&policy(resource, Some(&format!("{}", needed as u64))), modest).0.expect_code(0);
    bed.clear();
    if resource == Resource::DiskUsed {
        bed.run(&policy(resource, Some(&format!("{}", needed as u64 - 1))), modest).0.expect_code(code);
        bed.clear();
    }
    let (run, report) = bed.run(&policy(resource, Some(&limit.to_string())), greedy);
    run.expect_code(code).expect_stderr(&limit.to_string());
    if resource == Resource::DiskUsed {
        let sizes = std::fs::read_dir(bed.setting.vessel()).expect("the vessel").flatten();
        let total: u64 = sizes.map(|entry| entry.metadata().map_or(0, |m| m.len()) + 4096).sum();
        assert!(total <= limit, "{total} bytes of {limit} landed");
    } else if bed.setting.user() == User::Caller && integration::is_root() {
        let peak = number(&report, resource, "peak");
        assert!(peak <= limit as f64 + 65_536.0, "peak {peak} with a control group");
    }
    bed.clear();
    bed.run(&policy(resource, Some("0")), greedy).0.expect_code(code);
    bed.run(&policy(resource, None), modest).0.expect_code(2);
}

fn items(bed: &Bed, resource: Resource, take: &str, give: &str, before: u64) {
    const LIMIT: u64 = 6;
    let listener = if resource == Resource::OutSockets {
        "mycontext['l'] = waitforconn('127.0.0.1', 20100, connected)\n"
    } else {
        ""
    };
    // Takes `wanted`, says how many it got, gives all back and takes one again.
    let program = |wanted: u64| {
        format!(
            "{CALLBACKS}{listener}k = []\ni = 0\ntry:\n  while i < {wanted}:\n    k.append({take})\n    i = i + 1\n\
             except Exception, e:\n  print 'raised', e\nprint 'got', i\ni = 0\nwhile i < len(k):\n  {give}\n  \
             i = i + 1\ni = 0\nk = [{take}]\n{give}\nprint 'again'\nexitall()\n"
        )
    };
    let most = LIMIT - before;
    for (wanted, got) in [(most - 2, most - 2), (most, most), (most + 3, most)] {
        bed.clear();
        let (run, report) = bed.run(&policy(resource, Some(&LIMIT.to_string())), &program(wanted));
        run.expect_code(0);
        assert!(run.stdout.contains(&format!("got {got}\nagain\n")), "{}: {}", resource.name(), run.stdout);
        assert_eq!(run.stdout.contains("limit exceeded!!"), wanted > got, "{}", run.stdout);
        let (peak, denials) = (number(&report, resource, "peak"), number(&report, resource, "denials"));
        assert!(peak <= LIMIT as f64 && (denials > 0.0) == (wanted > got), "{}: {report}", resource.name());
        if resource == Resource::FilesOpened {
            let files = std::fs::read_dir(bed.setting.vessel()).expect("the vessel").count();
            assert_eq!(files as u64, got, "files seen from outside");
        }
    }
    for value in [Some("0"), None] {
        let (run, _) =
            bed.run(&policy(resource, value), &format!("{CALLBACKS}{listener}i = 0\nx = {take}\n"));
        // Without a single event not even the program's first line may run.
        run.expect_code(if resource == Resource::Events { 7 } else { 1 });
    }
}

fn rates(bed: &Bed, resource: Resource, setup: &str, step: &str, unit: u64, received: bool) {
    let name = resource.name();
    let limit = unit * 18;
    let data = || std::fs::write(bed.setting.vessel().join("data"), vec![b'x'; 400_000]).expect("written");
    // Steps in three events at once; `condition` says when an event has done enough. Then what
    // was sent is awaited, where it is received by callbacks.
    let program = |condition: &str, awaited: u64| {
        format!(
            "{CALLBACKS}def work():\n  n = 0\n  while {condition}:\n    {step}\n    n = n + 1\n  \
             mycontext['done'] = mycontext['done'] + 1\n\
             if callfunc == 'initialize':\n  {setup}\n  settimer(0, work, ())\n  settimer(0, work, ())\n  work()\n  \
             while getruntime() < 30 and (mycontext['done'] < 3 or mycontext['got'] < {awaited}):\n    sleep(0.02)\n  \
             exitall()\n"
        )
    };
    let awaited = |steps: u64| if received { steps } else { 0 };
    // Below and at: of one second's worth, which is free, half and all.
    for (condition, steps) in [("n < 3", 9), ("n < 6", 18)] {
        bed.clear();
        data();
        let (run, report) =
            bed.run(&policy(resource, Some(&limit.to_string())), &program(condition, awaited(steps)));
        run.expect_code(0);
        let (used, waited) = (number(&report, resource, "used"), number(&report, resource, "waited_seconds"));
        assert_eq!(used as u64, steps * unit, "{name}: {report}");
        assert_eq!(waited, 0.0, "{name}: {report}");
    }
    // Above: as much as two seconds let through.
    bed.clear();
    data();
    let (run, report) =
        bed.run(&policy(resource, Some(&limit.to_string())), &program("getruntime() < 2.0", 0));
    run.expect_code(0);
    let (used, waited) = (number(&report, resource, "used"), number(&report, resource, "waited_seconds"));
    let elapsed = report["elapsed_seconds"].as_f64().expect("elapsed");
    // One second's worth is free, and each event may overdraw by one call.
    let most = limit as f64 * (elapsed + 1.0) + 4.0 * unit as f64;
    assert!(used <= most && used >= limit as f64 / 2.0, "{name}: {used} of {most} in {elapsed} s");
    assert!(waited > 0.0, "{name}: nothing waited: {report}");
    let outside = match resource {
        Resource::FileWrite => std::fs::metadata(bed.setting.vessel().join("written")).map(|m| m.len()).ok(),
        Resource::LogRate => Some(run.stdout.len() as u64),
        _ => None,
    };
    if let Some(seen) = outside {
        assert!(seen as f64 <= most, "{name}: {seen} seen outside, {most} granted");
        assert!(seen > 0, "{name}: nothing arrived");
    }
    for value in [Some("0"), None] {
        bed.clear();
        data();
        let (run, report) = bed.run(&policy(resource, value), &program("n < 1", 0));
        assert_eq!(number(&report, resource, "used"), 0.0, "{name} {value:?}: {report}");
        if !received {
            run.expect_code(1).expect_stderr("won't drain");
        }
    }
}

fn ports(bed: &Bed, resource: Resource, take: &str, give: &str) {
    let name = resource.name();
    let granted = "20200 20201 20202";
    let use_of = |ports: &str| {
        format!(
            "{CALLBACKS}k = []\nfor p in [{ports}]:\n  k.append({take})\nprint 'all'\nfor h in k:\n  {give}\n\
             for p in [{ports}]:\n  h = {take}\n  {give}\nprint 'again'\nexitall()\n"
        )
    };
    for ports in ["20201", "20200, 20201, 20202"] {
        let (run, _) = bed.run(&policy(resource, Some(granted)), &use_of(ports));
        run.expect_code(0).expect_stdout("all\nagain\n");
    }
    for ports in ["20199", "20200, 20203", "0", "65536", "22"] {
        bed.run(&policy(resource, Some(granted)), &use_of(ports)).0.expect_code(1);
    }
    bed.run(&policy(resource, None), &use_of("20200")).0.expect_code(1).expect_stderr("not allowed");
    let (run, report) = bed.run(&policy(resource, Some("0")), &use_of("20200"));
    run.expect_code(2);
    assert_eq!(report["ending"], "bad input", "{name}");
}
