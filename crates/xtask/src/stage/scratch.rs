//! A directory for the files of one run, removed at its end.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::workspace;

/// Removed when dropped, with everything in it.
pub(crate) struct Scratch {
    path: PathBuf,
}

impl Scratch {
    /// A fresh directory `target/xtask/NAME-PID`.
    pub(crate) fn new(name: &str) -> Result<Self> {
        let path = workspace::target_dir().join(format!("xtask/{name}-{}", std::process::id()));
        fs::create_dir_all(&path).with_context(|| format!("cannot create {}", path.display()))?;
        Ok(Self { path })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// A fresh directory in this one.
    pub(crate) fn directory(&self, name: &str) -> Result<PathBuf> {
        let path = self.path.join(name);
        fs::create_dir_all(&path).with_context(|| format!("cannot create {}", path.display()))?;
        Ok(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What is left lies below the target directory, and is found and thrown away with it.
        let _ = fs::remove_dir_all(&self.path);
    }
}
