//! A `prompt` rule: the operator is asked, and the program stands still until
//! there is an answer.

use policies::channel::control::{FromInterpreter, ToInterpreter};
use policies::Call;

use super::state::Api;
use crate::host::{Channel, Ready};

/// Asks the operator; no without one, or if the supervisor is gone.
pub fn ask(api: &mut Api, call: Call, rule: u32, arguments: &str) -> bool {
    api.flush_output();
    api.questions = api.questions.wrapping_add(1);
    let question = api.questions;
    let arguments = arguments.to_owned();
    let frame = FromInterpreter::Prompt { question, call, rule, arguments }.encode();
    if api.host.send_frame(Channel::Control, &frame).is_err() {
        return false;
    }
    loop {
        match api.host.receive_frame(Channel::Control) {
            Ok(frame) => match ToInterpreter::decode(&frame.bytes) {
                Ok(ToInterpreter::PromptAnswer { question: answered, allow }) if answered == question => {
                    return allow;
                }
                // For the loop, which did not see it come.
                Ok(other) => api.unheard.push_back(other),
                Err(_) => return false,
            },
            Err(error) if error.would_block() => wait(api),
            Err(_) => return false,
        }
    }
}

/// Waits for the supervisor. What else becomes ready is told once only, so it
/// is kept for the loop.
fn wait(api: &mut Api) {
    let mut ready = Vec::new();
    api.host.wait(None, &mut ready);
    api.unhandled.extend(ready.into_iter().filter(|event| *event != Ready::Control));
}
