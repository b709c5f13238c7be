//! One answer of `waitpid(2)`.

use super::Exit;

pub(super) enum Waited {
    Ended(libc::pid_t, Exit),
    /// Ctrl-Z, or a SIGTSTP that stands for it.
    Stopped(libc::pid_t),
    /// No child has ended.
    Nothing,
    /// There is no child.
    Childless,
}

pub(super) fn wait_any() -> Waited {
    loop {
        let mut status = 0;
        // SAFETY: `status` is a valid place for the one value that is written.
        let pid = unsafe { libc::waitpid(-1, &mut status, libc::WNOHANG | libc::WUNTRACED) };
        if pid == 0 {
            return Waited::Nothing;
        } else if pid < 0 {
            return Waited::Childless;
        } else if libc::WIFEXITED(status) {
            return Waited::Ended(pid, Exit::Code(libc::WEXITSTATUS(status)));
        } else if libc::WIFSIGNALED(status) {
            return Waited::Ended(pid, Exit::Signal(libc::WTERMSIG(status)));
        } else if libc::WIFSTOPPED(status) && libc::WSTOPSIG(status) == libc::SIGTSTP {
            return Waited::Stopped(pid);
        }
    }
}
