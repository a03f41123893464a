//! The child tries its own confinement just before exec: what cannot be seen
//! from outside (Landlock, the signal of death, memory) and what can be seen to
//! be there but not to work (the filter). A trial that shows a layer not to hold
//! ends the start; the others are handed to the launcher for the record.

use std::os::fd::{AsFd, BorrowedFd};

use super::child::{During, Failure, Part};
use crate::sys::{descriptor, process, trial, Errno};

/// First byte of the message with the trials; no control has that index.
pub(super) const MARKER: u8 = 0xfe;

/// Length of that message.
pub(super) const MESSAGE: usize = super::child::RECORD;

/// One thing that is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trial {
    /// Opening the host's root directory.
    Files,
    /// Binding a TCP port.
    Bind,
    /// Making written memory executable.
    Execution,
    /// The signal on the launcher's end.
    ParentDeath,
    /// The locks of the capabilities.
    Securebits,
    /// Two calls that the filter answers otherwise than the kernel.
    Filter,
}

impl Trial {
    /// Every trial.
    pub const ALL: [Trial; 6] =
        [Trial::Files, Trial::Bind, Trial::Execution, Trial::ParentDeath, Trial::Securebits, Trial::Filter];

    /// The name of the step of the plan that is tried.
    pub fn step(self) -> &'static str {
        match self {
            Trial::Files | Trial::Bind => "landlock",
            Trial::Execution => "memory write or execute",
            Trial::ParentDeath => "death with the launcher",
            Trial::Securebits => "capabilities",
            Trial::Filter => "system call filter",
        }
    }

    /// What was tried, and the answer that shows that it holds.
    pub fn text(self) -> &'static str {
        match self {
            Trial::Files => "opening the host's root directory: allowed before, EACCES under Landlock",
            Trial::Bind => "binding a TCP port: EACCES under Landlock",
            Trial::Execution => "mprotect(PROT_EXEC) of a written page: EACCES",
            Trial::ParentDeath => "prctl(PR_GET_PDEATHSIG): SIGKILL",
            Trial::Securebits => "prctl(PR_GET_SECUREBITS): 0xef, all locked",
            Trial::Filter => {
                "openat2 answers ENOSYS and openat without a path ENOENT, as only the filter does"
            }
        }
    }
}

/// What a trial came to. (One that failed ends the start.)
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Outcome {
    /// This run does not have the layer, or this kernel not this part of it.
    #[default]
    NotTried,
    /// It holds.
    Holds,
    /// Something else would have refused too, so that nothing is shown.
    NotTold,
}

/// The outcome of every trial.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Trials([Outcome; Trial::ALL.len()]);

impl Trials {
    /// What this trial came to.
    pub fn of(&self, trial: Trial) -> Outcome {
        self.0[trial as usize]
    }

    pub(super) fn note(&mut self, trial: Trial, outcome: Outcome) {
        self.0[trial as usize] = outcome;
    }

    /// As the child sends it.
    pub(super) fn encode(&self) -> [u8; MESSAGE] {
        let mut message = [0; MESSAGE];
        message[0] = MARKER;
        for (byte, outcome) in message[1..].iter_mut().zip(self.0) {
            *byte = outcome as u8;
        }
        message
    }

    pub(super) fn decode(message: &[u8]) -> Trials {
        let mut trials = Trials::default();
        for (outcome, byte) in trials.0.iter_mut().zip(message.iter().skip(1)) {
            *outcome = match byte {
                1 => Outcome::Holds,
                2 => Outcome::NotTold,
                _ => Outcome::NotTried,
            };
        }
        trials
    }
}

/// Whether the host's root directory can be opened for reading: asked before and
/// after the ruleset is in force.
pub(super) fn opens(root: BorrowedFd<'_>) -> bool {
    trial::read_directory(root).is_ok()
}

/// After the ruleset: the same directory is closed now. `before` is what
/// [`opens`] said.
pub(super) fn files(root: BorrowedFd<'_>, before: bool) -> Result<Outcome, Failure> {
    match (before, trial::read_directory(root)) {
        (_, Ok(())) => fail(Part::FilesTrial, Errno(0)),
        (true, Err(Errno(libc::EACCES))) => Ok(Outcome::Holds),
        (true, Err(other)) => fail(Part::FilesTrial, other),
        // File permissions forbid it anyway.
        (false, Err(_)) => Ok(Outcome::NotTold),
    }
}

pub(super) fn bind() -> Result<Outcome, Failure> {
    match trial::bind_tcp() {
        Err(Errno(libc::EACCES)) => Ok(Outcome::Holds),
        Ok(()) => fail(Part::BindTrial, Errno(0)),
        // No socket of that family here: nothing is shown.
        Err(_) => Ok(Outcome::NotTold),
    }
}

pub(super) fn execution() -> Result<Outcome, Failure> {
    match trial::gain_execution() {
        Err(Errno(libc::EACCES)) => Ok(Outcome::Holds),
        Ok(()) => fail(Part::ExecutionTrial, Errno(0)),
        Err(other) => fail(Part::ExecutionTrial, other),
    }
}

pub(super) fn parent_death() -> Result<Outcome, Failure> {
    match trial::parent_death_signal().during(Part::ParentDeathTrial)? {
        libc::SIGKILL => Ok(Outcome::Holds),
        _ => fail(Part::ParentDeathTrial, Errno(0)),
    }
}

pub(super) fn securebits() -> Result<Outcome, Failure> {
    match trial::securebits().during(Part::SecurebitsTrial)? {
        process::SECUREBITS_LOCKED => Ok(Outcome::Holds),
        _ => fail(Part::SecurebitsTrial, Errno(0)),
    }
}

pub(super) fn filter() -> Result<Outcome, Failure> {
    match trial::answers() {
        (Errno(libc::ENOSYS), Errno(libc::ENOENT)) => Ok(Outcome::Holds),
        (Errno(libc::ENOSYS), other) | (other, _) => fail(Part::FilterTrial, other),
    }
}

/// Hands the outcomes to the launcher.
pub(super) fn send(report: BorrowedFd<'_>, trials: &Trials) -> Result<(), Failure> {
    descriptor::write_all(report.as_fd(), &trials.encode()).during(Part::SendTrials)
}

fn fail(part: Part, errno: Errno) -> Result<Outcome, Failure> {
    Err(Failure { part, file: 0, errno })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_survive_the_pipe() {
        let mut trials = Trials::default();
        trials.note(Trial::Files, Outcome::Holds);
        trials.note(Trial::Bind, Outcome::NotTold);
        trials.note(Trial::Filter, Outcome::Holds);
        let message = trials.encode();
        assert_eq!(message[0], MARKER);
        assert_eq!(Trials::decode(&message), trials);
        assert_eq!(trials.of(Trial::Execution), Outcome::NotTried);
    }

    #[test]
    fn an_unconfined_process_fails_every_trial() {
        let root = descriptor::open(c"/", libc::O_PATH).unwrap();
        assert!(opens(root.as_fd()));
        assert_eq!(files(root.as_fd(), true).unwrap_err().part, Part::FilesTrial);
        assert_eq!(bind().unwrap_err().part, Part::BindTrial);
        assert_eq!(execution().unwrap_err().part, Part::ExecutionTrial);
        assert_eq!(parent_death().unwrap_err().part, Part::ParentDeathTrial);
        assert_eq!(securebits().unwrap_err().part, Part::SecurebitsTrial);
        assert_eq!(filter().unwrap_err().part, Part::FilterTrial);
    }
}
