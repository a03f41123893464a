//! What this host offers, what a run would enforce as this user, and the remedy for
//! each gap: `repy-launch doctor`.

use std::fmt::{self, Write};

use serde::Serialize;

use crate::facts::{Authority, Host, Support};
use crate::plan::layer::{Layer, Layers};
use crate::plan::{self, OLDEST_KERNEL};
use crate::request::Request;

/// One fact of the host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fact {
    /// What it is about.
    pub name: &'static str,
    /// What was found.
    pub found: String,
}

/// One layer as it would be in a run now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LayerState {
    /// The layer's name, as after `--without`.
    pub layer: &'static str,
    /// What it holds.
    pub holds: &'static str,
    /// `enforced`, `not needed` or `missing`.
    pub state: &'static str,
    /// Why it is missing; empty where it is not.
    pub reason: String,
    /// What to do about it; empty where nothing need be done.
    pub remedy: String,
}

/// The whole examination.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Examination {
    /// What was found, in the order to be read.
    pub facts: Vec<Fact>,
    /// Every layer.
    pub layers: Vec<LayerState>,
    /// Controls that an equivalent carries on this kernel, and other remarks.
    pub notes: Vec<String>,
    /// Why no run is possible at all, where that is so.
    pub impossible: Option<String>,
    /// Why a run that was tried without what is missing did not begin.
    pub trial: Option<String>,
}

impl Examination {
    /// The layers that are missing.
    pub fn missing(&self) -> Layers {
        let missing = self.layers.iter().filter(|layer| layer.state == "missing");
        missing.filter_map(|layer| Layer::from_name(layer.layer)).collect()
    }

    /// Whether a run would start without giving up a layer.
    pub fn is_complete(&self) -> bool {
        self.impossible.is_none() && self.trial.is_none() && self.missing().is_empty()
    }
}

/// Examines the host for a run of `request` (its waived layers are ignored).
/// `group` describes where the run's control group would be, if there is a place.
pub fn examine(request: &Request, host: &Host, group: Option<String>) -> Examination {
    let mut request = Request { waived: Layers::NONE, ..request.clone() };
    let mut missing = Vec::new();
    let outcome = loop {
        match plan::plan(&request, host) {
            Ok(plan) => break Ok(plan),
            Err(refusal) => match refusal.layer {
                Some(layer) if !request.waived.contains(layer) => {
                    request.waived.insert(layer);
                    missing.push((layer, refusal));
                }
                _ => break Err(refusal),
            },
        }
    };
    let not_needed = outcome.as_ref().map_or(Layers::NONE, |plan| plan.not_needed);
    let layers = Layer::ALL.into_iter().map(|layer| {
        let refusal = missing.iter().find(|(name, _)| *name == layer).map(|(_, refusal)| refusal);
        LayerState {
            layer: layer.name(),
            holds: layer.holds(),
            state: match refusal {
                Some(_) => "missing",
                None if not_needed.contains(layer) => "not needed",
                None => "enforced",
            },
            reason: refusal.map_or_else(String::new, |refusal| refusal.reason.clone()),
            remedy: refusal.map_or_else(String::new, |refusal| refusal.remedy.clone()),
        }
    });
    Examination {
        facts: facts(host, group),
        layers: layers.collect(),
        notes: outcome.as_ref().map_or_else(|_| Vec::new(), |plan| plan.notes.clone()),
        trial: None,
        impossible: outcome.err().map(|refusal| format!("{}: {}", refusal.reason, refusal.remedy)),
    }
}

fn facts(host: &Host, group: Option<String>) -> Vec<Fact> {
    let fact = |name, found: String| Fact { name, found };
    let supported = |support: &Support| match support {
        Support::Yes => "yes".to_owned(),
        Support::No { reason, .. } => format!("no: {reason}"),
    };
    let (major, minor) = OLDEST_KERNEL;
    let who = match host.authority {
        Authority::HostRoot => format!("root of the host; a run would be uid {} on it", host.run_id),
        Authority::PlainRoot => "uid 0 without the capabilities to mount and to map ids".to_owned(),
        Authority::NamespaceRoot => {
            format!("uid 0 of a user namespace, an ordinary user ({}) to the host", host.uid)
        }
        Authority::User => format!("an ordinary user, uid {}", host.uid),
    };
    let landlock = match &host.landlock {
        None => "not enabled".to_owned(),
        Some(found) => format!(
            "ABI {}: {} file rights{}, TCP ports {}, scopes {}",
            found.abi,
            found.fs.count_ones(),
            lacking_rights(found.fs),
            if found.net & 3 == 3 { "yes" } else { "no" },
            if found.scoped & 3 == 3 { "yes" } else { "no" },
        ),
    };
    vec![
        fact("kernel", format!("{} (oldest supported: {major}.{minor})", host.kernel)),
        fact("you are", who),
        fact("landlock", landlock),
        fact("seccomp filters", supported(&host.seccomp)),
        fact("deny write-execute", if host.mdwe { "yes" } else { "no (kernel 6.3 has it)" }.to_owned()),
        fact("user namespaces", supported(&host.userns)),
        fact(
            "AppArmor",
            apparmor(number("/proc/sys/kernel/apparmor_restrict_unprivileged_userns")).to_owned(),
        ),
        fact("control groups", group.unwrap_or_else(|| supported(&host.cgroup))),
        fact("open files", format!("hard limit {}", host.open_files)),
        fact("kernel log", kernel_log().to_owned()),
        fact("audit", audit(&text("/proc/sys/kernel/seccomp/actions_logged"))),
    ]
}

/// The file rights that this kernel does not know, of those with a name here.
fn lacking_rights(known: u64) -> String {
    let later = [(13, "REFER"), (14, "TRUNCATE"), (15, "IOCTL_DEV")];
    let lacking: Vec<&str> =
        later.into_iter().filter(|(bit, _)| known & (1 << bit) == 0).map(|(_, name)| name).collect();
    match lacking[..] {
        [] => String::new(),
        _ => format!(" (without {}: the filter carries that)", lacking.join(", ")),
    }
}

fn text(path: &str) -> String {
    std::fs::read_to_string(path).unwrap_or_default().trim().to_owned()
}

fn number(path: &str) -> Option<u64> {
    text(path).parse().ok()
}

/// What AppArmor makes of an ordinary user's namespaces.
fn apparmor(restricts: Option<u64>) -> &'static str {
    match restricts {
        None => "does not restrict user namespaces (no such switch)",
        Some(0) => "does not restrict user namespaces",
        Some(_) => {
            "restricts user namespaces of ordinary users (Ubuntu): load the profile in packaging/apparmor, or set \
             sysctl kernel.apparmor_restrict_unprivileged_userns=0"
        }
    }
}

/// Which endings by a filter the kernel writes down.
fn audit(logged: &str) -> String {
    if logged.is_empty() {
        return "this kernel does not say which denials it logs".to_owned();
    }
    match logged.split(' ').any(|word| word == "kill_process") {
        true => format!("fatal denials are logged ({logged})"),
        false => format!(
            "fatal denials are not logged ({logged}); to have them logged: sysctl -w \
             kernel.seccomp.actions_logged='{logged} kill_process'"
        ),
    }
}

/// Whether the system call of a process that the filter killed can be named.
fn kernel_log() -> &'static str {
    match std::fs::File::options().read(true).open("/dev/kmsg") {
        Ok(_) => "readable: a report names the system call of a fatal denial",
        Err(_) => "not readable by this user: find a fatal denial with: sudo dmesg | grep type=1326",
    }
}

impl Examination {
    /// Only what keeps a run from starting with every layer; empty where nothing does.
    pub fn gaps(&self) -> String {
        let missing = self.layers.iter().filter(|layer| layer.state == "missing");
        let mut text: String =
            missing.map(|layer| format!("{}: {}; {}\n", layer.layer, layer.reason, layer.remedy)).collect();
        for reason in self.trial.iter().chain(&self.impossible) {
            text.push_str(reason);
            text.push('\n');
        }
        text
    }

    /// What each layer needs of a host, whether or not it is there.
    pub fn needs(&self) -> String {
        let needs = Layer::ALL.map(|layer| format!("  {:10} {}\n", layer.name(), layer.remedy()));
        format!("\nwhat each layer needs where it is missing:\n{}", needs.concat())
    }
}

impl fmt::Display for Examination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        for fact in &self.facts {
            writeln!(text, "{:20} {}", fact.name, fact.found)?;
        }
        writeln!(text, "\nlayers of a run started now:")?;
        for layer in &self.layers {
            writeln!(text, "  {:10} {:10} {}", layer.layer, layer.state, layer.holds)?;
            if !layer.reason.is_empty() {
                writeln!(text, "             found: {}", layer.reason)?;
                writeln!(text, "             to provide it: {}", layer.remedy)?;
                writeln!(text, "             to run without it: --without {}", layer.layer)?;
            }
        }
        for note in &self.notes {
            writeln!(text, "note: {note}")?;
        }
        if let Some(reason) = &self.trial {
            let how = if self.missing().is_empty() { "" } else { " without what is missing" };
            writeln!(text, "\nA run{how} was tried, and did not begin: {reason}")?;
        }
        match &self.impossible {
            Some(reason) => writeln!(text, "\nNo run is possible: {reason}")?,
            None if self.is_complete() => {
                writeln!(text, "\nEvery layer is there: a run is fully confined (one was tried).")?
            }
            None if self.trial.is_some() => {}
            None => {
                writeln!(text, "\nA run is refused (exit 4) unless each missing layer is given up by name (one was tried so).")?
            }
        }
        f.write_str(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::Kernel;
    use crate::plan::demand::Demand;
    use crate::testing::{plain_request, user_host};

    fn request() -> Request {
        let policy = policies::PolicyBuilder::new(0.1, 10_000_000, 10_000_000).build();
        plain_request(Demand::of(&policy, true))
    }

    fn host() -> Host {
        let cgroup = Support::no("no group is delegated to this user");
        Host { cgroup, open_files: 4096, ..user_host() }
    }

    fn state(examination: &Examination, layer: Layer) -> &'static str {
        examination.layers.iter().find(|state| state.layer == layer.name()).map_or("", |state| state.state)
    }

    #[test]
    fn a_missing_layer_is_named_with_its_remedy() {
        let examination = examine(&request(), &host(), None);
        assert!(!examination.is_complete());
        assert_eq!(state(&examination, Layer::Cgroup), "missing");
        assert_eq!(state(&examination, Layer::Seccomp), "enforced");
        assert_eq!(state(&examination, Layer::Idmap), "not needed");
        let text = examination.to_string();
        assert!(text.contains("--without cgroup") && text.contains("no group is delegated"), "{text}");
        assert!(examination.gaps().starts_with("cgroup: no group is delegated"), "{}", examination.gaps());
        assert!(examination.needs().contains("seccomp    use a kernel"), "{}", examination.needs());
    }

    #[test]
    fn a_host_with_everything_is_said_to_be_complete() {
        let examination =
            examine(&request(), &Host { cgroup: Support::Yes, ..host() }, Some("below /x".into()));
        assert!(examination.is_complete(), "{examination}");
        assert!(examination.to_string().contains("fully confined"));
        assert_eq!(examination.gaps(), "");
    }

    #[test]
    fn several_gaps_are_found_at_once() {
        let host = Host { userns: Support::no("forbidden"), landlock: None, ..host() };
        let examination = examine(&request(), &host, None);
        for layer in [Layer::Cgroup, Layer::Userns, Layer::Mountns, Layer::Netns, Layer::Landlock] {
            assert_eq!(state(&examination, layer), "missing", "{layer}");
        }
    }

    #[test]
    fn facts_that_need_a_remedy_name_it() {
        assert_eq!(lacking_rights(0xffff), "");
        assert!(lacking_rights(0x3fff).contains("TRUNCATE, IOCTL_DEV"));
        assert!(apparmor(Some(1)).contains("packaging/apparmor"));
        assert!(
            audit("errno log").contains("sysctl -w kernel.seccomp.actions_logged='errno log kill_process'")
        );
        assert!(audit("kill_process log").starts_with("fatal denials are logged"));
    }

    #[test]
    fn a_trial_that_fails_is_a_gap() {
        let mut examination = examine(&request(), &Host { cgroup: Support::Yes, ..host() }, None);
        examination.trial = Some("EPERM in clone3".to_owned());
        assert!(!examination.is_complete() && examination.to_string().contains("EPERM in clone3"));
    }

    #[test]
    fn an_old_kernel_makes_a_run_impossible() {
        let host = Host { kernel: Kernel::from_release("5.10.0".to_owned()), ..host() };
        let examination = examine(&request(), &host, None);
        assert!(examination.impossible.is_some() && !examination.is_complete());
    }
}
