//! The Repy language: front end, safety check, compiler, virtual machine, API.
#![deny(unsafe_code)]

pub mod api;
pub mod builtins;
pub mod check;
pub mod cli;
pub mod compile;
pub mod events;
pub mod heap;
pub mod host;
pub mod meter;
pub mod run;
pub mod syntax;
pub mod types;
pub mod vm;
