//! What the supervisor tells the world outside while a run lasts: its record, its
//! use, its events and its metrics. Nothing here holds the sandbox, and nothing
//! here may stop it.

use std::time::{Duration, Instant};

use crate::events::{Event, Events};
use crate::metrics::Metrics;
use crate::registry::live::Live;
use crate::registry::record::Record;
use crate::registry::Entry;
use crate::report::Report;
use crate::verdict::Ending;

/// The record is written when the run is this old: writing it would only make the
/// start of short runs longer, which nobody could look at anyway. At the same age the group
/// has the limits that the record names.
const AGE: Duration = super::limits::START;

/// How often the metrics are written. Collectors look every 15 seconds or so.
const METRICS: Duration = Duration::from_secs(5);

/// Makes the record of a run when it is time; None without /proc.
pub type Describe<'d> = Box<dyn FnOnce() -> Option<Record> + 'd>;

/// The listeners of one run.
#[derive(Debug, Default)]
pub struct Outward {
    due: Option<Instant>,
    entry: Option<Entry>,
    events: Events,
    metrics: Option<Metrics>,
    next_metrics: Option<Instant>,
    last: Live,
    /// What could not be told, for the report.
    pub notes: Vec<String>,
}

impl Outward {
    /// Where the events go.
    pub fn set_events(&mut self, events: Events) {
        self.events = events;
    }

    /// Where the metrics go.
    pub fn set_metrics(&mut self, metrics: Metrics) {
        self.metrics = Some(metrics);
    }

    /// The run began at `now`.
    pub fn began(&mut self, now: Instant) {
        let at_once = self.events.is_wanted();
        self.due = Some(if at_once { now } else { now + AGE });
        self.next_metrics = self.metrics.as_ref().map(|_| now + AGE);
    }

    /// When there is something to do before the next second.
    pub fn next(&self) -> Option<Instant> {
        self.due
    }

    /// Leaves the record.
    pub fn register(&mut self, now: Instant, record: Option<Record>, live: Live) {
        self.due = None;
        let Some(record) = record else { return };
        if self.events.is_wanted() {
            self.events.tell(&Event::started(&record));
        }
        match Entry::write(&record) {
            Ok(entry) => self.entry = Some(entry),
            Err(error) => self.notes.push(format!("this run is not listed by ps, top and audit: {error}")),
        }
        self.second(now, live);
    }

    /// Once in a second: tells what changed.
    pub fn second(&mut self, now: Instant, live: Live) {
        if let Some(entry) = &mut self.entry {
            entry.renew(&live);
        }
        self.changes(&live);
        if let (Some(metrics), true) = (&self.metrics, self.next_metrics.is_some_and(|next| now >= next)) {
            self.next_metrics = Some(now + METRICS);
            if let Err(error) = metrics.write(&live, None) {
                let note = format!("the metrics could not be written: {error}");
                if !self.notes.contains(&note) {
                    self.notes.push(note);
                }
            }
        }
        self.last = live;
    }

    /// Whether anybody wants to hear of each second.
    pub fn is_listened_to(&self) -> bool {
        self.entry.is_some() || self.metrics.is_some() || self.events.is_wanted()
    }

    /// The sandbox has ended: the record goes, the last changes are told.
    pub fn over(&mut self, live: Live) {
        self.entry = None;
        self.due = None;
        self.changes(&live);
        self.last = live;
    }

    fn changes(&mut self, live: &Live) {
        if self.events.is_wanted() {
            for event in Event::between(&self.last, live) {
                self.events.tell(&event);
            }
        }
    }

    /// The verdict is known.
    pub fn ended(&mut self, report: &Report, ending: Ending) {
        if self.events.is_wanted() {
            for event in Event::ending(report, ending) {
                self.events.tell(&event);
            }
        }
        if let Some(metrics) = &self.metrics {
            self.last.elapsed = report.elapsed_seconds;
            // The report is the place for errors of the end; this one has none any more.
            let _ = metrics.write(&self.last, Some(ending));
        }
    }
}
