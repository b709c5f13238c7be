//! Out of memory: the kernel's choice is told as what it was.

use crate::Case;
use crate::groups::memory;
use crate::kit::{sh, soon, start, with_processes};
use pilotfish_process::{Command, Exit, Happening};

pub(crate) const CASES: &[Case] = &[("a_kill_for_want_of_memory_is_told", a_kill_for_want_of_memory_is_told)];

/// What the group may use, in bytes: the supervisor and a shell need a small part of it.
const LIMIT: &str = "67108864";

async fn ends(processes: &mut pilotfish_process::Processes, run: u64, command: &Command) -> (Exit, bool) {
    start(processes, run, command);
    match soon(processes.next()).await {
        Happening::Exited { status, oom, .. } => (status, oom),
        other @ (Happening::Signal(_) | Happening::Vacated { .. }) => panic!("{other:?}"),
    }
}

fn a_kill_for_want_of_memory_is_told() {
    let Some(group) = memory() else { return eprintln!("not tested: no memory group can be made here") };
    std::fs::write(group.join("memory.swappiness"), "0").expect("no swap");
    std::fs::write(group.join("memory.limit_in_bytes"), LIMIT).expect("a limit");
    with_processes(|mut processes| async move {
        // It keeps all of a line that has no end.
        let hog = Command { argv: ["/usr/bin/tail", "/dev/zero"].map(Into::into).to_vec(), ..sh("") };
        let killed = Exit::Signal(libc::SIGKILL);
        assert_eq!(ends(&mut processes, 1, &hog).await, (killed, true));
        assert_eq!(ends(&mut processes, 2, &sh("kill -9 $$")).await, (killed, false), "told only once");
        assert_eq!(ends(&mut processes, 3, &sh("tail /dev/zero; exit $?")).await, (Exit::Code(137), true));
        assert_eq!(ends(&mut processes, 4, &sh("exit 4")).await, (Exit::Code(4), false));
    });
}
