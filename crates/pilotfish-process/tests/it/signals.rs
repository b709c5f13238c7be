//! Signals to us: none that matters is lost, and our own children are not touched by them.

use crate::Case;
use crate::kit::{exit, sh, soon, start, with_processes};
use pilotfish_process::{Exit, Happening};

pub(crate) const CASES: &[Case] = &[
    ("term_survives_a_burst", term_survives_a_burst),
    ("what_would_stop_or_kill_us_does_not", what_would_stop_or_kill_us_does_not),
    ("noise_right_after_a_start", noise_right_after_a_start),
];

fn term_survives_a_burst() {
    with_processes(|mut processes| async move {
        for round in 0..20 {
            let mixed = [
                libc::SIGHUP,
                libc::SIGUSR1,
                libc::SIGWINCH,
                libc::SIGUSR2,
                libc::SIGCHLD,
                libc::SIGURG,
                libc::SIGCONT,
            ];
            for index in 0..100 {
                let signal = if index == 5 * round { libc::SIGTERM } else { mixed[index % mixed.len()] };
                raise(signal);
            }
            while soon(processes.next()).await != Happening::Signal(libc::SIGTERM) {}
        }
    });
}

fn what_would_stop_or_kill_us_does_not() {
    with_processes(|mut processes| async move {
        for signal in [libc::SIGPIPE, libc::SIGTTIN, libc::SIGTTOU] {
            raise(signal);
        }
        let forwarded = [
            libc::SIGQUIT,
            libc::SIGTSTP,
            libc::SIGCONT,
            libc::SIGWINCH,
            libc::SIGALRM,
            libc::SIGRTMIN(),
            libc::SIGRTMAX(),
        ];
        for signal in forwarded {
            raise(signal);
            assert_eq!(soon(processes.next()).await, Happening::Signal(signal));
        }
    });
}

fn noise_right_after_a_start() {
    with_processes(|mut processes| async move {
        for run in 0..50 {
            start(&mut processes, run, &sh("exit 7"));
            for signal in [libc::SIGURG, libc::SIGWINCH, libc::SIGHUP] {
                raise(signal);
            }
            assert_eq!(exit(&mut processes, run).await, (Exit::Code(7), false));
        }
    });
}

fn raise(signal: i32) {
    // SAFETY: no memory is involved.
    assert_eq!(unsafe { libc::kill(libc::getpid(), signal) }, 0);
}
