//! Version 2: one hierarchy. The new process is born in the group
//! (CLONE_INTO_CGROUP), so at no moment does it run outside its limits.
//!
//! Two rules of the kernel decide where a group can be made: a group that has
//! processes cannot hand controllers to groups below it, and whoever places a
//! process needs write access to the nearest common ancestor of both groups.

use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::unistd::{access, AccessFlags};

use super::mounts::Hierarchy;
use super::share::Share;
use super::{about, number_of, read_text, scope, statistic, text_of, value_of, write};
use super::{Builder, Missing, Use, NEEDED};
use crate::apply::CgroupEntry;
use crate::plan::limits::GroupLimits;

/// The group below which those of a run are made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Site {
    /// Its directory.
    pub parent: PathBuf,
    /// What has to be done there first.
    step: Step,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// It hands out the controllers already.
    Ready,
    /// Its controllers have to be handed out.
    Enable,
    /// The launcher, alone in it, has to move one level down before.
    MoveAside,
}

/// What is known of one directory of the hierarchy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Look {
    writable: bool,
    has_controllers: bool,
    hands_out: bool,
    /// Processes in the group itself, when they matter.
    processes: usize,
    is_mount: bool,
}

impl Site {
    /// Looks from the launcher's own group upwards.
    ///
    /// # Errors
    /// No group on the way can be used.
    pub fn find(hierarchies: &[Hierarchy]) -> Result<Site, Missing> {
        let Some(hierarchy) = hierarchies.iter().find(|h| h.controllers.is_none()) else {
            return Err(Missing::new("no control group hierarchy is mounted".to_owned()));
        };
        // The common case of a hybrid host, and cheap to see: the controllers are
        // all with version 1.
        if !hands_all(&hierarchy.mount, "cgroup.controllers") {
            return Err(Missing::new(format!(
                "the cgroup v2 hierarchy at {} lacks cpu, memory or pids",
                hierarchy.mount.display()
            )));
        }
        let mut path = hierarchy.own.clone();
        loop {
            let is_mount = path == hierarchy.mount;
            if let Some(step) = decide(&look(&path, is_mount), path == hierarchy.own) {
                return Ok(Site { parent: path, step });
            }
            if is_mount || !path.pop() {
                break;
            }
        }
        let reason = format!(
            "no group from {} upwards is delegated to this user with cpu, memory and pids",
            hierarchy.own.display()
        );
        Err(Missing { scope_possible: scope::possible(), ..Missing::new(reason) })
    }
}

/// Whether a file of controllers in the group names all that are needed.
fn hands_all(path: &Path, file: &str) -> bool {
    let text = read_text(&path.join(file)).unwrap_or_default();
    NEEDED.iter().all(|needed| text.split_whitespace().any(|word| word == *needed))
}

fn look(path: &Path, is_mount: bool) -> Look {
    let may = |file: &str| access(&path.join(file), AccessFlags::W_OK).is_ok();
    let mut look = Look {
        writable: access(path, AccessFlags::W_OK).is_ok()
            && may("cgroup.procs")
            && may("cgroup.subtree_control"),
        has_controllers: hands_all(path, "cgroup.controllers"),
        ..Look::default()
    };
    if look.writable && look.has_controllers {
        look.hands_out = hands_all(path, "cgroup.subtree_control");
        // The root of the whole hierarchy has no cgroup.type; that of a container's view has.
        look.is_mount = is_mount && !path.join("cgroup.type").exists();
        if !look.hands_out && !look.is_mount {
            look.processes = read_text(&path.join("cgroup.procs")).unwrap_or_default().lines().count();
        }
    }
    look
}

/// What has to be done to use a group, if it can be used.
fn decide(look: &Look, own: bool) -> Option<Step> {
    if !look.writable || !look.has_controllers {
        None
    } else if look.hands_out {
        Some(Step::Ready)
    } else if look.is_mount || look.processes == 0 {
        Some(Step::Enable)
    } else if own && look.processes == 1 {
        Some(Step::MoveAside)
    } else {
        None
    }
}

/// The group of a run and its open files.
#[derive(Debug)]
pub struct Files {
    /// Where the program is.
    leaf: PathBuf,
    /// Where the broker's leaf goes, if there is to be one.
    outer: Option<PathBuf>,
    kill: Option<File>,
    statistics: Statistics,
}

/// What the kernel counts, as far as it counts it.
#[derive(Debug, Default)]
struct Statistics {
    cpu: Option<File>,
    memory_usage: Option<File>,
    memory_peak: Option<File>,
    memory_events: Option<File>,
    pids_events: Option<File>,
}

/// The launcher's own group while it is not where it was started: one level down,
/// so that the group it was started in can hand out controllers.
#[derive(Debug)]
pub struct Aside {
    parent: PathBuf,
    path: PathBuf,
}

impl Aside {
    /// Goes back and leaves the group as it was found: a group that hands out
    /// controllers cannot be entered, so the next launcher could not start there.
    /// Nothing is lost if that fails (the group belongs to a scope that ends with
    /// the launcher, or somebody else uses it by now).
    pub fn leave(&self) {
        let _ = write(&self.parent, "cgroup.subtree_control", "-cpu -memory -pids")
            .and_then(|()| write(&self.parent, "cgroup.procs", "0"))
            .and_then(|()| fs::remove_dir(&self.path));
    }
}

/// Makes the group, or with a broker the group of both and the program's leaf.
pub(super) fn create(
    site: &Site,
    limits: &GroupLimits,
    broker: bool,
    builder: &mut Builder,
) -> io::Result<Files> {
    if site.step == Step::MoveAside {
        let path = site.parent.join(format!("{}-supervisor", builder.name));
        fs::create_dir(&path).map_err(|error| about(&path, "cannot make the launcher's group", &error))?;
        let aside = builder.aside.insert(Aside { parent: site.parent.clone(), path });
        write(&aside.path, "cgroup.procs", "0")?;
    }
    if site.step != Step::Ready {
        write(&site.parent, "cgroup.subtree_control", "+cpu +memory +pids")?;
    }
    let outer = builder.make(site.parent.join(&builder.name))?;
    let leaf = if broker {
        write(&outer, "cgroup.subtree_control", "+memory +pids")?;
        builder.make(outer.join("program"))?
    } else {
        outer.clone()
    };
    builder.share(Share::v2(&outer, limits)?);
    set_memory(&leaf, limits.memory, |directory, file, value| builder.guard(directory, file, value))?;
    builder.guard(&leaf, "pids.max", &limits.processes.to_string())?;
    builder.written.push((leaf.join("memory.oom.group"), "1".to_owned()));
    Ok(Files {
        statistics: Statistics::default(),
        kill: File::options().write(true).open(outer.join("cgroup.kill")).ok(),
        outer: broker.then_some(outer),
        leaf,
    })
}

/// Sets the memory limit, with no swap and one death for all.
fn set_memory(
    directory: &Path,
    limit: u64,
    mut set: impl FnMut(&Path, &str, &str) -> io::Result<()>,
) -> io::Result<()> {
    set(directory, "memory.max", &limit.to_string())?;
    // Absent where the kernel has no swap accounting: then there is no swap to hold.
    if directory.join("memory.swap.max").exists() {
        set(directory, "memory.swap.max", "0")?;
    }
    write(directory, "memory.oom.group", "1")
}

impl Files {
    /// Opens what is read while the run lasts and at its end.
    pub fn open_statistics(&mut self) {
        let outer = self.outer.as_ref().unwrap_or(&self.leaf);
        self.statistics = Statistics {
            cpu: statistic(outer, "cpu.stat"),
            memory_usage: statistic(&self.leaf, "memory.current"),
            memory_peak: statistic(&self.leaf, "memory.peak"),
            memory_events: statistic(&self.leaf, "memory.events"),
            pids_events: statistic(&self.leaf, "pids.events"),
        };
    }

    pub fn home(&self) -> PathBuf {
        self.leaf.clone()
    }

    pub fn entry(&self) -> io::Result<CgroupEntry> {
        directory(&self.leaf)
    }

    pub fn broker_entry(
        &self,
        memory: u64,
        processes: u32,
        directories: &mut Vec<PathBuf>,
    ) -> io::Result<CgroupEntry> {
        let Some(outer) = &self.outer else {
            return Err(io::Error::other("the group was made for a run without a broker"));
        };
        let leaf = outer.join("broker");
        fs::create_dir(&leaf)
            .map_err(|error| about(&leaf, "cannot make the broker's control group", &error))?;
        directories.insert(0, leaf.clone());
        set_memory(&leaf, memory, write)?;
        write(&leaf, "pids.max", &processes.to_string())?;
        directory(&leaf)
    }

    pub fn usage(&self) -> Use {
        let counted = &self.statistics;
        let cpu = text_of(counted.cpu.as_ref());
        let memory = text_of(counted.memory_events.as_ref());
        let oom_kills = value_of(&memory, "oom_kill");
        Use {
            cpu: Some(Duration::from_micros(value_of(&cpu, "usage_usec"))),
            periods: value_of(&cpu, "nr_periods"),
            throttled_periods: value_of(&cpu, "nr_throttled"),
            throttled: Duration::from_micros(value_of(&cpu, "throttled_usec")),
            memory_peak: number_of(counted.memory_peak.as_ref()),
            memory: number_of(counted.memory_usage.as_ref()),
            oom_kills,
            // "oom" counts only times at which this group's own limit was reached.
            own_limit_hit: oom_kills > 0 && value_of(&memory, "oom") > 0,
            processes_refused: value_of(&text_of(counted.pids_events.as_ref()), "max"),
        }
    }

    pub fn kill(&self) {
        use std::io::Write;
        if let Some(mut file) = self.kill.as_ref() {
            // Before Linux 5.14 there is no such file; the pidfd kills in any case.
            let _ = file.write_all(b"1");
        }
    }
}

fn directory(path: &Path) -> io::Result<CgroupEntry> {
    let file = File::open(path).map_err(|error| about(path, "cannot open", &error))?;
    Ok(CgroupEntry { v2_directory: Some(OwnedFd::from(file)), v1_tasks: Vec::new() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn which_groups_can_be_used() {
        let good =
            Look { writable: true, has_controllers: true, hands_out: true, processes: 3, is_mount: false };
        let closed = Look { hands_out: false, ..good.clone() };
        assert_eq!(decide(&good, true), Some(Step::Ready));
        assert_eq!(decide(&Look { writable: false, ..good.clone() }, true), None);
        assert_eq!(decide(&Look { has_controllers: false, ..good }, true), None);
        // Others live in it: it cannot hand out controllers, and they are not ours to move.
        assert_eq!(decide(&closed, true), None);
        assert_eq!(decide(&Look { processes: 1, ..closed.clone() }, true), Some(Step::MoveAside));
        assert_eq!(decide(&Look { processes: 1, ..closed.clone() }, false), None);
        assert_eq!(decide(&Look { processes: 0, ..closed.clone() }, false), Some(Step::Enable));
        assert_eq!(decide(&Look { is_mount: true, ..closed }, false), Some(Step::Enable));
    }
}
