//! What to start: every fact about a process that is not known to the system already.

use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;

/// Where a process reads from and writes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Stdio {
    /// The supervisor's own three descriptors, for the main application.
    Attached,
    /// Output through two pipes that [`crate::Output`] reads line by line; input is empty.
    #[default]
    Wrapped,
    /// The same through one pipe, for what runs often and whose streams nobody tells apart: a third fewer system calls.
    Merged,
    /// Output as the supervisor's own, unread; input is empty. For jobs whose output is passed `raw`.
    Raw,
    /// No input, and the output is thrown away.
    Null,
}

/// A process to start.
#[derive(Debug, Clone, Default)]
pub struct Command {
    /// The program and its arguments. A program without a slash is looked up in the `PATH` of `env`.
    pub argv: Vec<OsString>,
    /// The whole environment: nothing is added to it and nothing is inherited.
    pub env: Vec<(OsString, OsString)>,
    /// The working directory; the supervisor's own when absent. A relative program path is relative to it.
    pub cwd: Option<PathBuf>,
    /// A name from `/etc/passwd` or a number. Its supplementary groups come from `/etc/group`.
    pub user: Option<String>,
    /// A name from `/etc/group` or a number; the user's primary group when absent, or 0 when the user is a
    /// number without an entry.
    pub group: Option<String>,
    /// Where it reads from and writes to.
    pub stdio: Stdio,
    /// What it reads from instead, as one end of a pipe or socket.
    pub input: Option<Arc<OwnedFd>>,
    /// What its standard output is instead; [`Stdio`] then tells of its standard error only.
    pub output: Option<Arc<OwnedFd>>,
    /// It is the main application: where our input is a terminal, that terminal becomes its own (Ctrl-C, job control).
    pub foreground: bool,
    /// It gets a control group of its own where we may make one, so that a kill reaches all that it starts at once. That
    /// costs a tenth of a millisecond or two: for what lives long or starts much, not for a short health check.
    pub confined: bool,
}
