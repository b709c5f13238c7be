//! What can go wrong, by what the caller can do about it.

use std::io;
use std::path::PathBuf;

/// A failure of the operating system, with what was being done and what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The supervisor's own machinery could not be set up; nothing was started.
    #[error("cannot {doing}: {source}")]
    Setup {
        /// What was being done.
        doing: &'static str,
        /// The system's answer.
        source: io::Error,
    },
    /// The program could not be executed: correct the command or the image.
    #[error("cannot execute {}: {source}{}", path.display(), advice(*exists, source))]
    Exec {
        /// The file that was tried, or the bare name when no directory of `PATH` has it.
        path: PathBuf,
        /// The file is there although the system says it is not: its interpreter or dynamic loader is missing.
        exists: bool,
        /// The system's answer.
        source: io::Error,
    },
    /// The working directory could not be entered: correct it.
    #[error("cannot enter the working directory {}: {source}", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// The user or group is unknown, or may not be assumed: correct it, or run the supervisor as root.
    #[error("cannot run as {name}: {source}")]
    Identity {
        /// The user or group as it was written.
        name: String,
        /// The system's answer.
        source: io::Error,
    },
    /// The command itself is malformed: no program, or a NUL byte in a word.
    #[error("cannot start a process: {reason}")]
    Malformed {
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The system is short of processes, memory or descriptors: a later attempt may succeed.
    #[error("cannot {doing}: {source}; raise the limits of the container or try again later")]
    Resources {
        /// What was being done.
        doing: &'static str,
        /// The system's answer.
        source: io::Error,
    },
}

fn advice(exists: bool, source: &io::Error) -> &'static str {
    match source.raw_os_error() {
        Some(libc::ENOENT) if exists => " (the file exists: its interpreter or dynamic loader is missing)",
        Some(libc::ENOENT) => "; give its full path or correct PATH",
        Some(libc::EACCES) => "; make it executable for the job's user",
        Some(libc::ENOEXEC) => "; a script needs a #! line",
        Some(_) | None => "",
    }
}

impl Error {
    /// The exit code that a shell would report: 127 when there is no such program, 126 when it cannot be run.
    ///
    /// Source: POSIX.1-2017, Shell Command Language, 2.8.2 "Exit Status for Commands".
    pub fn exit_code(&self) -> i32 {
        match self {
            Error::Exec { source, .. } if source.raw_os_error() == Some(libc::ENOENT) => 127,
            Error::Setup { .. }
            | Error::Exec { .. }
            | Error::Directory { .. }
            | Error::Identity { .. }
            | Error::Malformed { .. }
            | Error::Resources { .. } => 126,
        }
    }

    /// The system's error number, where the system was asked.
    pub fn errno(&self) -> Option<i32> {
        match self {
            Error::Setup { source, .. }
            | Error::Exec { source, .. }
            | Error::Directory { source, .. }
            | Error::Identity { source, .. }
            | Error::Resources { source, .. } => source.raw_os_error(),
            Error::Malformed { .. } => None,
        }
    }
}
