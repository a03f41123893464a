//! One open file: the position, the buffer, and what `diskused` knows of it.
//!
//! Buffered as C's stdio does: reads fetch a block ahead, writes gather a
//! block and go out with `flush`, `seek`, `close`, a switch to reading, or at
//! a normal end of the run. The disk account is charged when a write is
//! *asked for*, so that one that would pass the limit leaves nothing behind.

use super::error::{ApiError, Class, Failure};
use crate::host::{FileId, Host, HostResult, SystemError};
use crate::meter::Meters;

/// Bytes gathered before they are written, and read ahead.
const BLOCK: usize = 4096;
/// Bytes `readlines` with a hint looks at in one go, as in CPython 2.7.
const HINT_CHUNK: usize = 8192;
/// The largest piece read in one call of the host.
const PIECE: usize = 256 * 1024;

/// How a program opened a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// `r`: must exist, reading only.
    Read,
    /// `r+`: must exist, both.
    Update,
    /// `w`, `w+`: made or emptied, both.
    Write,
    /// `a`, `a+`: made if need be, both, starting at the end.
    Append,
}

impl Mode {
    /// Parses a mode; the letters `b` and `t` mean nothing.
    pub fn parse(given: &[u8]) -> Result<Mode, ApiError> {
        match policies::files::mode(given) {
            Some("r") => Ok(Mode::Read),
            Some("r+") => Ok(Mode::Update),
            Some("w") => Ok(Mode::Write),
            Some(_) => Ok(Mode::Append),
            None => Err(ApiError::new(Class::ValueError, policies::files::bad_mode(given))),
        }
    }
}

/// What the buffer holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Holds {
    /// Bytes read ahead; the next to be handed out is at this index.
    Ahead(usize),
    /// Bytes to be written just before `position`.
    Behind,
}

/// See the module.
#[derive(Debug)]
pub struct OpenFile {
    id: FileId,
    name: Box<[u8]>,
    writable: bool,
    /// Where the next byte is read or written, in bytes from the start.
    position: u64,
    buffer: Vec<u8>,
    holds: Holds,
    /// The file's size once the buffer is written: what the account knows.
    size: u64,
    /// The file's size on disk.
    landed: u64,
}

impl OpenFile {
    /// A file just opened by the host with `size` bytes on disk.
    pub fn new(id: FileId, name: &[u8], mode: Mode, size: u64) -> OpenFile {
        OpenFile {
            id,
            name: name.into(),
            writable: mode != Mode::Read,
            position: if mode == Mode::Append { size } else { 0 },
            buffer: Vec::new(),
            holds: Holds::Ahead(0),
            size,
            landed: size,
        }
    }

    /// The host's file.
    pub fn id(&self) -> FileId {
        self.id
    }

    /// The name it was opened by.
    pub fn name(&self) -> &[u8] {
        &self.name
    }

    /// Whether `write` is allowed.
    pub fn is_writable(&self) -> bool {
        self.writable
    }

    /// Bytes counted for `diskused` that are not on disk yet.
    pub fn unwritten(&self) -> u64 {
        self.size.saturating_sub(self.landed)
    }

    fn error(&self, error: SystemError) -> ApiError {
        // As CPython's file object: no name in errors after opening.
        ApiError::system(Class::IoError, error, None)
    }

    /// Writes out what is buffered. On an error the buffered bytes are lost,
    /// as with stdio, and the account is set right.
    pub fn flush(&mut self, host: &mut dyn Host, meters: &mut Meters) -> Result<(), ApiError> {
        if self.holds != Holds::Behind {
            return Ok(());
        }
        self.holds = Holds::Ahead(0);
        if self.buffer.is_empty() {
            return Ok(());
        }
        let start = self.position.saturating_sub(self.buffer.len() as u64);
        let result = host.write_at(self.id, &self.buffer, start);
        self.buffer.clear();
        self.settle(result, host, meters)
    }

    /// Brings `landed` up to date after a write.
    fn settle(
        &mut self,
        result: HostResult<()>,
        host: &mut dyn Host,
        meters: &mut Meters,
    ) -> Result<(), ApiError> {
        match result {
            Ok(()) => {
                self.landed = self.landed.max(self.size);
                Ok(())
            }
            Err(error) => {
                self.landed = host.file_size(self.id).unwrap_or(self.landed);
                meters.disk_shrink(self.size.saturating_sub(self.landed));
                self.size = self.landed;
                Err(self.error(error))
            }
        }
    }

    /// Drops what was read ahead (the position already tells where we are).
    fn forget_ahead(&mut self) {
        if matches!(self.holds, Holds::Ahead(_)) {
            self.buffer.clear();
            self.holds = Holds::Ahead(0);
        }
    }

    /// Makes sure that bytes are buffered to read; false at the end.
    fn fill(&mut self, host: &mut dyn Host, meters: &mut Meters) -> Result<bool, ApiError> {
        if self.holds == Holds::Behind {
            self.flush(host, meters)?;
        }
        if let Holds::Ahead(next) = self.holds {
            if next < self.buffer.len() {
                return Ok(true);
            }
        }
        self.buffer.resize(BLOCK, 0);
        let count = match host.read_at(self.id, &mut self.buffer, self.position) {
            Ok(count) => count,
            Err(error) => {
                self.buffer.clear();
                self.holds = Holds::Ahead(0);
                return Err(self.error(error));
            }
        };
        self.buffer.truncate(count);
        self.holds = Holds::Ahead(0);
        Ok(count > 0)
    }

    /// Takes up to `most` buffered bytes, through the first newline when
    /// `line` is set; tells whether the newline was reached.
    fn take(&mut self, most: usize, line: bool, into: &mut Vec<u8>) -> bool {
        let Holds::Ahead(next) = self.holds else { return false };
        let waiting = self.buffer.get(next..).unwrap_or_default();
        let waiting = waiting.get(..most).unwrap_or(waiting);
        let newline = if line { waiting.iter().position(|byte| *byte == b'\n') } else { None };
        let taken = newline.map_or(waiting.len(), |at| at + 1);
        into.extend_from_slice(waiting.get(..taken).unwrap_or_default());
        self.position += taken as u64;
        self.holds = Holds::Ahead(next + taken);
        newline.is_some()
    }

    /// How many bytes [`OpenFile::read`] can return at most right now, so
    /// that memory for them can be checked first.
    pub fn readable(&self, count: Option<u64>) -> u64 {
        let rest = self.size.max(self.landed).saturating_sub(self.position);
        count.map_or(rest, |count| count.min(rest))
    }

    /// Reads up to `count` bytes; to the end when `None`.
    pub fn read(
        &mut self,
        count: Option<u64>,
        host: &mut dyn Host,
        meters: &mut Meters,
    ) -> Result<Vec<u8>, ApiError> {
        let mut wanted = count.unwrap_or(u64::MAX);
        let mut result = Vec::new();
        while wanted > 0 {
            let buffered = match self.holds {
                Holds::Ahead(next) => self.buffer.len().saturating_sub(next),
                Holds::Behind => 0,
            };
            if buffered == 0 && wanted >= BLOCK as u64 && self.readable(None) >= BLOCK as u64 {
                // Straight into the result, without the buffer between.
                self.flush(host, meters)?;
                self.forget_ahead();
                let piece = wanted.min(self.readable(None)).min(PIECE as u64) as usize;
                let before = result.len();
                result.resize(before + piece, 0);
                let got = host
                    .read_at(self.id, &mut result[before..], self.position)
                    .map_err(|error| self.error(error))?;
                result.truncate(before + got);
                self.position += got as u64;
                wanted -= got as u64;
                if got < piece {
                    break;
                }
                continue;
            }
            if !self.fill(host, meters)? {
                break;
            }
            let before = result.len();
            self.take(usize::try_from(wanted).unwrap_or(usize::MAX), false, &mut result);
            wanted -= (result.len() - before) as u64;
        }
        Ok(result)
    }

    /// Reads one line with its newline, of `most` bytes at most; empty at
    /// the end.
    pub fn read_line(
        &mut self,
        most: Option<u64>,
        host: &mut dyn Host,
        meters: &mut Meters,
    ) -> Result<Vec<u8>, ApiError> {
        let mut wanted = most.unwrap_or(u64::MAX);
        let mut line = Vec::new();
        while wanted > 0 && self.fill(host, meters)? {
            let before = line.len();
            let ended = self.take(usize::try_from(wanted).unwrap_or(usize::MAX), true, &mut line);
            wanted -= (line.len() - before) as u64;
            if ended {
                break;
            }
        }
        Ok(line)
    }

    /// Reads lines to the end; with a positive hint, until about so many
    /// bytes (whole chunks and the line begun, as CPython 2.7 does).
    pub fn read_lines(
        &mut self,
        hint: i64,
        host: &mut dyn Host,
        meters: &mut Meters,
    ) -> Result<Vec<Vec<u8>>, ApiError> {
        let limit = u64::try_from(hint).ok().filter(|hint| *hint > 0);
        let limit = limit.map(|hint| hint.div_ceil(HINT_CHUNK as u64) * HINT_CHUNK as u64);
        let mut lines = Vec::new();
        let mut total = 0u64;
        while limit.is_none_or(|limit| total < limit) {
            let line = self.read_line(None, host, meters)?;
            if line.is_empty() {
                break;
            }
            total += line.len() as u64;
            lines.push(line);
        }
        Ok(lines)
    }

    /// Writes bytes at the position. The disk account is charged first: on a
    /// [`Failure::Kill`] nothing has changed.
    pub fn write(&mut self, bytes: &[u8], host: &mut dyn Host, meters: &mut Meters) -> Result<(), Failure> {
        if bytes.is_empty() {
            return Ok(());
        }
        let end = self.position.saturating_add(bytes.len() as u64);
        meters.disk_grow(end.saturating_sub(self.size))?;
        self.forget_ahead();
        self.size = self.size.max(end);
        self.holds = Holds::Behind;
        if self.buffer.len() + bytes.len() < BLOCK {
            self.buffer.extend_from_slice(bytes);
            self.position = end;
            return Ok(());
        }
        let start = self.position.saturating_sub(self.buffer.len() as u64);
        self.position = end;
        self.holds = Holds::Ahead(0);
        let result = if self.buffer.is_empty() {
            host.write_at(self.id, bytes, start)
        } else {
            self.buffer.extend_from_slice(bytes);
            host.write_at(self.id, &self.buffer, start)
        };
        self.buffer.clear();
        Ok(self.settle(result, host, meters)?)
    }

    /// Moves the position: `whence` 0 from the start, 1 from here, 2 from
    /// the end.
    pub fn seek(
        &mut self,
        offset: i64,
        whence: i64,
        host: &mut dyn Host,
        meters: &mut Meters,
    ) -> Result<(), ApiError> {
        let invalid = SystemError(libc::EINVAL);
        self.flush(host, meters)?;
        let base = match whence {
            0 => 0,
            1 => self.position,
            2 => {
                self.landed = host.file_size(self.id).map_err(|error| self.error(error))?;
                self.landed
            }
            _ => return Err(self.error(invalid)),
        };
        let target = i64::try_from(base).ok().and_then(|base| base.checked_add(offset));
        let target = target.and_then(|target| u64::try_from(target).ok());
        self.position = target.ok_or_else(|| self.error(invalid))?;
        self.forget_ahead();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::fake::FakeHost;
    use crate::host::Access;
    use crate::meter::Limits;

    fn open(host: &mut FakeHost, contents: &[u8], mode: Mode) -> (OpenFile, Meters) {
        host.files.insert(b"f".to_vec(), contents.to_vec());
        let (id, size) = host.open_file(b"f", Access::ReadWrite).expect("it exists");
        let mut limits = Limits::wide();
        limits.disk = 1_000_000.0;
        (OpenFile::new(id, b"f", mode, size), Meters::new(&limits, size + 4096, 0))
    }

    #[test]
    fn modes() {
        for (text, mode) in [
            ("r", Mode::Read),
            ("rb", Mode::Read),
            ("tr+b", Mode::Update),
            ("w", Mode::Write),
            ("ab+", Mode::Append),
        ] {
            assert_eq!(Mode::parse(text.as_bytes()), Ok(mode));
        }
        for text in ["", "U", "rU", "x", "wr", "r++", "R"] {
            let error = Mode::parse(text.as_bytes()).expect_err("refused");
            assert_eq!(error.class, Class::ValueError);
            let expected = format!("Invalid or unsupported mode ('{text}') passed to open().");
            assert_eq!(error.text(), expected.as_bytes());
        }
    }

    #[test]
    fn lines_and_reads_share_one_position() {
        let mut host = FakeHost::new();
        let (mut file, mut meters) = open(&mut host, b"one\ntwo\n\nlast", Mode::Read);
        assert_eq!(file.read_line(None, &mut host, &mut meters).as_deref(), Ok(&b"one\n"[..]));
        assert_eq!(file.read(Some(2), &mut host, &mut meters).as_deref(), Ok(&b"tw"[..]));
        assert_eq!(file.read_line(Some(1), &mut host, &mut meters).as_deref(), Ok(&b"o"[..]));
        assert_eq!(file.read_line(Some(0), &mut host, &mut meters).as_deref(), Ok(&b""[..]));
        let rest = file.read_lines(0, &mut host, &mut meters).expect("lines");
        assert_eq!(rest, [b"\n".to_vec(), b"\n".to_vec(), b"last".to_vec()]);
        assert_eq!(file.read(None, &mut host, &mut meters).as_deref(), Ok(&b""[..]));
        file.seek(-4, 2, &mut host, &mut meters).expect("seek");
        assert_eq!(file.read(None, &mut host, &mut meters).as_deref(), Ok(&b"last"[..]));
    }

    #[test]
    fn long_files_are_read_whole_and_by_hint() {
        let mut host = FakeHost::new();
        let contents: Vec<u8> = (0..100_000u32).flat_map(|n| format!("{n}\n").into_bytes()).collect();
        let (mut file, mut meters) = open(&mut host, &contents, Mode::Read);
        assert_eq!(file.read(Some(10), &mut host, &mut meters).map(|read| read.len()), Ok(10));
        let rest = file.read(Some(u64::MAX), &mut host, &mut meters).expect("read");
        assert_eq!(rest, &contents[10..]);
        file.seek(0, 0, &mut host, &mut meters).expect("seek");
        let lines = file.read_lines(1, &mut host, &mut meters).expect("lines");
        let total: usize = lines.iter().map(Vec::len).sum();
        assert!((8192..8200).contains(&total), "{total}");
        let all = file.read_lines(-1, &mut host, &mut meters).expect("lines");
        assert_eq!(all.len() + lines.len(), 100_000);
    }

    #[test]
    fn writes_wait_in_the_buffer_but_count_at_once() {
        let mut host = FakeHost::new();
        let (mut file, mut meters) = open(&mut host, b"", Mode::Write);
        file.write(b"hello", &mut host, &mut meters).expect("written");
        assert_eq!(host.files[&b"f"[..]], b"");
        assert_eq!((meters.disk().used(), file.unwritten()), (4096 + 5, 5));
        // Reading back writes first.
        file.seek(1, 0, &mut host, &mut meters).expect("seek");
        assert_eq!(host.files[&b"f"[..]], b"hello");
        assert_eq!(file.read(Some(2), &mut host, &mut meters).as_deref(), Ok(&b"el"[..]));
        file.write(b"LO!", &mut host, &mut meters).expect("written");
        file.flush(&mut host, &mut meters).expect("flushed");
        assert_eq!(host.files[&b"f"[..]], b"helLO!");
        assert_eq!((meters.disk().used(), file.unwritten()), (4096 + 6, 0));
        file.write(&[b'x'; 10_000], &mut host, &mut meters).expect("written");
        assert_eq!(host.files[&b"f"[..]].len(), 10_006);
    }

    #[test]
    fn a_write_past_the_disk_limit_leaves_nothing() {
        let mut host = FakeHost::new();
        let (mut file, mut meters) = open(&mut host, b"", Mode::Update);
        let room = 1_000_000 - 4096;
        file.write(&vec![b'a'; room - 1], &mut host, &mut meters).expect("fits");
        let before = host.files[&b"f"[..]].clone();
        let failure = file.write(b"bb", &mut host, &mut meters).expect_err("too much");
        assert!(matches!(failure, Failure::Kill(_)), "{failure:?}");
        assert_eq!(host.files[&b"f"[..]], before);
        file.write(b"b", &mut host, &mut meters).expect("exactly full");
        // Overwriting needs no room; a far seek costs its whole distance.
        file.seek(0, 0, &mut host, &mut meters).expect("seek");
        file.write(&[b'c'; 5000], &mut host, &mut meters).expect("no growth");
        file.seek(i64::MAX, 0, &mut host, &mut meters).expect("seek");
        assert!(file.write(b"x", &mut host, &mut meters).is_err());
    }

    #[test]
    fn seek_refuses_what_the_kernel_refuses() {
        let mut host = FakeHost::new();
        let (mut file, mut meters) = open(&mut host, b"12345", Mode::Read);
        for (offset, whence) in [(-1, 0), (-6, 2), (0, 3), (0, -1), (i64::MAX, 2), (i64::MIN, 1)] {
            let error = file.seek(offset, whence, &mut host, &mut meters).expect_err("invalid");
            assert_eq!(error.text(), b"[Errno 22] Invalid argument");
        }
        assert_eq!(file.read(None, &mut host, &mut meters).as_deref(), Ok(&b"12345"[..]));
        file.seek(100, 0, &mut host, &mut meters).expect("past the end is allowed");
        assert_eq!(file.read(None, &mut host, &mut meters).as_deref(), Ok(&b""[..]));
    }

    #[test]
    fn a_full_disk_is_an_exception_and_the_account_stays_true() {
        let mut host = FakeHost::new();
        let (mut file, mut meters) = open(&mut host, b"", Mode::Write);
        host.disk_room = Some(0);
        file.write(b"hello", &mut host, &mut meters).expect("buffered");
        let error = file.flush(&mut host, &mut meters).expect_err("no room");
        assert_eq!(error.text(), b"[Errno 28] No space left on device");
        assert_eq!((meters.disk().used(), file.unwritten()), (4096, 0));
    }
}
