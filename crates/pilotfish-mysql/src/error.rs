//! What can go wrong, by what the caller can do about it.

use std::time::Duration;

use pilotfish_process::Exit;

/// Why something could not be done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The server refused a statement.
    #[error("{doing}: the server says {code}: {text}")]
    Refused {
        /// What was being done.
        doing: &'static str,
        /// The server's error number; 0 if it gave none.
        code: u16,
        /// Its text.
        text: String,
    },
    /// The server could not be reached, or the connection broke.
    #[error("{doing}: {text}")]
    Unreachable {
        /// What was being done.
        doing: &'static str,
        /// Why.
        text: String,
    },
    /// There was no answer in time; it may have been done.
    #[error("{doing}: no answer within {limit:?}")]
    TooSlow {
        /// What was being done.
        doing: &'static str,
        /// How long it had.
        limit: Duration,
    },
    /// The server's answer is not what this version is known to give.
    #[error("{doing}: cannot understand the server's answer: {text}")]
    Answer {
        /// What was being done.
        doing: &'static str,
        /// What is wrong with it.
        text: String,
    },
    /// A program could not be started.
    #[error("cannot start {program}: {source}")]
    Start {
        /// Which.
        program: String,
        /// Why.
        source: pilotfish_process::Error,
    },
    /// A program failed.
    #[error("{program} failed with {exit:?}: {output}")]
    Failed {
        /// Which.
        program: String,
        /// How it ended.
        exit: Exit,
        /// The end of what it wrote.
        output: String,
    },
    /// A file or directory.
    #[error("cannot {doing} {path}: {source}")]
    File {
        /// What was being done, as a verb.
        doing: &'static str,
        /// With what.
        path: String,
        /// Why not.
        source: std::io::Error,
    },
    /// The catalog.
    #[error(transparent)]
    Catalog(#[from] pilotfish_consul::Error),
    /// Something that must not be, with what to do about it.
    #[error("{0}")]
    Unfit(String),
    /// What was asked for is stale, and was not done.
    #[error("{0}, and was not done")]
    Stale(&'static str),
    /// The operator is ending.
    #[error("the operator is ending")]
    Ending,
}
