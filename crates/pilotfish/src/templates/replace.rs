//! Replaces a file as a whole: what reads it sees the old content or the new one, never a part.
//!
//! Everything here blocks, and a file system can hang: call it in a thread of its own.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
};

use pilotfish_supervisor::Template;

/// The file that a template is rendered to, and how it is to look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Destination {
    /// Its path.
    pub(crate) path: PathBuf,
    /// Mode; `None`: that of the file in place, or 0644.
    pub(crate) perms: Option<u32>,
    /// Owner, name or number; `None`: that of the file in place, or our own.
    pub(crate) user: Option<String>,
    /// Group, name or number; `None`: that of the file in place, or our own.
    pub(crate) group: Option<String>,
    /// Missing directories above it are made.
    pub(crate) create_directories: bool,
    /// The file that is replaced is kept as `<path>.bak`.
    pub(crate) backup: bool,
}

impl Destination {
    /// Where a template's file goes.
    pub(crate) fn of(template: &Template) -> Destination {
        Destination {
            path: PathBuf::from(&template.destination),
            perms: template.perms,
            user: template.user.clone(),
            group: template.group.clone(),
            create_directories: template.create_directories,
            backup: template.backup,
        }
    }
}

/// A new file that lies beside the one in place, written and on disk.
#[derive(Debug)]
pub(crate) struct Staged {
    path: PathBuf,
    destination: Destination,
}

/// Writes a new file beside the one in place; `None` if that is the same already, in content and (as far as given) mode and owner.
///
/// # Errors
/// Which path, what was being done, and why it failed.
pub(crate) fn stage(destination: &Destination, text: &str) -> Result<Option<Staged>, String> {
    let failed = |error: std::io::Error| format!("cannot write {}: {error}", destination.path.display());
    if fs::read(&destination.path).is_ok_and(|old| old == text.as_bytes()) {
        return Ok(None);
    }
    if let Some(parent) = destination.path.parent().filter(|_| destination.create_directories) {
        fs::create_dir_all(parent).map_err(failed)?;
    }
    let mut name = std::ffi::OsString::from(".");
    name.push(destination.path.file_name().unwrap_or_default());
    name.push(".pilotfish");
    let path = destination.path.with_file_name(name);
    let mut file = fs::File::create(&path).map_err(failed)?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)?;
    Ok(Some(Staged { path, destination: destination.clone() }))
}

impl Staged {
    /// The new file's path.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Puts it in place.
    ///
    /// # Errors
    /// Which path, what was being done, and why it failed; nothing is left beside the old file then.
    pub(crate) fn commit(self) -> Result<(), String> {
        fs::rename(&self.path, &self.destination.path)
            .map_err(|error| format!("cannot replace {}: {error}", self.destination.path.display()))
    }

    /// Removes it.
    pub(crate) fn discard(self) {
        // Whoever was quicker has done the same.
        let _ = fs::remove_file(&self.path);
    }
}
