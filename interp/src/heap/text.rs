//! Short ways to new strings.

use super::bytes::INLINE;
use super::{Bytes, Heap, Str, Value};

impl Heap {
    /// A changed copy of a string: owned. `change` works on the copy in place.
    #[inline]
    pub fn new_str_changed(&mut self, text: Str, change: impl FnOnce(&mut [u8])) -> Value {
        let mut body = match &self.strs[text].body {
            Bytes::Heap(bytes) => {
                let mut buffer = self.spare.text(bytes.len());
                buffer.extend_from_slice(bytes);
                Bytes::Heap(buffer)
            }
            short => short.clone(),
        };
        change(body.as_mut_slice());
        match *body.as_slice() {
            [byte] => self.byte(byte),
            _ => self.add_str(body),
        }
    }

    /// Appends the bytes of a string: a short one by a move of a fixed size.
    #[inline]
    pub fn push_bytes(&self, out: &mut Vec<u8>, text: Str) {
        match &self.strs[text].body {
            Bytes::Inline(buffer) => {
                let end = out.len() + usize::from(buffer[INLINE]);
                out.extend_from_slice(buffer);
                out.truncate(end);
            }
            Bytes::Heap(bytes) => out.extend_from_slice(bytes),
        }
    }

    /// A string, `times` times over: owned. The room has been asked for.
    pub fn new_str_repeated(&mut self, text: Str, times: usize) -> Value {
        let part = self.bytes(text);
        let size = part.len() * times;
        if size > INLINE {
            let mut whole = self.spare.text(size);
            match *self.strs[text].body.as_slice() {
                [byte] => whole.resize(size, byte),
                ref part => {
                    whole.extend_from_slice(part);
                    while whole.len() < size {
                        let more = whole.len().min(size - whole.len());
                        whole.extend_from_within(..more);
                    }
                }
            }
            return self.add_str(Bytes::Heap(whole));
        }
        let mut buffer = [0; INLINE];
        for (place, byte) in buffer[..size].iter_mut().zip(part.iter().cycle()) {
            *place = *byte;
        }
        self.new_str(&buffer[..size])
    }
}
