//! The terminal that we were given, if any: whose it is while the main application runs, and afterwards.

/// How a new process stands towards terminals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Session {
    /// A session of its own, without a terminal.
    Own,
    /// A process group of its own in our session; `take` makes it the terminal's foreground group.
    Group {
        /// Whether the terminal is handed over.
        take: bool,
    },
    /// A session of its own, for which our input becomes the controlling terminal.
    Controlling,
}

/// Our standard input, as a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Terminal {
    /// It is none.
    Absent,
    /// It is the one that controls our session, and we were in its foreground group or not.
    Ours {
        /// We were.
        foreground: bool,
    },
    /// It controls no session that we are in: a container engine may leave it so.
    Unclaimed,
}

impl Terminal {
    pub(crate) fn of_stdin() -> Self {
        // SAFETY: these calls take no memory of ours.
        unsafe {
            if libc::isatty(0) != 1 {
                return Terminal::Absent;
            }
            match libc::tcgetpgrp(0) {
                -1 => Terminal::Unclaimed,
                group => Terminal::Ours { foreground: group == libc::getpgrp() },
            }
        }
    }

    pub(crate) fn session_for(self, foreground: bool) -> Session {
        match self {
            Terminal::Ours { foreground: ours } if foreground => Session::Group { take: ours },
            Terminal::Unclaimed if foreground => Session::Controlling,
            Terminal::Absent | Terminal::Ours { .. } | Terminal::Unclaimed => Session::Own,
        }
    }

    /// Makes our own group, or that of the main application, the terminal's foreground group.
    pub(crate) fn give_to(self, group: Option<libc::pid_t>) {
        if self == (Terminal::Ours { foreground: true }) {
            // SAFETY: takes no memory of ours. SIGTTOU, which it sends to background callers, is ignored.
            unsafe { libc::tcsetpgrp(0, group.unwrap_or_else(|| libc::getpgrp())) };
        }
    }
}
