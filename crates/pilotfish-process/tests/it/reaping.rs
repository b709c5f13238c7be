//! The one reaper: every orphan is reaped, and no exit code is lost or taken for another's.

use crate::Case;
use crate::kit::{Directory, alive, counter, exit, others, sh, soon, start, until, vacated, with_processes};
use pilotfish_process::{Command, Exit, Happening, figures};
use std::os::unix::fs::OpenOptionsExt;

pub(crate) const CASES: &[Case] = &[
    ("exit_codes_are_exact_in_a_storm_of_orphans", exit_codes_are_exact_in_a_storm_of_orphans),
    ("five_thousand_orphans_at_once", five_thousand_orphans_at_once),
    ("exits_by_code_and_by_signal", exits_by_code_and_by_signal),
    ("ten_thousand_starts_leak_nothing", ten_thousand_starts_leak_nothing),
    ("children_that_were_there_before_us", children_that_were_there_before_us),
    ("next_can_be_cancelled", next_can_be_cancelled),
];

fn exit_codes_are_exact_in_a_storm_of_orphans() {
    with_processes(|mut processes| async move {
        let storm = "i=0; while [ $i -lt 3000 ]; do ( : & ); i=$((i+1)); done";
        for run in [10_000, 10_001] {
            start(&mut processes, run, &sh(storm));
        }
        let (mut started, mut exact, mut storms) = (0, 0, 0);
        while exact < 1000 || storms < 2 {
            while started < 1000 && started < exact + 16 {
                start(&mut processes, started, &sh(&format!("( : & ); exit {}", started % 256)));
                started += 1;
            }
            match soon(processes.next()).await {
                Happening::Exited { run: 10_000.., .. } => storms += 1,
                Happening::Exited { run, status, .. } => {
                    assert_eq!(status, Exit::Code((run % 256) as i32), "run {run}");
                    exact += 1;
                }
                Happening::Vacated { .. } => {}
                Happening::Signal(signal) => panic!("signal {signal}"),
            }
        }
        // Each orphan's end is told by a signal of its own, of which the last may still be under way.
        while processes.reaped_orphans() < 7000 {
            tokio::select! {
                _ = processes.next() => {}
                () = until(|| others().is_empty()) => {}
            }
        }
        assert_eq!(others(), []);
    });
}

fn five_thousand_orphans_at_once() {
    with_processes(|mut processes| async move {
        let directory = Directory::new("orphans");
        let gate = directory.path().join("gate");
        let script = "mkfifo $GATE; i=0; while [ $i -lt 5000 ]; do ( read line < $GATE & ); i=$((i+1)); done";
        let mut command = sh(script);
        command.env.push(("GATE".into(), gate.clone().into()));
        start(&mut processes, 1, &command);
        assert_eq!(exit(&mut processes, 1).await, (Exit::Code(0), true));
        start(&mut processes, 2, &sh("while :; do :; done"));
        let before = processes.reaped_orphans();
        // All of them wait for a writer; the last of them may not have come to the gate yet.
        while others().len() > 1 {
            let _ = std::fs::File::options().write(true).custom_flags(libc::O_NONBLOCK).open(&gate);
            tokio::select! {
                happening = processes.next() => assert_eq!(happening, Happening::Vacated { run: 1 }),
                () = tokio::task::yield_now() => {}
            }
        }
        assert_eq!(processes.reaped_orphans() - before, 5000);
        assert!(others().iter().all(|&(_, state)| state != 'Z'));
        processes.signal(2, libc::SIGUSR1);
        assert_eq!(exit(&mut processes, 2).await, (Exit::Signal(libc::SIGUSR1), false));
    });
}

fn exits_by_code_and_by_signal() {
    with_processes(|mut processes| async move {
        for code in [0, 1, 42, 255] {
            start(&mut processes, 1, &sh(&format!("exit {code}")));
            assert_eq!(exit(&mut processes, 1).await, (Exit::Code(code), false));
        }
        for signal in [libc::SIGKILL, libc::SIGTERM, libc::SIGSEGV] {
            start(&mut processes, 1, &sh(&format!("kill -{signal} $$")));
            assert_eq!(exit(&mut processes, 1).await, (Exit::Signal(signal), false));
        }
        start(&mut processes, 1, &sh("sleep 1000 & exit 3"));
        assert_eq!(exit(&mut processes, 1).await, (Exit::Code(3), true));
        processes.signal(1, libc::SIGTERM);
        vacated(&mut processes, 1).await;
    });
}

fn ten_thousand_starts_leak_nothing() {
    with_processes(|mut processes| async move {
        let directory = Directory::new("starts");
        let mut command = Command { argv: vec![counter(&directory).into()], ..sh("") };
        let mut flat = None;
        for run in 0..10_000 {
            command.stdio =
                if run % 2 == 0 { pilotfish_process::Stdio::Wrapped } else { pilotfish_process::Stdio::Null };
            drop(start(&mut processes, run, &command));
            assert_eq!(exit(&mut processes, run).await, (Exit::Code(1), false));
            if run == 1000 {
                flat = Some(figures());
            }
        }
        let (before, after) = (flat.expect("it was taken"), figures());
        assert_eq!(after.descriptors, before.descriptors);
        assert!(after.resident_bytes < before.resident_bytes + (1 << 20), "{before:?} {after:?}");
        assert_eq!(others(), []);
    });
}

fn children_that_were_there_before_us() {
    #[allow(clippy::zombie_processes, reason = "that the reaper waits for it is what is tested")]
    let child = std::process::Command::new("/bin/true").spawn().expect("it starts");
    let pid = child.id() as i32;
    with_processes(|mut processes| async move {
        start(&mut processes, 1, &sh("exit 9"));
        assert_eq!(exit(&mut processes, 1).await, (Exit::Code(9), false));
        while processes.reaped_orphans() == 0 {
            tokio::select! {
                happening = processes.next() => panic!("{happening:?}"),
                () = until(|| !others().iter().any(|&(other, _)| other == pid)) => {}
            }
        }
        assert!(!alive(pid));
    });
}

fn next_can_be_cancelled() {
    with_processes(|mut processes| async move {
        for run in 0..200 {
            start(&mut processes, run, &sh(&format!("exit {}", run % 100)));
            loop {
                tokio::select! {
                    biased;
                    happening = processes.next() => {
                        let status = Exit::Code((run % 100) as i32);
                        assert_eq!(happening, Happening::Exited { run, status, oom: false, survivors: false });
                        break;
                    }
                    () = tokio::task::yield_now() => {}
                }
            }
        }
    });
}
