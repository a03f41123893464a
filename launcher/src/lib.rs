//! Lowers a restrictions file into kernel controls and supervises the run.
#![deny(unsafe_code)]
