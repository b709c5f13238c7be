//! What the cases have in common.

use pilotfish_process::{Command, Exit, Happening, Processes, Spawned, Stdio};
use std::future::Future;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Nothing that is waited for is expected to need a fraction of this.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs a case on the kind of runtime that the supervisor has.
pub(crate) fn with_processes<F: Future<Output = ()>>(case: impl FnOnce(Processes) -> F) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async { case(Processes::new().expect("the processes")).await });
}

/// Waits for something that must happen.
pub(crate) async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, what).await.expect("it happens in time")
}

/// Waits for a condition that nothing tells about.
pub(crate) async fn until(mut condition: impl FnMut() -> bool) {
    let mut ticks = tokio::time::interval(Duration::from_millis(2));
    soon(async {
        while !condition() {
            ticks.tick().await;
        }
    })
    .await;
}

pub(crate) fn sh(script: &str) -> Command {
    Command {
        argv: ["/bin/sh", "-c", script].map(Into::into).to_vec(),
        env: vec![("PATH".into(), "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin".into())],
        stdio: Stdio::Null,
        confined: true,
        ..Command::default()
    }
}

pub(crate) fn start(processes: &mut Processes, run: u64, command: &Command) -> Spawned {
    processes.spawn(run, command).expect("it starts")
}

/// Waits for the end of one run; signals in between are passed over, other ends are a mistake.
pub(crate) async fn exit(processes: &mut Processes, run: u64) -> (Exit, bool) {
    loop {
        match soon(processes.next()).await {
            Happening::Exited { run: ended, status, survivors, .. } => {
                assert_eq!(ended, run);
                return (status, survivors);
            }
            Happening::Signal(_) => {}
            Happening::Vacated { run } => panic!("run {run} was vacated"),
        }
    }
}

/// Waits until the last process of a run is gone.
pub(crate) async fn vacated(processes: &mut Processes, run: u64) {
    assert_eq!(soon(processes.next()).await, Happening::Vacated { run });
}

/// What a run prints, as text.
pub(crate) async fn printed(processes: &mut Processes, run: u64, mut command: Command) -> String {
    command.stdio = Stdio::Wrapped;
    let mut output = start(processes, run, &command).output.expect("it is wrapped");
    let mut text = String::new();
    while let Some(line) = soon(output.next()).await {
        text += &line.text();
        text.push('\n');
    }
    assert_eq!(exit(processes, run).await, (Exit::Code(0), false), "{text}");
    text
}

/// All processes of this namespace but these: (pid, state).
pub(crate) fn others() -> Vec<(i32, char)> {
    let own = std::process::id() as i32;
    let entries = std::fs::read_dir("/proc").expect("/proc is mounted").flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let states = pids.filter_map(|pid| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        Some((pid, stat.rsplit_once(") ")?.1.chars().next()?))
    });
    // Where we are not PID 1, that is the shell which waits for us.
    states.filter(|&(pid, _)| pid != own && pid != 1).collect()
}

pub(crate) fn alive(pid: i32) -> bool {
    others().iter().any(|&(other, state)| other == pid && state != 'Z')
}

/// The number that a process wrote to a file, once it did.
pub(crate) async fn number_in(path: &Path) -> i32 {
    let read = || std::fs::read_to_string(path).ok().filter(|text| text.ends_with('\n'))?.trim().parse().ok();
    until(|| read().is_some()).await;
    read().expect("it was there just now")
}

/// Waits until all other processes of this namespace are gone: none runs, and all that have ended are reaped.
pub(crate) async fn nothing_is_left(processes: &mut Processes) {
    let living = others().into_iter().filter(|&(_, state)| state != 'Z' && state != 'X').count();
    assert_eq!(living, 0, "something still runs");
    tokio::select! {
        happening = processes.next() => panic!("{happening:?}"),
        () = until(|| others().is_empty()) => {}
    }
}

/// Writes a program that does nothing but exit, with the number of its words as the code: it costs a fraction of what the
/// start of a shell or of a linked program does.
pub(crate) fn counter(directory: &Directory) -> PathBuf {
    let path = directory.path().join("counter");
    let program = if cfg!(target_arch = "x86_64") { elf() } else { b"#!/bin/sh\nexit $(($# + 1))\n".to_vec() };
    std::fs::write(&path, program).expect("a file");
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("its mode");
    path
}

/// The smallest executable: the headers of elf(5), and `exit_group(argc)`.
fn elf() -> Vec<u8> {
    const BASE: u64 = 0x40_0000;
    const HEADERS: u64 = 64 + 56;
    // mov edi, [rsp]; mov eax, 231; syscall
    const CODE: [u8; 10] = [0x8b, 0x3c, 0x24, 0xb8, 231, 0, 0, 0, 0x0f, 0x05];
    let size = HEADERS + CODE.len() as u64;
    let mut bytes = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    // An executable for x86-64, of version 1.
    bytes.extend([2, 0, 62, 0, 1, 0, 0, 0]);
    // Entry, program headers, no section headers.
    [BASE + HEADERS, 64, 0].iter().for_each(|word| bytes.extend(word.to_le_bytes()));
    // No flags; the sizes of both kinds of headers, one of the first.
    bytes.extend([0, 0, 0, 0, 64, 0, 56, 0, 1, 0, 0, 0, 0, 0, 0, 0]);
    // To load, readable and executable: all of the file.
    bytes.extend([1, 0, 0, 0, 5, 0, 0, 0]);
    [0, BASE, BASE, size, size, 4096].iter().for_each(|word| bytes.extend(word.to_le_bytes()));
    bytes.extend(CODE);
    bytes
}

/// A directory that is removed with its contents.
pub(crate) struct Directory(PathBuf);

impl Directory {
    pub(crate) fn new(name: &str) -> Self {
        // The number alone is no name: in a namespace of its own, every case is process 1.
        let unique = std::fs::read_to_string("/proc/sys/kernel/random/uuid").expect("random numbers");
        let path = std::env::temp_dir().join(format!("pilotfish-process-{name}-{}", unique.trim()));
        std::fs::create_dir(&path).expect("a directory");
        Directory(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
