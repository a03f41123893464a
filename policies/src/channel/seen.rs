//! What the interpreter reads in a program or sees it do: findings and calls.

use crate::wire::{cut, Reader, WireError, Writer};
use crate::Call;

/// Longest text of a finding, in bytes; longer ones are cut.
const MAXIMUM_WORDS: usize = 1024;
/// Longest argument that is told, in bytes. A longer one counts as not known.
pub const MAXIMUM_ARGUMENT: usize = 256;
/// Most entries of one frame, so that a frame never passes its limit.
pub const MOST_FINDINGS: usize = 3;
/// The same for calls.
pub const MOST_CALLS: usize = 8;
/// Most arguments of a call that are told.
const MOST_ARGUMENTS: usize = 5;

/// Something that keeps a program from being run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Finding {
    /// Line of the program, from 1.
    pub line: u32,
    /// Column in bytes, from 1.
    pub column: u32,
    /// What is wrong and why.
    pub title: String,
    /// What to do; may be empty.
    pub help: String,
    /// The source line, harmless for terminals.
    pub text: String,
    /// The marks below it.
    pub marks: String,
}

/// What is known of one argument of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Known {
    /// The program leaves it out, with a later one given.
    Absent,
    /// Its Python text.
    Text(Vec<u8>),
    /// It is given; nobody can say what before the program runs, or it is too long to tell.
    Unknown,
}

/// A call that stands in a program's text, or that a run has made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenCall {
    /// Which call.
    pub call: Call,
    /// Line of the program, from 1; 0 if it is not known.
    pub line: u32,
    /// The arguments in their positions.
    pub arguments: Vec<Known>,
    /// In a text: `*arguments` stand there, so that there may be more. In a run: false.
    pub open: bool,
    /// In a text: the name may also be another object's method. In a run: false.
    pub guess: bool,
}

pub(super) fn encode_finding(out: &mut Writer, finding: &Finding) {
    out.u32(finding.line);
    out.u32(finding.column);
    for text in [&finding.title, &finding.help, &finding.text, &finding.marks] {
        out.bytes(cut(text, MAXIMUM_WORDS).as_bytes());
    }
}

pub(super) fn decode_finding(input: &mut Reader<'_>) -> Result<Finding, WireError> {
    Ok(Finding {
        line: input.u32("line")?,
        column: input.u32("column")?,
        title: input.text("title", MAXIMUM_WORDS)?,
        help: input.text("help", MAXIMUM_WORDS)?,
        text: input.text("source line", MAXIMUM_WORDS)?,
        marks: input.text("marks", MAXIMUM_WORDS)?,
    })
}

pub(super) fn encode_call(out: &mut Writer, seen: &SeenCall) {
    out.u8(seen.call as u8);
    out.u32(seen.line);
    out.bool(seen.open);
    out.bool(seen.guess);
    let arguments = &seen.arguments[..seen.arguments.len().min(MOST_ARGUMENTS)];
    out.list(arguments, |out, argument| match argument {
        Known::Absent => out.u8(0),
        Known::Text(text) if text.len() <= MAXIMUM_ARGUMENT => {
            out.u8(1);
            out.bytes(text);
        }
        Known::Text(_) | Known::Unknown => out.u8(2),
    });
}

pub(super) fn decode_call(input: &mut Reader<'_>) -> Result<SeenCall, WireError> {
    let index = input.u8("call")?;
    Ok(SeenCall {
        call: Call::from_index(index).ok_or(WireError::UnknownTag("call", index))?,
        line: input.u32("line")?,
        open: input.bool("open")?,
        guess: input.bool("guess")?,
        arguments: input.list("arguments", MOST_ARGUMENTS, |input| {
            Ok(match input.u8("argument")? {
                0 => Known::Absent,
                1 => Known::Text(input.bytes("argument", MAXIMUM_ARGUMENT)?),
                2 => Known::Unknown,
                tag => return Err(WireError::UnknownTag("argument", tag)),
            })
        })?,
    })
}
