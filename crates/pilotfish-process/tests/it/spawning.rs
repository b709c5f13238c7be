//! What a new process looks like from inside, and what is said when there is none.

use crate::Case;
use crate::kit::{Directory, alive, counter, exit, others, printed, sh, soon, start, until, with_processes};
use pilotfish_process::{Command, Error, Exit, Happening, Stdio};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

pub(crate) const CASES: &[Case] = &[
    ("nothing_to_execute", nothing_to_execute),
    ("malformed_commands", malformed_commands),
    ("failed_starts_leave_nothing", failed_starts_leave_nothing),
    ("path_is_the_childs", path_is_the_childs),
    ("environment_is_exact", environment_is_exact),
    ("signals_are_at_their_defaults", signals_are_at_their_defaults),
    ("descriptors_do_not_leak", descriptors_do_not_leak),
    ("group_session_and_directory", group_session_and_directory),
    ("user_and_group", user_and_group),
    ("oom_score_is_the_inherited_one", oom_score_is_the_inherited_one),
    ("children_die_with_a_killed_supervisor", children_die_with_a_killed_supervisor),
];

/// What is long and the same in every surrounding.
pub(crate) const ONCE: &[Case] = &[("starts_beside_busy_allocators", starts_beside_busy_allocators)];

fn refused(command: &Command) -> Error {
    let mut error = None;
    with_processes(|mut processes| {
        error = Some(processes.spawn(1, command).expect_err("it cannot start"));
        async {}
    });
    error.expect("it was set")
}

fn nothing_to_execute() {
    let directory = Directory::new("exec");
    let file = |name: &str, text: &str, mode| {
        let path = directory.path().join(name);
        std::fs::write(&path, text).expect("a file");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("its mode");
        path
    };
    let check = |program: &Path, code: i32, errno: i32| {
        let error = refused(&Command { argv: vec![program.into()], ..sh("") });
        assert_eq!((error.exit_code(), error.errno()), (code, Some(errno)), "{error}");
        assert!(error.to_string().contains(program.to_str().expect("it is text")), "{error}");
    };
    check(Path::new("/no/such/program"), 127, libc::ENOENT);
    check(Path::new("no-such-program"), 127, libc::ENOENT);
    check(&file("plain", "#!/bin/sh\n", 0o644), 126, libc::EACCES);
    check(&file("noformat", "echo\n", 0o755), 126, libc::ENOEXEC);
    check(&file("orphan", "#!/no/such/interpreter\n", 0o755), 127, libc::ENOENT);
    check(directory.path(), 126, libc::EACCES);
}

fn malformed_commands() {
    assert!(matches!(refused(&Command::default()), Error::Malformed { .. }));
    assert!(matches!(refused(&sh("a\0b")), Error::Malformed { .. }));
    let error = refused(&Command { cwd: Some("/no/such/directory".into()), ..sh("") });
    assert!(matches!(error, Error::Directory { .. }) && error.exit_code() == 126, "{error}");
    let error = refused(&Command { user: Some("no-such-user".into()), ..sh("") });
    assert!(error.to_string().contains("no-such-user"), "{error}");
}

fn failed_starts_leave_nothing() {
    with_processes(|mut processes| async move {
        let nothing = Command { argv: vec!["/no/such/program".into()], stdio: Stdio::Wrapped, ..sh("") };
        let before = pilotfish_process::figures().descriptors;
        for _ in 0..500 {
            processes.spawn(1, &nothing).expect_err("it cannot start");
        }
        assert_eq!(pilotfish_process::figures().descriptors, before);
        assert_eq!(others(), []);
        start(&mut processes, 1, &sh("exit 4"));
        assert_eq!(exit(&mut processes, 1).await, (Exit::Code(4), false));
    });
}

fn path_is_the_childs() {
    with_processes(|mut processes| async move {
        let directory = Directory::new("path");
        let program = directory.path().join("greet");
        std::fs::write(&program, "#!/bin/sh\necho hello\n").expect("a file");
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).expect("its mode");
        let path = format!("/no/such:{}:/bin", directory.path().display());
        let command =
            Command { argv: vec!["greet".into()], env: vec![("PATH".into(), path.into())], ..Command::default() };
        assert_eq!(printed(&mut processes, 1, command).await, "hello\n");
    });
}

fn environment_is_exact() {
    with_processes(|mut processes| async move {
        let env = vec![("B".into(), "two words".into()), ("A".into(), "".into())];
        let command = Command { argv: vec!["/usr/bin/env".into()], env, ..Command::default() };
        assert_eq!(printed(&mut processes, 1, command).await, "B=two words\nA=\n");
        let command = Command { argv: vec!["/usr/bin/env".into()], ..Command::default() };
        assert_eq!(printed(&mut processes, 2, command).await, "");
    });
}

fn signals_are_at_their_defaults() {
    // As if whoever started us had ignored these.
    for signal in [libc::SIGHUP, libc::SIGCHLD, libc::SIGUSR2] {
        // SAFETY: no handler is installed.
        unsafe { libc::signal(signal, libc::SIG_IGN) };
    }
    with_processes(|mut processes| async move {
        let command = Command { argv: ["/bin/cat", "/proc/self/status"].map(Into::into).to_vec(), ..sh("") };
        let text = printed(&mut processes, 1, command).await;
        for field in ["SigBlk", "SigIgn", "SigCgt", "SigPnd"] {
            assert!(text.contains(&format!("{field}:\t0000000000000000\n")), "{text}");
        }
    });
}

fn descriptors_do_not_leak() {
    // One that whoever started us left open, not marked to be closed.
    // SAFETY: no memory is involved.
    assert!(unsafe { libc::dup(0) } > 2);
    with_processes(|mut processes| async move {
        let command = Command { argv: ["/bin/ls", "-1", "/proc/self/fd"].map(Into::into).to_vec(), ..sh("") };
        // The fourth is the directory that is being listed.
        assert_eq!(printed(&mut processes, 1, command).await, "0\n1\n2\n3\n");
    });
}

fn group_session_and_directory() {
    with_processes(|mut processes| async move {
        let command = Command { cwd: Some("/usr/bin".into()), ..sh("read line < /proc/self/stat; echo $$ $line; pwd") };
        let text = printed(&mut processes, 1, command).await;
        let words: Vec<&str> = text.split_ascii_whitespace().collect();
        // $$, then the fields of proc(5): pid, name, state, parent, group, session.
        assert_eq!((words[0], words[0]), (words[5], words[6]), "{text}");
        assert_eq!(words.last(), Some(&"/usr/bin"));
    });
}

fn user_and_group() {
    with_processes(|mut processes| async move {
        // A user namespace may have only one user.
        let single = std::fs::read_to_string("/proc/self/uid_map").is_ok_and(|map| map.trim().ends_with(" 1"));
        if single {
            return eprintln!("not tested: there is no other user here");
        }
        let script = "echo $(id -u) $(id -g) $(id -G)";
        let command = Command { user: Some("4321".into()), group: Some("8765".into()), ..sh(script) };
        assert_eq!(printed(&mut processes, 1, command).await, "4321 8765 8765\n");
        let command = Command { user: Some("root".into()), ..sh("id -u") };
        assert_eq!(printed(&mut processes, 2, command).await, "0\n");
        let command = Command { user: Some("4321".into()), ..sh(script) };
        assert_eq!(printed(&mut processes, 3, command).await, "4321 0 0\n");
    });
}

fn oom_score_is_the_inherited_one() {
    let inherited = std::fs::read_to_string("/proc/self/oom_score_adj").expect("our score");
    with_processes(|mut processes| async move {
        assert_eq!(printed(&mut processes, 1, sh("cat /proc/self/oom_score_adj")).await, inherited);
    });
}

/// Between the clone and the exec, a child runs on memory in which other threads hold the allocator's locks.
fn starts_beside_busy_allocators() {
    const STARTS: u64 = 20_000;
    const AT_ONCE: u64 = 16;
    // Where others keep the processors busy, each start waits for them; then fewer must do.
    const ENOUGH: Duration = Duration::from_secs(20);
    let begun = Instant::now();
    let over = AtomicBool::new(false);
    let allocate = || {
        let mut kept: Vec<Vec<u8>> = vec![Vec::new(); 64];
        while !over.load(Ordering::Relaxed) {
            for (slot, size) in (1..2_000).step_by(37).enumerate() {
                kept[slot] = std::hint::black_box(vec![1; size]);
            }
            // Otherwise each start would wait for the others' turns on the processors, not for their locks.
            std::thread::yield_now();
        }
    };
    std::thread::scope(|scope| {
        with_processes(|mut processes| {
            (0..4).for_each(|_| drop(scope.spawn(allocate)));
            async move {
                let directory = Directory::new("allocators");
                let program = counter(&directory);
                let (mut started, mut ended) = (0, 0);
                while ended < started || ended == 0 {
                    while started < STARTS.min(ended + AT_ONCE) && begun.elapsed() < ENOUGH {
                        let argv = vec![program.clone().into(); words(started)];
                        start(&mut processes, started, &Command { argv, confined: started % 8 == 0, ..sh("") });
                        started += 1;
                    }
                    let happening = soon(processes.next()).await;
                    let Happening::Exited { run, status, survivors: false, .. } = happening else {
                        panic!("{happening:?}");
                    };
                    assert_eq!(status, Exit::Code(words(run) as i32));
                    ended += 1;
                }
                eprintln!("tested with {ended} starts");
            }
        });
        over.store(true, Ordering::Relaxed);
    });
}

/// How many words a run's command has.
fn words(run: u64) -> usize {
    run as usize % 97 + 1
}

fn children_die_with_a_killed_supervisor() {
    if std::process::id() == 1 {
        return eprintln!("not tested: the kernel kills everything when PID 1 ends");
    }
    // SAFETY: there is one thread, and the child goes on as an ordinary program.
    let supervisor = unsafe { libc::fork() };
    if supervisor == 0 {
        with_processes(|mut processes| async move {
            start(&mut processes, 1, &sh("sleep 1000"));
            std::future::pending::<()>().await;
        });
    }
    with_processes(|mut processes| async move {
        let sleeper = || others().into_iter().map(|(pid, _)| pid).find(|&pid| pid != supervisor);
        until(|| sleeper().is_some()).await;
        let sleeper = sleeper().expect("it was there just now");
        // SAFETY: no memory is involved; the process is our unreaped child.
        unsafe { libc::kill(supervisor, libc::SIGKILL) };
        while alive(sleeper) {
            tokio::select! {
                _ = processes.next() => {}
                () = until(|| !alive(sleeper)) => {}
            }
        }
    });
}
