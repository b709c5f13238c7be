//! A member's directory, also as crashes leave it, and on a full disk.

use pilotfish_testing::wait_until;

use super::*;

fn identity(data: u64) -> Identity {
    Identity { cluster: ClusterId(7), data: DataId(data), promise: Term(3), seen: Epoch { term: Term(2), change: 9 } }
}

fn opened() -> (tempfile::TempDir, Disk) {
    let directory = tempfile::tempdir().unwrap();
    let disk = Disk::open(directory.path(), Some(5), 0).unwrap();
    (directory, disk)
}

#[test]
fn a_number_is_kept_and_never_changed() {
    let (directory, disk) = opened();
    assert_eq!(disk.id(), MemberId(5));
    drop(disk);
    assert_eq!(Disk::open(directory.path(), None, 99).unwrap().id(), MemberId(5));
    let refused = Disk::open(directory.path(), Some(6), 0).unwrap_err().to_string();
    assert!(refused.contains("belongs to member 5"), "{refused}");
}

#[test]
fn a_second_operator_is_refused() {
    let (directory, _first) = opened();
    assert!(Disk::open(directory.path(), None, 0).unwrap_err().to_string().contains("another operator"));
}

/// A program has all descriptors between its fork and its first instruction.
#[test]
fn a_directory_is_free_when_its_operator_has_gone_whoever_else_has_its_descriptor() {
    let (directory, disk) = opened();
    let _copy = disk.lock.try_clone().unwrap();
    drop(disk);
    assert_eq!(Disk::open(directory.path(), None, 0).unwrap().id(), MemberId(5));
}

#[test]
fn a_copy_is_put_in_place_and_the_old_one_set_aside() {
    let (directory, mut disk) = opened();
    assert_eq!(disk.data().unwrap(), Data::Empty);
    fs::write(disk.begin_new().unwrap().join("ibdata1"), "first").unwrap();
    assert_eq!(disk.data().unwrap(), Data::Partial);
    disk.put_in_place(&identity(1)).unwrap();
    assert_eq!(disk.data().unwrap(), Data::Present(identity(1)));
    disk.condemn().unwrap();
    assert_eq!(disk.data().unwrap(), Data::Condemned(identity(1)));
    fs::write(disk.begin_new().unwrap().join("ibdata1"), "second").unwrap();
    disk.put_in_place(&identity(2)).unwrap();
    assert_eq!(disk.data().unwrap(), Data::Present(identity(2)));
    let aside: Vec<_> = fs::read_dir(directory.path().join("aside")).unwrap().flatten().collect();
    assert_eq!(fs::read_to_string(aside[0].path().join("ibdata1")).unwrap(), "first");
    disk.prune_aside(1).unwrap();
    assert!(aside[0].path().exists());
    disk.prune_aside(0).unwrap();
    assert!(!aside[0].path().exists());
}

#[test]
fn promises_and_epochs_never_fall() {
    let (_directory, mut disk) = opened();
    disk.begin_new().unwrap();
    disk.put_in_place(&identity(1)).unwrap();
    disk.promise(Term(2)).unwrap();
    disk.remember(Epoch { term: Term(1), change: 1 }).unwrap();
    assert_eq!(disk.data().unwrap(), Data::Present(identity(1)));
    disk.promise(Term(8)).unwrap();
    let Data::Present(after) = disk.data().unwrap() else { panic!("the data is gone") };
    assert_eq!((after.promise, after.seen), (Term(8), identity(1).seen));
}

#[test]
fn data_of_others_and_unreadable_promises_are_refused() {
    let (_directory, disk) = opened();
    fs::create_dir(disk.data_directory()).unwrap();
    fs::write(disk.data_directory().join("ibdata1"), "somebody's").unwrap();
    assert!(disk.data().unwrap_err().to_string().contains("it is not ours"));
    fs::write(disk.data_directory().join(IDENTITY), "{\"cluster\":").unwrap();
    assert!(disk.data().unwrap_err().to_string().contains("cannot understand"));
}

#[test]
fn a_known_cluster_stays() {
    let (directory, mut disk) = opened();
    disk.know_cluster(ClusterId(1)).unwrap();
    disk.know_cluster(ClusterId(2)).unwrap();
    drop(disk);
    assert_eq!(Disk::open(directory.path(), None, 0).unwrap().known_cluster(), Some(ClusterId(1)));
}

/// Puts a copy in place as far as `crash` lets it come; what a new operator finds then.
fn found_after(crash: impl FnOnce(&Path)) -> (tempfile::TempDir, Disk) {
    let (directory, mut disk) = opened();
    disk.begin_new().unwrap();
    disk.put_in_place(&identity(1)).unwrap();
    fs::write(disk.begin_new().unwrap().join("ibdata1"), "second").unwrap();
    drop(disk);
    crash(directory.path());
    let disk = Disk::open(directory.path(), None, 0).unwrap();
    (directory, disk)
}

fn write_identity(directory: &Path, data: u64) {
    replace(&directory.join(IDENTITY), &Copy::of(&identity(data), false)).unwrap();
}

fn set_aside(directory: &Path) {
    fs::create_dir(directory.join("aside")).unwrap();
    fs::rename(directory.join("data"), directory.join("aside/1-00-1")).unwrap();
}

#[test]
fn a_crash_at_any_step_leaves_one_copy_or_the_other() {
    // While it is built, with half an identity, and with all of it: the old one is in place, and the new one is begun anew.
    let half: fn(&Path) = |path| fs::write(path.join("new/pilotfish.json.new"), "{\"clu").unwrap();
    let whole: fn(&Path) = |path| write_identity(&path.join("new"), 2);
    for crash in [|_: &Path| {}, half, whole] {
        let (_directory, disk) = found_after(crash);
        assert_eq!(disk.data().unwrap(), Data::Present(identity(1)));
        assert_eq!(fs::read_dir(disk.begin_new().unwrap()).unwrap().count(), 0);
    }
    // With the old one set aside, the new one is complete.
    let (directory, disk) = found_after(|path| {
        whole(path);
        set_aside(path);
    });
    assert_eq!(disk.data().unwrap(), Data::Present(identity(2)));
    assert_eq!(fs::read_to_string(disk.data_directory().join("ibdata1")).unwrap(), "second");
    assert!(!directory.path().join("new").exists());
    // Without its identity it is not, whatever is in it.
    for identity in [None, Some("pilotfish.json.new")] {
        let (_directory, disk) = found_after(|path| {
            if let Some(name) = identity {
                fs::write(path.join("new").join(name), "{}").unwrap();
            }
            set_aside(path);
        });
        assert_eq!(disk.data().unwrap(), Data::Partial);
    }
}

#[test]
fn an_empty_directory_is_replaced_and_not_kept() {
    let (directory, mut disk) = opened();
    fs::create_dir(disk.data_directory()).unwrap();
    assert_eq!(disk.data().unwrap(), Data::Empty);
    disk.begin_new().unwrap();
    disk.put_in_place(&identity(1)).unwrap();
    assert!(!directory.path().join("aside").exists());
}

#[test]
fn a_foreign_directory_is_not_replaced() {
    let (directory, mut disk) = opened();
    fs::create_dir(disk.data_directory()).unwrap();
    fs::write(disk.data_directory().join("ibdata1"), "somebody's").unwrap();
    disk.begin_new().unwrap();
    assert!(disk.put_in_place(&identity(1)).unwrap_err().to_string().contains("it is not ours"));
    assert_eq!(fs::read_to_string(directory.path().join("data/ibdata1")).unwrap(), "somebody's");
}

#[test]
fn exports_stay_and_what_is_left_of_a_copy_goes() {
    let (directory, mut disk) = opened();
    for data in 1..=4 {
        disk.begin_new().unwrap();
        disk.put_in_place(&identity(data)).unwrap();
    }
    let export = disk.exports().directory().unwrap();
    let aside = directory.path().join("aside");
    let copies = || {
        let mut names: Vec<_> = fs::read_dir(&aside).unwrap().flatten().map(|entry| entry.path()).collect();
        names.retain(|name| *name != export);
        names.sort();
        names
    };
    let before = copies();
    assert_eq!(before.len(), 3);
    // The removal of the oldest was interrupted when it had begun with the identity.
    fs::remove_file(before[0].join(IDENTITY)).unwrap();
    disk.prune_aside(1).unwrap();
    assert_eq!(copies(), before[2..]);
    disk.prune_aside(0).unwrap();
    assert!(copies().is_empty() && export.exists());
}

#[test]
fn a_cluster_that_cannot_be_read_is_not_taken_for_none() {
    let (directory, disk) = opened();
    drop(disk);
    fs::write(directory.path().join(MEMBER), r#"{"id": 5, "cluster": "mine"}"#).unwrap();
    let refused = Disk::open(directory.path(), None, 0).unwrap_err().to_string();
    assert!(refused.contains("cannot understand") && refused.contains("mine"), "{refused}");
}

#[test]
fn on_a_full_disk_what_was_promised_before_stays() {
    let scratch = tempfile::tempdir().unwrap();
    let script = r#"mount -t tmpfs -o size=64k tmpfs "$0" && mkdir "$0/there" && exec sleep infinity"#;
    let mut small = pilotfish_testing::mortal("unshare");
    small.args(["--mount", "sh", "-c", script]).arg(scratch.path());
    let mut small = pilotfish_testing::spawn(small).unwrap();
    // The disk is another one for that process than for us.
    let directory = PathBuf::from(format!("/proc/{}/root{}", small.id(), scratch.path().display()));
    wait_until("the small disk to be there", || directory.join("there").exists().then_some(()));
    let mut disk = Disk::open(&directory, Some(5), 0).unwrap();
    disk.begin_new().unwrap();
    disk.put_in_place(&identity(1)).unwrap();
    let filling = directory.join("filling");
    assert!(fs::write(&filling, vec![1; 1 << 20]).is_err(), "it is larger than the disk");
    let refused = disk.promise(Term(8)).unwrap_err().to_string();
    assert!(refused.contains("No space left"), "{refused}");
    assert!(disk.know_cluster(ClusterId(3)).is_err());
    assert_eq!((disk.data().unwrap(), disk.known_cluster()), (Data::Present(identity(1)), None));
    fs::remove_file(&filling).unwrap();
    disk.promise(Term(8)).unwrap();
    disk.know_cluster(ClusterId(3)).unwrap();
    drop(disk);
    let disk = Disk::open(&directory, None, 0).unwrap();
    let Data::Present(after) = disk.data().unwrap() else { panic!("the data is gone") };
    assert_eq!((after.promise, disk.known_cluster()), (Term(8), Some(ClusterId(3))));
    drop(disk);
    small.kill().unwrap();
    small.wait().unwrap();
}
