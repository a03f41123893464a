//! Control channel (descriptor 3): between interpreter and supervisor.

use super::seen::{self, Finding, SeenCall};
use super::{frame, open};
use crate::wire::{cut, Reader, WireError, Writer};
use crate::{Call, Resource, RESOURCES};

/// Longest control frame, in bytes.
pub const MAXIMUM_FRAME: usize = 16 * 1024;
/// Longest text inside a control frame, in bytes; the encoder cuts longer ones.
pub const MAXIMUM_TEXT: usize = 8 * 1024;

/// How a run ended, as the interpreter saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The program ran to its end.
    Finished,
    /// The program called `exitall`.
    ExitAll,
    /// An exception reached the top; its last line (`Exception (with class …): …`).
    UncaughtException(String),
    /// The program was read but refused: encoding, syntax or safety; the reason with its line.
    Refused(String),
    /// A hard limit that the interpreter itself saw passed.
    LimitPassed {
        /// The resource.
        resource: Resource,
        /// What was used or asked for, in the unit of the resource.
        used: u64,
        /// The limit.
        limit: u64,
    },
    /// A fault of the interpreter.
    InternalError(String),
}

impl Outcome {
    /// The exit status of the interpreter process that goes with this outcome.
    pub fn exit_status(&self) -> u8 {
        match self {
            Outcome::Finished | Outcome::ExitAll => 0,
            Outcome::UncaughtException(_) => 1,
            Outcome::Refused(_) => 3,
            Outcome::LimitPassed { resource: Resource::Memory, .. } => 5,
            Outcome::LimitPassed { resource: Resource::DiskUsed, .. } => 6,
            Outcome::LimitPassed { .. } => 7,
            Outcome::InternalError(_) => 70,
        }
    }
}

/// What a run did with one resource so far, in the unit of the resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counter {
    /// Which resource.
    pub resource: Resource,
    /// Sum of all charges (rates), or of all items ever taken.
    pub total: u64,
    /// Most held at once (items, bytes); for a rate the largest single charge.
    pub peak: u64,
    /// Calls refused because of this limit.
    pub denials: u64,
    /// Time calls waited for this rate, in nanoseconds.
    pub waited_ns: u64,
}

/// From the interpreter to the supervisor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FromInterpreter {
    /// Sent once, last; then the process ends with [`Outcome::exit_status`].
    Final(Outcome),
    /// Sent when something changed, at most once a second, and before `Final`.
    Usage {
        /// At most one counter for each resource.
        counters: Vec<Counter>,
        /// Calls refused by a `call` rule so far.
        refusals: u64,
        /// Connections accepted so far.
        accepted: u64,
    },
    /// A `prompt` rule asks the operator.
    Prompt {
        /// Repeated in the answer.
        question: u32,
        /// The call asked for.
        call: Call,
        /// Index of the rule in the policy.
        rule: u32,
        /// The arguments as Python text, cut to [`MAXIMUM_TEXT`].
        arguments: String,
    },
    /// What is wrong with the program's text; at most [`seen::MOST_FINDINGS`] at a time.
    Findings(Vec<Finding>),
    /// Calls in the text or of the run; at most [`seen::MOST_CALLS`] at a time.
    Calls(Vec<SeenCall>),
    /// A session waits for its next statement.
    Ready {
        /// The one before is not complete: more lines belong to it.
        incomplete: bool,
    },
    /// Where time went since the last such frame: lines of `stack microseconds`, the calls of a
    /// stack outermost first with `;` between. Only if the start block asks for it.
    Profile(String),
}

/// From the supervisor to the interpreter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToInterpreter {
    /// The vessel was recounted (bytes, 4096 more for each entry).
    DiskUsed(u64),
    /// Answer to a prompt.
    PromptAnswer {
        /// The question's number.
        question: u32,
        /// Whether the call may go on.
        allow: bool,
    },
    /// The next statement of a session; at most [`MAXIMUM_TEXT`] bytes.
    Statement(Vec<u8>),
    /// The session's running statement is to end, and nothing else.
    Interrupt,
}

fn encode_outcome(out: &mut Writer, outcome: &Outcome) {
    let text = |out: &mut Writer, tag: u8, text: &str| {
        out.u8(tag);
        out.bytes(cut(text, MAXIMUM_TEXT).as_bytes());
    };
    match outcome {
        Outcome::Finished => out.u8(0),
        Outcome::ExitAll => out.u8(1),
        Outcome::UncaughtException(summary) => text(out, 2, summary),
        Outcome::Refused(reason) => text(out, 3, reason),
        Outcome::LimitPassed { resource, used, limit } => {
            out.u8(4);
            out.u8(*resource as u8);
            out.u64(*used);
            out.u64(*limit);
        }
        Outcome::InternalError(message) => text(out, 5, message),
    }
}

fn decode_outcome(input: &mut Reader<'_>) -> Result<Outcome, WireError> {
    Ok(match input.u8("outcome")? {
        0 => Outcome::Finished,
        1 => Outcome::ExitAll,
        2 => Outcome::UncaughtException(input.text("exception", MAXIMUM_TEXT)?),
        3 => Outcome::Refused(input.text("reason", MAXIMUM_TEXT)?),
        4 => Outcome::LimitPassed {
            resource: decode_resource(input)?,
            used: input.u64("used")?,
            limit: input.u64("limit")?,
        },
        5 => Outcome::InternalError(input.text("message", MAXIMUM_TEXT)?),
        tag => return Err(WireError::UnknownTag("outcome", tag)),
    })
}

fn decode_resource(input: &mut Reader<'_>) -> Result<Resource, WireError> {
    let index = input.u8("resource")?;
    Resource::from_index(index).ok_or(WireError::UnknownTag("resource", index))
}

impl FromInterpreter {
    /// The bytes of the frame. Texts over [`MAXIMUM_TEXT`] are cut; counters past one for each
    /// resource are left out.
    pub fn encode(&self) -> Vec<u8> {
        match self {
            FromInterpreter::Final(outcome) => {
                let mut out = frame(0);
                encode_outcome(&mut out, outcome);
                out.finish()
            }
            FromInterpreter::Usage { counters, refusals, accepted } => {
                let mut out = frame(1);
                let counters = &counters[..counters.len().min(RESOURCES.len())];
                out.list(counters, |out, counter| {
                    out.u8(counter.resource as u8);
                    out.u64(counter.total);
                    out.u64(counter.peak);
                    out.u64(counter.denials);
                    out.u64(counter.waited_ns);
                });
                out.u64(*refusals);
                out.u64(*accepted);
                out.finish()
            }
            FromInterpreter::Prompt { question, call, rule, arguments } => {
                let mut out = frame(2);
                out.u32(*question);
                out.u8(*call as u8);
                out.u32(*rule);
                out.bytes(cut(arguments, MAXIMUM_TEXT).as_bytes());
                out.finish()
            }
            FromInterpreter::Findings(findings) => {
                let mut out = frame(3);
                out.list(&findings[..findings.len().min(seen::MOST_FINDINGS)], seen::encode_finding);
                out.finish()
            }
            FromInterpreter::Calls(calls) => {
                let mut out = frame(4);
                out.list(&calls[..calls.len().min(seen::MOST_CALLS)], seen::encode_call);
                out.finish()
            }
            FromInterpreter::Ready { incomplete } => {
                let mut out = frame(5);
                out.bool(*incomplete);
                out.finish()
            }
            FromInterpreter::Profile(lines) => {
                let mut out = frame(6);
                out.bytes(cut(lines, MAXIMUM_TEXT).as_bytes());
                out.finish()
            }
        }
    }

    /// Reads a frame.
    ///
    /// # Errors
    /// The bytes are not exactly one frame of this version within its limits.
    pub fn decode(bytes: &[u8]) -> Result<FromInterpreter, WireError> {
        let (mut input, tag) = open(bytes, MAXIMUM_FRAME)?;
        let decoded = match tag {
            0 => FromInterpreter::Final(decode_outcome(&mut input)?),
            1 => FromInterpreter::Usage {
                counters: input.list("counters", RESOURCES.len(), |input| {
                    Ok(Counter {
                        resource: decode_resource(input)?,
                        total: input.u64("total")?,
                        peak: input.u64("peak")?,
                        denials: input.u64("denials")?,
                        waited_ns: input.u64("waited")?,
                    })
                })?,
                refusals: input.u64("refusals")?,
                accepted: input.u64("accepted")?,
            },
            2 => FromInterpreter::Prompt {
                question: input.u32("question")?,
                call: {
                    let index = input.u8("call")?;
                    Call::from_index(index).ok_or(WireError::UnknownTag("call", index))?
                },
                rule: input.u32("rule")?,
                arguments: input.text("arguments", MAXIMUM_TEXT)?,
            },
            3 => FromInterpreter::Findings(input.list(
                "findings",
                seen::MOST_FINDINGS,
                seen::decode_finding,
            )?),
            4 => FromInterpreter::Calls(input.list("calls", seen::MOST_CALLS, seen::decode_call)?),
            5 => FromInterpreter::Ready { incomplete: input.bool("incomplete")? },
            6 => FromInterpreter::Profile(input.text("profile", MAXIMUM_TEXT)?),
            tag => return Err(WireError::UnknownTag("control frame", tag)),
        };
        input.finish()?;
        Ok(decoded)
    }
}

impl ToInterpreter {
    /// The bytes of the frame.
    pub fn encode(&self) -> Vec<u8> {
        match self {
            ToInterpreter::DiskUsed(bytes) => {
                let mut out = frame(0);
                out.u64(*bytes);
                out.finish()
            }
            ToInterpreter::PromptAnswer { question, allow } => {
                let mut out = frame(1);
                out.u32(*question);
                out.bool(*allow);
                out.finish()
            }
            ToInterpreter::Statement(text) => {
                let mut out = frame(2);
                out.bytes(&text[..text.len().min(MAXIMUM_TEXT)]);
                out.finish()
            }
            ToInterpreter::Interrupt => frame(3).finish(),
        }
    }

    /// Reads a frame.
    ///
    /// # Errors
    /// The bytes are not exactly one frame of this version within its limits.
    pub fn decode(bytes: &[u8]) -> Result<ToInterpreter, WireError> {
        let (mut input, tag) = open(bytes, MAXIMUM_FRAME)?;
        let decoded = match tag {
            0 => ToInterpreter::DiskUsed(input.u64("bytes")?),
            1 => {
                ToInterpreter::PromptAnswer { question: input.u32("question")?, allow: input.bool("allow")? }
            }
            2 => ToInterpreter::Statement(input.bytes("statement", MAXIMUM_TEXT)?),
            3 => ToInterpreter::Interrupt,
            tag => return Err(WireError::UnknownTag("control frame", tag)),
        };
        input.finish()?;
        Ok(decoded)
    }
}

#[cfg(test)]
mod tests {
    use super::seen::Known;
    use super::*;
    use proptest::prelude::*;

    fn resources() -> impl Strategy<Value = Resource> {
        (0..RESOURCES.len()).prop_map(|index| RESOURCES[index].resource)
    }

    fn outcomes() -> impl Strategy<Value = Outcome> {
        prop_oneof![
            Just(Outcome::Finished),
            Just(Outcome::ExitAll),
            ".{0,60}".prop_map(Outcome::UncaughtException),
            ".{0,60}".prop_map(Outcome::Refused),
            (resources(), any::<u64>(), any::<u64>())
                .prop_map(|(resource, used, limit)| { Outcome::LimitPassed { resource, used, limit } }),
            ".{0,60}".prop_map(Outcome::InternalError),
        ]
    }

    fn counters() -> impl Strategy<Value = Counter> {
        (resources(), any::<u64>(), any::<u64>(), any::<u64>(), any::<u64>()).prop_map(
            |(resource, total, peak, denials, waited_ns)| Counter {
                resource,
                total,
                peak,
                denials,
                waited_ns,
            },
        )
    }

    fn findings() -> impl Strategy<Value = Finding> {
        (any::<u32>(), any::<u32>(), ".{0,40}", ".{0,40}", ".{0,40}", " *\\^*").prop_map(
            |(line, column, title, help, text, marks)| Finding { line, column, title, help, text, marks },
        )
    }

    fn calls() -> impl Strategy<Value = SeenCall> {
        let argument = prop_oneof![
            Just(Known::Absent),
            Just(Known::Unknown),
            proptest::collection::vec(any::<u8>(), 0..40).prop_map(Known::Text),
        ];
        let arguments = proptest::collection::vec(argument, 0..5);
        (0u8..34, any::<u32>(), arguments, any::<bool>(), any::<bool>()).prop_map(
            |(call, line, arguments, open, guess)| SeenCall {
                call: Call::from_index(call).unwrap(),
                line,
                arguments,
                open,
                guess,
            },
        )
    }

    fn reports() -> impl Strategy<Value = FromInterpreter> {
        prop_oneof![
            outcomes().prop_map(FromInterpreter::Final),
            (proptest::collection::vec(counters(), 0..=17), any::<u64>(), any::<u64>()).prop_map(
                |(counters, refusals, accepted)| FromInterpreter::Usage { counters, refusals, accepted }
            ),
            (any::<u32>(), 0u8..34, any::<u32>(), ".{0,60}").prop_map(|(question, call, rule, arguments)| {
                FromInterpreter::Prompt { question, call: Call::from_index(call).unwrap(), rule, arguments }
            }),
            proptest::collection::vec(findings(), 0..=seen::MOST_FINDINGS)
                .prop_map(FromInterpreter::Findings),
            proptest::collection::vec(calls(), 0..=seen::MOST_CALLS).prop_map(FromInterpreter::Calls),
            any::<bool>().prop_map(|incomplete| FromInterpreter::Ready { incomplete }),
        ]
    }

    fn orders() -> impl Strategy<Value = ToInterpreter> {
        prop_oneof![
            any::<u64>().prop_map(ToInterpreter::DiskUsed),
            (any::<u32>(), any::<bool>())
                .prop_map(|(question, allow)| ToInterpreter::PromptAnswer { question, allow }),
            proptest::collection::vec(any::<u8>(), 0..60).prop_map(ToInterpreter::Statement),
            Just(ToInterpreter::Interrupt),
        ]
    }

    proptest! {
        #[test]
        fn decode_undoes_encode(report in reports(), order in orders()) {
            prop_assert_eq!(FromInterpreter::decode(&report.encode()).unwrap(), report);
            prop_assert_eq!(ToInterpreter::decode(&order.encode()).unwrap(), order);
        }

        #[test]
        fn what_decodes_has_one_form(mut bytes in proptest::collection::vec(any::<u8>(), 0..80), tag in 0u8..7) {
            if bytes.len() > 1 {
                bytes[0] = crate::wire::VERSION;
                bytes[1] = tag;
            }
            if let Ok(report) = FromInterpreter::decode(&bytes) {
                prop_assert_eq!(report.encode(), bytes.clone());
            }
            if let Ok(order) = ToInterpreter::decode(&bytes) {
                prop_assert_eq!(order.encode(), bytes);
            }
        }

        #[test]
        fn a_cut_frame_is_an_error(report in reports(), at in any::<prop::sample::Index>()) {
            let bytes = report.encode();
            prop_assert!(FromInterpreter::decode(&bytes[..at.index(bytes.len())]).is_err());
        }
    }

    #[test]
    fn long_texts_are_cut_at_a_character() {
        let outcome = Outcome::Refused("é".repeat(MAXIMUM_TEXT));
        let bytes = FromInterpreter::Final(outcome).encode();
        assert!(bytes.len() <= MAXIMUM_FRAME);
        let FromInterpreter::Final(Outcome::Refused(text)) = FromInterpreter::decode(&bytes).unwrap() else {
            panic!("another outcome");
        };
        assert_eq!(text, "é".repeat(MAXIMUM_TEXT / 2));
    }

    #[test]
    fn the_fullest_frames_are_within_the_limit() {
        let long = "x".repeat(MAXIMUM_TEXT);
        let finding = Finding {
            title: long.clone(),
            help: long.clone(),
            text: long.clone(),
            marks: long.clone(),
            ..Finding::default()
        };
        let call = |text: usize| SeenCall {
            call: Call::SendMess,
            line: 1,
            arguments: vec![Known::Text(vec![0; text]); 9],
            open: false,
            guess: false,
        };
        let frames = [
            FromInterpreter::Findings(vec![finding; 9]),
            FromInterpreter::Calls(vec![call(seen::MAXIMUM_ARGUMENT); 99]),
            FromInterpreter::Calls(vec![call(seen::MAXIMUM_ARGUMENT + 1); 99]),
        ];
        for frame in frames {
            let bytes = frame.encode();
            assert!(bytes.len() <= MAXIMUM_FRAME, "{}", bytes.len());
            assert!(FromInterpreter::decode(&bytes).is_ok());
        }
    }

    #[test]
    fn exit_statuses_are_those_of_the_contract() {
        let passed = |resource| Outcome::LimitPassed { resource, used: 2, limit: 1 };
        assert_eq!(Outcome::Finished.exit_status(), 0);
        assert_eq!(Outcome::ExitAll.exit_status(), 0);
        assert_eq!(Outcome::UncaughtException(String::new()).exit_status(), 1);
        assert_eq!(Outcome::Refused(String::new()).exit_status(), 3);
        assert_eq!(passed(Resource::Memory).exit_status(), 5);
        assert_eq!(passed(Resource::DiskUsed).exit_status(), 6);
        assert_eq!(passed(Resource::Events).exit_status(), 7);
        assert_eq!(Outcome::InternalError(String::new()).exit_status(), 70);
    }
}
