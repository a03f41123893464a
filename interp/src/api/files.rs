//! All open files of a run: opening, closing, removing, and what at most one
//! handle per file means.

use std::collections::HashMap;

use super::error::{ApiError, Class, Failure};
use super::file::{Mode, OpenFile};
use crate::host::{Access, Host, SystemError};
use crate::meter::{Count, Meters, ENTRY_BYTES};
use policies::files::check_name;

/// Generations of a slot that are told apart.
const GENERATIONS: u32 = 1 << 31;

/// A file object's number: its slot and how often the slot was used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FileHandle {
    slot: u32,
    generation: u32,
}

impl FileHandle {
    /// The handle as one number: an API object's identity.
    pub fn bits(self) -> u64 {
        u64::from(self.generation) << 32 | u64::from(self.slot)
    }

    /// The handle of a number.
    pub fn from_bits(bits: u64) -> FileHandle {
        FileHandle { slot: bits as u32, generation: (bits >> 32) as u32 }
    }
}

#[derive(Debug, Default)]
struct Slot {
    generation: u32,
    file: Option<OpenFile>,
    /// The handle's text, as exceptions show it.
    handle: Box<str>,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Files {
    slots: Vec<Slot>,
    free: Vec<u32>,
    by_name: HashMap<Box<[u8]>, u32>,
    reserved: Vec<Box<[u8]>>,
}

/// What a program gets for a file object that was closed.
pub const CLOSED: &str = "Invalid file object (probably closed).";

fn bad_name(name: &[u8]) -> Result<(), ApiError> {
    check_name(name).map_err(|bad| ApiError::new(Class::TypeError, bad.text()))
}

impl Files {
    /// No files yet. `reserved` are names in the vessel that belong to the
    /// operator: neither opened nor removed. One that ends in `*`, which no
    /// name of a program can hold, stands for all that begin so.
    pub fn new(reserved: &[String]) -> Files {
        Files { reserved: reserved.iter().map(|name| name.as_bytes().into()).collect(), ..Files::default() }
    }

    /// Whether a name is open, and by which handle.
    pub fn open_by(&self, name: &[u8]) -> Option<&str> {
        let slot = self.by_name.get(name)?;
        self.slots.get(*slot as usize).map(|slot| &*slot.handle)
    }

    /// The checks of opening that come before resources are touched.
    pub fn check_open(&self, name: &[u8]) -> Result<(), ApiError> {
        if self.by_name.contains_key(name) {
            let text = "A file is only allowed to have one open filehandle.";
            return Err(ApiError::new(Class::ValueError, text));
        }
        bad_name(name)?;
        self.check_reserved(name, Class::IoError)
    }

    fn check_reserved(&self, name: &[u8], class: Class) -> Result<(), ApiError> {
        let is_meant = |reserved: &[u8]| match reserved.strip_suffix(b"*") {
            Some(beginning) => name.starts_with(beginning),
            None => reserved == name,
        };
        if self.reserved.iter().any(|reserved| is_meant(reserved)) {
            return Err(ApiError::system(class, SystemError(libc::EACCES), Some(name)));
        }
        Ok(())
    }

    /// Opens a file. The caller has made the checks and, when
    /// [`Count::FilesOpened`] is full, had garbage collected.
    pub fn open(
        &mut self,
        name: &[u8],
        mode: Mode,
        handle: &str,
        host: &mut dyn Host,
        meters: &mut Meters,
    ) -> Result<FileHandle, Failure> {
        self.check_open(name)?;
        meters.take(Count::FilesOpened)?;
        let opened = open_on(name, mode, host, meters);
        let file = match opened {
            Ok(file) => file,
            Err(failure) => {
                meters.give_back(Count::FilesOpened);
                return Err(failure);
            }
        };
        let slot = match self.free.pop() {
            Some(slot) => slot,
            None => {
                self.slots.push(Slot::default());
                (self.slots.len() - 1) as u32
            }
        };
        let entry = &mut self.slots[slot as usize];
        entry.generation = (entry.generation + 1) % GENERATIONS;
        entry.file = Some(file);
        entry.handle = handle.into();
        self.by_name.insert(name.into(), slot);
        Ok(FileHandle { slot, generation: entry.generation })
    }

    /// The open file behind a handle; `None` when it was closed.
    pub fn get(&mut self, handle: FileHandle) -> Option<&mut OpenFile> {
        let slot = self.slots.get_mut(handle.slot as usize)?;
        if slot.generation != handle.generation {
            return None;
        }
        slot.file.as_mut()
    }

    /// The text of a file's handle, also after it was closed (empty once the
    /// slot serves another file).
    pub fn handle_text(&self, handle: FileHandle) -> &str {
        match self.slots.get(handle.slot as usize) {
            Some(slot) if slot.generation == handle.generation => &slot.handle,
            _ => "",
        }
    }

    /// Closes a file, writing out what is buffered: an error of that is
    /// returned, the file is closed all the same. Closing again does nothing.
    pub fn close(
        &mut self,
        handle: FileHandle,
        host: &mut dyn Host,
        meters: &mut Meters,
    ) -> Result<(), ApiError> {
        let Some(slot) = self.slots.get_mut(handle.slot as usize) else { return Ok(()) };
        if slot.generation != handle.generation {
            return Ok(());
        }
        let Some(mut file) = slot.file.take() else { return Ok(()) };
        self.by_name.remove(file.name());
        self.free.push(handle.slot);
        let result = file.flush(host, meters);
        host.close_file(file.id());
        meters.give_back(Count::FilesOpened);
        result
    }

    /// Writes out every buffer, for the normal end of a run. What cannot be
    /// written is lost; there is nobody left to tell.
    pub fn flush_all(&mut self, host: &mut dyn Host, meters: &mut Meters) {
        for slot in &mut self.slots {
            if let Some(file) = &mut slot.file {
                let _lost = file.flush(host, meters);
            }
        }
    }

    /// Bytes in write buffers that the disk account already holds.
    pub fn unwritten(&self) -> u64 {
        self.slots.iter().filter_map(|slot| slot.file.as_ref()).map(OpenFile::unwritten).sum()
    }

    /// `removefile`.
    pub fn remove(&mut self, name: &[u8], host: &mut dyn Host, meters: &mut Meters) -> Result<(), ApiError> {
        bad_name(name)?;
        if let Some(handle) = self.open_by(name) {
            let mut text = b"File \"".to_vec();
            text.extend_from_slice(name);
            text.extend_from_slice(format!("\" is open with handle \"{handle}\"").as_bytes());
            return Err(ApiError::new(Class::Exception, text));
        }
        self.check_reserved(name, Class::OsError)?;
        let failed = |error| ApiError::system(Class::OsError, error, Some(name));
        let size = host.entry_size(name).map_err(failed)?;
        host.remove_file(name).map_err(failed)?;
        meters.disk_shrink(size.saturating_add(ENTRY_BYTES));
        Ok(())
    }
}

/// Opens, makes or empties the file on the host, keeping the disk account.
fn open_on(name: &[u8], mode: Mode, host: &mut dyn Host, meters: &mut Meters) -> Result<OpenFile, Failure> {
    let failed = |error| Failure::Raise(ApiError::system(Class::IoError, error, Some(name)));
    let access = if mode == Mode::Read { Access::Read } else { Access::ReadWrite };
    let makes = matches!(mode, Mode::Write | Mode::Append);
    let (id, mut size) = match host.open_file(name, access) {
        Ok(opened) => opened,
        Err(SystemError(libc::ENOENT)) if makes => {
            meters.disk_grow(ENTRY_BYTES)?;
            match host.open_file(name, Access::Create) {
                Ok(opened) => opened,
                Err(error) => {
                    meters.disk_shrink(ENTRY_BYTES);
                    return Err(failed(error));
                }
            }
        }
        Err(error) => return Err(failed(error)),
    };
    if mode == Mode::Write && size > 0 {
        if let Err(error) = host.truncate(id) {
            host.close_file(id);
            return Err(failed(error));
        }
        meters.disk_shrink(size);
        size = 0;
    }
    Ok(OpenFile::new(id, name, mode, size))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::fake::FakeHost;
    use crate::host::RealHost;
    use crate::meter::Limits;

    fn text(failure: Failure) -> String {
        match failure {
            Failure::Raise(error) => String::from_utf8(error.text()).expect("plain text"),
            Failure::Kill(kill) => format!("{kill:?}"),
        }
    }

    #[test]
    fn reserved_names_and_beginnings() {
        let files = Files::new(&["policy".to_owned(), "stat-*".to_owned()]);
        for name in ["policy", "stat-", "stat-Terminated-1.5"] {
            assert!(files.check_open(name.as_bytes()).is_err(), "{name}");
        }
        for name in ["policy2", "polic", "stat", "status"] {
            assert!(files.check_open(name.as_bytes()).is_ok(), "{name}");
        }
    }

    #[test]
    fn one_handle_per_file_and_the_counts_come_back() {
        let mut host = FakeHost::new();
        let mut limits = Limits::wide();
        limits.items[Count::FilesOpened as usize] = 1.0;
        limits.disk = 10_000.0;
        let mut meters = Meters::new(&limits, 0, 0);
        let mut files = Files::new(&["policy".to_owned()]);
        let open = |files: &mut Files, host: &mut FakeHost, meters: &mut Meters, name: &str, mode| {
            files.open(name.as_bytes(), mode, "MainThread:4", host, meters)
        };
        let missing = open(&mut files, &mut host, &mut meters, "a", Mode::Read).expect_err("missing");
        assert_eq!(text(missing), "[Errno 2] No such file or directory: 'a'");
        let a = open(&mut files, &mut host, &mut meters, "a", Mode::Write).expect("made");
        assert_eq!(meters.disk().used(), 4096);
        let second = open(&mut files, &mut host, &mut meters, "a", Mode::Read).expect_err("open");
        assert_eq!(text(second), "A file is only allowed to have one open filehandle.");
        let full = open(&mut files, &mut host, &mut meters, "b", Mode::Write).expect_err("full");
        assert_eq!(text(full), "Resource 'filesopened' limit exceeded!!");
        let busy = files.remove(b"a", &mut host, &mut meters).expect_err("open");
        assert_eq!(busy.text(), b"File \"a\" is open with handle \"MainThread:4\"");
        files.get(a).expect("open").write(b"12345", &mut host, &mut meters).expect("written");
        files.close(a, &mut host, &mut meters).expect("closed");
        files.close(a, &mut host, &mut meters).expect("closed twice");
        assert!(files.get(a).is_none());
        assert_eq!((host.open_files(), meters.held(Count::FilesOpened)), (0, 0));
        assert_eq!(meters.disk().used(), 4096 + 5);
        for reserved in [
            open(&mut files, &mut host, &mut meters, "policy", Mode::Write).expect_err("reserved"),
            Failure::Raise(files.remove(b"policy", &mut host, &mut meters).expect_err("reserved")),
        ] {
            assert_eq!(text(reserved), "[Errno 13] Permission denied: 'policy'");
        }
        let b = open(&mut files, &mut host, &mut meters, "b", Mode::Append).expect("made");
        files.close(b, &mut host, &mut meters).expect("closed");
        let kill = open(&mut files, &mut host, &mut meters, "c", Mode::Append).expect_err("no room");
        assert!(matches!(kill, Failure::Kill(_)));
        assert!(!host.files.contains_key(&b"c"[..]));
        files.remove(b"a", &mut host, &mut meters).expect("removed");
        assert_eq!(meters.disk().used(), 4096);
    }

    /// A directory of this test alone, gone when dropped.
    struct Scratch(std::path::PathBuf);

    impl Scratch {
        fn new(name: &str) -> Scratch {
            let path = std::env::temp_dir().join(format!("interp-{name}-{}", std::process::id()));
            std::fs::create_dir_all(&path).expect("a scratch directory");
            Scratch(path)
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _gone = std::fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn only_regular_singly_linked_files_are_opened() {
        let scratch = Scratch::new("files");
        let at = |name: &str| scratch.0.join(name);
        std::fs::write(at("plain"), "text").expect("written");
        std::fs::write(at("twice"), "text").expect("written");
        std::fs::hard_link(at("twice"), at("again")).expect("linked");
        std::os::unix::fs::symlink("plain", at("link")).expect("linked");
        std::fs::create_dir(at("dir")).expect("made");
        let socket = std::os::unix::net::UnixListener::bind(at("socket")).expect("bound");
        let mut host = RealHost::by_hand(&scratch.0).expect("a host");
        let mut meters = Meters::new(&Limits::wide(), 0, 0);
        let mut files = Files::new(&[]);
        for (name, number) in [
            ("twice", libc::EACCES),
            ("again", libc::EACCES),
            ("link", libc::ELOOP),
            ("dir", libc::EISDIR),
            ("socket", libc::EACCES),
        ] {
            for mode in [Mode::Read, Mode::Update, Mode::Write, Mode::Append] {
                let failure = files
                    .open(name.as_bytes(), mode, "h", &mut host, &mut meters)
                    .expect_err("not a plain file");
                assert!(text(failure).starts_with(&format!("[Errno {number}] ")), "{name} {mode:?}");
            }
        }
        assert_eq!(std::fs::read(at("twice")).expect("readable"), b"text");
        let plain = files.open(b"plain", Mode::Append, "h", &mut host, &mut meters).expect("opened");
        let file = files.get(plain).expect("open");
        file.write(b" and more", &mut host, &mut meters).expect("written");
        files.flush_all(&mut host, &mut meters);
        assert_eq!(std::fs::read(at("plain")).expect("readable"), b"text and more");
        let mut names = host.list_directory().expect("listed");
        names.sort();
        let expected = ["again", "dir", "link", "plain", "socket", "twice"];
        assert_eq!(names, expected.map(|name| name.as_bytes().to_vec()));
        let error = files.remove(b"dir", &mut host, &mut meters).expect_err("a directory");
        assert!(error.text().starts_with(b"[Errno 21]"), "{:?}", error.text());
        files.remove(b"link", &mut host, &mut meters).expect("the link itself goes");
        assert!(at("plain").exists());
        drop(socket);
    }
}
