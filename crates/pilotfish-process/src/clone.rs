//! The one system call that the C library does not wrap as we need it: `clone3(2)`, which starts a child in a control group.
//!
//! A child that is moved into its group later costs milliseconds: the kernel then waits until no process is between two
//! states of a fork, everywhere. One that is born there costs nothing more.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::raw::{c_int, c_void};

/// What a child runs; it must not return.
pub(crate) type Entry = extern "C" fn(*mut c_void) -> c_int;

/// Starts a child in a control group. It shares our memory, and we stand still until it has left it.
///
/// Fails where the kernel or a sandbox does not know the call, and where the group refuses; nothing has happened then.
///
/// # Safety
/// `base` points to `size` bytes of stack that no other child uses, whose end is aligned to 16 bytes. `entry` never returns,
/// and does only what is allowed between `vfork(2)` and `execve(2)`; `argument` is valid for it.
#[cfg(target_arch = "x86_64")]
pub(crate) unsafe fn into_group(
    group: BorrowedFd<'_>,
    (base, size): (*mut c_void, usize),
    entry: Entry,
    argument: *mut c_void,
) -> io::Result<libc::pid_t> {
    /// The constant of the same name in linux/sched.h; that of the `libc` crate is too short for its value.
    const CLONE_INTO_CGROUP: u64 = 1 << 33;
    // SAFETY: all fields are numbers, for which zero is a value.
    let mut wanted: libc::clone_args = unsafe { std::mem::zeroed() };
    wanted.flags = CLONE_INTO_CGROUP | (libc::CLONE_VM | libc::CLONE_VFORK) as u64;
    wanted.exit_signal = libc::SIGCHLD as u64;
    wanted.stack = base as u64;
    wanted.stack_size = size as u64;
    wanted.cgroup = group.as_raw_fd() as u64;
    let result: isize;
    // SAFETY: the parent only makes a system call, of which rcx and r11 do not survive. The child starts behind it with the
    // same registers but on its own stack, so that the call of `entry` touches nothing of ours; it never returns.
    unsafe {
        std::arch::asm!(
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "xor ebp, ebp",
            "mov rdi, rdx",
            "call r8",
            "ud2",
            "2:",
            inlateout("rax") libc::SYS_clone3 as isize => result,
            in("rdi") &raw const wanted,
            in("rsi") size_of::<libc::clone_args>(),
            in("rdx") argument,
            in("r8") entry,
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        );
    }
    match i32::try_from(result) {
        Ok(pid) if pid > 0 => Ok(pid),
        Ok(negative) => Err(io::Error::from_raw_os_error(-negative)),
        Err(_) => Err(io::ErrorKind::Unsupported.into()),
    }
}

/// Elsewhere a child is not started in a group.
///
/// # Safety
/// There is nothing to keep in mind: nothing is done.
#[cfg(not(target_arch = "x86_64"))]
pub(crate) unsafe fn into_group(
    _: BorrowedFd<'_>,
    _: (*mut c_void, usize),
    _: Entry,
    _: *mut c_void,
) -> io::Result<libc::pid_t> {
    Err(io::ErrorKind::Unsupported.into())
}
