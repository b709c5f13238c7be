//! The signals that we take, as a descriptor: nothing of ours ever runs in a signal handler.

use crate::error::Error;
use crate::watched::watch;
use std::io;
use std::mem::{MaybeUninit, size_of};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Signals that mean a fault in our own code: catching them would hide it. Source: signal(7).
const FAULTS: [i32; 7] =
    [libc::SIGSEGV, libc::SIGBUS, libc::SIGFPE, libc::SIGILL, libc::SIGABRT, libc::SIGTRAP, libc::SIGSYS];

/// Signals that are ignored: a closed pipe is an error code, and a supervisor in the background must never be stopped
/// because it touched the terminal.
const IGNORED: [i32; 3] = [libc::SIGPIPE, libc::SIGTTIN, libc::SIGTTOU];

/// The last standard signal; the C library keeps the two after it for itself. Source: nptl(7).
const LAST_STANDARD: i32 = 31;

/// How many signals are read at once.
const BATCH: usize = 16;

/// How often that is done in a row: once each would do for all the signals there are.
const BATCHES: usize = 4;

/// A blocked set of signals and the descriptor that tells of them.
#[derive(Debug)]
pub(crate) struct Signals {
    source: AsyncFd<OwnedFd>,
}

impl Signals {
    /// Blocks every signal that we take in the calling thread, and in those that it starts later.
    pub(crate) fn new() -> Result<Self, Error> {
        let setup = |doing| move |source| Error::Setup { doing, source };
        for signal in IGNORED {
            // SAFETY: no handler is installed, so no code can run asynchronously.
            unsafe { libc::signal(signal, libc::SIG_IGN) };
        }
        // An ignored SIGCHLD, inherited from whoever started us, would make the kernel reap in our place.
        // SAFETY: as above.
        unsafe { libc::signal(libc::SIGCHLD, libc::SIG_DFL) };
        let set = taken();
        // SAFETY: `set` is initialised; the old mask is not asked for.
        let blocked = unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &set, std::ptr::null_mut()) };
        if blocked != 0 {
            return Err(setup("block signals")(io::Error::from_raw_os_error(blocked)));
        }
        // SAFETY: `set` is initialised.
        let raw = unsafe { libc::signalfd(-1, &set, libc::SFD_NONBLOCK | libc::SFD_CLOEXEC) };
        if raw < 0 {
            return Err(setup("open a descriptor for signals")(io::Error::last_os_error()));
        }
        // SAFETY: the descriptor was just opened and belongs to nobody else.
        let descriptor = unsafe { OwnedFd::from_raw_fd(raw) };
        let source = watch(descriptor, Interest::READABLE);
        let source = source.map_err(|(_, error)| setup("watch for signals")(error))?;
        Ok(Signals { source })
    }

    /// Waits for signals and hands over those that are there. Cancel-safe: none is taken before the wait is over.
    pub(crate) async fn wait(&self, mut take: impl FnMut(i32)) {
        loop {
            // Readiness fails only while the runtime shuts down; nobody waits for signals then.
            let Ok(mut guard) = self.source.readable().await else { return std::future::pending().await };
            match guard.try_io(|source| read(source.get_ref(), &mut take)) {
                Ok(_) => return,
                Err(_would_block) => continue,
            }
        }
    }

    /// Takes the signals that the runtime knows of, without waiting; in a storm of them, some. Costs nothing when there are none.
    pub(crate) fn take_known(&self, mut take: impl FnMut(i32)) {
        for _ in 0..BATCHES {
            if self.source.try_io(Interest::READABLE, |source| read(source, &mut take)).is_err() {
                return;
            }
        }
    }

    /// Takes the signals that are there, for where the runtime does not run.
    pub(crate) fn poll(&self, mut take: impl FnMut(i32)) {
        for _ in 0..BATCHES {
            if read(self.source.get_ref(), &mut take).is_err() {
                return;
            }
        }
    }

    /// Waits in the calling thread until there is a signal, for at most so many milliseconds.
    pub(crate) fn block(&self, limit_ms: i32) {
        let mut entry = libc::pollfd { fd: self.source.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        // SAFETY: exactly one valid entry is given.
        unsafe { libc::poll(&mut entry, 1, limit_ms) };
    }
}

fn read(source: &OwnedFd, take: &mut impl FnMut(i32)) -> io::Result<()> {
    let mut batch = [MaybeUninit::<libc::signalfd_siginfo>::uninit(); BATCH];
    // SAFETY: the size given is that of the array.
    let count = unsafe { libc::read(source.as_raw_fd(), batch.as_mut_ptr().cast(), size_of_val(&batch)) };
    let Ok(count) = usize::try_from(count) else { return Err(io::Error::last_os_error()) };
    for info in &batch[..count / size_of::<libc::signalfd_siginfo>()] {
        // SAFETY: the kernel writes whole records, and this one lies within what it wrote.
        take(unsafe { info.assume_init_ref() }.ssi_signo as i32);
    }
    Ok(())
}

/// Every signal but the faults, the ignored ones, and the two that cannot be caught.
fn taken() -> libc::sigset_t {
    let wanted = (1..=LAST_STANDARD).chain(libc::SIGRTMIN()..=libc::SIGRTMAX());
    let excluded = [libc::SIGKILL, libc::SIGSTOP];
    set(wanted.filter(|signal| !FAULTS.contains(signal) && !IGNORED.contains(signal) && !excluded.contains(signal)))
}

fn set(signals: impl Iterator<Item = i32>) -> libc::sigset_t {
    let mut set = MaybeUninit::uninit();
    // SAFETY: `sigemptyset` initialises the set before a signal is added to it.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        for signal in signals {
            libc::sigaddset(set.as_mut_ptr(), signal);
        }
        set.assume_init()
    }
}

/// All signals are blocked in this thread while it lives; the earlier mask comes back when it is dropped.
pub(crate) struct AllBlocked(libc::sigset_t);

impl AllBlocked {
    pub(crate) fn new() -> Self {
        let mut old = MaybeUninit::uninit();
        // SAFETY: both sets are valid; with valid arguments the call cannot fail, so `old` is initialised.
        unsafe {
            let mut all = MaybeUninit::uninit();
            libc::sigfillset(all.as_mut_ptr());
            libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), old.as_mut_ptr());
            AllBlocked(old.assume_init())
        }
    }
}

impl Drop for AllBlocked {
    fn drop(&mut self) {
        // SAFETY: the mask is the one that the system gave us.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &self.0, std::ptr::null_mut()) };
    }
}

/// What a signal does, as the kernel has it: the first word is the handler. It has no more words than these, nowhere.
type Action = [usize; 8];

/// The size of the kernel's own set of signals, in bytes.
const KERNEL_SET_BYTES: usize = 8;

/// The signals that are ignored in this process now, ours and the inherited ones: `execve(2)` would keep them ignored.
///
/// The kernel is asked directly, as in [`restore_default`]: the C library hides the two signals that it uses itself.
pub(crate) fn ignored() -> Vec<i32> {
    let ignored = |&signal: &i32| {
        let mut action: Action = [0; 8];
        let none = std::ptr::null::<Action>();
        // SAFETY: nothing is changed, and `action` is larger than what is written.
        let asked =
            unsafe { libc::syscall(libc::SYS_rt_sigaction, signal, none, action.as_mut_ptr(), KERNEL_SET_BYTES) };
        asked == 0 && action[0] == libc::SIG_IGN
    };
    (1..=libc::SIGRTMAX()).filter(ignored).collect()
}

/// Gives a signal its default action. Async-signal-safe.
pub(crate) fn restore_default(signal: i32) {
    let action: Action = [0; 8];
    let none = std::ptr::null_mut::<Action>();
    // SAFETY: an action of zeroes is the default one, without a handler.
    unsafe { libc::syscall(libc::SYS_rt_sigaction, signal, action.as_ptr(), none, KERNEL_SET_BYTES) };
}
