//! A policy: limits and rules, checked, with the lines they came from.

use crate::{Amount, Call, Kind, Resource, CALLS, RESOURCES};

/// Smallest processor share: below it the kernel's quota cannot express the share.
pub(crate) const SMALLEST_SHARE: f64 = 0.001;
/// Largest processor share: more processors than Linux can have.
pub(crate) const LARGEST_SHARE: f64 = 8192.0;

/// The typed value of a resource.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Limit<'a> {
    /// Share of one processor, 0.001 to 8192.
    Share(f64),
    /// Amount per second; any finite number from 0. Zero never drains.
    Rate(f64),
    /// Bytes; a fraction in the file was dropped, which changes nothing as use is whole.
    Bytes(u64),
    /// Items held at once.
    Items(u64),
    /// Granted ports, ascending, each once.
    Ports(&'a [Grant]),
}

/// One granted port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grant {
    /// 1 to 65535.
    pub port: u16,
    /// Line of the file, from 1; 0 if it came from none.
    pub line: u32,
}

/// Which of the two port spaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PortKind {
    /// UDP, `messport`.
    Message,
    /// TCP, `connport`.
    Connection,
}

impl PortKind {
    /// The resource that grants ports of this kind.
    pub fn resource(self) -> Resource {
        match self {
            PortKind::Message => Resource::MessPort,
            PortKind::Connection => Resource::ConnPort,
        }
    }
}

/// What a rule says of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// The call goes on.
    Allow,
    /// The call raises.
    Deny,
    /// The operator is asked; without one the call raises.
    Prompt,
}

impl Action {
    /// Every action with its word.
    pub(crate) const WORDS: [(&'static str, Action); 3] =
        [("allow", Action::Allow), ("deny", Action::Deny), ("prompt", Action::Prompt)];

    /// The word of the restrictions language.
    pub fn name(self) -> &'static str {
        match self {
            Action::Allow => "allow",
            Action::Deny => "deny",
            Action::Prompt => "prompt",
        }
    }
}

/// One condition of a rule.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Condition {
    /// `arg N is TEXT`: argument N, from 0, or from the end if negative, has this Python text.
    ArgumentIs(i32, String),
    /// `noargs is N`.
    CountIs(u32),
}

/// A `call` line.
#[derive(Clone, Debug)]
pub struct Rule {
    /// The call it decides on.
    pub call: Call,
    /// All must hold; in the order of the file.
    pub conditions: Vec<Condition>,
    /// What it says.
    pub action: Action,
    /// Line of the file, from 1; 0 if it came from none.
    pub line: u32,
}

/// Lines are where a rule came from, not what it says.
impl PartialEq for Rule {
    fn eq(&self, other: &Rule) -> bool {
        (self.call, self.action, &self.conditions) == (other.call, other.action, &other.conditions)
    }
}

/// A checked policy. Two policies are equal if they grant the same, whatever their lines.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Values of all but the named resources, by table index.
    pub(crate) amounts: [Amount; RESOURCES.len()],
    /// Lines of those, 0 where the file has none.
    pub(crate) lines: [u32; RESOURCES.len()],
    pub(crate) message_ports: Vec<Grant>,
    pub(crate) connection_ports: Vec<Grant>,
    /// In file order.
    pub(crate) rules: Vec<Rule>,
    /// Indexes into `rules`, by call.
    pub(crate) by_call: Vec<Vec<u32>>,
}

impl PartialEq for Policy {
    fn eq(&self, other: &Policy) -> bool {
        let ports = |grants: &[Grant]| grants.iter().map(|grant| grant.port).collect::<Vec<_>>();
        // Rules of different calls never meet, so only their order within one call counts.
        let same_rules = Call::all().all(|call| self.rules_of(call).eq(other.rules_of(call)));
        self.amounts == other.amounts
            && ports(&self.message_ports) == ports(&other.message_ports)
            && ports(&self.connection_ports) == ports(&other.connection_ports)
            && same_rules
    }
}

impl Policy {
    /// The typed value of a resource; an absent one that is not required is zero or no ports.
    pub fn limit(&self, resource: Resource) -> Limit<'_> {
        let amount = self.amounts[resource as usize];
        match resource.kind() {
            Kind::Share => Limit::Share(amount.get()),
            Kind::Renewable => Limit::Rate(amount.get()),
            Kind::Hard => Limit::Bytes(amount.floor()),
            Kind::Items => Limit::Items(amount.floor()),
            Kind::Named if resource == Resource::MessPort => Limit::Ports(&self.message_ports),
            Kind::Named => Limit::Ports(&self.connection_ports),
        }
    }

    /// The value of a resource as a plain number: the share, the rate, bytes, items; for the
    /// named resources how many ports are granted.
    pub fn amount(&self, resource: Resource) -> f64 {
        match self.limit(resource) {
            Limit::Share(value) | Limit::Rate(value) => value,
            Limit::Bytes(value) | Limit::Items(value) => value as f64,
            Limit::Ports(grants) => grants.len() as f64,
        }
    }

    /// The value of a hard or item resource; zero for the other kinds.
    pub fn whole(&self, resource: Resource) -> u64 {
        match self.limit(resource) {
            Limit::Bytes(value) | Limit::Items(value) => value,
            _ => 0,
        }
    }

    /// Line of the file that set a resource (the first one for ports); `None` if it is absent.
    pub fn line(&self, resource: Resource) -> Option<u32> {
        let line = match self.limit(resource) {
            Limit::Ports(grants) => grants.iter().map(|grant| grant.line).min().unwrap_or(0),
            _ => self.lines[resource as usize],
        };
        (line > 0).then_some(line)
    }

    /// Granted ports of a kind, ascending, each once.
    pub fn ports(&self, kind: PortKind) -> &[Grant] {
        match kind {
            PortKind::Message => &self.message_ports,
            PortKind::Connection => &self.connection_ports,
        }
    }

    /// Whether a port of a kind is granted.
    pub fn grants_port(&self, kind: PortKind, port: u16) -> bool {
        self.ports(kind).binary_search_by_key(&port, |grant| grant.port).is_ok()
    }

    /// The same policy for whoever decides after the operator was asked: what is asked about
    /// passes. A rule without conditions gets one that always holds, so that nothing is decided
    /// on before the arguments are there, as with the question.
    pub fn with_prompts_passed(&self) -> Policy {
        let mut builder = PolicyBuilder { policy: self.clone() };
        builder.policy.rules.clear();
        builder.policy.by_call = vec![Vec::new(); CALLS.len()];
        for rule in &self.rules {
            let passed = Rule { action: Action::Allow, ..rule.clone() };
            match rule.action {
                Action::Prompt if rule.conditions.is_empty() => {
                    for count in 0..=rule.call.facts().parameters.len() as u32 {
                        let conditions = vec![Condition::CountIs(count)];
                        builder.push(Rule { conditions, ..passed.clone() });
                    }
                    builder.push(Rule { action: Action::Deny, ..rule.clone() });
                }
                Action::Prompt => builder.push(passed),
                _ => builder.push(rule.clone()),
            }
        }
        builder.build()
    }

    /// All rules in file order.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// The rules of one call in file order.
    pub fn rules_of(&self, call: Call) -> impl Iterator<Item = &Rule> {
        self.by_call[call as usize].iter().map(|&index| &self.rules[index as usize])
    }
}

/// Makes policies in code: for built-in ones and for tests.
#[derive(Clone, Debug)]
pub struct PolicyBuilder {
    policy: Policy,
}

impl PolicyBuilder {
    /// A policy with the three required resources and nothing else. The share is kept within
    /// 0.001 to 8192.
    pub fn new(cpu: f64, memory: u64, disk: u64) -> PolicyBuilder {
        let policy = Policy {
            amounts: [Amount::default(); RESOURCES.len()],
            lines: [0; RESOURCES.len()],
            message_ports: Vec::new(),
            connection_ports: Vec::new(),
            rules: Vec::new(),
            by_call: vec![Vec::new(); CALLS.len()],
        };
        PolicyBuilder { policy }
            .set(Resource::Cpu, cpu)
            .set(Resource::Memory, memory as f64)
            .set(Resource::DiskUsed, disk as f64)
    }

    /// Sets a resource. Numbers that are no amount are 0; a fraction counts only for shares and
    /// rates; for a named resource the number is one more granted port (nothing if it is no port).
    pub fn set(mut self, resource: Resource, value: f64) -> PolicyBuilder {
        self.put(resource, Amount::new(value).unwrap_or_default(), 0);
        self
    }

    /// Adds a rule behind the present ones.
    pub fn rule(mut self, call: Call, conditions: Vec<Condition>, action: Action) -> PolicyBuilder {
        self.push(Rule { call, conditions, action, line: 0 });
        self
    }

    /// Adds a rule without conditions that allows `call`.
    pub fn allow(self, call: Call) -> PolicyBuilder {
        self.rule(call, Vec::new(), Action::Allow)
    }

    /// The policy.
    pub fn build(mut self) -> Policy {
        for grants in [&mut self.policy.message_ports, &mut self.policy.connection_ports] {
            grants.sort_by_key(|grant| (grant.port, grant.line));
            grants.dedup_by_key(|grant| grant.port);
        }
        self.policy
    }

    pub(crate) fn put(&mut self, resource: Resource, amount: Amount, line: u32) {
        let policy = &mut self.policy;
        let value = amount.get();
        let amount = match resource.kind() {
            Kind::Named => {
                let grants = match resource {
                    Resource::MessPort => &mut policy.message_ports,
                    _ => &mut policy.connection_ports,
                };
                if let Ok(port @ 1..) = u16::try_from(amount.floor()) {
                    grants.push(Grant { port, line });
                }
                return;
            }
            Kind::Share => Amount::new(value.clamp(SMALLEST_SHARE, LARGEST_SHARE)).unwrap_or_default(),
            Kind::Renewable => amount,
            Kind::Hard | Kind::Items => Amount::new(amount.floor() as f64).unwrap_or_default(),
        };
        policy.amounts[resource as usize] = amount;
        policy.lines[resource as usize] = line;
    }

    pub(crate) fn push(&mut self, rule: Rule) {
        // Files are at most 1 MiB, so a rule's index is far below 32 bits.
        let index = self.policy.rules.len() as u32;
        self.policy.by_call[rule.call as usize].push(index);
        self.policy.rules.push(rule);
    }
}
