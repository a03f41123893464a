//! The Repy language: front end, safety check, compiler, virtual machine, API.
#![deny(unsafe_code)]

pub mod api;
pub mod host;
pub mod meter;
pub mod syntax;
