#![no_main]
//! What the two channels and the start block may hold: decoding is total, and what
//! was decoded has exactly one binary form.
use libfuzzer_sys::fuzz_target;
use policies::channel::control::{FromInterpreter, ToInterpreter};
use policies::channel::network::{ReplyFrame, RequestFrame};
use policies::start::StartBlock;

fuzz_target!(|bytes: &[u8]| {
    let Some((kind, bytes)) = bytes.split_first() else { return };
    match kind % 5 {
        0 => {
            if let Ok(frame) = FromInterpreter::decode(bytes) {
                assert_eq!(frame.encode(), bytes);
            }
        }
        1 => {
            if let Ok(frame) = ToInterpreter::decode(bytes) {
                assert_eq!(frame.encode(), bytes);
            }
        }
        2 => {
            if let Ok(frame) = RequestFrame::decode(bytes) {
                assert_eq!(frame.encode().expect("what was decoded fits"), bytes);
            }
        }
        3 => {
            if let Ok(frame) = ReplyFrame::decode(bytes) {
                assert_eq!(frame.encode().expect("what was decoded fits"), bytes);
            }
        }
        _ => {
            if let Ok(block) = StartBlock::decode(bytes) {
                assert_eq!(block.encode().expect("what was decoded fits"), bytes);
            }
        }
    }
});
