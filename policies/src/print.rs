//! Canonical text: one form for each policy, which reads back as the same policy.

use std::fmt;

use crate::{Condition, Kind, Limit, Policy, Resource, Rule};

impl fmt::Display for Rule {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "call {}", self.call.name())?;
        for condition in &self.conditions {
            match condition {
                Condition::ArgumentIs(index, value) => write!(out, " arg {index} is {value}")?,
                Condition::CountIs(count) => write!(out, " noargs is {count}")?,
            }
        }
        write!(out, " {}", self.action.name())
    }
}

/// Every resource in table order (absent ones as their 0), ports ascending, then the rules in
/// file order; one line each. Comments are not kept.
impl fmt::Display for Policy {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for resource in Resource::all() {
            let name = resource.name();
            match self.limit(resource) {
                Limit::Ports(grants) => {
                    for grant in grants {
                        writeln!(out, "resource {name} {}", grant.port)?;
                    }
                }
                Limit::Bytes(value) | Limit::Items(value) => writeln!(out, "resource {name} {value}")?,
                Limit::Share(_) | Limit::Rate(_) => {
                    debug_assert!(matches!(resource.kind(), Kind::Share | Kind::Renewable));
                    writeln!(out, "resource {name} {}", self.amounts[resource as usize])?;
                }
            }
        }
        for rule in &self.rules {
            writeln!(out, "{rule}")?;
        }
        Ok(())
    }
}
