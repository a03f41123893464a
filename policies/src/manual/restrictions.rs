//! restrictions(5).

use super::Roff;
use crate::{carriers, Kind, CALLS, RESOURCES};

const EXAMPLE: &str = "\
# A worker that keeps its notes in one file and listens on one UDP port.
resource cpu .25
resource memory 20000000
resource diskused 1000000
resource events 10
resource filesopened 2
resource filewrite 10000
resource fileread 10000
resource insockets 1
resource messport 12345
resource loopsend 100000
resource looprecv 100000
resource lograte 30000

call open arg 0 is notes.txt allow
call file.__init__ arg 0 is notes.txt allow
call file.read allow
call file.write allow
call file.close allow
call recvmess allow
call sendmess arg 0 is 127.0.0.1 allow
call settimer prompt
call log.write allow";

/// The page.
pub fn page() -> String {
    let mut page = Roff::new("restrictions", 5, "what a Repy program may use and do");
    page.section("DESCRIPTION").text(
        "A restrictions file grants; what it does not grant is denied. Each line is empty, a comment that begins with #, \
         a resource or a call rule. The file is ASCII text of at most 1 MiB. Every mistake is told at once, with its line, \
         by: repy-launch check FILE",
    );
    page.subsection("resource NAME VALUE").text(
        "Sets a limit. A value is a number such as 10000000, .10 or 1e6. Each resource may be set once; messport and \
         connport are set once for each port. cpu, memory and diskused are required; any other that is left out is zero.",
    );
    page.subsection("call NAME [arg N is TEXT]... [noargs is N] ACTION").text(
        "Decides on a call of the API. ACTION is allow, deny or prompt. The first rule of a call whose conditions all hold \
         decides; if none does, the call raises an exception. arg N is TEXT holds if argument N, counted from 0 (from the end \
         if negative), has that text; keyword arguments stand in their positions. noargs is N holds if N arguments are given. \
         A host argument also matches an address that it resolves to. prompt asks the operator on the terminal if \
         repy-launch was started with --ask, and denies otherwise.",
    );
    page.section("RESOURCES");
    for facts in &RESOURCES {
        let past = match facts.kind {
            Kind::Share => "past it the whole program is paused until its share is paid for",
            Kind::Renewable => "past it the call waits until the rate allows it; 0 is never",
            Kind::Hard => "past it the program is killed",
            Kind::Items => "past it the call raises an exception",
            Kind::Named => "another port raises an exception",
        };
        let required = if facts.required { " Required." } else { "" };
        let holders = holders(carriers::of_resource(facts.resource));
        let meaning = facts.meaning.split("; past").next().unwrap_or(facts.meaning);
        page.item(facts.name, &format!("{meaning} ({}); {past}.{required} Held by {holders}.", facts.unit));
    }
    page.section("CALLS")
        .text("The words that a call rule may name, with the arguments that its conditions count.");
    for facts in &CALLS {
        let parameters: Vec<String> = facts
            .parameters
            .iter()
            .enumerate()
            .map(
                |(index, name)| if index < facts.required { (*name).to_owned() } else { format!("[{name}]") },
            )
            .collect();
        let needs: Vec<String> = facts
            .needs
            .iter()
            .map(|group| group.iter().map(|resource| resource.name()).collect::<Vec<_>>().join(" or "))
            .collect();
        let needs = match needs[..] {
            [] => String::new(),
            _ => format!("Needs {}. ", needs.join(" and ")),
        };
        let holders = holders(carriers::of_call(facts.call));
        page.item(
            &format!("{}({})", facts.name, parameters.join(", ")),
            &format!("{needs}Held by {holders}."),
        );
    }
    page.section("EXAMPLE").code(EXAMPLE);
    page.section("SEE ALSO").text("repy-launch(1), repy-language(7), repy-api(3); repy-launch explain FILE shows what holds each line on a host.");
    page.finish()
}

fn holders(carriage: carriers::Carriage) -> String {
    let mut words: Vec<String> = carriage
        .controls
        .iter()
        .map(|control| format!("{} ({})", control.facts().layer.name(), control.facts().name))
        .collect();
    words.dedup();
    match words[..] {
        [] => "nothing".to_owned(),
        _ => words.join(", "),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_example_is_a_restrictions_file() {
        let parsed = crate::Policy::parse(super::EXAMPLE.as_bytes(), "example").expect("a valid file");
        assert!(parsed.warnings.is_empty(), "{:?}", parsed.warnings);
    }
}
