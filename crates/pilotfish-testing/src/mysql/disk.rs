//! A disk of a member: a file system of its own, which can be full, and can stand still.

use std::fs::{self, Permissions};
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};

use tempfile::TempDir;

use super::network::PATH;

/// Mounts an ext4 in the file `image` at `disk`, and says so. When this test has ended, however it ended, its standard input does, and then the disk
/// goes on, and is gone. The file has no name as soon as it is mounted, so nothing of it is left either.
const KEEP: &str = r#"
trap '' INT TERM HUP
set -e
truncate --size="$1" image
mkfs.ext4 -q -F -m "$2" image
mkdir disk
mount -o loop image disk
rm image
mkdir disk/ballast
chmod 777 disk/ballast
echo
set +e
read -r nothing
fsfreeze --unfreeze disk 2> /dev/null
umount --lazy disk
"#;

/// Fills the disk of the working directory. Most of it without a write, which others would have to wait for.
const FILL: &str = r#"
fallocate --length "$(($(stat -f -c '%a * %S' .) - 16777216))" most || exit
cat /dev/zero > rest
"#;

/// A disk.
#[derive(Debug)]
pub struct Disk {
    directory: TempDir,
    keeper: Mutex<Child>,
}

impl Disk {
    /// One of this size, with nothing on it. Of its space so many percent are for root alone: 5 where nobody has said anything else.
    ///
    /// # Panics
    /// When it cannot be made, as by somebody who is not root.
    pub fn new(megabytes: u32, reserved: u32) -> Disk {
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        // The server's user must be able to pass.
        fs::set_permissions(directory.path(), Permissions::from_mode(0o755)).expect("our own directory can be changed");
        let mut command = Command::new("sh");
        command.args(["-c", KEEP, "sh", &format!("{megabytes}M"), &reserved.to_string()]);
        command.current_dir(directory.path()).env("PATH", PATH);
        let mut keeper = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("sh can be executed");
        let read = keeper.stdout.as_mut().expect("it is piped").read(&mut [0]);
        let disk = Disk { directory, keeper: Mutex::new(keeper) };
        assert_eq!(read.ok(), Some(1), "no disk of its own: this test needs root, and loop devices");
        disk
    }

    /// Where it is mounted.
    pub fn path(&self) -> PathBuf {
        self.directory.path().join("disk")
    }

    fn ballast(&self) -> PathBuf {
        self.path().join("ballast")
    }

    /// Fills it, but for what only root may use.
    pub fn fill(&self) {
        let mut command = Command::new("setpriv");
        command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups", "sh", "-c", FILL]);
        command.current_dir(self.ballast()).env("LC_ALL", "C");
        let output = command.output().expect("setpriv can be executed");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains("No space left"), "the disk is not full: {said}");
    }

    /// The end of [`Disk::fill`].
    pub fn make_room(&self) {
        for name in ["most", "rest"] {
            fs::remove_file(self.ballast().join(name)).expect("it was filled");
        }
    }

    /// From now on nothing is written: whoever tries waits, and cannot even be killed.
    pub fn freeze(&self) {
        assert!(fsfreeze("--freeze", &self.path()), "the disk cannot be frozen");
    }

    /// The end of [`Disk::freeze`], if it was frozen.
    pub fn thaw(&self) {
        fsfreeze("--unfreeze", &self.path());
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        self.thaw();
        let keeper = self.keeper.get_mut().unwrap_or_else(PoisonError::into_inner);
        drop(keeper.stdin.take());
        let _ = keeper.wait();
    }
}

fn fsfreeze(what: &str, path: &Path) -> bool {
    let mut command = Command::new("fsfreeze");
    let status = command.arg(what).arg(path).env("PATH", PATH).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}
