//! `--servicelog`: an internal error also goes to the system log, where the
//! original told its node manager.

use std::os::unix::net::UnixDatagram;

use crate::report::Report;

/// Facility "daemon", severity "error".
const PRIORITY: u32 = 3 * 8 + 3;

/// Sends one line. A host without a system log has nobody to tell.
pub fn send(report: &Report) {
    let line = line(report);
    let _ = UnixDatagram::unbound().and_then(|socket| {
        socket.set_nonblocking(true)?;
        socket.send_to(line.as_bytes(), "/dev/log")
    });
}

fn line(report: &Report) -> String {
    // One line, whatever an interpreter put into the reason.
    let reason: String =
        report.reason.chars().map(|c| if c.is_control() { ' ' } else { c }).take(500).collect();
    format!("<{PRIORITY}>repy-launch[{}]: internal error: {reason}", std::process::id())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::Ending;
    use std::time::Duration;

    #[test]
    fn one_line_of_bounded_length() {
        let mut report = Report::new(0.0);
        report.conclude(Ending::Internal, &"a\nb\u{1b}".repeat(1_000), Duration::ZERO);
        let line = line(&report);
        assert!(line.starts_with("<27>repy-launch[") && line.len() < 600 && !line.contains(['\n', '\u{1b}']));
    }
}
