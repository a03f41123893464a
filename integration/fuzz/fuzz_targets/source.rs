#![no_main]
//! The front end: any bytes give a program or a refusal that can be printed.
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &[u8]| {
    let limits = interp::syntax::Limits::default();
    if let Err(refusal) = interp::check::read(&interp::syntax::Tree::new(), text, "fuzz.repy", &limits) {
        assert!(!refusal.to_string().is_empty());
    }
});
