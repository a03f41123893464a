//! Raw system calls: the one place with unsafe code.

use std::ffi::CString;

/// A system call's result: the value, or the error number.
pub type Answer = Result<i64, i32>;

/// Makes system call `number`. Missing arguments are zero.
///
/// The kernel checks every address it is given; callers pass addresses of buffers that
/// live until the call has returned, or deliberately wrong ones, which give EFAULT.
pub fn call(number: i64, arguments: &[i64]) -> Answer {
    let argument = |i: usize| arguments.get(i).copied().unwrap_or(0);
    // SAFETY: no Rust object is touched but the buffers the caller lent for this call;
    // mappings that a call makes or changes are the caller's own (none of the attempts
    // unmaps memory of the program).
    let value = unsafe {
        libc::syscall(number, argument(0), argument(1), argument(2), argument(3), argument(4), argument(5))
    };
    if value == -1 {
        Err(std::io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO))
    } else {
        Ok(value)
    }
}

/// The address of a value, as a system call argument.
pub fn address<T>(value: &T) -> i64 {
    std::ptr::from_ref(value) as i64
}

/// The address of a value that the kernel may write.
pub fn address_mut<T>(value: &mut T) -> i64 {
    std::ptr::from_mut(value) as i64
}

/// A path as the kernel wants it.
pub fn path(text: &str) -> CString {
    CString::new(text).unwrap_or_default()
}

/// The address of a C string.
pub fn text(string: &CString) -> i64 {
    string.as_ptr() as i64
}

/// Writes one byte through a pointer into a mapping this program made.
pub fn touch(at: i64) {
    // SAFETY: callers pass addresses inside a private mapping that they have just
    // created writable and that nothing else refers to.
    unsafe { std::ptr::write_volatile(at as *mut u8, 1) }
}

/// Copies machine code to `at` and runs it; it must be a function `extern "C" fn() -> i64`.
pub fn run_code(at: i64, code: &[u8]) -> i64 {
    // SAFETY: `at` is a mapping of at least `code.len()` bytes that the caller made; the
    // code is one of the attempts' own few instructions and returns a number.
    unsafe {
        std::ptr::copy_nonoverlapping(code.as_ptr(), at as *mut u8, code.len());
        let function: extern "C" fn() -> i64 = std::mem::transmute(at as *const ());
        function()
    }
}

/// Runs code that is mapped already.
pub fn jump(at: i64) -> i64 {
    // SAFETY: as in `run_code`; the caller has put the code there.
    unsafe {
        let function: extern "C" fn() -> i64 = std::mem::transmute(at as *const ());
        function()
    }
}

/// Enters the kernel by the 32-bit gate (`int 0x80`): getpid is 20 there.
#[cfg(target_arch = "x86_64")]
pub fn int80(number: i32) -> i32 {
    let result: i32;
    // SAFETY: the gate takes its number in eax and returns there; a call without
    // arguments reads no memory. r8-r11 may be cleared by the kernel, so they are clobbered.
    unsafe {
        std::arch::asm!(
            "int 0x80",
            inlateout("eax") number => result,
            out("r8") _, out("r9") _, out("r10") _, out("r11") _,
        );
    }
    result
}

/// A child of the kernel's `clone` with a stack of its own, whose only act is to end: the
/// flags may make it share this program's memory.
pub fn clone_and_end(flags: i64) -> Answer {
    const SIZE: i64 = 65536;
    let protection = (libc::PROT_READ | libc::PROT_WRITE) as i64;
    let stack = call(
        libc::SYS_mmap,
        &[0, SIZE, protection, (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS) as i64, -1, 0],
    )?;
    match raw_clone(flags, stack + SIZE - 64) {
        error @ -4095..=-1 => Err(-error as i32),
        child => Ok(child),
    }
}

#[cfg(target_arch = "x86_64")]
fn raw_clone(flags: i64, stack: i64) -> i64 {
    let result: i64;
    // SAFETY: the child returns from the call on a fresh mapping that nothing else uses,
    // and ends at once without touching memory; in the parent only registers change.
    unsafe {
        std::arch::asm!(
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "xor edi, edi",
            "mov eax, 60",
            "syscall",
            "2:",
            inlateout("rax") libc::SYS_clone => result,
            inlateout("rdi") flags => _,
            in("rsi") stack,
            in("rdx") 0i64,
            in("r10") 0i64,
            in("r8") 0i64,
            lateout("rcx") _,
            lateout("r11") _,
        );
    }
    result
}
#[cfg(target_arch = "aarch64")]
fn raw_clone(flags: i64, stack: i64) -> i64 {
    let result: i64;
    // SAFETY: as above.
    unsafe {
        std::arch::asm!(
            "svc #0",
            "cbnz x0, 2f",
            "mov x8, #93",
            "svc #0",
            "2:",
            inlateout("x0") flags => result,
            in("x1") stack,
            in("x2") 0i64,
            in("x3") 0i64,
            in("x4") 0i64,
            in("x8") libc::SYS_clone,
        );
    }
    result
}

/// Reads a number of a mapping that this program shares with the kernel.
pub fn read_u32(at: i64) -> u32 {
    // SAFETY: callers pass aligned addresses inside a live mapping of their own.
    unsafe { std::ptr::read_volatile(at as *const u32) }
}

/// Writes bytes into a mapping of this program's own.
pub fn put(at: i64, bytes: &[u8]) {
    // SAFETY: callers pass addresses inside a live writable mapping of their own.
    unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), at as *mut u8, bytes.len()) }
}
