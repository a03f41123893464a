//! The Repy language: front end, safety check, compiler, virtual machine, API.
#![deny(unsafe_code)]

#[cfg(not(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"))))]
compile_error!(
    "repy-launch is made of Linux kernel controls: it can be built for Linux on x86_64 and aarch64 only"
);

pub mod api;
pub mod builtins;
pub mod check;
pub mod cli;
pub mod compile;
pub mod events;
pub mod heap;
pub mod host;
pub mod inspect;
pub mod manual;
pub mod meter;
pub mod run;
pub mod syntax;
pub mod types;
pub mod vm;
