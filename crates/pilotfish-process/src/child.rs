//! From a plan to a running program: one `clone(2)` that shares memory until the `execve(2)`, as `posix_spawn(3)` does.
//!
//! Sharing memory costs no copy of page tables, so a start costs the same however large we are. The price is discipline:
//! between the two calls the child runs on our memory while we stand still, so [`run`] makes raw system calls only. It
//! allocates nothing, takes no lock, and cannot panic.

use crate::clone;
use crate::cstrings::CStrings;
use crate::error::Error;
use crate::signals::{AllBlocked, restore_default};
use crate::terminal::Session;
use crate::user::Identity;
use std::ffi::{CString, OsStr};
use std::io;
use std::os::fd::BorrowedFd;
use std::os::raw::{c_int, c_void};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering::Relaxed};

/// The child's own stack, in bytes; its one shallow function needs a small part of it, also in debug builds.
const STACK_BYTES: usize = 64 * 1024;

/// Where programs are looked for when the environment has no `PATH`. Source: as Docker sets it.
const DEFAULT_PATH: &[u8] = b"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Everything that the child needs, made before it exists.
pub(crate) struct Plan<'a> {
    pub(crate) candidates: &'a CStrings,
    pub(crate) argv: &'a CStrings,
    pub(crate) env: &'a CStrings,
    pub(crate) cwd: Option<&'a CString>,
    pub(crate) identity: Option<&'a Identity>,
    /// The control group that it is born in.
    pub(crate) cgroup: Option<BorrowedFd<'a>>,
    /// What become descriptors 0, 1 and 2; the same number leaves one as it is.
    pub(crate) stdio: [c_int; 3],
    pub(crate) session: Session,
    /// The mark that all descendants inherit (see `tree.rs`).
    pub(crate) mark: u64,
    /// What to write to `/proc/self/oom_score_adj`.
    pub(crate) oom_score: Option<&'a CString>,
    /// Our pid, when the child must die with us.
    pub(crate) die_with: Option<libc::pid_t>,
    /// The signals whose default action must come back.
    pub(crate) ignored: &'a [c_int],
}

/// What the child tells before it ends without having become the program.
struct Report<'a> {
    plan: &'a Plan<'a>,
    step: AtomicI32,
    errno: AtomicI32,
    candidate: AtomicUsize,
}

/// Where a child failed.
pub(crate) struct Failure {
    pub(crate) step: Step,
    pub(crate) errno: i32,
    /// The index of the candidate that was refused.
    pub(crate) candidate: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i32)]
pub(crate) enum Step {
    Stdio = 1,
    Identity = 2,
    Directory = 3,
    Exec = 4,
}

/// The memory that children run on, one after the other.
#[derive(Debug)]
pub(crate) struct Stack(*mut c_void);

impl Stack {
    pub(crate) fn new() -> Result<Self, Error> {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_STACK | libc::MAP_NORESERVE;
        // SAFETY: a fresh anonymous mapping touches nothing that exists.
        let base =
            unsafe { libc::mmap(std::ptr::null_mut(), STACK_BYTES, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0) };
        if base == libc::MAP_FAILED {
            return Err(Error::Setup { doing: "map a stack for children", source: io::Error::last_os_error() });
        }
        Ok(Stack(base))
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, and no child runs on it: `start` returns only after the child has left it.
        unsafe { libc::munmap(self.0, STACK_BYTES) };
    }
}

/// Starts the program. When this returns the child has become it, or has ended and was reaped.
pub(crate) fn start(stack: &mut Stack, plan: &Plan<'_>) -> Result<libc::pid_t, StartError> {
    let report = Report { plan, step: AtomicI32::new(0), errno: AtomicI32::new(0), candidate: AtomicUsize::new(0) };
    let blocked = AllBlocked::new();
    // SAFETY: the stack is mapped, its end is aligned and, through `&mut`, used by one child at a time. CLONE_VFORK keeps
    // this thread suspended until the child has left our memory, so `report` outlives its use. `run` is async-signal-safe.
    let pid = unsafe {
        let argument = (&raw const report).cast_mut().cast();
        match plan.cgroup {
            Some(cgroup) => clone::into_group(cgroup, (stack.0, STACK_BYTES), run, argument),
            None => {
                let top = stack.0.byte_add(STACK_BYTES);
                let pid = libc::clone(run, top, libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD, argument);
                if pid < 0 { Err(io::Error::last_os_error()) } else { Ok(pid) }
            }
        }
    };
    drop(blocked);
    let pid = pid.map_err(StartError::Clone)?;
    let step = match report.step.load(Relaxed) {
        1 => Step::Stdio,
        2 => Step::Identity,
        3 => Step::Directory,
        4 => Step::Exec,
        _ => return Ok(pid),
    };
    // SAFETY: asks for one child of ours that has ended, and for no memory to be written.
    while unsafe { libc::waitpid(pid, std::ptr::null_mut(), 0) } < 0
        && io::Error::last_os_error().kind() == io::ErrorKind::Interrupted
    {}
    let errno = report.errno.load(Relaxed);
    Err(StartError::Child(Failure { step, errno, candidate: report.candidate.load(Relaxed) }))
}

/// Why there is no child.
pub(crate) enum StartError {
    /// The system gave us none.
    Clone(io::Error),
    /// It ended before it became the program.
    Child(Failure),
}

impl StartError {
    /// Another kind of start may succeed: it was not for want of processes or memory.
    pub(crate) fn is_refusal(&self) -> bool {
        match self {
            StartError::Clone(error) => !matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::ENOMEM)),
            StartError::Child(_) => false,
        }
    }
}

/// The child, from its first instruction to the program's.
extern "C" fn run(argument: *mut c_void) -> c_int {
    // SAFETY: the parent gave a pointer to its `Report` and stands still while we run.
    let report = unsafe { &*argument.cast::<Report<'_>>() };
    let step = prepare(report.plan).err().unwrap_or_else(|| {
        exec(report);
        Step::Exec
    });
    if step != Step::Exec {
        report.errno.store(errno(), Relaxed);
    }
    report.step.store(step as i32, Relaxed);
    // SAFETY: ends this process alone, without running anything of the parent's.
    unsafe { libc::_exit(127) }
}

/// Everything between the clone and the exec.
fn prepare(plan: &Plan<'_>) -> Result<(), Step> {
    // SAFETY: raw system calls on values that the parent made and keeps; none takes memory but what is given to it.
    unsafe {
        join_session(plan.session);
        for (target, &source) in (0..).zip(&plan.stdio) {
            if source != target && libc::dup2(source, target) < 0 {
                return Err(Step::Stdio);
            }
        }
        // Ours are all close-on-exec; this is for what we inherited. An old kernel without it (before 5.9) refuses.
        libc::syscall(libc::SYS_close_range, 3 as libc::c_uint, libc::c_uint::MAX, 0 as libc::c_uint);
        set_mark(plan.mark);
        if let Some(score) = plan.oom_score {
            set_oom_score(score);
        }
        if let Some(identity) = plan.identity {
            assume(identity).map_err(|()| Step::Identity)?;
        }
        if plan.cwd.is_some_and(|cwd| libc::chdir(cwd.as_ptr()) < 0) {
            return Err(Step::Directory);
        }
        // Only now: a change of user clears it. The parent may have died before it was set.
        if let Some(parent) = plan.die_with {
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL as libc::c_ulong, 0, 0, 0);
            if libc::getppid() != parent {
                libc::_exit(127);
            }
        }
        for &signal in plan.ignored {
            restore_default(signal);
        }
        let mut none = std::mem::MaybeUninit::uninit();
        libc::sigemptyset(none.as_mut_ptr());
        libc::sigprocmask(libc::SIG_SETMASK, none.as_ptr(), std::ptr::null_mut());
    }
    Ok(())
}

/// # Safety
/// To be called in the child only: it changes the calling process.
unsafe fn join_session(session: Session) {
    // SAFETY: system calls without memory. All signals are blocked, so taking the terminal cannot stop us (tcsetpgrp(3)).
    unsafe {
        match session {
            Session::Own => {
                libc::setsid();
            }
            Session::Group { take } => {
                libc::setpgid(0, 0);
                if take {
                    libc::tcsetpgrp(0, libc::getpid());
                }
            }
            Session::Controlling => {
                libc::setsid();
                libc::ioctl(0, libc::TIOCSCTTY, 0);
            }
        }
    }
}

/// # Safety
/// To be called in the child only: it changes the calling process.
unsafe fn set_mark(mark: u64) {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is a valid place to read from and write to.
    unsafe {
        if libc::getrlimit(libc::RLIMIT_RTTIME, &mut limit) == 0 {
            limit.rlim_cur = mark;
            libc::setrlimit(libc::RLIMIT_RTTIME, &limit);
        }
    }
}

/// # Safety
/// To be called in the child only: it changes the calling process.
unsafe fn set_oom_score(score: &CString) {
    // SAFETY: the path and the text are valid; the descriptor is this function's own.
    unsafe {
        let file = libc::open(c"/proc/self/oom_score_adj".as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC);
        if file >= 0 {
            libc::write(file, score.as_ptr().cast(), score.count_bytes());
            libc::close(file);
        }
    }
}

/// The raw calls, not the C library's functions: those change every thread that shares this memory (nptl(7)).
///
/// # Safety
/// To be called in the child only: it changes the calling process.
unsafe fn assume(identity: &Identity) -> Result<(), ()> {
    // SAFETY: the list of groups is valid for its length.
    let done = unsafe {
        libc::syscall(libc::SYS_setgroups, identity.groups.len(), identity.groups.as_ptr()) == 0
            && libc::syscall(libc::SYS_setresgid, identity.gid, identity.gid, identity.gid) == 0
            && libc::syscall(libc::SYS_setresuid, identity.uid, identity.uid, identity.uid) == 0
    };
    if done { Ok(()) } else { Err(()) }
}

/// Tries each candidate as `execvp(3)` does; returns only when none could be executed.
fn exec(report: &Report<'_>) {
    let plan = report.plan;
    report.errno.store(libc::ENOENT, Relaxed);
    let mut candidate = plan.candidates.as_ptr();
    let mut index = 0;
    // SAFETY: the array ends with a null pointer; all strings and arrays are the parent's, which stands still.
    unsafe {
        while !(*candidate).is_null() {
            libc::execve(*candidate, plan.argv.as_ptr(), plan.env.as_ptr());
            match errno() {
                // The first answer stays, which for a program that is nowhere is "no such file".
                libc::ENOENT | libc::ENOTDIR => {}
                refused => {
                    report.errno.store(refused, Relaxed);
                    report.candidate.store(index, Relaxed);
                    if refused != libc::EACCES {
                        return;
                    }
                }
            }
            candidate = candidate.add(1);
            index = usize::wrapping_add(index, 1);
        }
    }
}

fn errno() -> i32 {
    // `last_os_error` only reads `errno`: it neither allocates nor locks.
    io::Error::last_os_error().raw_os_error().unwrap_or(0)
}

/// The files that a program's name may mean, in the order in which they are tried. An empty directory in `PATH`, which
/// once meant the current one, is passed over.
pub(crate) fn candidates(program: &OsStr, env: &[(std::ffi::OsString, std::ffi::OsString)]) -> Vec<PathBuf> {
    if program.as_bytes().contains(&b'/') {
        return vec![PathBuf::from(program)];
    }
    let path = env.iter().rev().find(|(name, _)| name == "PATH").map_or(DEFAULT_PATH, |(_, value)| value.as_bytes());
    path.split(|&byte| byte == b':')
        .filter(|directory| !directory.is_empty())
        .map(|directory| PathBuf::from(OsStr::from_bytes(directory)).join(program))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(program: &str, path: Option<&str>, expect: &[&str]) {
        let env: Vec<_> = path.map(|path| ("PATH".into(), path.into())).into_iter().collect();
        let expect: Vec<PathBuf> = expect.iter().map(PathBuf::from).collect();
        assert_eq!(candidates(OsStr::new(program), &env), expect);
    }

    #[test]
    fn programs_are_looked_up_in_order() {
        check("/bin/sh", Some("/a"), &["/bin/sh"]);
        check("./sh", Some("/a"), &["./sh"]);
        check("sh", Some("/a::/b/"), &["/a/sh", "/b/sh"]);
        check("sh", Some(""), &[]);
        assert_eq!(candidates(OsStr::new("sh"), &[]).len(), 6);
    }
}
