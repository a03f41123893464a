//! repy-language(7).

use policies::manual::Roff;

use crate::builtins::{CLASSES, CONSTANTS, FUNCTIONS, POISONED};
use crate::check::names::{ALLOWED, REFUSED, REFUSED_PREFIXES};
use crate::check::nodes::{Verdict, NODES};

/// The page.
pub fn page() -> String {
    let mut page = Roff::new("repy-language", 7, "the language of Repy programs");
    page.section("DESCRIPTION").text(
        "Repy is Python 2.7 without what reaches out of a program or makes it hard to see what it does. A program that \
         uses anything else is refused before it runs, with the line and the place.",
    );
    page.section("A RUN").text(
        "The text is run twice in one namespace: with callfunc set to 'initialize' at the start, and with callfunc set to \
         'exit' when nothing is left to happen. In between, timers and connections run as events, each an item of the \
         resource events. callargs holds the program's arguments, mycontext a dictionary for what events share. With --simple \
         the text is run once and without callfunc.",
    );
    page.section("WHAT IS NOT THERE");
    let mut said = Vec::new();
    for (_, verdict) in NODES {
        let Verdict::Refused { called, why, instead } = verdict else { continue };
        if !said.contains(called) {
            said.push(*called);
            page.item(called, &format!("{why}; instead: {instead}."));
        }
    }
    page.section("NAMES").text(&format!(
        "A name must not hold two underscores in a row, except {}; must not begin with {}; and must not be {}. No string \
         is unicode: strings are bytes.",
        ALLOWED.join(", "),
        REFUSED_PREFIXES.join(", "),
        REFUSED.join(" or ")
    ));
    page.section("BUILT-IN NAMES");
    page.text(&format!("Functions: {}.", sorted(FUNCTIONS.iter().map(|row| row.name))));
    let classes: Vec<String> = CLASSES.iter().map(|class| class.name().to_owned()).collect();
    page.text(&format!("Classes: {}.", sorted(classes.iter().map(String::as_str))));
    page.text(&format!("Constants: {}.", sorted(CONSTANTS.iter().map(|(name, _)| *name))));
    page.text(&format!(
        "Names that are there only to say that they are not: {}.",
        sorted(POISONED.iter().map(|row| row.name))
    ));
    page.section("SEE ALSO").text("repy-launch(1), restrictions(5), repy-api(3); docs/differences.md lists where this implementation differs from the original.");
    page.finish()
}

fn sorted<'n>(names: impl Iterator<Item = &'n str>) -> String {
    let mut names: Vec<&str> = names.collect();
    names.sort_unstable();
    names.dedup();
    names.join(", ")
}
