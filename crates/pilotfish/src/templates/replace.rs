//! Replaces a file as a whole: whoever reads it sees all of the old one or all of the new one, whatever happens in between.
//!
//! ```text
//! stage: text ──► .NAME.pilotfish-RANDOM beside the file, synced, with its owner and mode ──► a check may look at it
//! commit: rename over NAME, sync the directory        dropped instead: removed again
//! ```
//!
//! A symbolic link in the place of the file is refused: to follow it would let whoever may write to the directory choose which file of ours
//! is overwritten, and to replace it would break the link of somebody who put it there on purpose. One that appears later is replaced by
//! the rename, which never follows.
//!
//! Everything here waits for the disk, which may be slow or stalled: it does not belong into the loop's thread.

use std::{
    ffi::{OsStr, OsString},
    fs::File,
    io::{self, Read as _, Seek as _, Write as _},
    os::{fd::OwnedFd, unix::ffi::OsStrExt as _, unix::fs::MetadataExt as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context as _, anyhow, bail};
use pilotfish_supervisor::Template;
use rustix::{
    fs::{
        AtFlags, Dir, FileType, FlockOperation, Gid, Mode, OFlags, Stat, Uid, fchmod, fchown, flock, fsync, open,
        openat, renameat, statat, unlinkat,
    },
    io::Errno,
};

/// Mode of a file that was not there before, as in consul-template.
const NEW_FILE_MODE: u32 = 0o644;

/// What a temporary file's name has in its middle; a random number follows.
const MARK: &str = ".pilotfish-";

/// Bytes of the file's name that its temporary file repeats; with the rest it stays below the 255 that Linux allows.
const NAME_BYTES: usize = 200;

/// How often another random name is tried when there is a file of that name.
const NAME_ATTEMPTS: usize = 8;

/// A file that is to be replaced, and how.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Destination {
    /// Where it is.
    pub(crate) path: PathBuf,
    /// Mode; `None`: that of the file in place, or 0644.
    pub(crate) perms: Option<u32>,
    /// Owner, name or number; `None`: that of the file in place, or our own.
    pub(crate) user: Option<String>,
    /// Group, name or number; `None`: that of the file in place, or our own.
    pub(crate) group: Option<String>,
    /// Directories that are not there are made, with mode 0755.
    pub(crate) create_directories: bool,
    /// What it held before stays as `PATH.bak`.
    pub(crate) backup: bool,
}

/// A new text beside the file, ready to take its place. Dropped, it is removed.
#[derive(Debug)]
pub(crate) struct Staged {
    /// Shared: a copy could fail for want of descriptors, when the file is there already.
    directory: Arc<OwnedFd>,
    /// Holds the lock that says that somebody is still at it.
    _file: File,
    temporary: OsString,
    name: OsString,
    path: PathBuf,
    committed: bool,
    /// The text that was there before, to be kept as a second file.
    backup: Option<Box<Staged>>,
}

/// Writes a new file beside the one in place; `None` if that is the same already. Then only its mode and owner are put right, if they are given.
///
/// # Errors
/// Which path, what was being done, and why it failed. The file is as it was then, and nothing else is left behind.
pub(crate) fn stage(destination: &Destination, text: &str) -> Result<Option<Staged>, String> {
    let staged = destination.stage(text.as_bytes());
    staged.map_err(|error| format!("cannot replace {}: {error:#}", destination.path.display()))
}

/// Removes what a predecessor left that was killed while it wrote; the number of files.
pub(crate) fn clean(destination: &Destination) -> usize {
    destination.clean().unwrap_or(0)
}

/// Owner, group and permissions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Attributes {
    user: u32,
    group: u32,
    mode: u32,
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

    fn stage(&self, text: &[u8]) -> anyhow::Result<Option<Staged>> {
        let (directory, name) = self.open_directory()?;
        let old = existing(&directory, name)?;
        let wanted = self.attributes(old.as_ref())?;
        let before = match &old {
            Some(_) => self.read_before(&directory, name, text, wanted)?,
            None => Before::Different(None),
        };
        let before = match before {
            Before::Same => return Ok(None),
            Before::Different(before) => before,
        };
        let path = |name: &OsStr| self.path.with_file_name(name);
        let mut staged = write_beside(&directory, name, path, wanted, |mut file| file.write_all(text))?;
        if let (Some(before), Some(old)) = (before, old) {
            let backup = joined(&[name, OsStr::new(".bak")]);
            // However large it is, it is nothing that has to fit into memory.
            let copy = |mut file: &File| io::copy(&mut &before, &mut file).map(drop);
            let kept = write_beside(&directory, &backup, path, attributes_of(&old), copy);
            staged.backup = Some(Box::new(kept.context("cannot write the backup")?));
        }
        Ok(Some(staged))
    }

    fn clean(&self) -> anyhow::Result<usize> {
        let (directory, name) = self.open_existing_directory()?;
        let mut removed = 0;
        for entry in Dir::read_from(&directory)?.flatten() {
            let found = OsStr::from_bytes(entry.file_name().to_bytes());
            if is_temporary_of(found, name) && is_abandoned(&directory, found) {
                removed += usize::from(unlinkat(&directory, found, AtFlags::empty()).is_ok());
            }
        }
        Ok(removed)
    }

    fn open_directory(&self) -> anyhow::Result<(Arc<OwnedFd>, &OsStr)> {
        if self.create_directories
            && let Some(parent) = self.path.parent()
        {
            std::fs::create_dir_all(parent)
                .with_context(|| format!("cannot make its directory {}", parent.display()))?;
        }
        let (directory, name) = self.open_existing_directory()?;
        Ok((Arc::new(directory), name))
    }

    fn open_existing_directory(&self) -> anyhow::Result<(OwnedFd, &OsStr)> {
        let name = self.path.file_name().context("it is no path of a file")?;
        let parent = match self.path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            Some(_) | None => Path::new("."),
        };
        let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
        let directory = open(parent, flags, Mode::empty())
            .map_err(|error| anyhow!("cannot open its directory {}: {}", parent.display(), io::Error::from(error)))?;
        Ok((directory, name))
    }

    /// What the file will have: what is wanted, else what it has now, else what a new file has.
    fn attributes(&self, old: Option<&Stat>) -> anyhow::Result<Attributes> {
        let own = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        let kept = old.map(attributes_of);
        let new = Attributes { user: own.0, group: own.1, mode: NEW_FILE_MODE };
        let mut wanted = kept.unwrap_or(new);
        let (user, group) = pilotfish_process::owner(self.user.as_deref(), self.group.as_deref())?;
        wanted.user = user.unwrap_or(wanted.user);
        wanted.group = group.unwrap_or(wanted.group);
        wanted.mode = self.perms.unwrap_or(wanted.mode) & 0o7777;
        Ok(wanted)
    }

    /// Compares the file with the text. If it holds that text, only owner and mode are put right.
    fn read_before(
        &self,
        directory: &OwnedFd,
        name: &OsStr,
        text: &[u8],
        wanted: Attributes,
    ) -> anyhow::Result<Before> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = match openat(directory, name, flags, Mode::empty()) {
            Ok(file) => File::from(file),
            // A file that may not be read can still be replaced, as long as nothing of it must be kept.
            Err(Errno::ACCESS) if !self.backup => return Ok(Before::Different(None)),
            Err(error) => bail!("cannot read it: {}", io::Error::from(error)),
        };
        let metadata = file.metadata().context("cannot look at it")?;
        let mut before = Vec::new();
        if metadata.len() == text.len() as u64 {
            let most = text.len() as u64 + 1;
            (&file).take(most).read_to_end(&mut before).context("cannot read it")?;
        }
        if metadata.len() != text.len() as u64 || before != text {
            (&file).rewind().context("cannot read it")?;
            return Ok(Before::Different(self.backup.then_some(file)));
        }
        let has = Attributes { user: metadata.uid(), group: metadata.gid(), mode: metadata.mode() & 0o7777 };
        if has != wanted {
            set_attributes(&file, wanted)?;
        }
        Ok(Before::Same)
    }
}

/// What the file held before.
enum Before {
    /// The new text.
    Same,
    /// Another one, which is there if it is to be kept.
    Different(Option<File>),
}

impl Staged {
    /// Where the new text is now.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Puts it in place.
    ///
    /// # Errors
    /// Which path, what was being done, and why it failed. The file is as it was then, and nothing is left beside it.
    pub(crate) fn commit(self) -> Result<InPlace, String> {
        let path = self.path.with_file_name(&self.name);
        self.put_in_place().map_err(|error| format!("cannot replace {}: {error:#}", path.display()))
    }

    fn put_in_place(mut self) -> anyhow::Result<InPlace> {
        if let Some(backup) = self.backup.take() {
            backup.put_in_place().context("cannot keep a backup")?;
        }
        // Its path was shown to the check. What that has put in its place is not ours to give everybody.
        existing(&self.directory, &self.temporary).context("the new file was exchanged")?;
        renameat(&self.directory, &self.temporary, &self.directory, &self.name).map_err(io::Error::from)?;
        self.committed = true;
        Ok(InPlace(self.directory.clone()))
    }

    /// Removes it.
    pub(crate) fn discard(self) {}
}

/// A new file that everybody sees, and a rename that may still be lost with the machine.
#[derive(Debug)]
pub(crate) struct InPlace(Arc<OwnedFd>);

impl InPlace {
    /// Waits until the rename is on the disk. Nobody who reads the file has to wait for that: should it be lost with the machine, the old
    /// text is there, whole, and the next start renders again.
    pub(crate) fn sync(&self) {
        let _ = fsync(&*self.0);
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if !self.committed {
            let _ = unlinkat(&self.directory, &self.temporary, AtFlags::empty());
        }
    }
}

/// Names one after the other; they need not be text.
fn joined(parts: &[&OsStr]) -> OsString {
    let mut name = OsString::new();
    parts.iter().for_each(|part| name.push(part));
    name
}

/// The file as it is, if there is one and it is a file.
fn existing(directory: &OwnedFd, name: &OsStr) -> anyhow::Result<Option<Stat>> {
    let stat = match statat(directory, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => stat,
        Err(Errno::NOENT) => return Ok(None),
        Err(error) => bail!("cannot look at it: {}", io::Error::from(error)),
    };
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => Ok(Some(stat)),
        FileType::Symlink => bail!("it is a symbolic link, which is not followed; name the file that it points to"),
        FileType::Directory => bail!("it is a directory; name a file in it"),
        kind @ (FileType::Fifo
        | FileType::Socket
        | FileType::CharacterDevice
        | FileType::BlockDevice
        | FileType::Unknown) => bail!("it is no regular file ({kind:?}), and cannot be replaced by one"),
    }
}

fn attributes_of(stat: &Stat) -> Attributes {
    Attributes { user: stat.st_uid, group: stat.st_gid, mode: stat.st_mode & 0o7777 }
}

/// A synced file of a random name beside `name`, which nobody else can have made or open.
fn write_beside(
    directory: &Arc<OwnedFd>,
    name: &OsStr,
    path: impl Fn(&OsStr) -> PathBuf,
    attributes: Attributes,
    write: impl FnOnce(&File) -> io::Result<()>,
) -> anyhow::Result<Staged> {
    let (temporary, file) = create_beside(directory, name)?;
    let shown = path(&temporary);
    let staged = Staged {
        directory: directory.clone(),
        _file: file,
        temporary,
        name: name.to_owned(),
        path: shown,
        committed: false,
        backup: None,
    };
    // Somebody who cleans up sees that this file is not abandoned. Where the file system knows no locks, nobody cleans up either.
    let _ = flock(&staged._file, FlockOperation::NonBlockingLockExclusive);
    write(&staged._file).with_context(|| format!("cannot write {}", staged.path.display()))?;
    set_attributes(&staged._file, attributes)?;
    staged._file.sync_all().with_context(|| format!("cannot write {} to the disk", staged.path.display()))?;
    Ok(staged)
}

fn create_beside(directory: &OwnedFd, name: &OsStr) -> anyhow::Result<(OsString, File)> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut taken = Errno::EXIST;
    for _ in 0..NAME_ATTEMPTS {
        let temporary = temporary_name(name, random());
        match openat(directory, &temporary, flags, Mode::RUSR | Mode::WUSR) {
            Ok(file) => return Ok((temporary, File::from(file))),
            Err(Errno::EXIST) => {}
            Err(error) => {
                taken = error;
                break;
            }
        }
    }
    Err(anyhow!("cannot make a file beside it: {}", io::Error::from(taken)))
}

/// The name of a temporary file; it begins with a dot and ends in digits, so that `*.conf` does not find it.
fn temporary_name(name: &OsStr, random: u64) -> OsString {
    let mut temporary = temporary_prefix(name);
    temporary.push(format!("{random:016x}"));
    temporary
}

fn temporary_prefix(name: &OsStr) -> OsString {
    let bytes = name.as_bytes();
    let short = OsStr::from_bytes(&bytes[..bytes.len().min(NAME_BYTES)]);
    joined(&[OsStr::new("."), short, OsStr::new(MARK)])
}

fn is_temporary_of(found: &OsStr, name: &OsStr) -> bool {
    let rest = found.as_bytes().strip_prefix(temporary_prefix(name).as_bytes());
    rest.is_some_and(|rest| rest.len() == 16 && rest.iter().all(u8::is_ascii_hexdigit))
}

/// Whether nobody writes to it any more: a lock ends with the process that holds it.
fn is_abandoned(directory: &OwnedFd, name: &OsStr) -> bool {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let Ok(file) = openat(directory, name, flags, Mode::empty()).map(File::from) else { return false };
    let is_file = file.metadata().is_ok_and(|metadata| metadata.is_file());
    is_file && flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok()
}

/// Gives a file its owner, and then its mode, because a change of the owner takes set-user-ID away (chown(2)).
fn set_attributes(file: &File, wanted: Attributes) -> anyhow::Result<()> {
    let metadata = file.metadata().context("cannot look at the new file")?;
    if (metadata.uid(), metadata.gid()) != (wanted.user, wanted.group) {
        let (user, group) = (Uid::from_raw(wanted.user), Gid::from_raw(wanted.group));
        fchown(file, Some(user), Some(group)).map_err(|error| {
            let (user, group) = (wanted.user, wanted.group);
            anyhow!(
                "cannot give it to user {user} and group {group}: {}; run as root or as that user",
                io::Error::from(error)
            )
        })?;
    }
    fchmod(file, Mode::from_raw_mode(wanted.mode))
        .map_err(|error| anyhow!("cannot set its mode to {:04o}: {}", wanted.mode, io::Error::from(error)))
}

/// A number that nobody outside can know beforehand.
fn random() -> u64 {
    use std::hash::{BuildHasher as _, RandomState};
    RandomState::new().hash_one(0u8)
}

#[cfg(test)]
mod tests;
