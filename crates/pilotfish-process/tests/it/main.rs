//! Real processes, each case in a process and a PID namespace of its own.
//!
//! A signal mask, a subreaper and a `waitpid(-1)` belong to a whole process, and many test threads would share them. So this
//! program starts itself once per case: as PID 1 of a fresh namespace, again as an ordinary process in one, whose supervisor
//! is a subreaper, and, where kills are concerned, as PID 1 with control groups of its own, as far as they can be had. The namespace's end kills whatever a case leaves behind, also when it fails.

mod confined;
mod groups;
mod kit;
mod memory;
mod output;
mod reaping;
mod signals;
mod sink;
mod spawning;
mod terminal;
mod tree;

use groups::Groups;
use std::ffi::OsString;
use std::io::{Read, Seek};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

/// No case is expected to need a fraction of this.
const DEADLINE: Duration = Duration::from_secs(120);

/// How a case is run.
#[derive(Clone, Copy, PartialEq, Eq)]
enum As {
    Pid1,
    Subreaper,
    Delegated,
}

type Case = (&'static str, fn());

fn main() -> ExitCode {
    let plain =
        [output::CASES, reaping::CASES, signals::CASES, sink::CASES, spawning::CASES, terminal::CASES, tree::CASES];
    let delegated = [confined::CASES, memory::CASES, spawning::CASES, spawning::ONCE, tree::CASES].concat();
    let everywhere = [plain.concat(), confined::CASES.to_vec()].concat();
    let cases = [everywhere.as_slice(), &delegated].concat();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let ["case", name] = arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        let (_, case) = cases.iter().find(|(known, _)| known == name).expect("the runner names a known case");
        case();
        return ExitCode::SUCCESS;
    }
    if arguments.iter().any(|argument| argument == "--list") {
        cases.iter().for_each(|(name, _)| println!("{name}: test"));
        return ExitCode::SUCCESS;
    }
    let filters: Vec<&String> = arguments.iter().filter(|argument| !argument.starts_with('-')).collect();
    let wanted = |name: &str| filters.is_empty() || filters.iter().any(|filter| name.contains(filter.as_str()));
    let both = everywhere.iter().flat_map(|&(name, _)| [(name, As::Pid1), (name, As::Subreaper)]);
    let runs = both.chain(delegated.iter().map(|&(name, _)| (name, As::Delegated)));
    let failed = runs.filter(|(name, _)| wanted(name)).filter(|&(name, how)| !passes(name, how)).count();
    println!("{failed} failed");
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn passes(name: &str, how: As) -> bool {
    let begun = Instant::now();
    let mut log = tempfile();
    let outputs = (log.try_clone().expect("the log"), log.try_clone().expect("the log"));
    let groups = (how == As::Delegated).then(Groups::new);
    let mut child = isolated(name, how, groups.as_ref())
        .stdin(Stdio::null())
        .stdout(outputs.0)
        .stderr(outputs.1)
        .spawn()
        .expect("unshare(1)");
    let passed = wait(&mut child, begun);
    drop(groups);
    let how = match how {
        As::Pid1 => "as PID 1",
        As::Subreaper => "as subreaper",
        As::Delegated => "with control groups",
    };
    println!("{} {name} {how} ({:.1?})", if passed { "ok    " } else { "FAILED" }, begun.elapsed());
    let mut text = Vec::new();
    log.rewind().and_then(|()| log.read_to_end(&mut text)).expect("the log is readable");
    for line in String::from_utf8_lossy(&text).lines().filter(|line| !passed || line.contains("tested")) {
        println!("       {line}");
    }
    passed
}

fn isolated(name: &str, how: As, groups: Option<&Groups>) -> Command {
    let own = std::env::current_exe().expect("this program");
    let mut words: Vec<OsString> = groups.map(Groups::prefix).unwrap_or_default();
    // A runner that is killed takes its case along.
    words.extend(["setpriv", "--pdeathsig", "KILL", "unshare"].map(Into::into));
    // SAFETY: takes nothing, cannot fail.
    if unsafe { libc::geteuid() } != 0 {
        words.extend(["--user", "--map-root-user"].map(Into::into));
    }
    words.extend(["--pid", "--fork", "--mount-proc", "--kill-child"].map(Into::into));
    if how == As::Subreaper {
        // A shell that has something left to do does not become its last command.
        words.extend(["sh", "-c", r#""$@"; exit $?"#, "sh"].map(Into::into));
    }
    words.extend([own.into(), "case".into(), name.into()]);
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]);
    command
}

fn wait(child: &mut Child, begun: Instant) -> bool {
    loop {
        if let Some(status) = child.try_wait().expect("the case is our child") {
            return status.success();
        }
        if begun.elapsed() > DEADLINE {
            println!("the deadline has passed");
            child.kill().and_then(|()| child.wait()).expect("the case is our child");
            return false;
        }
        std::thread::park_timeout(Duration::from_millis(2));
    }
}

/// A file that has no name any more.
fn tempfile() -> std::fs::File {
    let directory = kit::Directory::new("log");
    std::fs::File::options().read(true).write(true).create_new(true).open(directory.path().join("log")).expect("a file")
}
