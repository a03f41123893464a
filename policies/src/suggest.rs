//! What the author of a misspelt word may have meant.

/// Longest word that is compared with the known ones.
const LONGEST: usize = 32;

/// Names of the Python or Repy V2 world that have another name here, or none.
const OTHER_NAMES: [(&str, &str); 18] = [
    ("file", "`file(...)` is decided as `open`; write `call open ...`"),
    ("print", "printing is decided as `log.write`"),
    ("log", "printing is decided as `log.write` and `log.writelines`"),
    ("socket", "sockets are decided as `socket.send`, `socket.recv` and `socket.close`"),
    ("file.open", "opening is decided as `open` and `file.__init__`"),
    ("openfile", "Repy V1 opens files with `open`"),
    ("createthread", "Repy V1 starts timers with `settimer`"),
    ("sendmessage", "Repy V1 sends messages with `sendmess`"),
    ("listenformessage", "Repy V1 receives messages with `recvmess`"),
    ("openconnection", "Repy V1 connects with `openconn`"),
    ("listenforconnection", "Repy V1 accepts connections with `waitforconn`"),
    ("gethostbyname", "Repy V1 resolves names with `gethostbyname_ex`"),
    ("createlock", "Repy V1 makes locks with `getlock`"),
    ("randombytes", "Repy V1 draws random numbers with `randomfloat`"),
    ("listfiles", "Repy V1 lists the directory with `listdir`"),
    ("createvirtualnamespace", "Repy V1 has `VirtualNamespace`"),
    ("lock.acquire", "locks are not decided by rules"),
    ("socket.willblock", "`willblock` is not decided by rules"),
];

/// The known name that `word` is most likely a misspelling of.
pub fn closest<'n>(word: &str, names: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let length = word.chars().count();
    if length > LONGEST {
        return None;
    }
    let allowed = (length / 3).max(1);
    let folded = word.to_ascii_lowercase();
    names
        .map(|name| (distance(&folded, &name.to_ascii_lowercase()), name))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// Advice on a misspelt word.
pub fn similar<'n>(word: &str, names: impl Iterator<Item = &'n str>) -> Option<String> {
    closest(word, names).map(|name| format!("did you mean `{name}`?"))
}

/// Advice on an unknown call.
pub fn call<'n>(word: &str, names: impl Iterator<Item = &'n str>) -> Option<String> {
    OTHER_NAMES
        .iter()
        .find(|(name, _)| *name == word)
        .map(|(_, advice)| (*advice).to_owned())
        .or_else(|| similar(word, names))
}

/// Insertions, deletions, replacements and exchanges of neighbours between two short words.
fn distance(left: &str, right: &str) -> usize {
    let left: Vec<char> = left.chars().collect();
    let right: Vec<char> = right.chars().collect();
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=right.len()).collect();
    for (row, &here) in left.iter().enumerate() {
        let mut current = vec![row + 1];
        for (column, &there) in right.iter().enumerate() {
            let replaced = above[column] + usize::from(here != there);
            let mut best = replaced.min(above[column + 1] + 1).min(current[column] + 1);
            if row > 0 && column > 0 && here == right[column - 1] && left[row - 1] == there {
                best = best.min(before[column - 1] + 1);
            }
            current.push(best);
        }
        before = std::mem::replace(&mut above, current);
    }
    above[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{CALLS, RESOURCES};

    #[test]
    fn misspellings_find_their_name() {
        let resources = || RESOURCES.iter().map(|facts| facts.name);
        for (word, name) in [("memroy", "memory"), ("CPU", "cpu"), ("fileopened", "filesopened")] {
            assert_eq!(closest(word, resources()), Some(name));
        }
        assert_eq!(closest("port", resources()), None);
        let calls = || CALLS.iter().map(|facts| facts.name);
        assert_eq!(closest("file.__int__", calls()), Some("file.__init__"));
        assert_eq!(closest("virtualnamespace", calls()), Some("VirtualNamespace"));
        assert_eq!(closest("zzzzzz", calls()), None);
        assert_eq!(closest(&"x".repeat(1000), calls()), None);
    }

    #[test]
    fn distances() {
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("abc", "abc"), 0);
        assert_eq!(distance("memroy", "memory"), 1);
        assert_eq!(distance("kitten", "sitting"), 3);
    }
}
