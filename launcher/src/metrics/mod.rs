//! `--metrics FILE`: limits, use, denials and the outcome of a run as OpenMetrics
//! text, for the textfile collector of the Prometheus node exporter. The file is
//! replaced as a whole, so that no reader sees half of it.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::io;

use crate::registry::live::Live;
use crate::report::atomic::Place;
use crate::verdict::{Ending, TABLE};

/// The file of one run.
#[derive(Debug)]
pub struct Metrics {
    place: Place,
    /// The labels that every sample has, escaped.
    labels: String,
    limits: BTreeMap<&'static str, f64>,
}

/// One family of samples.
struct Family {
    name: &'static str,
    kind: &'static str,
    help: &'static str,
    /// More labels, and the value.
    samples: Vec<(String, f64)>,
}

impl Metrics {
    /// Samples at `place` for the run of this name (its launcher's number if it
    /// has none).
    pub fn new(
        place: Place,
        name: Option<&str>,
        program: &str,
        limits: BTreeMap<&'static str, f64>,
    ) -> Metrics {
        let pid = std::process::id().to_string();
        let labels = [("run", name.unwrap_or(&pid)), ("pid", &pid), ("program", program)];
        let labels: Vec<String> = labels.iter().map(|(key, value)| label(key, value)).collect();
        Metrics { place, labels: labels.join(","), limits }
    }

    /// Replaces the file. `ending` is known at the end only.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(&self, live: &Live, ending: Option<Ending>) -> io::Result<()> {
        self.place.write(self.render(live, ending).as_bytes())
    }

    fn render(&self, live: &Live, ending: Option<Ending>) -> String {
        let mut text = String::with_capacity(8 << 10);
        for family in self.families(live, ending) {
            if family.samples.is_empty() {
                continue;
            }
            let suffix = if family.kind == "counter" { "_total" } else { "" };
            let Family { name, kind, help, samples } = family;
            // Writing to a string cannot fail.
            let _ = writeln!(text, "# TYPE {name} {kind}\n# HELP {name} {help}");
            for (more, value) in samples {
                let comma = if more.is_empty() { "" } else { "," };
                let _ = writeln!(text, "{name}{suffix}{{{}{comma}{more}}} {value}", self.labels);
            }
        }
        text.push_str("# EOF\n");
        text
    }

    fn families(&self, live: &Live, ending: Option<Ending>) -> Vec<Family> {
        let one = |value: f64| vec![(String::new(), value)];
        let gauge = |name, help, samples| Family { name, kind: "gauge", help, samples };
        let counter = |name, help, samples| Family { name, kind: "counter", help, samples };
        let told = |value: &dyn Fn(&crate::registry::live::ResourceUse) -> f64| {
            live.resources.iter().map(|(name, use_of)| (label("resource", name), value(use_of))).collect()
        };
        let mut denied: Vec<(String, f64)> = told(&|use_of| use_of.denials as f64);
        denied.push((label("resource", "call"), live.refusals as f64));
        let outcome = TABLE.iter().map(|row| {
            let this = ending.is_some_and(|ending| ending.name() == row.name);
            (label("ending", row.name), f64::from(u8::from(this)))
        });
        vec![
            gauge("repy_up", "1 while the run lasts", one(f64::from(u8::from(ending.is_none())))),
            gauge(
                "repy_limit",
                "Limit of the policy, in the unit of the resource; for ports how many are granted",
                self.limits.iter().map(|(name, limit)| (label("resource", name), *limit)).collect(),
            ),
            counter("repy_used", "Bytes, numbers or items taken in all", told(&|use_of| use_of.total as f64)),
            gauge("repy_peak", "Most at one time", told(&|use_of| use_of.peak as f64)),
            counter("repy_denied", "Calls refused, by a limit or (resource=\"call\") by a rule", denied),
            counter(
                "repy_waited_seconds",
                "Time that calls waited for a rate",
                told(&|use_of| use_of.waited),
            ),
            counter("repy_cpu_seconds", "Processor time", one(live.cpu)),
            gauge("repy_memory_bytes", "Memory in use", one(live.memory as f64)),
            gauge("repy_memory_peak_bytes", "Most memory in use", one(live.memory_peak as f64)),
            gauge(
                "repy_disk_bytes",
                "Disk space in the vessel, 4096 more for each entry",
                one(live.disk as f64),
            ),
            counter(
                "repy_throttled_periods",
                "Periods in which the share was used up",
                one(live.throttled as f64),
            ),
            counter("repy_throttled_seconds", "Time held back", one(live.throttled_seconds)),
            counter("repy_connections_accepted", "Connections accepted", one(live.accepted as f64)),
            counter("repy_output_bytes", "Bytes printed", one(live.printed as f64)),
            counter("repy_output_dropped_bytes", "Bytes of output thrown away", one(live.dropped as f64)),
            gauge("repy_elapsed_seconds", "Time since the launcher started", one(live.elapsed)),
            gauge("repy_outcome", "1 for how the run ended, 0 for how it did not", outcome.collect()),
            gauge(
                "repy_exit_code",
                "Exit status of the launcher, once it has ended",
                ending.map(|ending| (String::new(), f64::from(ending.code()))).into_iter().collect(),
            ),
        ]
    }
}

/// `key="value"`, escaped.
fn label(key: &str, value: &str) -> String {
    let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    format!("{key}=\"{value}\"")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::live::ResourceUse;
    use crate::testing::Scratch;

    #[test]
    fn every_sample_follows_its_type_and_the_text_ends() {
        let scratch = Scratch::new("metrics");
        let path = scratch.path().join("run.prom");
        let limits = BTreeMap::from([("memory", 1e7), ("cpu", 0.1)]);
        let metrics = Metrics::new(Place::open(&path).unwrap(), Some("web"), "a \"b\"\\\n.repy", limits);
        let mut live = Live { cpu: 0.5, refusals: 3, ..Live::default() };
        live.resources.insert("netsend".to_owned(), ResourceUse { total: 7, ..ResourceUse::default() });
        metrics.write(&live, Some(Ending::Memory)).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let own = r#"run="web""#;
        assert!(text.ends_with("# EOF\n"));
        let mut family = "";
        for line in text.lines().filter(|line| *line != "# EOF") {
            if let Some(rest) = line.strip_prefix("# TYPE ") {
                family = rest.split(' ').next().unwrap();
            } else if !line.starts_with("# HELP") {
                assert!(line.starts_with(family) && line.contains(own), "{line}");
                let (labels, value) = line.rsplit_once(' ').unwrap();
                assert!(labels.ends_with('}') && value.parse::<f64>().is_ok(), "{line}");
            }
        }
        assert!(text.contains("program=\"a \\\"b\\\"\\\\\\n.repy\""), "{text}");
        assert!(text.contains("resource=\"call\"} 3\n") && text.contains("resource=\"netsend\"} 7\n"));
        assert!(text.contains("ending=\"memory limit\"} 1\n") && text.contains("ending=\"done\"} 0\n"));
        assert!(text.contains("} 10000000\n") && text.contains("repy_exit_code{"));
        metrics.write(&live, None).unwrap();
        assert!(!std::fs::read_to_string(&path).unwrap().contains("repy_exit_code"));
    }
}
