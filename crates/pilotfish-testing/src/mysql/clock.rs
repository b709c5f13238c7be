//! The wall clock of a member, which a test sets. To set the machine's would be felt by everybody on it; what asks the kernel directly is not
//! deceived, and need not be: pilotfish does so for clocks only that nobody can set.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use tempfile::{NamedTempFile, TempDir};

/// What is preloaded.
const SOURCE: &str = include_str!("clock.c");

/// A wall clock.
#[derive(Debug)]
pub struct Clock {
    file: NamedTempFile,
}

impl Clock {
    /// One that shows the right time.
    ///
    /// # Panics
    /// When it cannot be made.
    pub fn new() -> Clock {
        let file = NamedTempFile::new().expect("a temporary file can be made");
        // The server's user must be able to read it.
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o644);
        fs::set_permissions(file.path(), open).expect("our own file can be changed");
        let clock = Clock { file };
        clock.set(0);
        clock
    }

    /// Sets it to so many seconds after the right time: at once, and for everybody who was started with it.
    ///
    /// # Panics
    /// When it cannot be set.
    pub fn set(&self, ahead: i64) {
        let written = std::os::unix::fs::FileExt::write_all_at(self.file.as_file(), &ahead.to_ne_bytes(), 0);
        written.expect("our own file can be written");
    }

    /// What a program needs in its environment to live by it.
    pub(super) fn environment(&self) -> [(&'static str, PathBuf); 2] {
        [("TEST_CLOCK", self.file.path().to_owned()), ("LD_PRELOAD", library().to_owned())]
    }
}

impl Default for Clock {
    fn default() -> Clock {
        Clock::new()
    }
}

/// What is preloaded, compiled once in the life of the test process, by what links Rust programs too.
fn library() -> &'static Path {
    static MADE: OnceLock<(TempDir, PathBuf)> = OnceLock::new();
    let (_, path) = MADE.get_or_init(|| {
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(directory.path(), open).expect("our own directory can be changed");
        let path = directory.path().join("clock.so");
        let mut command = Command::new("cc");
        command.args(["-O1", "-shared", "-fPIC", "-x", "c", "-o"]).arg(&path).args(["-", "-ldl"]);
        let mut compiler = command.stdin(Stdio::piped()).spawn().expect("cc can be executed");
        let written = compiler.stdin.take().is_some_and(|mut stdin| stdin.write_all(SOURCE.as_bytes()).is_ok());
        assert!(written && compiler.wait().is_ok_and(|status| status.success()), "the clock cannot be compiled");
        (directory, path)
    });
    path
}
