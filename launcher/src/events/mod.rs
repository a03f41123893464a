//! What happens to a run, as lines of JSON for programs (`--events FILE`) and as
//! entries of the system journal (`--journald`). docs/events.schema.json
//! describes a line.

mod journal;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;

use crate::registry::live::Live;
use crate::registry::record::Record;
use crate::report::Report;
use crate::verdict::Ending;

pub use journal::{Journal, SOCKET};

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The interpreter runs, with all its controls in force.
    Started {
        /// Its process.
        sandbox: i32,
        /// The program file.
        program: String,
        /// The restrictions file.
        policy: String,
        /// Its digest.
        policy_sha256: String,
        /// The vessel directory.
        vessel: String,
        /// By name: enforced, waived, not needed.
        layers: BTreeMap<String, String>,
    },
    /// Calls were refused, by a limit or by a rule.
    Denied {
        /// Name of the resource, or "call" for rules.
        resource: String,
        /// How many since the last line about it.
        count: u64,
        /// How many in all.
        total: u64,
    },
    /// The processor share was used up.
    Throttled {
        /// In how many more periods.
        periods: u64,
        /// For how many more seconds the program was held.
        seconds: f64,
    },
    /// A hard limit ended the run.
    Limit {
        /// Name of the resource, or "wall".
        resource: String,
        /// The limit, where it is one of the policy.
        #[serde(skip_serializing_if = "Option::is_none")]
        limit: Option<f64>,
        /// The most that was used.
        #[serde(skip_serializing_if = "Option::is_none")]
        peak: Option<u64>,
        /// One sentence.
        reason: String,
    },
    /// The run is over, or never began.
    Ended {
        /// The launcher's exit status.
        exit_code: u8,
        /// Its name in the table of exit codes.
        ending: String,
        /// One sentence.
        reason: String,
        /// Seconds from the launcher's start.
        elapsed_seconds: f64,
    },
}

impl Event {
    /// The word in the key `event`.
    pub fn name(&self) -> &'static str {
        match self {
            Event::Started { .. } => "started",
            Event::Denied { .. } => "denied",
            Event::Throttled { .. } => "throttled",
            Event::Limit { .. } => "limit",
            Event::Ended { .. } => "ended",
        }
    }

    /// The event as a sentence, for the journal.
    pub fn sentence(&self) -> String {
        match self {
            Event::Started { program, policy, .. } => format!("started {program} under {policy}"),
            Event::Denied { resource, count, .. } => format!("{count} refused: {resource}"),
            Event::Throttled { periods, seconds } => {
                format!("processor share used up in {periods} periods, held for {seconds:.3} s")
            }
            Event::Limit { resource, reason, .. } => format!("limit {resource}: {reason}"),
            Event::Ended { exit_code, ending, reason, .. } => {
                format!("ended: {ending} (exit {exit_code}): {reason}")
            }
        }
    }

    /// Priority in the journal (`syslog(3)`): information, notice, warning, error.
    fn priority(&self) -> u8 {
        match self {
            Event::Limit { .. } => 4,
            Event::Ended { exit_code: 4 | 70 | 71, .. } => 3,
            Event::Ended { exit_code, .. } if *exit_code != 0 => 5,
            _ => 6,
        }
    }

    /// The run began.
    pub fn started(record: &Record) -> Event {
        Event::Started {
            sandbox: record.sandbox.pid,
            program: record.program.clone(),
            policy: record.policy.clone(),
            policy_sha256: record.policy_sha256.clone(),
            vessel: record.vessel.clone(),
            layers: record.layers.clone(),
        }
    }

    /// What happened between two looks at a run.
    pub fn between(before: &Live, after: &Live) -> Vec<Event> {
        let mut events = Vec::new();
        let mut denied = |resource: &str, before: u64, total: u64| {
            if total > before {
                events.push(Event::Denied { resource: resource.to_owned(), count: total - before, total });
            }
        };
        for (name, now) in &after.resources {
            denied(name, before.resources.get(name).map_or(0, |was| was.denials), now.denials);
        }
        denied("call", before.refusals, after.refusals);
        if after.throttled > before.throttled {
            events.push(Event::Throttled {
                periods: after.throttled - before.throttled,
                seconds: (after.throttled_seconds - before.throttled_seconds).max(0.0),
            });
        }
        events
    }

    /// How the run ended.
    pub fn ending(report: &Report, ending: Ending) -> Vec<Event> {
        let resource = match ending {
            Ending::Memory => Some("memory"),
            Ending::Disk => Some("diskused"),
            Ending::HardLimit if report.reason.contains("--wall") => Some("wall"),
            Ending::HardLimit => Some("other"),
            _ => None,
        };
        let limit = resource.map(|resource| {
            let known = report.resources.get(resource);
            Event::Limit {
                resource: resource.to_owned(),
                limit: known.map(|known| known.limit),
                peak: known.and_then(|known| known.peak),
                reason: report.reason.clone(),
            }
        });
        let ended = Event::Ended {
            exit_code: ending.code(),
            ending: ending.name().to_owned(),
            reason: report.reason.clone(),
            elapsed_seconds: report.elapsed_seconds,
        };
        limit.into_iter().chain([ended]).collect()
    }
}

/// One line of the file.
#[derive(Debug, Serialize)]
struct Line<'a> {
    /// Seconds since 1970.
    time: f64,
    /// From 0, without gaps.
    sequence: u64,
    /// The launcher.
    launcher: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(flatten)]
    event: &'a Event,
}

/// Where the events of one run go.
#[derive(Debug, Default)]
pub struct Events {
    file: Option<File>,
    journal: Option<Journal>,
    name: Option<String>,
    sequence: u64,
}

impl Events {
    /// Opens the places, before the run begins.
    ///
    /// # Errors
    /// The file cannot be appended to. (A journal that is not there is no error:
    /// it may come.)
    pub fn open(file: Option<&Path>, journal: Option<&Path>, name: Option<&str>) -> io::Result<Events> {
        let file = file.map(append).transpose()?;
        let journal = journal.map(Journal::open).transpose()?;
        Ok(Events { file, journal, name: name.map(str::to_owned), sequence: 0 })
    }

    /// Whether anybody listens.
    pub fn is_wanted(&self) -> bool {
        self.file.is_some() || self.journal.is_some()
    }

    /// Tells one event. A full disk or a journal that went away loses lines (the
    /// sequence shows it) and never stops the run.
    pub fn tell(&mut self, event: &Event) {
        let time = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64());
        let line = Line {
            time,
            sequence: self.sequence,
            launcher: std::process::id(),
            name: self.name.as_deref(),
            event,
        };
        self.sequence += 1;
        let Ok(mut text) = serde_json::to_string(&line) else { return };
        if let Some(journal) = &self.journal {
            journal.send(event.priority(), event.name(), &event.sentence(), self.name.as_deref(), &text);
        }
        if let Some(file) = &mut self.file {
            text.push('\n');
            // One write: lines of several launchers never mix.
            let _ = file.write_all(text.as_bytes());
        }
    }
}

/// Opens a regular file to append to, never through a link.
fn append(path: &Path) -> io::Result<File> {
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
    let file = File::options().append(true).create(true).mode(0o644).custom_flags(flags).open(path)?;
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"))
    }
}

#[cfg(test)]
mod tests;
