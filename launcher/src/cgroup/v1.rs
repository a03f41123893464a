//! Version 1: one hierarchy for each controller, groups below the launcher's
//! own in each of them, so that limits set on the launcher still hold.

use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::unistd::{access, AccessFlags};

use super::mounts::Hierarchy;
use super::share::Share;
use super::{about, number_of, statistic, text_of, value_of, write};
use super::{Builder, Missing, Use, NEEDED};
use crate::apply::CgroupEntry;
use crate::plan::limits::GroupLimits;

/// The launcher's own group in each hierarchy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Site {
    cpu: PathBuf,
    memory: PathBuf,
    pids: PathBuf,
}

impl Site {
    /// Looks for the three controllers.
    ///
    /// # Errors
    /// `Some` reason where they are mounted and cannot be used; `None` where the
    /// host has no version 1 hierarchy of them.
    pub fn find(hierarchies: &[Hierarchy]) -> Result<Site, Option<Missing>> {
        let own = |controller: &str| {
            let has = |h: &&Hierarchy| {
                h.controllers.as_ref().is_some_and(|list| list.iter().any(|name| name == controller))
            };
            hierarchies.iter().find(has).map(|h| h.own.clone())
        };
        let found: Vec<Option<PathBuf>> = NEEDED.iter().map(|controller| own(controller)).collect();
        let [Some(cpu), Some(memory), Some(pids)] = found.as_slice() else {
            let absent = NEEDED.iter().zip(&found).find(|(_, path)| path.is_none());
            return Err(match absent {
                Some((controller, _)) if found.iter().any(Option::is_some) => Some(Missing::new(format!(
                    "the {controller} controller is mounted neither as cgroup v1 nor in cgroup v2"
                ))),
                _ => None,
            });
        };
        let site = Site { cpu: cpu.clone(), memory: memory.clone(), pids: pids.clone() };
        for (_, path) in site.parents() {
            if let Err(errno) = access(path, AccessFlags::W_OK) {
                return Err(Some(Missing::new(format!(
                    "no control group can be made below {} (cgroup v1): {}",
                    path.display(),
                    errno.desc()
                ))));
            }
        }
        Ok(site)
    }

    /// The controllers and the groups below which the run's are made.
    pub fn parents(&self) -> impl Iterator<Item = (&'static str, &Path)> {
        [("cpu", self.cpu.as_path()), ("memory", self.memory.as_path()), ("pids", self.pids.as_path())]
            .into_iter()
    }
}

/// The groups of a run and their open files.
#[derive(Debug)]
pub struct Files {
    cpu: PathBuf,
    memory: PathBuf,
    pids: PathBuf,
    limit: u64,
    statistics: Statistics,
}

/// What the kernel counts, as far as it counts it.
#[derive(Debug, Default)]
struct Statistics {
    cpu: Option<File>,
    /// Only where cpuacct is mounted together with cpu, as most hosts do.
    cpu_usage: Option<File>,
    memory_usage: Option<File>,
    memory_peak: Option<File>,
    memory_oom: Option<File>,
    pids_events: Option<File>,
}

/// Makes the three groups and sets their limits.
pub(super) fn create(site: &Site, limits: &GroupLimits, builder: &mut Builder) -> io::Result<Files> {
    let mut parents: Vec<&Path> = site.parents().map(|(_, path)| path).collect();
    // Controllers mounted together share one directory.
    parents.dedup();
    let mut made: Vec<(&Path, PathBuf)> = Vec::new();
    for parent in parents {
        let path = builder.make(parent.join(&builder.name))?;
        made.push((parent, path));
    }
    let group = |parent: &Path| {
        let found = made.iter().find(|(of, _)| *of == parent);
        found.map(|(_, path)| path.clone()).unwrap_or_else(|| parent.join(&builder.name))
    };
    let (cpu, memory, pids) = (group(&site.cpu), group(&site.memory), group(&site.pids));

    builder.share(Share::v1(&cpu, limits)?);
    set_memory(&memory, limits.memory, |directory, file, value| builder.guard(directory, file, value))?;
    builder.guard(&pids, "pids.max", &limits.processes.to_string())?;

    Ok(Files { limit: limits.memory, statistics: Statistics::default(), cpu, memory, pids })
}

/// Sets the memory limit with no swap beside it.
fn set_memory(
    directory: &Path,
    limit: u64,
    mut set: impl FnMut(&Path, &str, &str) -> io::Result<()>,
) -> io::Result<()> {
    let limit = limit.to_string();
    set(directory, "memory.limit_in_bytes", &limit)?;
    // Where swap is counted, memory and swap together get the same limit; where
    // it is not, the group is told not to swap.
    if directory.join("memory.memsw.limit_in_bytes").exists() {
        set(directory, "memory.memsw.limit_in_bytes", &limit)
    } else {
        write(directory, "memory.swappiness", "0")
    }
}

impl Files {
    /// Opens what is read while the run lasts and at its end.
    pub fn open_statistics(&mut self) {
        self.statistics = Statistics {
            cpu: statistic(&self.cpu, "cpu.stat"),
            cpu_usage: statistic(&self.cpu, "cpuacct.usage"),
            memory_usage: statistic(&self.memory, "memory.usage_in_bytes"),
            memory_peak: statistic(&self.memory, "memory.max_usage_in_bytes"),
            memory_oom: statistic(&self.memory, "memory.oom_control"),
            pids_events: statistic(&self.pids, "pids.events"),
        };
    }

    pub fn homes(&self) -> Vec<PathBuf> {
        let mut homes = vec![self.cpu.clone(), self.memory.clone(), self.pids.clone()];
        homes.dedup();
        homes
    }

    /// The `tasks` files, to which the new process itself writes "0". Joining
    /// from outside through cgroup.procs costs milliseconds (facts: measured).
    pub fn entry(&self) -> io::Result<CgroupEntry> {
        tasks(&[&self.cpu, &self.memory, &self.pids])
    }

    pub fn broker_entry(
        &self,
        memory: u64,
        processes: u32,
        directories: &mut Vec<PathBuf>,
    ) -> io::Result<CgroupEntry> {
        let leaf = |group: &Path| {
            let mut path = group.as_os_str().to_owned();
            path.push("-broker");
            PathBuf::from(path)
        };
        let (memory_leaf, pids_leaf) = (leaf(&self.memory), leaf(&self.pids));
        for path in [&memory_leaf, &pids_leaf] {
            if self.memory == self.pids && path.exists() {
                continue;
            }
            fs::create_dir(path)
                .map_err(|error| about(path, "cannot make the broker's control group", &error))?;
            directories.insert(0, path.clone());
        }
        set_memory(&memory_leaf, memory, write)?;
        write(&pids_leaf, "pids.max", &processes.to_string())?;
        tasks(&[&self.cpu, &memory_leaf, &pids_leaf])
    }

    pub fn usage(&self) -> Use {
        let counted = &self.statistics;
        let cpu = text_of(counted.cpu.as_ref());
        let memory_peak = number_of(counted.memory_peak.as_ref());
        let oom_kills = value_of(&text_of(counted.memory_oom.as_ref()), "oom_kill");
        // The kernel tells no own failure from an ancestor's (with equal limits
        // for memory and swap even failcnt stays 0 on Linux 6.18), but it charges
        // in batches of 64 pages: at its own limit the peak is at most that far below.
        let near = memory_peak.is_some_and(|peak| peak + (256 << 10) >= self.limit);
        Use {
            cpu: number_of(counted.cpu_usage.as_ref()).map(Duration::from_nanos),
            periods: value_of(&cpu, "nr_periods"),
            throttled_periods: value_of(&cpu, "nr_throttled"),
            throttled: Duration::from_nanos(value_of(&cpu, "throttled_time")),
            memory_peak,
            memory: number_of(counted.memory_usage.as_ref()),
            oom_kills,
            own_limit_hit: oom_kills > 0 && near,
            processes_refused: value_of(&text_of(counted.pids_events.as_ref()), "max"),
        }
    }
}

fn tasks(groups: &[&PathBuf]) -> io::Result<CgroupEntry> {
    let mut paths: Vec<PathBuf> = groups.iter().map(|group| group.join("tasks")).collect();
    paths.dedup();
    let open = |path: PathBuf| {
        let file = File::options().write(true).open(&path);
        file.map(OwnedFd::from).map_err(|error| about(&path, "cannot open", &error))
    };
    Ok(CgroupEntry { v2_directory: None, v1_tasks: paths.into_iter().map(open).collect::<io::Result<_>>()? })
}
