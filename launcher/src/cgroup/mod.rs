//! The control group of a run: memory, processor share and number of
//! processes, held by the kernel for the sandbox as a whole.
//!
//! [`Site::find`] looks for a place where groups can be made and changes
//! nothing; [`Group::create`] makes the groups of one run there. Version 2 and
//! version 1 hosts, and hybrids of the two, are served alike; where neither
//! gives a place, [`Missing`] says why and what the operator can do.

mod mounts;
mod name;
mod scope;
mod share;
mod v1;
mod v2;

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::apply::CgroupEntry;
use crate::plan::limits::GroupLimits;
pub use name::namespaces;
pub use scope::enter_scope;

/// The controllers that a run needs.
const NEEDED: [&str; 3] = ["cpu", "memory", "pids"];

/// How long a removal is tried again while the kernel still takes the last
/// process out of the group.
const REMOVAL: Duration = Duration::from_millis(200);

/// Removes empty groups at `site` that launchers left which were killed; says
/// which. A start does the same by itself.
pub fn sweep(site: &Site) -> Vec<PathBuf> {
    name::Name::of_this_process().map_or_else(|_| Vec::new(), |own| sweep_as(site, own))
}

fn sweep_as(site: &Site, own: name::Name) -> Vec<PathBuf> {
    let mut living = name::Living::default();
    match site {
        Site::V2(site) => name::sweep(&site.parent, own, &mut living),
        Site::V1(site) => {
            site.parents().flat_map(|(_, parent)| name::sweep(parent, own, &mut living)).collect()
        }
    }
}

/// The hierarchies that this process sees: their controllers (None: version 2)
/// and where the root of each is mounted.
///
/// # Errors
/// /proc cannot be read.
pub fn hierarchies() -> io::Result<Vec<(Option<Vec<String>>, PathBuf)>> {
    Ok(mounts::read()?.into_iter().map(|hierarchy| (hierarchy.controllers, hierarchy.mount)).collect())
}

/// Why no control group can be had here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// What was found, in one sentence.
    pub reason: String,
    /// What the operator can do, in one sentence.
    pub remedy: String,
    /// Whether the user's systemd can be asked for a scope ([`enter_scope`]).
    pub scope_possible: bool,
}

/// A place where the groups of a run can be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Site {
    /// One hierarchy for all controllers.
    V2(v2::Site),
    /// One hierarchy for each controller.
    V1(v1::Site),
}

impl Site {
    /// Looks for a place, changing nothing.
    ///
    /// # Errors
    /// There is none that this user may write.
    pub fn find() -> Result<Site, Missing> {
        let hierarchies = match mounts::read() {
            Ok(found) => found,
            Err(error) => {
                return Err(Missing::new(format!("/proc/self/cgroup or mountinfo cannot be read: {error}")))
            }
        };
        let second = match v2::Site::find(&hierarchies) {
            Ok(site) => return Ok(Site::V2(site)),
            Err(missing) => missing,
        };
        match v1::Site::find(&hierarchies) {
            Ok(site) => Ok(Site::V1(site)),
            Err(Some(first)) => Err(first),
            Err(None) => Err(second),
        }
    }

    /// For `--plan` and the report: the version and the directories.
    pub fn describe(&self) -> String {
        match self {
            Site::V2(site) => format!("cgroup v2 below {}", site.parent.display()),
            Site::V1(site) => {
                let places: Vec<String> = site
                    .parents()
                    .map(|(controller, path)| format!("{controller}: {}", path.display()))
                    .collect();
                format!("cgroup v1 below {}", places.join(", "))
            }
        }
    }
}

impl Missing {
    fn new(reason: String) -> Missing {
        // Nothing but a container's runtime mounts them so.
        let read_only = reason.ends_with(nix::errno::Errno::EROFS.desc());
        Missing {
            remedy: match read_only {
                true => {
                    "give the container a writable /sys/fs/cgroup, and limit its own memory and processors"
                }
                false => {
                    "run as root, or in a group that is delegated to you: systemd-run --user --scope -p \
                     Delegate=yes repy-launch ..."
                }
            }
            .to_owned(),
            reason,
            scope_possible: false,
        }
    }
}

/// What the kernel counted for a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Use {
    /// Processor time of everything in the group; None where the host counts it
    /// elsewhere.
    pub cpu: Option<Duration>,
    /// Quota periods that began while the group had something to run.
    pub periods: u64,
    /// Those in which the quota was used up.
    pub throttled_periods: u64,
    /// Time for which something in the group was ready and had to wait.
    pub throttled: Duration,
    /// Most memory in use at any time, in bytes.
    pub memory_peak: Option<u64>,
    /// Memory in use now, in bytes.
    pub memory: Option<u64>,
    /// Processes killed for want of memory, whoever's limit it was.
    pub oom_kills: u64,
    /// Whether the group's own memory limit was what ran out.
    pub own_limit_hit: bool,
    /// Processes or threads refused by the limit.
    pub processes_refused: u64,
}

/// Whether the limits of a group still hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Integrity {
    /// As they were set, or tighter.
    Whole,
    /// Somebody had loosened some; they were set again.
    Restored(String),
    /// One cannot be read or set any more.
    Lost(String),
}

/// The groups of one run; removed by [`Group::remove`] or when dropped.
#[derive(Debug)]
pub struct Group {
    own: name::Name,
    kind: Kind,
    /// The processor share.
    share: Option<share::Share>,
    /// Other limits that are looked at again during the run.
    guarded: Vec<Guarded>,
    /// Every limit file and what was written to it.
    written: Vec<(PathBuf, String)>,
    /// Directories to remove, the innermost first.
    directories: Vec<PathBuf>,
    /// Where the launcher went to make room for them.
    aside: Option<v2::Aside>,
}

#[derive(Debug)]
enum Kind {
    V2(v2::Files),
    V1(v1::Files),
}

impl Group {
    /// Makes the groups of this run at `site`, with their limits set, and room for
    /// a broker if the run may need one. What can wait is left to [`Group::while_it_starts`].
    ///
    /// # Errors
    /// The step that failed, with its path; nothing is left.
    pub fn create(site: &Site, limits: &GroupLimits, broker: bool) -> Result<Group, Missing> {
        let own = name::Name::of_this_process().map_err(|error| Missing::new(error.to_string()))?;
        let mut builder = Builder {
            name: own.text(),
            share: None,
            guarded: Vec::new(),
            written: Vec::new(),
            directories: Vec::new(),
            aside: None,
        };
        let made = match site {
            Site::V2(site) => v2::create(site, limits, broker, &mut builder).map(Kind::V2),
            Site::V1(site) => v1::create(site, limits, &mut builder).map(Kind::V1),
        };
        match made {
            Ok(kind) => {
                let Builder { share, guarded, written, directories, aside, .. } = builder;
                Ok(Group { own, kind, share, guarded, written, directories, aside })
            }
            Err(error) => {
                remove_all(&builder.directories);
                if let Some(aside) = &builder.aside {
                    aside.leave();
                }
                Err(Missing::new(error.to_string()))
            }
        }
    }

    /// What the run needs of its group later, done while the sandbox starts by itself: opens what
    /// is counted, and removes empty groups that launchers left at `site` which were killed.
    pub fn while_it_starts(&mut self, site: &Site) {
        match &mut self.kind {
            Kind::V2(files) => files.open_statistics(),
            Kind::V1(files) => files.open_statistics(),
        }
        sweep_as(site, self.own);
    }

    /// What the new process needs to be born in the group.
    ///
    /// # Errors
    /// The group's files cannot be opened.
    pub fn entry(&self) -> io::Result<CgroupEntry> {
        match &self.kind {
            Kind::V2(files) => files.entry(),
            Kind::V1(files) => files.entry(),
        }
    }

    /// The same for the broker: its own leaf for memory (`memory` bytes) and
    /// processes (at most `processes`), the processor share of the run.
    ///
    /// # Errors
    /// The leaf cannot be made.
    pub fn broker_entry(&mut self, memory: u64, processes: u32) -> io::Result<CgroupEntry> {
        match &self.kind {
            Kind::V2(files) => files.broker_entry(memory, processes, &mut self.directories),
            Kind::V1(files) => files.broker_entry(memory, processes, &mut self.directories),
        }
    }

    /// Sets the processor share, over a period long enough for the start of the interpreter.
    /// Until then the group has none: building the sandbox is the launcher's own
    /// work. Called as soon as the interpreter has been executed. (That the kernel
    /// takes the value was seen in [`Group::create`].)
    ///
    /// # Errors
    /// The group was removed in between.
    pub fn hold_start(&self) -> io::Result<()> {
        self.share.as_ref().map_or(Ok(()), share::Share::hold_start)
    }

    /// Sets the processor share over the period of the program, which has begun.
    ///
    /// # Errors
    /// The group was removed in between.
    pub fn hold_share(&self) -> io::Result<()> {
        self.share.as_ref().map_or(Ok(()), share::Share::hold)
    }

    /// What the kernel counted until now. What cannot be read counts as zero.
    pub fn usage(&self) -> Use {
        match &self.kind {
            Kind::V2(files) => files.usage(),
            Kind::V1(files) => files.usage(),
        }
    }

    /// Kills everything in the group at once, where the kernel can (version 2).
    pub fn kill(&self) {
        if let Kind::V2(files) = &self.kind {
            files.kill();
        }
    }

    /// Looks whether somebody loosened a limit or removed the group, and sets a
    /// loosened one again. Costs a few microseconds. Not before [`Group::hold_share`].
    pub fn check(&self) -> Integrity {
        let mut restored = Vec::new();
        let share = self.share.iter().map(share::Share::check);
        for found in share.chain(self.guarded.iter().map(Guarded::check)) {
            match found {
                Integrity::Whole => {}
                lost @ Integrity::Lost(_) => return lost,
                Integrity::Restored(what) => restored.push(what),
            }
        }
        if restored.is_empty() {
            Integrity::Whole
        } else {
            Integrity::Restored(restored.join("; "))
        }
    }

    /// The directories in which the sandbox itself is, for `audit`.
    pub fn homes(&self) -> Vec<PathBuf> {
        match &self.kind {
            Kind::V2(files) => vec![files.home()],
            Kind::V1(files) => files.homes(),
        }
    }

    /// The limit files and what was written to them, for `audit`.
    pub fn written(&self) -> &[(PathBuf, String)] {
        &self.written
    }

    /// Removes the groups once their processes have ended. A leaf that the
    /// kernel still holds after a moment is left to the next start's sweep.
    pub fn remove(self) {
        drop(self);
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        remove_all(&self.directories);
        if let Some(aside) = &self.aside {
            aside.leave();
        }
    }
}

fn remove_all(directories: &[PathBuf]) {
    let start = Instant::now();
    for directory in directories {
        loop {
            match fs::remove_dir(directory) {
                Ok(()) => break,
                Err(error) if error.raw_os_error() == Some(libc::EBUSY) && start.elapsed() < REMOVAL => {
                    std::thread::sleep(Duration::from_millis(1));
                }
                Err(_) => break,
            }
        }
    }
}

/// A group in the making.
struct Builder {
    name: String,
    share: Option<share::Share>,
    guarded: Vec<Guarded>,
    written: Vec<(PathBuf, String)>,
    directories: Vec<PathBuf>,
    aside: Option<v2::Aside>,
}

impl Builder {
    /// Makes the directory of one group and notes it for removal.
    fn make(&mut self, path: PathBuf) -> io::Result<PathBuf> {
        fs::create_dir(&path).map_err(|error| about(&path, "cannot make the control group", &error))?;
        self.directories.insert(0, path.clone());
        Ok(path)
    }

    /// Takes the processor share over.
    fn share(&mut self, share: share::Share) {
        self.written.extend(share.written());
        self.share = Some(share);
    }

    /// Sets a limit and keeps its file open, to look at it again.
    fn guard(&mut self, directory: &Path, file: &str, value: &str) -> io::Result<()> {
        let path = directory.join(file);
        let open = File::options().read(true).write(true).open(&path);
        let file = open.map_err(|error| about(&path, "cannot open", &error))?;
        file.write_all_at(value.as_bytes(), 0)
            .map_err(|error| about(&path, &format!("cannot write {value} to"), &error))?;
        self.written.push((path.clone(), value.to_owned()));
        let guarded = Guarded { file, path, text: value.to_owned(), amount: amount(value) };
        self.guarded.push(guarded);
        Ok(())
    }
}

/// A limit that must not become looser while the run lasts.
#[derive(Debug)]
struct Guarded {
    file: File,
    path: PathBuf,
    text: String,
    amount: f64,
}

impl Guarded {
    fn check(&self) -> Integrity {
        let lost = |error: io::Error| Integrity::Lost(format!("{}: {error}", self.path.display()));
        let found = match read_at_start(&self.file) {
            Ok(found) => found,
            Err(error) => return lost(error),
        };
        if amount(&found) <= self.amount {
            return Integrity::Whole;
        }
        match self.file.write_all_at(self.text.as_bytes(), 0) {
            Ok(()) => Integrity::Restored(format!("{} was {}", self.path.display(), found.trim())),
            Err(error) => lost(error),
        }
    }
}

/// How much a limit file allows: no bound for "max" and for what is not understood.
fn amount(text: &str) -> f64 {
    text.trim().parse::<f64>().ok().filter(|amount| *amount >= 0.0).unwrap_or(f64::INFINITY)
}

/// A kernel file as a whole: these are read again and again at offset 0.
fn read_at_start(file: &File) -> io::Result<String> {
    let mut buffer = [0u8; 4096];
    let length = file.read_at(&mut buffer, 0)?;
    Ok(String::from_utf8_lossy(&buffer[..length]).into_owned())
}

/// The value behind `key` in a file of "key value" lines.
fn value_of(text: &str, key: &str) -> u64 {
    text.lines()
        .filter_map(|line| line.split_once(' '))
        .find(|(name, _)| *name == key)
        .and_then(|(_, value)| value.trim().parse().ok())
        .unwrap_or(0)
}

/// A small file of the kernel as text, in as few reads as it takes.
fn read_text(path: &Path) -> io::Result<String> {
    let mut content = Vec::with_capacity(8 << 10);
    File::open(path)?.read_to_end(&mut content)?;
    String::from_utf8(content).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

/// Opens a statistics file of a group if this kernel has it.
fn statistic(directory: &Path, file: &str) -> Option<File> {
    File::open(directory.join(file)).ok()
}

/// The text of a statistics file; empty if it cannot be read.
fn text_of(file: Option<&File>) -> String {
    file.and_then(|file| read_at_start(file).ok()).unwrap_or_default()
}

/// The only number of a statistics file.
fn number_of(file: Option<&File>) -> Option<u64> {
    text_of(file).trim().parse().ok()
}

fn write(directory: &Path, file: &str, value: &str) -> io::Result<()> {
    let path = directory.join(file);
    let open = File::options().write(true).open(&path);
    open.and_then(|file| file.write_all_at(value.as_bytes(), 0))
        .map_err(|error| about(&path, &format!("cannot write {value} to"), &error))
}

fn about(path: &Path, doing: &str, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{doing} {}: {error}", path.display()))
}

#[cfg(test)]
mod tests;
