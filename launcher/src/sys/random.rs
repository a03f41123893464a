//! Random bytes of the kernel.

use super::{check, Errno, Sys};

/// Fills `bytes` with random bytes. Never waits: by the time a network is used
/// the kernel's generator has long been seeded.
///
/// # Errors
/// EAGAIN where it has not.
pub fn fill(mut bytes: &mut [u8]) -> Sys<()> {
    while !bytes.is_empty() {
        // SAFETY: the pointer and length describe `bytes`, which is writable.
        let got = unsafe { libc::getrandom(bytes.as_mut_ptr().cast(), bytes.len(), libc::GRND_NONBLOCK) };
        match check(got as libc::c_long) {
            Ok(count) => bytes = &mut bytes[count as usize..],
            Err(Errno(libc::EINTR)) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn two_fillings_differ() {
        let (mut first, mut second) = ([0u8; 32], [0u8; 32]);
        super::fill(&mut first).expect("random bytes");
        super::fill(&mut second).expect("random bytes");
        assert_ne!(first, second);
    }
}
