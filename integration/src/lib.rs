//! Helpers for tests that run the two binaries as a user does.
#![deny(unsafe_code)]
