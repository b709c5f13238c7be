//! consul-template's settings: what they are, where they come from, and what they mean here. Behind this module nobody knows of them: they
//! become a config like any other, which the one loop supervises.
//!
//! ```text
//! config files, in their order ─┐
//! flags, which come last ───────┴─► Settings ──translation──► Config {templates, jobs for commands, main job for -exec}
//! ```

mod files;
mod refused;
mod settings;
mod translation;
mod words;

use std::path::PathBuf;

pub(crate) use refused::refused;
pub(crate) use settings::{Given, Settings};
pub(crate) use translation::{Signals, load, load_again, parse, pid_file, signals};

/// A whole command line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct TemplateLine {
    /// Config files, and directories of them.
    pub(crate) config: Vec<PathBuf>,
    /// What flags say, by the path of the setting that each stands for; all of it is known to be valid.
    pub(crate) given: Vec<(&'static str, Given)>,
    /// Everything is rendered once, and that is all.
    pub(crate) once: bool,
    /// What is rendered is printed instead of written, and no command is run.
    pub(crate) dry: bool,
    /// Settings and templates are read, and that is all.
    pub(crate) parse_only: bool,
}
