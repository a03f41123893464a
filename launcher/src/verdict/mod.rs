//! How a run ended: one table of exit codes, from which the README and the
//! manual page are generated.

use std::fmt;

/// How a run ended. The program chooses only between [`Ending::Done`] and
/// [`Ending::Exception`]; every other ending is the launcher's finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The program ended by itself or called `exitall`.
    Done,
    /// An exception that nothing caught.
    Exception,
    /// The command line, the policy or a named file cannot be used.
    BadInput,
    /// The program was read and refused: encoding, syntax or safety.
    Refused,
    /// The sandbox could not be established.
    NoSandbox,
    /// Killed: over the `memory` limit.
    Memory,
    /// Killed: over the `diskused` limit.
    Disk,
    /// Killed: over another hard limit.
    HardLimit,
    /// Stopped through the stop file, with the code that file gives (44 unless
    /// it names another).
    Stopped(u8),
    /// The interpreter or the broker failed.
    Internal,
    /// Killed by the kernel for a system call the filter forbids.
    ForbiddenCall,
    /// Stopped by SIGINT (Ctrl-C).
    Interrupted,
    /// Killed by a signal that neither the launcher nor a limit sent.
    KilledFromOutside,
    /// Stopped by SIGTERM or SIGHUP.
    Terminated,
}

/// One line of the table of exit codes.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// An example of the ending; only `Stopped` holds a variable part.
    pub ending: Ending,
    /// The exit status of the launcher.
    pub code: u8,
    /// A stable name for programs that read the report.
    pub name: &'static str,
    /// What happened.
    pub meaning: &'static str,
    /// What the operator can do about it.
    pub remedy: &'static str,
}

/// The code of a stop file that names none.
pub const STOPPED: u8 = 44;

/// Every ending once, ordered by code.
pub const TABLE: [Row; 14] = [
    row(Ending::Done, 0, "done", "the program ended, or called exitall", "nothing"),
    row(
        Ending::Exception,
        1,
        "exception",
        "an exception that the program did not catch",
        "read the traceback on standard error; its last line names the exception",
    ),
    row(
        Ending::BadInput,
        2,
        "bad input",
        "the command line, the policy or the program file cannot be used; nothing was started or changed",
        "correct what the message names",
    ),
    row(
        Ending::Refused,
        3,
        "refused",
        "the program was read and refused: its encoding, its syntax, or something the language leaves out",
        "change the line that the message shows",
    ),
    row(
        Ending::NoSandbox,
        4,
        "no sandbox",
        "the sandbox could not be established; the program did not run",
        "provide the layer as the message says, or give it up by name with --without",
    ),
    row(
        Ending::Memory,
        5,
        "memory limit",
        "killed: more memory than 'resource memory' allows",
        "raise the limit, or make the program keep less",
    ),
    row(
        Ending::Disk,
        6,
        "disk limit",
        "killed: more disk space than 'resource diskused' allows",
        "raise the limit, or remove files from the vessel directory",
    ),
    row(
        Ending::HardLimit,
        7,
        "hard limit",
        "killed: another hard limit, such as --wall, or limits that somebody took away during the run",
        "see the message and the report",
    ),
    row(
        Ending::Stopped(STOPPED),
        STOPPED,
        "stopped",
        "stopped through the stop file (or the code which that file names)",
        "remove the stop file before the next start",
    ),
    row(
        Ending::Internal,
        70,
        "internal error",
        "the interpreter or the broker failed; this is a defect of the sandbox, not of the program",
        "report it with the program and the message",
    ),
    row(
        Ending::ForbiddenCall,
        71,
        "forbidden system call",
        "killed by the kernel: the interpreter made a system call that the filter forbids",
        "treat it as an attack, or as a defect of the sandbox; the report helps to find the call",
    ),
    row(Ending::Interrupted, 130, "interrupted", "stopped by SIGINT (Ctrl-C)", "nothing"),
    row(
        Ending::KilledFromOutside,
        137,
        "killed from outside",
        "the sandbox was killed by a signal that no limit of the policy sent: by a person, or because the whole host ran short of memory",
        "see the report for the signal, and the kernel log",
    ),
    row(Ending::Terminated, 143, "terminated", "stopped by SIGTERM or SIGHUP", "nothing"),
];

const fn row(
    ending: Ending,
    code: u8,
    name: &'static str,
    meaning: &'static str,
    remedy: &'static str,
) -> Row {
    Row { ending, code, name, meaning, remedy }
}

impl Ending {
    /// The exit status of the launcher.
    pub fn code(self) -> u8 {
        match self {
            Ending::Stopped(code) => code,
            other => other.row().code,
        }
    }

    /// A stable name for programs that read the report.
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// The line of the table.
    pub fn row(self) -> &'static Row {
        let same = |row: &&Row| std::mem::discriminant(&row.ending) == std::mem::discriminant(&self);
        // Every variant has a line (tested); the first line is never reached instead.
        TABLE.iter().find(same).unwrap_or(&TABLE[0])
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name(), self.code())
    }
}

/// Whether `code` says something else than "stopped": such a code in a stop
/// file is replaced by 44, so that an exit status never tells a lie.
pub fn is_taken(code: u8) -> bool {
    TABLE.iter().any(|row| row.code == code && row.code != STOPPED)
}

/// The table of exit codes for README.md.
pub fn markdown() -> String {
    let mut text = String::from("| code | name | what happened | what to do |\n|--:|---|---|---|\n");
    for row in TABLE {
        text.push_str(&format!("| {} | {} | {} | {} |\n", row.code, row.name, row.meaning, row.remedy));
    }
    text
}

/// The section EXIT STATUS of the manual page, in `man` macros.
pub fn manual() -> String {
    let mut text = String::from(".SH EXIT STATUS\n");
    for row in TABLE {
        text.push_str(&format!(".TP\n.B {}\n{} ({}).\n", row.code, capital(row.meaning), row.name));
    }
    text
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    match letters.next() {
        Some(first) => first.to_uppercase().chain(letters).collect(),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_ending_has_one_line_and_one_code() {
        for row in TABLE {
            assert_eq!(row.ending.row().code, row.code);
            assert_eq!(row.ending.code(), row.code);
        }
        let mut codes: Vec<u8> = TABLE.iter().map(|row| row.code).collect();
        codes.dedup();
        assert_eq!(codes.len(), TABLE.len());
        assert!(codes.is_sorted());
    }

    #[test]
    fn the_stop_files_code_is_the_exit_status() {
        assert_eq!(Ending::Stopped(17).code(), 17);
        assert_eq!(Ending::Stopped(17).name(), "stopped");
        assert!(is_taken(0) && is_taken(5) && is_taken(143));
        assert!(!is_taken(44) && !is_taken(17));
    }

    #[test]
    fn the_readme_holds_the_table() {
        let readme = include_str!("../../../README.md");
        assert!(readme.contains(&markdown()), "put this table into README.md:\n{}", markdown());
    }

    #[test]
    fn the_generated_tables_name_every_code() {
        for row in TABLE {
            assert!(markdown().contains(&format!("\n| {} |", row.code)));
            assert!(manual().contains(&format!("\n.B {}\n", row.code)));
        }
    }
}
