#![no_main]
//! The restrictions language: parsing is total, and printing what was read gives
//! a text that reads as the same.
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &[u8]| {
    match policies::Policy::parse(text, "fuzz") {
        Ok(parsed) => {
            let printed = parsed.policy.to_string();
            let again = policies::Policy::parse(printed.as_bytes(), "printed").expect("the printer's text is valid");
            assert_eq!(again.policy, parsed.policy);
        }
        Err(diagnostics) => {
            assert!(!diagnostics.is_empty());
            for diagnostic in &diagnostics {
                let _ = diagnostic.to_string();
            }
        }
    }
});
