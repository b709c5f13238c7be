//! What a member keeps on disk beside its data: who it is, which cluster it knows, and what its copy of the data is and has promised.
//!
//! ```text
//!  <directory>/member.json            the member's number, the cluster that it knows
//!  <directory>/data/                  the server's data directory
//!  <directory>/data/pilotfish.json    which copy this is, and what it has promised
//!  <directory>/new/                   a data directory that is being built: moved to `data` as a whole, with its pilotfish.json in it
//!  <directory>/aside/<time>-<copy>/   copies that were set aside, and transactions that were exported
//! ```
//!
//! A file is replaced as a whole and synced with its directory before anything that depends on it is done. Promises and epochs never fall.
//! A new copy gets its pilotfish.json last, when all else of it is synced: with one it is complete, and is put in place even after a crash.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use pilotfish_autopilot::{ClusterId, Data, DataId, Epoch, Identity, MemberId, Term};
use serde::{Deserialize, Serialize};

use crate::error::Error;

const MEMBER: &str = "member.json";
const IDENTITY: &str = "pilotfish.json";
/// The end of the name of a directory with exported transactions.
const ERRANT: &str = "errant";

/// One member's directory. It is locked as long as this lives: two operators on one directory would each keep half of a promise.
#[derive(Debug)]
pub(crate) struct Disk {
    directory: PathBuf,
    member: Member,
    lock: File,
}

impl Drop for Disk {
    /// A program that is just being started has a copy of the descriptor until it runs: closing ours alone would leave the directory locked.
    fn drop(&mut self) {
        let _ = rustix::fs::flock(&self.lock, rustix::fs::FlockOperation::Unlock);
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Member {
    id: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cluster: Option<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Copy {
    cluster: String,
    data: String,
    promise: u64,
    term: u64,
    change: u64,
    #[serde(default)]
    condemned: bool,
}

impl Copy {
    fn of(identity: &Identity, condemned: bool) -> Copy {
        Copy {
            cluster: format!("{:016x}", identity.cluster.0),
            data: format!("{:016x}", identity.data.0),
            promise: identity.promise.0,
            term: identity.seen.term.0,
            change: identity.seen.change,
            condemned,
        }
    }

    fn identity(&self) -> Option<Identity> {
        Some(Identity {
            cluster: ClusterId(hexadecimal(&self.cluster)?),
            data: DataId(hexadecimal(&self.data)?),
            promise: Term(self.promise),
            seen: Epoch { term: Term(self.term), change: self.change },
        })
    }
}

fn hexadecimal(text: &str) -> Option<u64> {
    u64::from_str_radix(text, 16).ok()
}

impl Disk {
    /// Opens a member's directory; its number is the one that is wanted, or `random` if none is and it has none yet.
    ///
    /// # Errors
    /// [`Error::File`]; [`Error::Unfit`] if another operator has it, or it belongs to a member of another number.
    pub(crate) fn open(directory: &Path, wanted: Option<u32>, random: u64) -> Result<Disk, Error> {
        fs::create_dir_all(directory).map_err(|source| failed("make the directory", directory, source))?;
        let lock = directory.join("lock");
        let file = File::options().create(true).truncate(false).write(true).open(&lock);
        let file = file.map_err(|source| failed("open", &lock, source))?;
        if rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive).is_err() {
            let text = format!("another operator runs on {}: one directory is one member", directory.display());
            return Err(Error::Unfit(text));
        }
        let path = directory.join(MEMBER);
        let member = match read::<Member>(&path)? {
            Some(member) => member,
            None => {
                let id = wanted.unwrap_or((random % u64::from(i32::MAX as u32)) as u32 + 1);
                let member = Member { id, cluster: None };
                replace(&path, &member)?;
                member
            }
        };
        if let Some(text) = member.cluster.as_ref().filter(|text| hexadecimal(text).is_none()) {
            return Err(Error::Unfit(format!("cannot understand {}: `{text}` is no cluster", path.display())));
        }
        if let Some(wanted) = wanted.filter(|wanted| *wanted != member.id) {
            return Err(Error::Unfit(format!(
                "{} belongs to member {}, and the config says {wanted}: a number never changes; use another directory",
                directory.display(),
                member.id
            )));
        }
        let disk = Disk { directory: directory.to_owned(), member, lock: file };
        disk.finish()?;
        Ok(disk)
    }

    /// Ends what `put_in_place` began before a crash: the old copy is set aside, and the new one is complete.
    fn finish(&self) -> Result<(), Error> {
        let (new, data) = (self.directory.join("new"), self.data_directory());
        if data.exists() || !new.join(IDENTITY).exists() {
            return Ok(());
        }
        fs::rename(&new, &data).map_err(|source| failed("put in place", &new, source))?;
        sync_directory(&self.directory)
    }

    /// The member's number.
    pub(crate) fn id(&self) -> MemberId {
        MemberId(self.member.id)
    }

    /// The cluster that this member has ever seen.
    pub(crate) fn known_cluster(&self) -> Option<ClusterId> {
        self.member.cluster.as_deref().and_then(hexadecimal).map(ClusterId)
    }

    /// The server's data directory.
    pub(crate) fn data_directory(&self) -> PathBuf {
        self.directory.join("data")
    }

    /// A file that is written to see whether the disk takes writes.
    pub(crate) fn probe_file(&self) -> PathBuf {
        self.directory.join("probe")
    }

    /// What the data directory is.
    ///
    /// # Errors
    /// [`Error::Unfit`] if it is somebody else's: it is not touched.
    pub(crate) fn data(&self) -> Result<Data, Error> {
        let data = self.data_directory();
        if let Some(copy) = read::<Copy>(&data.join(IDENTITY))? {
            let path = data.join(IDENTITY);
            let identity = copy.identity().ok_or_else(|| Error::Unfit(format!("cannot read {}", path.display())))?;
            return Ok(if copy.condemned { Data::Condemned(identity) } else { Data::Present(identity) });
        }
        let mut entries = match fs::read_dir(&data) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(if self.directory.join("new").exists() { Data::Partial } else { Data::Empty });
            }
            Err(source) => return Err(failed("read the directory", &data, source)),
        };
        if entries.next().is_none() {
            return Ok(Data::Empty);
        }
        Err(Error::Unfit(format!(
            "{} holds data and no {IDENTITY}: it is not ours, and is not touched; use another directory, or move it away",
            data.display()
        )))
    }

    /// Notes that this epoch was seen.
    pub(crate) fn remember(&mut self, seen: Epoch) -> Result<(), Error> {
        self.change(|identity| identity.seen = identity.seen.max(seen))
    }

    /// Notes the promise never to receive again from a primary of a lower term.
    pub(crate) fn promise(&mut self, term: Term) -> Result<(), Error> {
        self.change(|identity| identity.promise = identity.promise.max(term))
    }

    fn change(&mut self, edit: impl FnOnce(&mut Identity)) -> Result<(), Error> {
        let Data::Present(before) = self.data()? else { return Err(Error::Stale("there is no usable data any more")) };
        let mut identity = before;
        edit(&mut identity);
        if identity == before {
            return Ok(());
        }
        replace(&self.data_directory().join(IDENTITY), &Copy::of(&identity, false))
    }

    /// Marks the data as of no use, to be built anew.
    pub(crate) fn condemn(&mut self) -> Result<(), Error> {
        let Data::Present(identity) = self.data()? else { return Ok(()) };
        replace(&self.data_directory().join(IDENTITY), &Copy::of(&identity, true))
    }

    /// Notes which cluster this member belongs to; once noted it stays.
    pub(crate) fn know_cluster(&mut self, cluster: ClusterId) -> Result<(), Error> {
        if self.member.cluster.is_none() {
            let member = Member { cluster: Some(format!("{:016x}", cluster.0)), ..self.member };
            replace(&self.directory.join(MEMBER), &member)?;
            self.member = member;
        }
        Ok(())
    }

    /// An empty directory in which a data directory is built.
    pub(crate) fn begin_new(&self) -> Result<PathBuf, Error> {
        let new = self.directory.join("new");
        match fs::remove_dir_all(&new) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(source) => return Err(failed("remove", &new, source)),
        }
        fs::create_dir(&new).map_err(|source| failed("make the directory", &new, source))?;
        Ok(new)
    }

    /// Puts the directory that was built in place, with its identity; what was there is set aside. All of it must be on disk already, see
    /// [`sync_all`].
    pub(crate) fn put_in_place(&mut self, identity: &Identity) -> Result<(), Error> {
        let (new, data) = (self.directory.join("new"), self.data_directory());
        let before = self.data()?;
        replace(&new.join(IDENTITY), &Copy::of(identity, false))?;
        match before {
            Data::Present(old) | Data::Condemned(old) => {
                let aside = aside(&self.directory, &format!("{:016x}", old.data.0))?;
                fs::rename(&data, &aside).map_err(|source| failed("set aside", &data, source))?;
                sync_directory(&self.directory.join("aside"))?;
            }
            // There may be an empty directory, which would be in the way.
            Data::Unknown | Data::Empty | Data::Partial => match fs::remove_dir(&data) {
                Err(source) if source.kind() != io::ErrorKind::NotFound => {
                    return Err(failed("remove the empty directory", &data, source));
                }
                Ok(()) | Err(_) => {}
            },
        }
        fs::rename(&new, &data).map_err(|source| failed("put in place", &new, source))?;
        sync_directory(&self.directory)
    }

    /// Where errant transactions are exported to.
    pub(crate) fn exports(&self) -> Exports {
        Exports(self.directory.clone())
    }

    /// Removes the oldest data directories that were set aside, but for so many; exports stay.
    pub(crate) fn prune_aside(&self, keep: usize) -> Result<(), Error> {
        let directory = self.directory.join("aside");
        let Ok(entries) = fs::read_dir(&directory) else { return Ok(()) };
        let mut copies: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        // By name: of a copy that was half removed before a crash, the identity may be gone first.
        copies.retain(|path| !path.to_string_lossy().ends_with(ERRANT));
        copies.sort_unstable();
        for path in copies.iter().rev().skip(keep) {
            fs::remove_dir_all(path).map_err(|source| failed("remove", path, source))?;
        }
        Ok(())
    }
}

/// Makes directories for exports.
#[derive(Clone, Debug)]
pub(crate) struct Exports(PathBuf);

impl Exports {
    /// A new directory.
    pub(crate) fn directory(&self) -> Result<PathBuf, Error> {
        let directory = aside(&self.0, ERRANT)?;
        fs::create_dir(&directory).map_err(|source| failed("make the directory", &directory, source))?;
        Ok(directory)
    }
}

/// A path below `aside` that is not taken.
fn aside(member: &Path, what: &str) -> Result<PathBuf, Error> {
    let directory = member.join("aside");
    fs::create_dir_all(&directory).map_err(|source| failed("make the directory", &directory, source))?;
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let free = |n: &u32| !directory.join(format!("{seconds:012}-{n:02}-{what}")).exists();
    let number = (0..100).find(free).unwrap_or(99);
    Ok(directory.join(format!("{seconds:012}-{number:02}-{what}")))
}

/// Waits until everything on the file system of a directory is on disk: a copy that is put in place must survive a loss of power as the promises
/// in it do. It may take long.
pub(crate) fn sync_all(directory: &Path) -> Result<(), Error> {
    let sync = || Ok(rustix::fs::syncfs(File::open(directory)?)?);
    sync().map_err(|source| failed("sync", directory, source))
}

fn failed(doing: &'static str, path: &Path, source: io::Error) -> Error {
    Error::File { doing, path: path.display().to_string(), source }
}

/// A file that says nothing readable is an error, never the same as none: it may hold a promise.
fn read<T: for<'de> Deserialize<'de>>(path: &Path) -> Result<Option<T>, Error> {
    let text = match fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(failed("read", path, source)),
    };
    let value = serde_json::from_slice(&text);
    value.map(Some).map_err(|error| Error::Unfit(format!("cannot understand {}: {error}", path.display())))
}

fn replace(path: &Path, value: &impl Serialize) -> Result<(), Error> {
    let text = serde_json::to_vec(value).map_err(|error| Error::Unfit(error.to_string()))?;
    let beside = path.with_extension("json.new");
    let write = || {
        let mut file = File::create(&beside)?;
        file.write_all(&text)?;
        file.write_all(b"\n")?;
        file.sync_all()?;
        fs::rename(&beside, path)
    };
    write().map_err(|source| {
        let _ = fs::remove_file(&beside);
        failed("write", path, source)
    })?;
    path.parent().map_or(Ok(()), sync_directory)
}

fn sync_directory(path: &Path) -> Result<(), Error> {
    let sync = || File::open(path)?.sync_all();
    sync().map_err(|source| failed("sync", path, source))
}

#[cfg(test)]
mod tests;
