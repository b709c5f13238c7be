//! CPU and wall time of one start with its wait, beside the bare floor: `cargo bench -p pilotfish-process`.
//!
//! CPU is that of this process and of the children together (getrusage(2)), so it includes the kernel's work for both.

use pilotfish_process::{Command, Happening, Processes, Stdio};
use std::ffi::CString;
use std::time::{Duration, Instant};

/// Starts for each figure.
const STARTS: u32 = 2000;

/// Resident memory beside the program's own, in bytes: what a working supervisor has.
const BALLAST: usize = 3 << 20;

const PROGRAM: &str = "/bin/true";

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().expect("a runtime");
    let ballast = std::hint::black_box(vec![1_u8; BALLAST]);
    runtime.block_on(async {
        // The bare ones run first and reap by number: afterwards the reaper owns all children.
        let floor = measure("posix_spawn + waitpid (the floor)", None, posix_spawn);
        let std_command = |_| assert!(std::process::Command::new(PROGRAM).status().expect("it starts").success());
        measure("std::process::Command", Some(floor), std_command);
        measure("fork + execve", Some(floor), fork);
        let mut processes = Processes::new().expect("the processes");
        let kinds = [
            ("no output", Stdio::Null, false),
            ("wrapped output", Stdio::Wrapped, false),
            // Without a control group of our own that may be divided, this costs what the first does.
            ("no output, confined", Stdio::Null, true),
        ];
        for (name, stdio, confined) in kinds {
            let (argv, env) = (vec![PROGRAM.into()], std::env::vars_os().collect());
            let command = Command { argv, env, stdio, confined, ..Command::default() };
            let before = (cpu(), Instant::now());
            for run in 0..STARTS {
                let mut spawned = processes.spawn(run.into(), &command).expect("it starts");
                while !matches!(processes.next().await, Happening::Exited { .. }) {}
                if let Some(output) = &mut spawned.output {
                    while output.next().await.is_some() {}
                }
            }
            report(&format!("Processes, {name}"), Some(floor), before);
        }
    });
    let mut figures = pilotfish_process::figures();
    figures.resident_bytes >>= 10;
    println!("resident {} KiB, {} descriptors", figures.resident_bytes, figures.descriptors);
    drop(ballast);
}

fn measure(name: &str, floor: Option<Duration>, mut once: impl FnMut(u32)) -> Duration {
    let before = (cpu(), Instant::now());
    (0..STARTS).for_each(&mut once);
    report(name, floor, before)
}

fn report(name: &str, floor: Option<Duration>, before: (Duration, Instant)) -> Duration {
    let cost = (cpu() - before.0) / STARTS;
    let wall = before.1.elapsed() / STARTS;
    let ratio = floor.map_or(1.0, |floor| cost.as_secs_f64() / floor.as_secs_f64());
    println!("{name:40} {cost:>10.1?} CPU  {wall:>10.1?} wall  {ratio:.2} x");
    cost
}

fn cpu() -> Duration {
    [libc::RUSAGE_SELF, libc::RUSAGE_CHILDREN].into_iter().map(usage).sum()
}

fn usage(who: libc::c_int) -> Duration {
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: `usage` is a valid place; zeroes are a valid value of it in any case.
    let usage = unsafe {
        libc::getrusage(who, usage.as_mut_ptr());
        usage.assume_init()
    };
    let time = |time: libc::timeval| Duration::new(time.tv_sec as u64, time.tv_usec as u32 * 1000);
    time(usage.ru_utime) + time(usage.ru_stime)
}

fn fork(_: u32) {
    let mut command = std::process::Command::new(PROGRAM);
    // SAFETY: the hook does nothing; that it exists makes the standard library fork instead of spawning.
    unsafe { std::os::unix::process::CommandExt::pre_exec(&mut command, || Ok(())) };
    assert!(command.status().expect("it starts").success());
}

fn posix_spawn(_: u32) {
    let program = CString::new(PROGRAM).expect("it has no NUL byte");
    let argv = [program.as_ptr().cast_mut(), std::ptr::null_mut()];
    let mut pid = 0;
    let mut status = 0;
    // SAFETY: all strings and arrays are terminated and live until the call returns.
    unsafe {
        unsafe extern "C" {
            static environ: *const *mut libc::c_char;
        }
        let null = std::ptr::null();
        assert_eq!(libc::posix_spawn(&mut pid, program.as_ptr(), null, null.cast(), argv.as_ptr(), environ), 0);
        assert_eq!(libc::waitpid(pid, &mut status, 0), pid);
    }
}
