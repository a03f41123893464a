//! Processes, looked at by `/proc`.

use std::time::{Duration, Instant};

/// Every process below `parent`.
///
/// # Panics
/// If there is no `/proc`.
pub fn descendants(parent: u32) -> Vec<u32> {
    let mut pairs = Vec::new();
    for entry in std::fs::read_dir("/proc").expect("/proc").flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        if let Some(above) = field(pid, 1).and_then(|word| word.parse::<u32>().ok()) {
            pairs.push((pid, above));
        }
    }
    let mut found: Vec<u32> = Vec::new();
    let mut queue = vec![parent];
    while let Some(next) = queue.pop() {
        for (pid, above) in &pairs {
            if *above == next {
                found.push(*pid);
                queue.push(*pid);
            }
        }
    }
    found
}

/// Field `index` of `/proc/PID/stat` after the name (0 is the state, 1 the parent).
pub fn field(pid: u32, index: usize) -> Option<String> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // pid (comm) state ppid …; comm may hold blanks and parentheses
    stat.rsplit_once(") ")?.1.split(' ').nth(index).map(str::to_owned)
}

/// Whether a process runs. A zombie that its new parent has not reaped holds nothing any more.
pub fn is_alive(pid: u32) -> bool {
    field(pid, 0).is_some_and(|state| state != "Z")
}

/// Waits until `holds`, at most `limit`; whether it came true.
pub fn wait_until(limit: Duration, mut holds: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + limit;
    loop {
        if holds() {
            return true;
        }
        if Instant::now() > deadline {
            return false;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}
