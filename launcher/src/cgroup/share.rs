//! The processor share of a group, in its two forms.
//!
//! While the sandbox is built the group has none: that is the launcher's own work.
//! The start of the interpreter is held to the share over one long period, the program
//! to the share over short ones: with a share of a tenth over 10 ms, an interpreter
//! that needs 1.2 ms to start would stand still for the rest of the period, and on a
//! machine that has just woken up (where the same start takes ten times as long) for a
//! tenth of a second.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::{about, read_at_start, Integrity};
use crate::plan::limits::{GroupLimits, Share as Amount};

/// A file of the group that is kept open.
#[derive(Debug)]
struct Kept {
    file: File,
    path: PathBuf,
}

impl Kept {
    fn open(directory: &Path, name: &str) -> io::Result<Kept> {
        let path = directory.join(name);
        let file = File::options().read(true).write(true).open(&path);
        Ok(Kept { file: file.map_err(|error| about(&path, "cannot open", &error))?, path })
    }

    fn write(&self, value: &str) -> io::Result<()> {
        self.file
            .write_all_at(value.as_bytes(), 0)
            .map_err(|error| about(&self.path, &format!("cannot write {value} to"), &error))
    }
}

#[derive(Debug)]
enum Files {
    V2 { max: Kept },
    V1 { quota: Kept, period: Kept },
}

/// The share of one group.
#[derive(Debug)]
pub(super) struct Share {
    files: Files,
    limits: GroupLimits,
}

impl Share {
    /// For a group of version 2. That the kernel takes the value is seen here; it is taken
    /// back until [`Share::hold_start`].
    pub fn v2(directory: &Path, limits: &GroupLimits) -> io::Result<Share> {
        let max = Kept::open(directory, "cpu.max")?;
        max.write(&words(limits.cpu))?;
        max.write(&format!("max {}", limits.cpu_at_start.period))?;
        Ok(Share { files: Files::V2 { max }, limits: *limits })
    }

    /// For a group of version 1, likewise.
    pub fn v1(directory: &Path, limits: &GroupLimits) -> io::Result<Share> {
        let quota = Kept::open(directory, "cpu.cfs_quota_us")?;
        let period = Kept::open(directory, "cpu.cfs_period_us")?;
        // The period first: the kernel compares the quota with it.
        period.write(&limits.cpu.period.to_string())?;
        quota.write(&limits.cpu.quota.to_string())?;
        quota.write("-1")?;
        if limits.cpu_at_start != limits.cpu {
            period.write(&limits.cpu_at_start.period.to_string())?;
        }
        Ok(Share { files: Files::V1 { quota, period }, limits: *limits })
    }

    /// The files and what they hold while the program runs, for `audit`.
    pub fn written(&self) -> Vec<(PathBuf, String)> {
        let cpu = self.limits.cpu;
        match &self.files {
            Files::V2 { max } => vec![(max.path.clone(), words(cpu))],
            Files::V1 { quota, period } => {
                vec![
                    (period.path.clone(), cpu.period.to_string()),
                    (quota.path.clone(), cpu.quota.to_string()),
                ]
            }
        }
    }

    /// From now on the share holds, over the long period of the start.
    pub fn hold_start(&self) -> io::Result<()> {
        match &self.files {
            Files::V2 { max } => max.write(&words(self.limits.cpu_at_start)),
            Files::V1 { quota, .. } => quota.write(&self.limits.cpu_at_start.quota.to_string()),
        }
    }

    /// From now on it holds over the short period.
    pub fn hold(&self) -> io::Result<()> {
        let cpu = self.limits.cpu;
        match &self.files {
            Files::V2 { max } => max.write(&words(cpu)),
            // The quota first: never is more allowed than the share in between.
            Files::V1 { quota, period } => {
                quota.write(&cpu.quota.to_string()).and_then(|()| period.write(&cpu.period.to_string()))
            }
        }
    }

    /// Looks whether somebody gave the group more, and takes it back.
    pub fn check(&self) -> Integrity {
        match self.found() {
            Ok((found, _)) if found <= self.limits.cpu.part() => Integrity::Whole,
            Ok((_, text)) => match self.hold() {
                Ok(()) => Integrity::Restored(text),
                Err(error) => Integrity::Lost(error.to_string()),
            },
            Err(error) => Integrity::Lost(error.to_string()),
        }
    }

    /// The share that the group has now, and where that is to be read.
    fn found(&self) -> io::Result<(f64, String)> {
        let text = |kept: &Kept| {
            let text = read_at_start(&kept.file).map_err(|error| about(&kept.path, "cannot read", &error))?;
            Ok::<_, io::Error>(text.trim().to_owned())
        };
        match &self.files {
            Files::V2 { max } => {
                let found = text(max)?;
                Ok((part(&found), format!("{} was {found}", max.path.display())))
            }
            Files::V1 { quota, period } => {
                let found = format!("{} {}", text(quota)?, text(period)?);
                Ok((
                    part(&found),
                    format!("{} and {} were {found}", quota.path.display(), period.path.display()),
                ))
            }
        }
    }
}

fn words(share: Amount) -> String {
    format!("{} {}", share.quota, share.period)
}

/// How much "QUOTA PERIOD" allows; no bound for "max" and -1 as quota and for what is
/// not understood.
fn part(text: &str) -> f64 {
    let mut words = text.split_whitespace().map(str::parse::<f64>);
    match (words.next(), words.next()) {
        (Some(Ok(quota)), Some(Ok(period))) if quota >= 0.0 && period > 0.0 => quota / period,
        _ => f64::INFINITY,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts() {
        assert_eq!(part("1000 10000"), 0.1);
        assert_eq!(part("0 10000"), 0.0);
        for unbounded in ["max 100000", "-1 10000", "1000 0", "1000", "", "x y"] {
            assert_eq!(part(unbounded), f64::INFINITY, "{unbounded}");
        }
    }
}
