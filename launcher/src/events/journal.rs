//! The journal's own protocol: one datagram of fields for each entry.

use std::io;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

/// Where systemd-journald listens.
pub const SOCKET: &str = "/run/systemd/journal/socket";

/// A way to the journal.
#[derive(Debug)]
pub struct Journal {
    socket: UnixDatagram,
    path: PathBuf,
}

impl Journal {
    /// Makes the socket; the journal itself is looked for with each entry, since
    /// it may be restarted.
    ///
    /// # Errors
    /// No descriptor is left.
    pub fn open(path: &Path) -> io::Result<Journal> {
        let socket = UnixDatagram::unbound()?;
        socket.set_nonblocking(true)?;
        Ok(Journal { socket, path: path.to_owned() })
    }

    pub(super) fn send(&self, priority: u8, event: &str, sentence: &str, name: Option<&str>, line: &str) {
        let message = match name {
            Some(name) => format!("{name}: {sentence}"),
            None => sentence.to_owned(),
        };
        let mut entry = Vec::with_capacity(512);
        field(&mut entry, "MESSAGE", &message);
        field(&mut entry, "PRIORITY", &priority.to_string());
        field(&mut entry, "SYSLOG_IDENTIFIER", "repy-launch");
        field(&mut entry, "REPY_EVENT", event);
        if let Some(name) = name {
            field(&mut entry, "REPY_NAME", name);
        }
        field(&mut entry, "REPY_JSON", line);
        // Nobody listens, or it is too busy: the run does not wait for it.
        let _ = self.socket.send_to(&entry, &self.path);
    }
}

/// `KEY=value`, or for a value of several lines the key, its length and itself.
fn field(entry: &mut Vec<u8>, key: &str, value: &str) {
    entry.extend_from_slice(key.as_bytes());
    if value.contains('\n') {
        entry.push(b'\n');
        entry.extend_from_slice(&(value.len() as u64).to_le_bytes());
    } else {
        entry.push(b'=');
    }
    entry.extend_from_slice(value.as_bytes());
    entry.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Scratch;

    #[test]
    fn an_entry_is_one_datagram_of_fields() {
        let scratch = Scratch::new("journal");
        let path = scratch.path().join("socket");
        let journald = UnixDatagram::bind(&path).unwrap();
        let journal = Journal::open(&path).unwrap();
        journal.send(4, "limit", "one\ntwo", Some("web"), "{}");
        let mut buffer = [0; 1024];
        let length = journald.recv(&mut buffer).unwrap();
        let mut expected = b"MESSAGE\n".to_vec();
        expected.extend_from_slice(&12u64.to_le_bytes());
        expected.extend_from_slice(
            b"web: one\ntwo\nPRIORITY=4\nSYSLOG_IDENTIFIER=repy-launch\nREPY_EVENT=limit\nREPY_NAME=web\nREPY_JSON={}\n",
        );
        assert_eq!(&buffer[..length], expected);
    }

    #[test]
    fn no_journal_is_no_error() {
        let journal = Journal::open(Path::new("/nonexistent/socket")).unwrap();
        journal.send(6, "ended", "x", None, "{}");
    }
}
