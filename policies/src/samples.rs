//! The restrictions files that come with the project, as text.

/// Lets every program of the Repy tutorial run.
pub const TEST: &str = include_str!("../restrictions.test");
/// The listing of the Repy tutorial itself.
pub const SAMPLE: &str = include_str!("../restrictions.sample");
/// Files and processor time, no network.
pub const NO_NETWORK: &str = include_str!("../restrictions.nonetwork");
/// Reads files, writes none.
pub const READ_ONLY: &str = include_str!("../restrictions.readonly");
/// Serves TCP connections on one port.
pub const WEB_SERVER: &str = include_str!("../restrictions.webserver");
/// Connects to other hosts.
pub const CLIENT: &str = include_str!("../restrictions.client");

/// Every sample with its file name.
pub const ALL: [(&str, &str); 6] = [
    ("restrictions.test", TEST),
    ("restrictions.sample", SAMPLE),
    ("restrictions.nonetwork", NO_NETWORK),
    ("restrictions.readonly", READ_ONLY),
    ("restrictions.webserver", WEB_SERVER),
    ("restrictions.client", CLIENT),
];
