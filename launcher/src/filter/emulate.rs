//! Runs a filter on one imagined call, as the kernel would: what the tests
//! compare with the policy file, and what `audit` compares with a live process.

use seccompiler::sock_filter;

/// What the kernel hands to a filter (`struct seccomp_data`), without the
/// instruction pointer, which no filter here looks at.
#[derive(Clone, Copy, Debug)]
pub struct CallData {
    /// `AUDIT_ARCH_*`.
    pub architecture: u32,
    /// Number of the call.
    pub number: u32,
    /// Its arguments.
    pub arguments: [u64; 6],
}

impl CallData {
    /// The 32-bit word at an offset of `struct seccomp_data`.
    fn word(&self, offset: u32) -> Option<u32> {
        match offset {
            0 => Some(self.number),
            4 => Some(self.architecture),
            16..=60 if offset.is_multiple_of(4) => {
                let index = (offset as usize - 16) / 8;
                let shift = if offset.is_multiple_of(8) { 0 } else { 32 };
                Some((self.arguments[index] >> shift) as u32)
            }
            _ => None,
        }
    }
}

/// The action the filter returns for a call (`SECCOMP_RET_*` with its data), or
/// none where the program does something the kernel would have refused or no
/// filter here does.
pub fn run(program: &[sock_filter], call: &CallData) -> Option<u32> {
    let mut accumulator = 0u32;
    let mut position = 0usize;
    // Jumps only go forward, so this ends.
    loop {
        let instruction = program.get(position)?;
        position += 1;
        match instruction.code {
            0x20 => accumulator = call.word(instruction.k)?,
            0x54 => accumulator &= instruction.k,
            0x05 => position = position.checked_add(instruction.k as usize)?,
            0x15 | 0x25 | 0x35 => {
                let holds = match instruction.code {
                    0x15 => accumulator == instruction.k,
                    0x25 => accumulator > instruction.k,
                    _ => accumulator >= instruction.k,
                };
                position += usize::from(if holds { instruction.jt } else { instruction.jf });
            }
            0x06 => return Some(instruction.k),
            _ => return None,
        }
    }
}
