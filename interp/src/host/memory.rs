//! The allocator of the program: the system's, which is told to put large
//! buffers on large pages.
//!
//! A list of a million items or a dict of as many lies on 4 000 pages of 4 KiB,
//! and a program that walks over it pays for a look into the page tables at
//! nearly every step. Where the host lets programs ask for huge pages
//! (`/sys/kernel/mm/transparent_hugepage/enabled` says `madvise`, as Debian
//! has it), asking makes such programs up to 1.4 times as fast
//! (`docs/benchmarks.md`). Nothing outside a buffer is ever paid for: the
//! kernel uses huge pages only for those that lie wholly inside the range.

use std::alloc::{GlobalAlloc, Layout, System};

/// Bytes from which a buffer is put on large pages: two of the common size, so
/// that at least one lies wholly inside.
const LARGE: usize = 4 << 20;
/// Bytes of a page; the start of a range the kernel takes is a multiple of it.
/// With larger pages the kernel refuses the request, and nothing is lost.
const PAGE: usize = 4096;

/// The system's allocator, with large pages for buffers that are made large
/// (not for those that grow to be).
pub struct LargePages;

/// Asks for large pages below a buffer; a kernel that has none refuses, and
/// the buffer stays as it is.
fn advise(start: *mut u8, bytes: usize) {
    if start.is_null() {
        return;
    }
    let first = start.addr().next_multiple_of(PAGE);
    let end = (start.addr() + bytes) & !(PAGE - 1);
    if first < end {
        // SAFETY: the range lies inside a buffer the caller has just got from
        // the system; the call changes how it is backed, never what it holds.
        unsafe {
            libc::madvise(start.with_addr(first).cast(), end - first, libc::MADV_HUGEPAGE);
        }
    }
}

// SAFETY: every request is handed on to the system's allocator as it is, and
// its answer is returned as it is.
unsafe impl GlobalAlloc for LargePages {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps the contract of `alloc`.
        let start = unsafe { System.alloc(layout) };
        if layout.size() >= LARGE {
            advise(start, layout.size());
        }
        start
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps the contract of `alloc_zeroed`.
        let start = unsafe { System.alloc_zeroed(layout) };
        if layout.size() >= LARGE {
            advise(start, layout.size());
        }
        start
    }

    // Not advised: what grows is half empty, and its new half would be taken
    // two megabytes at a time (instances: 150 bytes for 131).
    unsafe fn realloc(&self, old: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        // SAFETY: the caller keeps the contract of `realloc`.
        unsafe { System.realloc(old, layout, bytes) }
    }

    unsafe fn dealloc(&self, start: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract of `dealloc`.
        unsafe { System.dealloc(start, layout) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether a mapping that holds the address was asked to be on large pages
    /// (`hg` among the flags of /proc/self/smaps); None where it is not said.
    fn asked(address: usize) -> Option<bool> {
        let text = std::fs::read_to_string("/proc/self/smaps").ok()?;
        let mut inside = false;
        for line in text.lines() {
            if let Some((start, end)) = line.split_once(' ').and_then(|(range, _)| range.split_once('-')) {
                if let (Ok(start), Ok(end)) =
                    (usize::from_str_radix(start, 16), usize::from_str_radix(end, 16))
                {
                    inside = (start..end).contains(&address);
                }
            } else if let Some(flags) = line.strip_prefix("VmFlags:").filter(|_| inside) {
                return Some(flags.split(' ').any(|flag| flag == "hg"));
            }
        }
        None
    }

    // One test, the small buffer first: what a large one leaves may be given out again.
    #[test]
    fn only_a_large_buffer_is_on_large_pages_and_it_keeps_its_bytes() {
        if !std::path::Path::new("/sys/kernel/mm/transparent_hugepage").exists() {
            return;
        }
        let small = Layout::from_size_align(1 << 20, 16).unwrap();
        // SAFETY: used in its bounds and given back with its layout.
        unsafe {
            let start = LargePages.alloc(small);
            start.add(PAGE).write(7);
            assert_eq!(asked(start.addr() + PAGE), Some(false));
            LargePages.dealloc(start, small);
        }
        for zeroed in [false, true] {
            let large = Layout::from_size_align(2 * LARGE, 16).unwrap();
            // SAFETY: the buffer is used in its bounds, grown once and given back
            // with the layout it then has.
            unsafe {
                let start = if zeroed { LargePages.alloc_zeroed(large) } else { LargePages.alloc(large) };
                start.add(LARGE).write(7);
                assert_eq!(asked(start.addr() + LARGE), Some(true));
                let grown = LargePages.realloc(start, large, 4 * LARGE);
                assert_eq!(grown.add(LARGE).read(), 7);
                LargePages.dealloc(grown, Layout::from_size_align(4 * LARGE, 16).unwrap());
            }
        }
    }
}
