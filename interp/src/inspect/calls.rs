//! Calls of the API that stand in a program's text, with what is known of
//! their arguments.

use policies::channel::seen::{Known, SeenCall, MAXIMUM_ARGUMENT};
use policies::Call as Rule;

use super::visit::{literal, walk, Event, Names};
use crate::api::table::{ApiCall, TABLE};
use crate::heap::Builtin;
use crate::syntax::ast::{Call, Expr, ExprKind, Module};

/// Methods of files and sockets whose names say nothing: most objects have them.
const COMMON: [&str; 2] = ["close", "next"];

/// Ways one call may be made that are told of.
const WAYS: usize = 8;

/// The calls of a program, at most so many. A call whose arguments may be one of
/// several literals is told of once for each.
pub fn find(module: &Module<'_>, names: &Names, most: usize) -> Vec<SeenCall> {
    let finder = Finder { module, names };
    let mut found = Vec::new();
    walk(module, &mut |event| {
        let (ways, span) = match event {
            Event::Call(call, span) => (finder.ways(call), span),
            Event::Print(span) => (vec![finder.print()], span),
            _ => return,
        };
        for mut seen in ways {
            seen.line = module.source.line(span.start);
            if found.len() < most && !found.contains(&seen) {
                found.push(seen);
            }
        }
    });
    found
}

struct Finder<'t> {
    module: &'t Module<'t>,
    names: &'t Names,
}

impl Finder<'_> {
    fn print(&self) -> SeenCall {
        let arguments = vec![Known::Unknown];
        SeenCall { call: Rule::LogWrite, line: 0, arguments, open: false, guess: false }
    }

    fn ways(&self, call: &Call<'_>) -> Vec<SeenCall> {
        let Some((row, guess)) = self.row(call) else { return Vec::new() };
        let (Some(rule), Some(places)) = (row.rule, self.places(call, row)) else { return Vec::new() };
        let open = call.star.is_some() || call.double_star.is_some();
        let mut ways: Vec<Vec<Known>> = vec![Vec::new()];
        for value in places {
            let mut known = value.map_or_else(|| vec![Known::Absent], |value| self.known(value));
            if ways.len() * known.len() > WAYS {
                known = vec![Known::Unknown];
            }
            let longer = |way: &Vec<Known>, known: &Known| [&way[..], std::slice::from_ref(known)].concat();
            ways = known.iter().flat_map(|known| ways.iter().map(|way| longer(way, known))).collect();
        }
        ways.into_iter().map(|arguments| SeenCall { call: rule, line: 0, arguments, open, guess }).collect()
    }

    /// What stands in each parameter's place; none for a call that raises
    /// whatever the policy says.
    fn places<'c>(&self, call: &'c Call<'c>, row: &ApiCall) -> Option<Vec<Option<&'c Expr<'c>>>> {
        let mut places: Vec<Option<&Expr>> = call.positional.iter().map(Some).collect();
        for keyword in call.keywords {
            let name = self.module.symbols.name(keyword.name);
            let place = row.parameters.iter().position(|parameter| parameter.name == name)?;
            if places.len() <= place {
                places.resize(place + 1, None);
            }
            *places.get_mut(place)? = Some(&keyword.value);
        }
        (places.len() <= row.parameters.len()).then_some(places)
    }

    /// The row of the API that is called, and whether that is only likely.
    fn row(&self, call: &Call<'_>) -> Option<(&'static ApiCall, bool)> {
        match &call.function.kind {
            ExprKind::Name(symbol) if !self.names.bound.contains_key(symbol) => {
                let name = self.module.symbols.name(*symbol);
                let row = TABLE.iter().find(|row| row.class.is_none() && row.name == name)?;
                Some((row, false))
            }
            ExprKind::Attribute(_, symbol) if !self.names.methods.contains(symbol) => {
                let name = self.module.symbols.name(*symbol);
                let of = [Some(Builtin::ApiFile), Some(Builtin::ApiSocket)];
                let row = TABLE.iter().find(|row| of.contains(&row.class) && row.name == name)?;
                (!COMMON.contains(&name)).then_some((row, true))
            }
            _ => None,
        }
    }

    /// What an argument may be.
    fn known(&self, value: &Expr<'_>) -> Vec<Known> {
        let text = |text: &Vec<u8>| match text.len() <= MAXIMUM_ARGUMENT {
            true => Known::Text(text.clone()),
            false => Known::Unknown,
        };
        if let Some(literal) = literal(value) {
            return vec![text(&literal)];
        }
        let binding = match &value.kind {
            ExprKind::Name(symbol) => self.names.bound.get(symbol),
            _ => None,
        };
        let Some(binding) = binding else { return vec![Known::Unknown] };
        let mut known: Vec<Known> = binding.literals.iter().map(text).collect();
        if binding.other || known.is_empty() {
            known.push(Known::Unknown);
        }
        known
    }
}
