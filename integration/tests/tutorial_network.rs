//! The tutorial's network programs with real clients and servers, each in a network of its own.
#![allow(missing_docs)]

use integration::network::{Network, OWN_ADDRESS, SERVER_ADDRESS};
use integration::run::{Finished, User};
use integration::setting::Setting;
use nix::sys::signal::{kill, Signal};
use nix::unistd::Pid;
use std::process::Child;
use std::time::{Duration, Instant};

const PORT: u16 = 12345;

/// The two ways the tutorial starts a server: without an argument on 127.0.0.1, with a port on the own address.
fn ways() -> [(Vec<String>, String); 2] {
    [
        (vec![], format!("http://127.0.0.1:{PORT}/")),
        (vec![PORT.to_string()], format!("http://{OWN_ADDRESS}:{PORT}/")),
    ]
}

struct Server {
    child: Option<Child>,
    started: Instant,
    _setting: Setting,
}

impl Server {
    fn start(network: &Network, example: &str, arguments: &[String]) -> Server {
        let setting = Setting::new("server", User::Caller);
        let mut launch = setting.launch_example(example);
        for word in arguments {
            launch = launch.argument(word);
        }
        let child = network.inside(&launch.command()).spawn().expect("the launcher starts");
        Server { child: Some(child), started: Instant::now(), _setting: setting }
    }

    /// Waits for the end; the exit code and the time since the start.
    fn wait(&mut self, limit: Duration) -> (Option<i32>, Duration) {
        let child = self.child.as_mut().expect("running");
        loop {
            if let Some(status) = child.try_wait().expect("waitable") {
                return (status.code(), self.started.elapsed());
            }
            if self.started.elapsed() > limit {
                return (None, self.started.elapsed());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn stop(&mut self) -> Finished {
        let child = self.child.take().expect("running");
        // nsenter has become the launcher: the signal reaches it directly.
        kill(Pid::from_raw(child.id() as i32), Signal::SIGINT).expect("signalled");
        let start = Instant::now();
        let output = child.wait_with_output().expect("it ends");
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Finished {
            status: output.status,
            stdout: text(output.stdout),
            stderr: text(output.stderr),
            elapsed: start.elapsed(),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

#[test]
fn the_web_server_shows_its_page_until_ctrl_c() {
    for (arguments, url) in ways() {
        let Some(network) = Network::new("t12") else { return };
        let mut server = Server::start(&network, "example.1.2.repy", &arguments);
        let page = network.curl_when_up(&url);
        assert!(page.contains("<h1> Hello World! </h1>"), "{page}");
        assert!(network.curl(&url).is_some(), "a second visitor");
        server.stop().expect_code(130);
    }
}

#[test]
fn the_counter_counts() {
    for (arguments, url) in ways() {
        let Some(network) = Network::new("t13") else { return };
        let mut server = Server::start(&network, "example.1.3.repy", &arguments);
        for visitor in 1..=3 {
            let page = network.curl_when_up(&url);
            assert!(page.contains(&format!("You are visitor {visitor}<")), "{page}");
        }
        server.stop().expect_code(130);
    }
}

#[test]
fn a_port_that_is_not_granted_is_refused() {
    let Some(network) = Network::new("t13port") else { return };
    let setting = Setting::new("port", User::Caller);
    let launch = setting.launch_example("example.1.3.repy").argument("12347");
    let run = integration::run::finish(network.inside(&launch.command()), Duration::from_secs(20));
    run.expect_code(1).expect_stderr("Resource 'connport 12347' not allowed!!!");
}

#[test]
fn the_timed_server_ends_after_a_minute() {
    std::thread::scope(|scope| {
        for (arguments, url) in ways() {
            scope.spawn(move || {
                let Some(network) = Network::new("t14") else { return };
                let mut server = Server::start(&network, "example.1.4.repy", &arguments);
                let page = network.curl_when_up(&url);
                assert!(page.contains("I've been running 0."), "{page}");
                let (code, after) = server.wait(Duration::from_secs(75));
                assert_eq!(code, Some(0));
                assert!(after >= Duration::from_secs(60), "ended after {after:?}");
            });
        }
    });
}

#[test]
fn the_polite_server_ends_ten_seconds_after_the_last_visitor() {
    std::thread::scope(|scope| {
        for (arguments, url) in ways() {
            scope.spawn(move || {
                let Some(network) = Network::new("t15") else { return };
                let mut server = Server::start(&network, "example.1.5.repy", &arguments);
                network.curl_when_up(&url);
                std::thread::sleep(Duration::from_secs(6));
                assert!(network.curl(&url).is_some(), "still there after 6 s");
                std::thread::sleep(Duration::from_secs(6));
                assert!(network.curl(&url).is_some(), "still there after 12 s, since it was visited");
                let last = Instant::now();
                let (code, _) = server.wait(Duration::from_secs(40));
                assert_eq!(code, Some(0));
                assert!(
                    last.elapsed() >= Duration::from_secs(9),
                    "ended {:?} after the last visit",
                    last.elapsed()
                );
            });
        }
    });
}

/// Visits twice at once, then every 3 seconds; whether the server ended before the visits did.
fn ends_early(example: &str, arguments: &[String], url: &str) -> bool {
    let network = Network::new("t16").expect("root");
    let mut server = Server::start(&network, example, arguments);
    network.curl_when_up(url);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| network.curl(url));
        }
    });
    for _ in 0..5 {
        std::thread::sleep(Duration::from_secs(3));
        if network.curl(url).is_none() {
            return true;
        }
    }
    server.stop();
    false
}

#[test]
fn the_race_ends_the_broken_server_early_and_never_the_repaired_one() {
    if !integration::is_root() {
        return;
    }
    let run_all = |example: &'static str| -> usize {
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..20)
                .map(|i| {
                    let (arguments, url) = ways()[i % 2].clone();
                    scope.spawn(move || ends_early(example, &arguments, &url))
                })
                .collect();
            threads.into_iter().map(|t| t.join().expect("a run")).filter(|early| *early).count()
        })
    };
    let (broken, repaired) = (run_all("example.1.6.broken.repy"), run_all("example.1.6.repy"));
    assert!(broken >= 1, "the broken server never ended early in 20 runs");
    assert_eq!(repaired, 0, "the repaired server ended early {repaired} times");
}

fn web(label: &str) -> Option<Network> {
    let mut network = Network::new(label)?;
    network.names(&format!("{SERVER_ADDRESS} www.google.com\n"), "");
    network.serve(&["http", &format!("{SERVER_ADDRESS}:80")]);
    Some(network)
}

#[test]
fn the_client_prints_the_page_and_waits() {
    let Some(network) = web("t31") else { return };
    let mut server = Server::start(&network, "example.3.1.repy", &[]);
    std::thread::sleep(Duration::from_secs(3));
    let run = server.stop();
    run.expect_code(130);
    assert!(run.stdout.contains("200 OK") && run.stdout.contains("a page of the test"), "{run:?}");
}

#[test]
fn a_timer_ends_the_client_by_exitall_or_by_closing() {
    for example in ["example.3.2.repy", "example.3.2.close.repy"] {
        let Some(network) = web("t32") else { return };
        let setting = Setting::new("client", User::Caller);
        let launch = setting.launch_example(example);
        let run = integration::run::finish(network.inside(&launch.command()), Duration::from_secs(30));
        run.expect_code(0);
        assert!(run.stdout.contains("a page of the test"), "{run:?}");
        assert!(run.elapsed >= Duration::from_secs(3), "ended after {:?}", run.elapsed);
    }
}

#[test]
fn names_are_looked_up_in_the_hosts_file_and_by_the_resolver() {
    let Some(mut network) = Network::new("t41") else { return };
    network.names(&format!("{SERVER_ADDRESS} www.google.com\n"), &format!("nameserver {SERVER_ADDRESS}\n"));
    network.serve(&["dns", &format!("{SERVER_ADDRESS}:53"), "2", "198.51.100.7"]);
    let setting = Setting::new("names", User::Caller);
    let launch = setting.launch_example("example.4.1.repy");
    let run = integration::run::finish(network.inside(&launch.command()), Duration::from_secs(30));
    run.expect_code(0);
    let lines: Vec<&str> = run.stdout.lines().collect();
    assert_eq!(lines[0], format!("('www.google.com', [], ['{SERVER_ADDRESS}'])"));
    assert_eq!(lines[1], "('www.wikipedia.com', [], ['198.51.100.7', '198.51.100.8'])");
    assert_eq!(lines[2], OWN_ADDRESS);
}

#[test]
fn the_time_is_asked_by_udp() {
    let Some(mut network) = Network::new("t42") else { return };
    let names: String = integration::tutorial::example("example.4.2.repy")
        .split('"')
        .filter(|word| word.contains('.') && !word.contains(' '))
        .map(|name| format!("{SERVER_ADDRESS} {name}\n"))
        .collect();
    network.names(&names, "");
    network.serve(&["ntp", &format!("{SERVER_ADDRESS}:123")]);
    let setting = Setting::new("time", User::Caller);
    let launch = setting.launch_example("example.4.2.repy");
    let run = integration::run::finish(network.inside(&launch.command()), Duration::from_secs(30));
    run.expect_code(0);
    for text in
        ["Using: ", &format!("From {SERVER_ADDRESS}:123"), "NTP Reference Identifier: TEST", "3900000000.5"]
    {
        assert!(run.stdout.contains(text), "{text:?} is missing: {run:?}");
    }
}
