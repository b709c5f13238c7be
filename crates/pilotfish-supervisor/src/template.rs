//! Files that are rendered from what the catalog says: what a config wants, and what the shell reports of one rendering.

use alloc::{string::String, vec::Vec};
use core::time::Duration;

use crate::spec::Process;

/// Names one rendering of a template, until it is in place or discarded; never used twice.
pub type RenderId = u64;

/// Questions that all templates together may ask, in questions. Each that is followed holds a connection, and an agent takes 200 from one
/// address (Consul documentation, agent configuration, `http_max_conns_per_client`), which watches and registrations need, too.
pub const TEMPLATE_FACTS: usize = 128;

/// A file that is rendered from what the catalog says, and again whenever that changes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Template {
    /// Unique; jobs refer to it as `template.<name>`.
    pub name: String,
    /// The file that the text comes from; `None` if it stands in the config.
    pub source: Option<String>,
    /// The template's text, as it was when the config was loaded.
    pub text: String,
    /// The file that is written.
    pub destination: String,
    /// Mode of the file; `None`: that of the file in place, or 0644 for a new one.
    pub perms: Option<u32>,
    /// Owner of the file, name or number; `None`: that of the file in place, or the supervisor's own.
    pub user: Option<String>,
    /// Group of the file, name or number; `None`: that of the file in place, or the supervisor's own.
    pub group: Option<String>,
    /// Missing directories above the file are made.
    pub create_directories: bool,
    /// The file that is replaced is kept as `<destination>.bak`.
    pub backup: bool,
    /// A key that a map does not have is an error, instead of no value.
    pub strict: bool,
    /// What opens and closes an action, if not `{{` and `}}`.
    pub delimiters: Option<(String, String)>,
    /// Changes are collected before the file is rendered again.
    pub wait: Option<Wait>,
    /// After a change a random time up to this long passes before the file is rendered, so that not everybody does at once.
    pub splay: Duration,
    /// Nothing is started before the file was rendered once.
    pub required: bool,
    /// Whether the first rendering of a required file is told as a change: otherwise nobody has seen the file before, and none need be told.
    pub announced: bool,
    /// Must pass on the new file before that replaces the one in place.
    pub check: Option<TemplateCheck>,
    /// What happens to jobs whose process reads the file, after each change.
    pub notify: Vec<Notify>,
}

/// How long changes are collected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wait {
    /// Nothing must have changed for this long.
    pub min: Duration,
    /// Counted from the first change; then the file is rendered all the same.
    pub max: Duration,
}

/// A command that judges a new file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateCheck {
    /// What is executed; [`NEW_FILE`] in its arguments stands for the path of the new file.
    pub process: Process,
    /// It is killed and failed when it takes longer.
    pub timeout: Duration,
}

/// Stands for the path of the new file in the arguments of a check.
pub const NEW_FILE: &str = "{{.Path}}";

/// What a change of the file means for the running process of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notify {
    /// The job.
    pub job: String,
    /// What is done.
    pub reaction: Reaction,
}

/// What is done to a process when a file has changed that it reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reaction {
    /// Its group gets this signal.
    Signal(i32),
    /// It is stopped and started again.
    Restart {
        /// What asks it to stop, if not SIGTERM.
        signal: Option<i32>,
    },
}

/// What one rendering came to, before anything is in place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RenderOutcome {
    /// Answers are missing.
    Waiting {
        /// To these questions.
        missing: Vec<String>,
    },
    /// The file in place is the same.
    Unchanged,
    /// A new file lies beside the one in place.
    Staged {
        /// Its path.
        path: String,
    },
    /// The template cannot be rendered with these answers, and never will be.
    Refused {
        /// Why.
        reason: String,
    },
    /// The new file could not be written (no space, no permission).
    NotWritten {
        /// Why.
        reason: String,
    },
}
