//! A stage for the real binary: namespaces, a directory, its output, its control socket, and an end whatever happens.
//!
//! Inside, the stage's directory has the same path as outside; `@DIR@` in configs and scripts stands for it. The binary is
//! `@DIR@/bin/pilotfish`, its scripts lie beside it, and that directory is on the `PATH`. `/run` is the stage's own, so the
//! control socket has its default path inside.

mod control;
mod output;
mod pilot;
mod process;

use std::cell::OnceCell;
use std::fmt::Write as _;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError, Weak};

pub(crate) use output::Lines;
pub(crate) use pilot::{End, Pilot};
pub(crate) use rustix::process::Signal;

use pilotfish_testing::Consul;
use rustix::process::geteuid;
use tempfile::TempDir;

/// Makes mounts, then becomes the program: what runs inside the namespaces first.
const PROLOGUE: &str = "set -e\n";

/// Why writing into the stage's directory cannot fail.
const WRITABLE: &str = "the stage's directory is ours";

/// A config's file inside the stage.
pub(crate) const CONFIG: &str = "@DIR@/config.json5";

/// Storms of thousands of processes take turns: the machine has a limit of pids, and other tests need some.
pub(crate) static STORM: Mutex<()> = Mutex::new(());

/// A Consul that tests share as long as one of them needs it; they keep apart by the names of their services.
///
/// Each test has a thread of its own, which keeps it until the test is over.
pub(crate) fn consul() -> Arc<Consul> {
    static SHARED: Mutex<Weak<Consul>> = Mutex::new(Weak::new());
    thread_local!(static KEPT: OnceCell<Arc<Consul>> = const { OnceCell::new() });
    let share = || {
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        shared.upgrade().unwrap_or_else(|| {
            let consul = Arc::new(Consul::start());
            *shared = Arc::downgrade(&consul);
            consul
        })
    };
    KEPT.with(|kept| kept.get_or_init(share).clone())
}

/// What the program under test runs as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// PID 1 of the namespace.
    Init,
    /// A child of the namespace's PID 1, which does nothing but wait for it.
    Child,
}

/// Where standard output goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stdout {
    /// Into [`Pilot::stdout`].
    Collected,
    /// A pipe whose reading end is closed.
    Closed,
    /// A pipe that nobody reads.
    Full,
}

/// A stage being set.
pub(crate) struct Stage {
    directory: TempDir,
    prologue: String,
    arguments: Vec<String>,
    variables: Vec<(String, String)>,
    program: String,
    own_network: bool,
    role: Role,
    stdout: Stdout,
}

impl Stage {
    /// An empty stage with a network of its own (only `lo`, which is up).
    pub(crate) fn new() -> Stage {
        let directory = tempfile::Builder::new().prefix("it-").tempdir().expect("a temporary directory can be made");
        let path = directory.path().to_owned();
        // Tests with other users must be able to look inside.
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).expect(WRITABLE);
        for name in ["bin", "run"] {
            std::fs::create_dir(path.join(name)).expect(WRITABLE);
        }
        std::fs::write(path.join("bin/pilotfish"), "").expect(WRITABLE);
        symlink("pilotfish", path.join("bin/containerpilot")).expect(WRITABLE);
        let mut stage = Stage {
            directory,
            prologue: PROLOGUE.to_owned(),
            arguments: Vec::new(),
            variables: Vec::new(),
            program: "pilotfish".to_owned(),
            own_network: true,
            role: Role::Init,
            stdout: Stdout::Collected,
        };
        stage.prologue(&format!("mount --bind {} @DIR@/bin/pilotfish", env!("CARGO_BIN_EXE_pilotfish")));
        stage.prologue("mount --bind @DIR@/run /run");
        stage
    }

    /// A stage whose program runs with this config.
    pub(crate) fn with_config(config: &str) -> Stage {
        let mut stage = Stage::new();
        stage.config(config).arguments(&["-c", CONFIG]);
        stage
    }

    /// Stays in the network of the tests, where a Consul on loopback can be reached.
    pub(crate) fn shared_network(&mut self) -> &mut Stage {
        self.own_network = false;
        self
    }

    /// Runs as this.
    pub(crate) fn role(&mut self, role: Role) -> &mut Stage {
        self.role = role;
        self
    }

    /// Has standard output go there.
    pub(crate) fn stdout(&mut self, stdout: Stdout) -> &mut Stage {
        self.stdout = stdout;
        self
    }

    /// Another name or wrapper of the program: words of a shell command line.
    pub(crate) fn program(&mut self, words: &str) -> &mut Stage {
        self.program = self.local(words);
        self
    }

    /// Runs as a user that has no name. What kills it with the tests is lost when the user changes (prctl(2)), and so asked for again.
    pub(crate) fn as_user(&mut self, id: u32) -> &mut Stage {
        self.program(&format!("setpriv --reuid {id} --regid {id} --clear-groups --pdeathsig KILL pilotfish"))
    }

    /// Adds arguments.
    pub(crate) fn arguments(&mut self, arguments: &[&str]) -> &mut Stage {
        let arguments: Vec<String> = arguments.iter().map(|argument| self.local(argument)).collect();
        self.arguments.extend(arguments);
        self
    }

    /// Sets an environment variable of the program.
    pub(crate) fn variable(&mut self, name: &str, value: &str) -> &mut Stage {
        let value = self.local(value);
        self.variables.push((name.to_owned(), value));
        self
    }

    /// Writes the config (again).
    pub(crate) fn config(&mut self, text: &str) -> &mut Stage {
        self.file("config.json5", text)
    }

    /// Writes a file, by its path inside the directory.
    pub(crate) fn file(&mut self, name: &str, text: &str) -> &mut Stage {
        write(self.path(), name, self.local(text).as_bytes());
        self
    }

    /// Writes an executable shell script that is found by its name.
    pub(crate) fn script(&mut self, name: &str, body: &str) -> &mut Stage {
        script(self.path(), name, body);
        self
    }

    /// Puts a shell script at an absolute path of the program's file system, such as `/bin/reload.sh`.
    pub(crate) fn script_at(&mut self, path: &str, body: &str) -> &mut Stage {
        let (folder, name) = path.rsplit_once('/').expect("an absolute path");
        let layer = format!("overlay{}", folder.replace('/', "-"));
        let known = self.path().join(&layer).exists();
        write(self.path(), &format!("{layer}/{name}"), shell_script(self.path(), body).as_bytes());
        std::fs::set_permissions(self.path().join(&layer).join(name), PermissionsExt::from_mode(0o755))
            .expect(WRITABLE);
        if !known {
            self.prologue(&format!("mount -t overlay overlay -o lowerdir=@DIR@/{layer}:{folder} {folder}"));
        }
        self
    }

    /// Puts a text in the place of an existing file of the program's file system, such as `/etc/hosts`.
    pub(crate) fn file_at(&mut self, path: &str, text: &str) -> &mut Stage {
        let name = format!("in-place{}", path.replace('/', "-"));
        self.file(&name, text).prologue(&format!("mount --bind @DIR@/{name} {path}"))
    }

    /// Adds a command of the shell that prepares the namespaces; it runs as root.
    pub(crate) fn prologue(&mut self, command: &str) -> &mut Stage {
        let command = self.local(command);
        writeln!(self.prologue, "{command}").expect("a string takes everything");
        self
    }

    /// The stage's directory.
    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    fn local(&self, text: &str) -> String {
        local(self.path(), text)
    }

    /// Starts the program.
    pub(crate) fn start(&mut self) -> Pilot {
        // `setpriv` sees to it that nothing outlives a killed test run, `unshare` that nothing outlives a test.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "unshare", "--pid", "--fork", "--mount-proc", "--kill-child"]);
        if self.own_network {
            command.arg("--net");
            self.prologue("ip link set lo up");
        }
        if !geteuid().is_root() {
            command.args(["--user", "--map-root-user"]);
        }
        let run = match self.role {
            Role::Init => format!("exec {} \"$@\"", self.program),
            Role::Child => format!("{} \"$@\" <&0 &\nwait $!", self.program),
        };
        let script = format!("{}{run}", self.prologue);
        command.args(["sh", "-c", &script, "sh"]).args(&self.arguments);
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy();
            if ["CONSUL", "CONTAINERPILOT", "PILOTFISH"].iter().any(|prefix| name.starts_with(prefix)) {
                command.env_remove(&*name);
            }
        }
        let path = std::env::var("PATH").unwrap_or_default();
        command.env("PATH", format!("{}:{path}:/usr/sbin:/sbin", self.path().join("bin").display()));
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = command.spawn().expect("setpriv and unshare can be executed");
        let fresh = tempfile::tempdir().expect("a directory can be made");
        let directory = std::mem::replace(&mut self.directory, fresh);
        Pilot::new(child, directory, self.role, self.stdout)
    }
}

fn local(directory: &Path, text: &str) -> String {
    text.replace("@DIR@", &directory.display().to_string())
}

fn shell_script(directory: &Path, body: &str) -> String {
    format!("#!/bin/sh\n{}\n", local(directory, body))
}

fn script(directory: &Path, name: &str, body: &str) {
    let path = format!("bin/{name}");
    write(directory, &path, shell_script(directory, body).as_bytes());
    std::fs::set_permissions(directory.join(path), PermissionsExt::from_mode(0o755)).expect(WRITABLE);
}

/// Writes a file in one step.
fn write(directory: &Path, name: &str, text: &[u8]) {
    let (path, new) = (directory.join(name), directory.join(format!("{name}.new")));
    std::fs::create_dir_all(path.parent().expect("it lies in a directory")).expect(WRITABLE);
    std::fs::write(&new, text).expect(WRITABLE);
    std::fs::rename(new, path).expect(WRITABLE);
}
