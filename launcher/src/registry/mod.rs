//! Which runs live on this host: each leaves one small record in a directory of
//! its user's own, and beside it what it uses, renewed every second. `ps`, `top`,
//! `audit` and `stop` read them; nothing that holds the sandbox depends on them.

pub mod identity;
pub mod live;
pub mod place;
pub mod record;
pub mod rows;

use std::ffi::OsString;
use std::io;

use identity::Identity;
use live::Live;
use place::Directory;
use record::Record;

pub use place::{find, Found};

/// The files of one run; removed when dropped.
#[derive(Debug)]
pub struct Entry {
    directory: Directory,
    record: OsString,
    live: live::File,
}

impl Entry {
    /// Writes the record of this launcher's run, and removes those that launchers
    /// left which were killed.
    ///
    /// # Errors
    /// There is no directory that only this user can write, or no room in it.
    pub fn write(record: &Record) -> io::Result<Entry> {
        let directory = Directory::open_own()?;
        directory.sweep();
        let own = Identity { pid: record.launcher.pid, started: record.launcher.started };
        let text = serde_json::to_vec(record)?;
        let live = live::File::create(&directory, own)?;
        let name = own.file_name(place::RECORD);
        match directory.write(&name, &text) {
            Ok(()) => Ok(Entry { directory, record: name, live }),
            Err(error) => {
                live.remove(&directory);
                Err(error)
            }
        }
    }

    /// Renews what the run uses.
    pub fn renew(&mut self, live: &Live) {
        self.live.write(live);
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.directory.remove(&self.record);
        self.live.remove(&self.directory);
    }
}
