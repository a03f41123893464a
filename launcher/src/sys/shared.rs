//! A page shared by the launcher and its child, in which the child notes when
//! each of its steps ended (`--timings`).

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use super::{Errno, Sys};

/// How many marks fit.
const CAPACITY: usize = 40;

/// One mark: the number of a step and when it ended.
#[repr(C)]
struct Mark {
    step: AtomicU32,
    nanoseconds: AtomicU64,
}

/// What lies in the page.
#[repr(C)]
struct Page {
    count: AtomicU32,
    marks: [Mark; CAPACITY],
}

/// The shared page. After `clone3` both processes hold it; each unmaps its own
/// view.
pub struct Marks {
    page: &'static Page,
}

impl Marks {
    /// Maps a fresh page.
    ///
    /// # Errors
    /// ENOMEM.
    pub fn new() -> Sys<Marks> {
        // SAFETY: an anonymous shared mapping at an address of the kernel's
        // choice overlaps nothing. It is zeroed, which is a valid `Page`.
        let address = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                std::mem::size_of::<Page>(),
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        if address == libc::MAP_FAILED {
            return Err(Errno::last());
        }
        // SAFETY: the mapping is page-aligned, large enough, zeroed, and is
        // unmapped only by `drop`, after which the reference is gone. All its
        // fields are atomic, so the other process may write at any time.
        Ok(Marks { page: unsafe { &*address.cast::<Page>() } })
    }

    /// Notes that a step ended now. Marks beyond the capacity are dropped.
    pub fn note(&self, step: u32) {
        let index = self.page.count.load(Ordering::Relaxed) as usize;
        if let Some(mark) = self.page.marks.get(index) {
            mark.step.store(step, Ordering::Relaxed);
            mark.nanoseconds.store(monotonic(), Ordering::Relaxed);
            self.page.count.store(index as u32 + 1, Ordering::Release);
        }
    }

    /// The marks so far: step and time in nanoseconds of the monotonic clock.
    pub fn read(&self) -> Vec<(u32, u64)> {
        let count = (self.page.count.load(Ordering::Acquire) as usize).min(CAPACITY);
        self.page.marks[..count]
            .iter()
            .map(|mark| (mark.step.load(Ordering::Relaxed), mark.nanoseconds.load(Ordering::Relaxed)))
            .collect()
    }
}

impl Drop for Marks {
    fn drop(&mut self) {
        // SAFETY: the mapping was made by `new` with this size, and `self` is
        // the only holder of the reference.
        unsafe {
            libc::munmap(std::ptr::from_ref(self.page).cast_mut().cast(), std::mem::size_of::<Page>());
        }
    }
}

/// The monotonic clock, in nanoseconds.
pub fn monotonic() -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a live structure; this clock always exists.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut now) };
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_read_in_order_and_bounded() {
        let marks = Marks::new().expect("a page");
        for step in 0..2 * CAPACITY as u32 {
            marks.note(step);
        }
        let read = marks.read();
        assert_eq!(read.len(), CAPACITY);
        assert!(read.windows(2).all(|pair| pair[0].0 + 1 == pair[1].0 && pair[0].1 <= pair[1].1));
    }
}
