//! Every `unsafe` block of the launcher: system calls that no crate wraps, or
//! that must run between `clone3` and `execveat`.
#![allow(unsafe_code)]
