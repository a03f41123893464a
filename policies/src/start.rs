//! The start block: everything the interpreter is told, in one sealed file.
//!
//! The launcher writes it to a memory file, seals it and passes it as descriptor
//! 5; the interpreter reads it from offset 0 to the end. There is no other
//! configuration: the environment is empty.

use crate::wire::{Reader, WireError, Writer, VERSION};

/// First bytes of a start block.
pub const MAGIC: [u8; 8] = *b"REPYSTRT";
/// Longest program text, in bytes.
pub const MAXIMUM_PROGRAM: usize = 16 * 1024 * 1024;
/// Longest canonical policy text, in bytes (a file of 1 MiB can grow when printed).
pub const MAXIMUM_POLICY: usize = 4 * 1024 * 1024;
/// Longest file name, in bytes.
pub const MAXIMUM_NAME: usize = 4096;
/// Most program arguments.
pub const MAXIMUM_ARGUMENTS: usize = 65_536;
/// Most bytes of program arguments together.
pub const MAXIMUM_ARGUMENT_BYTES: usize = 4 * 1024 * 1024;
/// Most reserved names.
pub const MAXIMUM_RESERVED: usize = 256;
/// Longest start block, in bytes.
pub const MAXIMUM_BLOCK: usize =
    MAXIMUM_PROGRAM + MAXIMUM_POLICY + MAXIMUM_ARGUMENT_BYTES + 4 * MAXIMUM_ARGUMENTS + 2 * 1024 * 1024;

/// What the interpreter is to do with the program.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Run it.
    #[default]
    Run,
    /// Only read it, and tell what was found: nothing of it runs.
    Inspect,
    /// Run it, and tell which calls it makes.
    Record,
    /// Run the statements that the supervisor sends.
    Session,
}

impl Mode {
    const ALL: [Mode; 4] = [Mode::Run, Mode::Inspect, Mode::Record, Mode::Session];
}

/// What the launcher tells the interpreter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StartBlock {
    /// The policy as canonical text.
    pub policy_text: String,
    /// The name of the restrictions file as the operator gave it.
    pub policy_name: String,
    /// The name of the program as given; it appears in tracebacks.
    pub program_name: Vec<u8>,
    /// The program text, unchanged.
    pub program: Vec<u8>,
    /// The program's arguments (`callargs`).
    pub callargs: Vec<Vec<u8>>,
    /// Run once as a plain script, without events (`--simple`).
    pub simple: bool,
    /// Print the header before running (`--execinfo`).
    pub execinfo: bool,
    /// Whether call rules are checked; false for `--norestrictions`. Limits hold either way.
    pub restrictions: bool,
    /// CLOCK_MONOTONIC at the launcher's start, in nanoseconds: the origin of `getruntime`.
    pub started_ns: u64,
    /// Names in the vessel that the API refuses (policy, program, log, status, stop, report); one
    /// that ends in `*` stands for all that begin so.
    pub reserved: Vec<String>,
    /// Bytes used in the vessel at the start, 4096 more for each entry.
    pub disk_used: u64,
    /// Accepted connections alive at once before listeners pause.
    pub max_accepted: u32,
    /// Whether the network channel (descriptor 6) is there.
    pub network: bool,
    /// Seed of the run's hashes.
    pub hash_seed: u64,
    /// What to do.
    pub mode: Mode,
    /// Whether somebody answers what a `prompt` rule asks.
    pub ask: bool,
    /// Whether the interpreter tells where the time goes (`--profile`).
    pub profile: bool,
}

impl StartBlock {
    /// The bytes of the block.
    ///
    /// # Errors
    /// A field is longer than its limit, so that a block that cannot be read is never written.
    pub fn encode(&self) -> Result<Vec<u8>, WireError> {
        bounded(self.policy_text.len(), MAXIMUM_POLICY)?;
        bounded(self.policy_name.len(), MAXIMUM_NAME)?;
        bounded(self.program_name.len(), MAXIMUM_NAME)?;
        bounded(self.program.len(), MAXIMUM_PROGRAM)?;
        bounded(self.callargs.len(), MAXIMUM_ARGUMENTS)?;
        bounded(self.callargs.iter().map(Vec::len).sum(), MAXIMUM_ARGUMENT_BYTES)?;
        bounded(self.reserved.len(), MAXIMUM_RESERVED)?;
        for name in &self.reserved {
            bounded(name.len(), MAXIMUM_NAME)?;
        }
        let mut out = Writer::default();
        out.raw(&MAGIC);
        out.u32(u32::from(VERSION));
        out.bytes(self.policy_text.as_bytes());
        out.bytes(self.policy_name.as_bytes());
        out.bytes(&self.program_name);
        out.bytes(&self.program);
        out.list(&self.callargs, |out, argument| out.bytes(argument));
        out.bool(self.simple);
        out.bool(self.execinfo);
        out.bool(self.restrictions);
        out.u64(self.started_ns);
        out.list(&self.reserved, |out, name| out.bytes(name.as_bytes()));
        out.u64(self.disk_used);
        out.u32(self.max_accepted);
        out.bool(self.network);
        out.u64(self.hash_seed);
        out.u8(self.mode as u8);
        out.bool(self.ask);
        out.bool(self.profile);
        Ok(out.finish())
    }

    /// Reads a block.
    ///
    /// # Errors
    /// The bytes are not exactly one block of this version within its limits.
    pub fn decode(bytes: &[u8]) -> Result<StartBlock, WireError> {
        let mut input = Reader::new(bytes, MAXIMUM_BLOCK)?;
        if input.raw(MAGIC.len(), "magic")? != MAGIC {
            return Err(WireError::BadMagic);
        }
        let version = input.u32("version")?;
        if version != u32::from(VERSION) {
            return Err(WireError::Version(version));
        }
        let policy_text = input.text("policy", MAXIMUM_POLICY)?;
        let policy_name = input.text("policy name", MAXIMUM_NAME)?;
        let program_name = input.bytes("program name", MAXIMUM_NAME)?;
        let program = input.bytes("program", MAXIMUM_PROGRAM)?;
        let mut left = MAXIMUM_ARGUMENT_BYTES;
        let callargs = input.list("arguments", MAXIMUM_ARGUMENTS, |input| {
            let argument = input.bytes("argument", left)?;
            left -= argument.len();
            Ok(argument)
        })?;
        let block = StartBlock {
            policy_text,
            policy_name,
            program_name,
            program,
            callargs,
            simple: input.bool("simple")?,
            execinfo: input.bool("execinfo")?,
            restrictions: input.bool("restrictions")?,
            started_ns: input.u64("start time")?,
            reserved: input.list("reserved names", MAXIMUM_RESERVED, |input| {
                input.text("reserved name", MAXIMUM_NAME)
            })?,
            disk_used: input.u64("disk used")?,
            max_accepted: input.u32("accepted connections")?,
            network: input.bool("network")?,
            hash_seed: input.u64("hash seed")?,
            mode: {
                let tag = input.u8("mode")?;
                *Mode::ALL.get(usize::from(tag)).ok_or(WireError::UnknownTag("mode", tag))?
            },
            ask: input.bool("ask")?,
            profile: input.bool("profile")?,
        };
        input.finish()?;
        Ok(block)
    }
}

fn bounded(length: usize, maximum: usize) -> Result<(), WireError> {
    if length > maximum {
        return Err(WireError::TooLong(length, maximum));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn blocks() -> impl Strategy<Value = StartBlock> {
        let texts = (".{0,40}", ".{0,40}", any::<Vec<u8>>(), any::<Vec<u8>>());
        let lists =
            (proptest::collection::vec(any::<Vec<u8>>(), 0..5), proptest::collection::vec(".{0,12}", 0..5));
        let flags = (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>());
        let numbers = (any::<u64>(), any::<u64>(), any::<u32>(), any::<u64>(), 0usize..4, any::<bool>());
        (texts, lists, flags, numbers).prop_map(|(texts, lists, flags, numbers)| StartBlock {
            policy_text: texts.0,
            policy_name: texts.1,
            program_name: texts.2,
            program: texts.3,
            callargs: lists.0,
            reserved: lists.1,
            simple: flags.0,
            execinfo: flags.1,
            restrictions: flags.2,
            network: flags.3,
            profile: flags.4,
            started_ns: numbers.0,
            disk_used: numbers.1,
            max_accepted: numbers.2,
            hash_seed: numbers.3,
            mode: Mode::ALL[numbers.4],
            ask: numbers.5,
        })
    }

    proptest! {
        #[test]
        fn decode_undoes_encode(block in blocks()) {
            let bytes = block.encode().unwrap();
            prop_assert_eq!(StartBlock::decode(&bytes).unwrap(), block);
        }

        #[test]
        fn any_bytes_decode_without_panic(bytes in any::<Vec<u8>>()) {
            let _ = StartBlock::decode(&bytes);
        }

        #[test]
        fn a_changed_byte_decodes_without_panic(block in blocks(), at in any::<prop::sample::Index>(), value in any::<u8>()) {
            let mut bytes = block.encode().unwrap();
            let at = at.index(bytes.len());
            bytes[at] = value;
            let _ = StartBlock::decode(&bytes);
            prop_assert!(StartBlock::decode(&bytes[..at]).is_err());
        }
    }

    #[test]
    fn limits_are_the_same_on_both_sides() {
        let long = StartBlock { program: vec![0; MAXIMUM_PROGRAM + 1], ..Default::default() };
        assert_eq!(long.encode(), Err(WireError::TooLong(MAXIMUM_PROGRAM + 1, MAXIMUM_PROGRAM)));
        let full = StartBlock { program: vec![0; MAXIMUM_PROGRAM], ..Default::default() };
        assert_eq!(StartBlock::decode(&full.encode().unwrap()).unwrap(), full);
        let many = StartBlock { callargs: vec![vec![7; 4096]; 1025], ..Default::default() };
        assert!(many.encode().is_err());
    }

    #[test]
    fn another_version_and_left_over_bytes_are_refused() {
        let mut bytes = StartBlock::default().encode().unwrap();
        bytes.push(0);
        assert_eq!(StartBlock::decode(&bytes), Err(WireError::Trailing(1)));
        bytes.pop();
        bytes[8] = 9;
        assert_eq!(StartBlock::decode(&bytes), Err(WireError::Version(9)));
        assert_eq!(StartBlock::decode(b"elsewhere"), Err(WireError::BadMagic));
    }
}
