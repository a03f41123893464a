//! The loop on real processes: a shell stands for the sandbox.

use super::signals::ONE;
use super::*;
use crate::logfile::{CircularLog, Keeping};
use crate::monitor::disk;
use crate::testing::Scratch;
use nix::sys::socket::{socketpair, AddressFamily, SockFlag, SockType};
use policies::channel::control::{FromInterpreter, Outcome};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

struct Stage {
    scratch: Scratch,
    _one: std::sync::MutexGuard<'static, ()>,
    signals: Signals,
    lograte: f64,
}

impl Stage {
    fn new() -> Stage {
        let one = ONE.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let stage = Stage {
            scratch: Scratch::new("loop"),
            _one: one,
            signals: Signals::install().unwrap(),
            lograte: 1e9,
        };
        std::fs::create_dir(stage.vessel()).unwrap();
        stage
    }

    fn vessel(&self) -> std::path::PathBuf {
        self.scratch.path().join("vessel")
    }

    fn printed(&self) -> String {
        let [old, new] = CircularLog::names(&self.scratch.path().join("log"));
        let text = [old, new].map(|path| std::fs::read(path).unwrap_or_default()).concat();
        String::from_utf8_lossy(&text).into_owned()
    }

    /// A shell that runs `line` in the vessel; `frames` are on the control
    /// channel already.
    fn run(&self, line: &str, frames: &[FromInterpreter]) -> Run<'static> {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let (ours, theirs) = socketpair(AddressFamily::Unix, SockType::SeqPacket, None, flags).unwrap();
        for frame in frames {
            unistd_send(&theirs, &frame.encode());
        }
        let mut command = Command::new("sh");
        command.args(["-c", line]).current_dir(self.vessel());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.process_group(0);
        // Waited for by the supervisor, through the pidfd.
        #[allow(clippy::zombie_processes)]
        let mut child = command.spawn().unwrap();
        let pid = child.id() as i32;
        let (stdout, stderr): (OwnedFd, OwnedFd) =
            (child.stdout.take().unwrap().into(), child.stderr.take().unwrap().into());
        for pipe in [&stdout, &stderr] {
            let flags = nix::fcntl::FcntlArg::F_SETFL(nix::fcntl::OFlag::O_NONBLOCK);
            nix::fcntl::fcntl(pipe, flags).unwrap();
        }
        let vessel: OwnedFd = std::fs::File::open(self.vessel()).unwrap().into();
        let used = disk::count(vessel.as_fd()).unwrap();
        let log = CircularLog::open(&self.scratch.path().join("log"), Keeping::Renaming).unwrap();
        let now = Instant::now();
        Run {
            pidfd: pidfd::open(pid).unwrap(),
            pid,
            control: ours,
            network: None,
            group: None,
            output: Output::new(stdout, stderr, self.lograte, Some(log), now).unwrap(),
            status: None,
            stop: None,
            vessel: (vessel, used),
            scratch: false,
            limits: Limits { memory: 100 << 20, memory_line: 1, disk: 1 << 20, disk_line: 2 },
            cpu_share: 8.0,
            wall: Some(Duration::from_secs(60)),
            started: now,
            broker: None,
            describe: None,
            partner: None,
        }
    }

    fn supervise(&mut self, run: Run) -> Ended {
        supervise(run, &mut self.signals, &mut Outward::default()).unwrap()
    }
}

fn unistd_send(channel: &OwnedFd, frame: &[u8]) {
    use std::os::fd::AsRawFd;
    nix::sys::socket::send(channel.as_raw_fd(), frame, nix::sys::socket::MsgFlags::empty()).unwrap();
}

fn is_gone(pid: i32) -> bool {
    !std::path::Path::new(&format!("/proc/{pid}")).exists()
}

#[test]
fn a_program_that_ends_by_itself() {
    let mut stage = Stage::new();
    let run = stage.run(
        "echo out; echo err >&2; exit 1",
        &[FromInterpreter::Final(Outcome::UncaughtException("E".into()))],
    );
    let ended = stage.supervise(run);
    assert_eq!((ended.finding.ending.code(), ended.finding.reason.as_str()), (1, "E"));
    assert!(is_gone(ended.pid));
    let printed = stage.printed();
    assert!(printed.contains("out\n") && printed.contains("err\n"), "{printed}");
}

#[test]
fn everything_printed_before_the_end_arrives() {
    let mut stage = Stage::new();
    let run = stage.run("i=0; while [ $i -lt 3000 ]; do echo line $i; i=$((i+1)); done", &[]);
    let ended = stage.supervise(run);
    assert_eq!(ended.finding.ending, Ending::Done);
    assert!(stage.printed().ends_with("line 2998\nline 2999\n"));
    assert_eq!(ended.totals.stdout, (0..3000).map(|i| format!("line {i}\n").len() as u64).sum::<u64>());
}

#[test]
fn too_much_disk_space() {
    let mut stage = Stage::new();
    let run = stage.run("dd if=/dev/zero of=big bs=1k count=100000 2>/dev/null; exec sleep 100", &[]);
    let ended = stage.supervise(run);
    assert_eq!(ended.finding.ending, Ending::Disk);
    assert!(stage
        .printed()
        .contains("over limit '1048576.0'. Impolitely killing child! (resource diskused, line 2"));
    assert!(ended.used.disk.2 > 1 << 20 && is_gone(ended.pid));
}

#[test]
fn too_much_memory() {
    let mut stage = Stage::new();
    let run = stage.run("exec dd bs=300M count=100000 if=/dev/zero of=/dev/null", &[]);
    let ended = stage.supervise(run);
    assert_eq!(ended.finding.ending, Ending::Memory);
    assert!(ended.used.memory_peak > 100 << 20);
}

#[test]
fn a_share_of_the_processor() {
    let mut stage = Stage::new();
    let mut run = stage.run("while :; do :; done", &[]);
    // So little that it must be held even where ten others want the processor.
    run.cpu_share = 0.05;
    run.wall = Some(Duration::from_millis(1_500));
    let ended = stage.supervise(run);
    assert_eq!(ended.finding.ending, Ending::HardLimit);
    let (stops, _) = ended.used.stops.unwrap();
    assert!(stops > 2 && ended.used.cpu < Duration::from_millis(200), "{:?}", ended.used);
}

#[test]
fn a_signal_to_the_launcher() {
    let mut stage = Stage::new();
    let run = stage.run("exec sleep 100", &[]);
    raise(Signal::SIGTERM).unwrap();
    let before = Instant::now();
    let ended = stage.supervise(run);
    assert_eq!(ended.finding.ending, Ending::Terminated);
    assert!(is_gone(ended.pid) && before.elapsed() < Duration::from_secs(2));
}

#[test]
fn the_stop_file_and_the_status_file() {
    let mut stage = Stage::new();
    let stop = stage.scratch.path().join("stop");
    let mut run = stage.run("echo begun; exec sleep 100", &[]);
    run.stop = Some(StopFile::watch(&stop).unwrap());
    run.status = Some(StatusFile::start(&stage.scratch.path().join("status")).unwrap());
    let writer = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(200));
        std::fs::write(&stop, "44;enough").unwrap();
    });
    let ended = stage.supervise(run);
    writer.join().unwrap();
    assert_eq!(ended.finding.ending, Ending::Stopped(44));
    assert!(stage.printed().ends_with("enough"));
    let names: Vec<String> = std::fs::read_dir(stage.scratch.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .filter(|name| name.starts_with("status-"))
        .collect();
    assert!(names.len() == 1 && names[0].starts_with("status-Stopped-"), "{names:?}");
}

#[test]
fn a_stopped_process_is_killed_all_the_same() {
    let mut stage = Stage::new();
    let mut run = stage.run("kill -STOP $$", &[]);
    run.wall = Some(Duration::from_millis(300));
    let ended = stage.supervise(run);
    assert_eq!(ended.finding.ending, Ending::HardLimit);
    assert!(is_gone(ended.pid));
}

#[test]
fn nonsense_on_the_control_channel_kills() {
    let mut stage = Stage::new();
    let mut run = stage.run("exec sleep 100", &[]);
    let flags = SockFlag::SOCK_CLOEXEC;
    let (ours, theirs) = socketpair(AddressFamily::Unix, SockType::SeqPacket, None, flags).unwrap();
    unistd_send(&theirs, &[7; 5_000]);
    run.control = ours;
    let ended = stage.supervise(run);
    assert_eq!(ended.finding.ending, Ending::Internal);
    assert!(stage.printed().contains("control channel"));
}

#[test]
fn closing_every_channel_is_no_end() {
    let mut stage = Stage::new();
    let run = stage.run("exec >&- 2>&-; sleep .3; exit 0", &[]);
    let before = Instant::now();
    let ended = stage.supervise(run);
    assert_eq!(ended.finding.ending, Ending::Done);
    assert!(before.elapsed() > Duration::from_millis(250));
}

/// A broker that is a shell, too.
struct Stand(&'static str);

impl Broker for Stand {
    fn start(&mut self, channel: OwnedFd, _: Option<crate::apply::CgroupEntry>) -> io::Result<RunningBroker> {
        let child = Command::new("sh").args(["-c", self.0]).stdin(Stdio::from(channel)).spawn()?;
        let pid = child.id() as i32;
        Ok(RunningBroker { pidfd: pidfd::open(pid).map_err(|e| io::Error::from_raw_os_error(e.0))?, pid })
    }
}

fn with_broker(stage: &mut Stage, line: &str, broker: &'static str) -> Ended {
    let mut run = stage.run(line, &[]);
    let (ours, theirs) =
        socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC).unwrap();
    unistd_send(&theirs, b"request");
    run.network = Some(ours);
    run.broker = Some(Box::new(Stand(broker)));
    let ended = stage.supervise(run);
    drop(theirs);
    ended
}

#[test]
fn the_broker_starts_on_the_first_request_and_its_loss_ends_the_run() {
    let mut stage = Stage::new();
    let ended = with_broker(&mut stage, "exec sleep 100", "exit 3");
    assert_eq!(ended.finding.ending, Ending::Internal);
    assert!(stage.printed().contains("network broker"), "{}", stage.printed());
}

#[test]
fn a_broker_that_does_not_notice_the_end_is_killed() {
    let mut stage = Stage::new();
    let ended = with_broker(&mut stage, "sleep .2", "exec sleep 100");
    assert_eq!(ended.finding.ending, Ending::Done);
    assert!(ended.notes.iter().any(|note| note.contains("broker")), "{:?}", ended.notes);
}

#[test]
fn a_run_that_asked_for_nothing_starts_no_broker_at_its_end_either() {
    let mut stage = Stage::new();
    let mut run = stage.run("exec sleep .3", &[]);
    let (ours, theirs) =
        socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC).unwrap();
    run.network = Some(ours);
    let mark = stage.scratch.path().join("broker-was-here");
    run.broker = Some(Box::new(Marking(mark.clone())));
    // The sandbox's end closes while the sandbox still runs, as it does in the
    // middle of every exit.
    drop(theirs);
    let ended = stage.supervise(run);
    assert_eq!(ended.finding.ending, Ending::Done, "{:?}", ended.notes);
    assert!(!mark.exists(), "a broker was started");
}

/// A broker that only shows that it was started.
struct Marking(std::path::PathBuf);

impl Broker for Marking {
    fn start(&mut self, _: OwnedFd, _: Option<crate::apply::CgroupEntry>) -> io::Result<RunningBroker> {
        std::fs::write(&self.0, "started")?;
        Err(io::Error::other("not in this test"))
    }
}
