//! A terminal as our standard input: it is the main application's while that runs, and ours before and after.

use crate::Case;
use crate::kit::{Directory, alive, number_in, sh, soon, start, until, with_processes};
use pilotfish_process::{Command, Exit, Happening, Processes, Stdio};
use std::ffi::CStr;
use std::fs::File;
use std::io::Write;
use std::os::fd::{AsRawFd, FromRawFd};

pub(crate) const CASES: &[Case] = &[
    ("ctrl_c_reaches_only_the_application", ctrl_c_reaches_only_the_application),
    ("a_terminal_that_nobody_has_claimed", a_terminal_that_nobody_has_claimed),
    ("ctrl_z_does_not_stop_the_container", ctrl_z_does_not_stop_the_container),
];

/// What the line discipline makes signals of (termios(3)).
const CTRL_C: &[u8] = b"\x03";
const CTRL_Z: &[u8] = b"\x1a";

/// Makes a new terminal our standard input and returns its other side. When it is to control us, we lead a new session.
fn terminal(controlling: bool) -> File {
    // SAFETY: the descriptors are new and this function's own; the name is a terminated string in `name`.
    unsafe {
        let master = libc::posix_openpt(libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC);
        assert!(master >= 0 && libc::grantpt(master) == 0 && libc::unlockpt(master) == 0);
        let mut name = [0; 64];
        assert_eq!(libc::ptsname_r(master, name.as_mut_ptr(), name.len()), 0);
        if controlling {
            assert!(libc::setsid() > 0, "we lead no group");
        }
        let claim = if controlling { 0 } else { libc::O_NOCTTY };
        let slave = libc::open(CStr::from_ptr(name.as_ptr()).as_ptr(), libc::O_RDWR | libc::O_CLOEXEC | claim);
        assert!(slave >= 0 && libc::dup2(slave, 0) == 0);
        libc::close(slave);
        File::from_raw_fd(master)
    }
}

/// The terminal's foreground group, which its other side may ask for.
fn foreground(master: &File) -> i32 {
    // SAFETY: no memory is involved.
    unsafe { libc::tcgetpgrp(master.as_raw_fd()) }
}

fn own_group() -> i32 {
    // SAFETY: takes nothing, cannot fail.
    unsafe { libc::getpgrp() }
}

/// A run with the variable D for the directory.
fn application(directory: &Directory, script: &str) -> Command {
    let mut command = Command { stdio: Stdio::Attached, foreground: true, ..sh(script) };
    command.env.push(("D".into(), directory.path().into()));
    command
}

/// What happens next must be the end of this run: no signal reaches us.
async fn ends(processes: &mut Processes, run: u64, status: Exit) {
    let end = Happening::Exited { run, status, oom: false, survivors: false };
    assert_eq!(soon(processes.next()).await, end);
}

/// It never waits in the system, where a shell would only look at a key pressed just before when the wait is over.
const UNTIL_INTERRUPTED: &str = "trap 'exit 42' INT; echo $$ > $D/pid; while :; do :; done";

fn ctrl_c_reaches_only_the_application() {
    let mut master = terminal(true);
    with_processes(|mut processes| async move {
        let directory = Directory::new("terminal");
        assert_eq!(foreground(&master), own_group());
        let background = start(&mut processes, 2, &sh("exec sleep 1000")).pid;
        for run in [10, 11] {
            let pid = start(&mut processes, run, &application(&directory, UNTIL_INTERRUPTED)).pid;
            assert_eq!(number_in(&directory.path().join("pid")).await, pid);
            assert_eq!(foreground(&master), pid);
            master.write_all(CTRL_C).expect("a key");
            ends(&mut processes, run, Exit::Code(42)).await;
            assert_eq!(foreground(&master), own_group());
            std::fs::remove_file(directory.path().join("pid")).expect("it was there");
        }
        assert!(alive(background));
        processes.kill_tree(2);
        ends(&mut processes, 2, Exit::Signal(libc::SIGKILL)).await;
    });
}

fn a_terminal_that_nobody_has_claimed() {
    let mut master = terminal(false);
    with_processes(|mut processes| async move {
        let directory = Directory::new("unclaimed");
        let pid = start(&mut processes, 1, &application(&directory, UNTIL_INTERRUPTED)).pid;
        assert_eq!(number_in(&directory.path().join("pid")).await, pid);
        assert_eq!(foreground(&master), pid);
        master.write_all(CTRL_C).expect("a key");
        ends(&mut processes, 1, Exit::Code(42)).await;
    });
}

fn ctrl_z_does_not_stop_the_container() {
    if std::process::id() != 1 {
        return eprintln!("not tested: we stop too, for the shell that started us");
    }
    let mut master = terminal(true);
    with_processes(|mut processes| async move {
        let directory = Directory::new("suspended");
        let script =
            "trap 'echo $$ > $D/continued' CONT; echo $$ > $D/pid; while [ ! -s $D/continued ]; do :; done; exit 7";
        let pid = start(&mut processes, 1, &application(&directory, script)).pid;
        assert_eq!(number_in(&directory.path().join("pid")).await, pid);
        master.write_all(CTRL_Z).expect("a key");
        ends(&mut processes, 1, Exit::Code(7)).await;
        until(|| directory.path().join("continued").exists()).await;
        assert_eq!(foreground(&master), own_group());
    });
}
