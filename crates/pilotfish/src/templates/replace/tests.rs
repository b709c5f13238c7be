//! Files that are replaced, for real.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt, symlink};

use super::*;

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Folder {
        Folder(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn file(&self, name: &str, text: &str, mode: u32) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
        path
    }

    /// The names of everything in it.
    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.0.path()).unwrap();
        let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

/// A file that keeps what it has, in a directory that is made if need be.
fn at(path: impl Into<PathBuf>) -> Destination {
    Destination { path: path.into(), create_directories: true, ..Destination::default() }
}

/// Replaces the file if its text is another one; whether it was.
fn replace(destination: &Destination, text: &str) -> Result<bool, String> {
    let staged = stage(destination, text)?;
    let changed = staged.is_some();
    staged.map_or(Ok(()), |staged| staged.commit().map(drop))?;
    Ok(changed)
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o7777
}

fn refusal(destination: &Destination) -> String {
    stage(destination, "new").unwrap_err()
}

#[test]
fn a_new_file_in_new_directories() {
    let folder = Folder::new();
    let path = folder.path("a/b/file");
    assert!(replace(&at(&path), "text").unwrap());
    assert_eq!((fs::read_to_string(&path).unwrap().as_str(), mode(&path)), ("text", 0o644));
    let refused = Destination { create_directories: false, ..at(folder.path("c/file")) };
    assert!(refusal(&refused).contains("cannot open its directory"), "{}", refusal(&refused));
}

#[test]
fn an_existing_file_keeps_its_mode_and_is_another_file() {
    let folder = Folder::new();
    let path = folder.file("file", "old", 0o4751);
    let before = fs::metadata(&path).unwrap().ino();
    assert!(replace(&at(&path), "new").unwrap());
    assert_eq!((fs::read_to_string(&path).unwrap().as_str(), mode(&path)), ("new", 0o4751));
    assert_ne!(fs::metadata(&path).unwrap().ino(), before, "it was renamed into place");
    assert_eq!(folder.names(), ["file"]);
}

#[test]
fn an_unchanged_text_writes_nothing_but_puts_the_mode_right() {
    let folder = Folder::new();
    let path = folder.file("file", "same", 0o640);
    let before = fs::metadata(&path).unwrap();
    assert!(!replace(&at(&path), "same").unwrap());
    let after = fs::metadata(&path).unwrap();
    assert_eq!((after.ino(), after.mtime_nsec(), after.mode()), (before.ino(), before.mtime_nsec(), before.mode()));
    let stricter = Destination { perms: Some(0o600), ..at(&path) };
    assert!(!replace(&stricter, "same").unwrap());
    assert_eq!((mode(&path), fs::metadata(&path).unwrap().ino()), (0o600, before.ino()));
}

#[test]
fn owner_and_group_are_kept_or_set_or_it_is_an_error() {
    let folder = Folder::new();
    let path = folder.file("file", "old", 0o600);
    let owned = |destination: &Destination| {
        replace(destination, "new").map(|_| (fs::metadata(&path).unwrap().uid(), fs::metadata(&path).unwrap().gid()))
    };
    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(&path, Some(4321), Some(8765)).unwrap();
        assert_eq!(owned(&at(&path)).unwrap(), (4321, 8765));
        fs::write(&path, "other").unwrap();
        let given = Destination { user: Some("1234".into()), ..at(&path) };
        assert_eq!(owned(&given).unwrap(), (1234, 8765));
    } else {
        let given = Destination { user: Some("0".into()), ..at(&path) };
        assert!(refusal(&given).contains("cannot give it to user 0"), "{}", refusal(&given));
        assert_eq!(folder.names(), ["file"]);
    }
    let unknown = Destination { group: Some("nogroup-here".into()), ..at(&path) };
    assert!(refusal(&unknown).contains("nogroup-here"), "{}", refusal(&unknown));
}

#[test]
fn what_is_no_file_is_refused_and_nothing_behind_a_link_is_touched() {
    let folder = Folder::new();
    let victim = folder.file("victim", "secret", 0o600);
    let link = folder.path("link");
    symlink(&victim, &link).unwrap();
    assert!(refusal(&at(&link)).contains("symbolic link"), "{}", refusal(&at(&link)));
    symlink(folder.path("nowhere"), folder.path("dangling")).unwrap();
    assert!(refusal(&at(folder.path("dangling"))).contains("symbolic link"));
    fs::create_dir(folder.path("directory")).unwrap();
    assert!(refusal(&at(folder.path("directory"))).contains("is a directory"));
    assert!(refusal(&at("/dev/full")).contains("no regular file"));
    assert!(refusal(&at("/")).contains("no path of a file"));
    assert_eq!(fs::read_to_string(&victim).unwrap(), "secret");
    assert_eq!(folder.names(), ["dangling", "directory", "link", "victim"]);
}

#[test]
fn a_link_that_appears_after_the_look_is_replaced_and_not_followed() {
    let folder = Folder::new();
    let victim = folder.file("victim", "secret", 0o600);
    let path = folder.file("file", "old", 0o644);
    let staged = stage(&at(&path), "new").unwrap().unwrap();
    fs::remove_file(&path).unwrap();
    symlink(&victim, &path).unwrap();
    staged.commit().unwrap();
    assert!(fs::symlink_metadata(&path).unwrap().is_file());
    assert_eq!(
        (fs::read_to_string(&path).unwrap().as_str(), fs::read_to_string(victim).unwrap().as_str()),
        ("new", "secret")
    );
}

#[test]
fn the_directory_is_the_one_that_was_opened() {
    let folder = Folder::new();
    fs::create_dir(folder.path("real")).unwrap();
    fs::create_dir(folder.path("elsewhere")).unwrap();
    let staged = stage(&at(folder.path("real/file")), "new").unwrap().unwrap();
    fs::rename(folder.path("real"), folder.path("moved")).unwrap();
    symlink(folder.path("elsewhere"), folder.path("real")).unwrap();
    staged.commit().unwrap();
    assert_eq!(fs::read_to_string(folder.path("moved/file")).unwrap(), "new");
    assert_eq!(fs::read_dir(folder.path("elsewhere")).unwrap().count(), 0);
}

#[test]
fn what_is_staged_can_be_looked_at_and_is_removed_when_it_is_not_wanted() {
    let folder = Folder::new();
    let path = folder.file("nginx.conf", "old", 0o644);
    let staged = stage(&at(&path), "new").unwrap().unwrap();
    assert_eq!((fs::read_to_string(staged.path()).unwrap().as_str(), mode(staged.path())), ("new", 0o644));
    assert_eq!(staged.path().parent(), path.parent());
    assert!(!staged.path().to_str().unwrap().ends_with(".conf"));
    staged.discard();
    assert_eq!((fs::read_to_string(&path).unwrap().as_str(), folder.names().len()), ("old", 1));
}

#[test]
fn what_a_killed_predecessor_left_is_cleaned_and_nothing_else() {
    let folder = Folder::new();
    let destination = at(folder.path("file"));
    let alive = stage(&destination, "new").unwrap().unwrap();
    folder.file(".file.pilotfish-0123456789abcdef", "left", 0o600);
    let others =
        [".file.pilotfish-0123456789abcde", ".file.pilotfish-0123456789abcdeg", ".other.pilotfish-0123456789abcdef"];
    others.iter().for_each(|other| drop(folder.file(other, "not ours", 0o600)));
    symlink(folder.path("file"), folder.path(".file.pilotfish-fedcba9876543210")).unwrap();
    assert_eq!(clean(&destination), 1);
    assert_eq!(folder.names().len(), others.len() + 2, "{:?}", folder.names());
    alive.commit().unwrap();
    assert_eq!(fs::read_to_string(folder.path("file")).unwrap(), "new");
    assert_eq!(clean(&at("/no/such/folder/file")), 0);
}

#[test]
fn a_backup_is_the_text_before_with_its_mode() {
    let folder = Folder::new();
    let path = folder.file("file", "one", 0o640);
    let destination = Destination { backup: true, ..at(&path) };
    for (text, before) in [("two", "one"), ("two", "one"), ("three", "two")] {
        replace(&destination, text).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
        assert_eq!(fs::read_to_string(folder.path("file.bak")).unwrap(), before);
        assert_eq!(mode(&folder.path("file.bak")), 0o640);
    }
    assert_eq!(folder.names(), ["file", "file.bak"]);
}

#[test]
fn what_a_check_has_put_in_the_place_of_the_new_file_is_not_taken() {
    for exchange in [
        |path: &Path| std::os::unix::fs::symlink("/etc/passwd", path).unwrap(),
        |path: &Path| fs::create_dir(path).unwrap(),
        |_: &Path| {},
    ] {
        let folder = Folder::new();
        let path = folder.file("file", "old", 0o600);
        let staged = stage(&at(&path), "new").unwrap().unwrap();
        fs::remove_file(staged.path()).unwrap();
        exchange(staged.path());
        let refused = staged.commit().unwrap_err();
        assert!(refused.contains("cannot replace"), "{refused}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
    }
}

#[test]
fn names_are_any_bytes_of_any_length() {
    let folder = Folder::new();
    let long = "x".repeat(255);
    let odd = OsStr::from_bytes(b"\xff\xfe.conf");
    for name in [OsStr::new(&long), odd] {
        let path = folder.0.path().join(name);
        assert!(replace(&at(&path), "text").unwrap());
        assert!(!replace(&at(&path), "text").unwrap());
    }
    assert_eq!(fs::read_dir(folder.0.path()).unwrap().count(), 2);
}
