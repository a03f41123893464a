//! The Repy restrictions language and the vocabulary both binaries share.
#![forbid(unsafe_code)]
