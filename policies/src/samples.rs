//! The restrictions files that come with the project, as text.

/// Lets every program of the Repy tutorial run: `restrictions.test`.
pub const TEST: &str = include_str!("../restrictions.test");
/// The listing of the Repy tutorial itself: `restrictions.sample`.
pub const SAMPLE: &str = include_str!("../restrictions.sample");

/// Every sample with its file name.
pub const ALL: [(&str, &str); 2] = [("restrictions.test", TEST), ("restrictions.sample", SAMPLE)];
