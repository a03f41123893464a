//! Lines of earlier sessions: a file of the operator's, outside every vessel.

use std::fs::{DirBuilder, File};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::PathBuf;

/// Most lines that are kept.
const MOST: usize = 1000;
/// Most bytes that are read.
const BYTES: u64 = 1 << 20;

/// What was typed before. Without a file, nothing is lost but this.
#[derive(Debug)]
pub struct History {
    lines: Vec<String>,
    file: Option<File>,
}

impl History {
    /// No history at all.
    pub fn none() -> History {
        History { lines: Vec::new(), file: None }
    }

    /// That of this user: `$XDG_STATE_HOME/repy-launch/history`.
    pub fn load() -> History {
        let state = std::env::var_os("XDG_STATE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
        let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".local/state"));
        match state.or_else(home) {
            Some(directory) => History::at(directory.join("repy-launch")),
            None => History::none(),
        }
    }

    fn at(directory: PathBuf) -> History {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&directory);
        let file = made.and_then(|()| {
            File::options()
                .read(true)
                .append(true)
                .create(true)
                .mode(0o600)
                .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
                .open(directory.join("history"))
        });
        let Some(mut file) = file.ok().filter(|file| file.metadata().is_ok_and(|found| found.is_file()))
        else {
            return History::none();
        };
        let mut bytes = Vec::new();
        // What cannot be read is not remembered.
        let _ = Read::by_ref(&mut file).take(BYTES).read_to_end(&mut bytes);
        let text = String::from_utf8_lossy(&bytes);
        let all: Vec<String> = text.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect();
        let lines = all[all.len().saturating_sub(MOST)..].to_vec();
        if all.len() > 2 * MOST && file.set_len(0).is_ok() {
            let _ = writeln!(file, "{}", lines.join("\n"));
        }
        History { lines, file: Some(file) }
    }

    /// The lines, oldest first.
    pub fn lines(&self) -> &[String] {
        &self.lines
    }

    /// Remembers a line.
    pub fn add(&mut self, line: &str) {
        if line.trim().is_empty() || self.lines.last().is_some_and(|last| last == line) {
            return;
        }
        self.lines.push(line.to_owned());
        if let Some(file) = &mut self.file {
            let _ = writeln!(file, "{line}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Scratch;

    #[test]
    fn lines_are_there_in_the_next_session_and_the_file_stays_small() {
        let scratch = Scratch::new("history");
        let place = scratch.path().join("state/repy-launch");
        let mut first = History::at(place.clone());
        assert!(first.lines().is_empty());
        ["print 1", "print 1", "  ", "x = 2"].iter().for_each(|line| first.add(line));
        let mut second = History::at(place.clone());
        assert_eq!(second.lines(), ["print 1", "x = 2"]);
        (0..2 * MOST).for_each(|number| second.add(&number.to_string()));
        assert_eq!(History::at(place.clone()).lines().len(), MOST);
        let kept = std::fs::read_to_string(place.join("history")).unwrap();
        assert_eq!(kept.lines().count(), MOST);
    }
}
