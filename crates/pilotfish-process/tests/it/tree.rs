//! Nothing that a job started outlives the job, however it hides.

use crate::Case;
use crate::kit::{
    Directory, alive, exit, nothing_is_left, number_in, others, sh, soon, start, until, vacated, with_processes,
};
use pilotfish_process::{Command, Exit, Happening};

pub(crate) const CASES: &[Case] = &[
    ("a_group_is_killed", a_group_is_killed),
    ("a_session_leader_is_killed", a_session_leader_is_killed),
    ("a_daemon_without_environment_is_killed", a_daemon_without_environment_is_killed),
    ("a_deep_tree_is_killed_below_a_living_leader", a_deep_tree_is_killed_below_a_living_leader),
    ("other_runs_are_left_alone", other_runs_are_left_alone),
    ("survivors_are_told_and_killed", survivors_are_told_and_killed),
    ("a_fork_bomb_is_killed", a_fork_bomb_is_killed),
    ("a_fork_bomb_of_sessions_is_killed", a_fork_bomb_of_sessions_is_killed),
    ("kill_all_leaves_nothing", kill_all_leaves_nothing),
    ("kill_all_with_nothing_left", kill_all_with_nothing_left),
];

/// A command with the variable D for the directory.
fn script(directory: &Directory, text: &str) -> Command {
    let mut command = sh(text);
    command.env.push(("D".into(), directory.path().into()));
    command
}

fn pid_file(directory: &Directory) -> std::path::PathBuf {
    directory.path().join("pid")
}

async fn killed(processes: &mut pilotfish_process::Processes, run: u64) {
    let (status, survivors) = exit(processes, run).await;
    assert_eq!(status, Exit::Signal(libc::SIGKILL));
    if survivors {
        vacated(processes, run).await;
    }
}

fn a_group_is_killed() {
    with_processes(|mut processes| async move {
        let directory = Directory::new("group");
        start(&mut processes, 1, &script(&directory, "trap '' TERM; sleep 1000 & echo $! > $D/pid; wait"));
        let child = number_in(&pid_file(&directory)).await;
        processes.signal(1, 0);
        processes.kill_tree(1);
        killed(&mut processes, 1).await;
        assert!(!alive(child));
        nothing_is_left(&mut processes).await;
    });
}

fn a_session_leader_is_killed() {
    with_processes(|mut processes| async move {
        let directory = Directory::new("session");
        start(
            &mut processes,
            1,
            &script(&directory, "setsid sh -c 'echo $$ > $D/pid; trap \"\" TERM HUP; exec sleep 1000' & wait"),
        );
        let escaped = number_in(&pid_file(&directory)).await;
        processes.signal(1, libc::SIGTERM);
        assert_eq!(exit(&mut processes, 1).await, (Exit::Signal(libc::SIGTERM), true));
        assert!(alive(escaped));
        processes.kill_tree(1);
        vacated(&mut processes, 1).await;
        nothing_is_left(&mut processes).await;
    });
}

/// Double-forked, in a session of its own, its parents gone, its environment empty.
const DAEMON: &str =
    "( env -i D=$D setsid sh -c 'env -i sleep 1000 & echo $! > $D/pid' & ) ; while [ ! -s $D/pid ]; do :; done; ";

fn a_daemon_without_environment_is_killed() {
    with_processes(|mut processes| async move {
        let directory = Directory::new("daemon");
        start(&mut processes, 1, &script(&directory, &format!("{DAEMON} exec sleep 1000")));
        let daemon = number_in(&pid_file(&directory)).await;
        processes.kill_tree(1);
        killed(&mut processes, 1).await;
        assert!(!alive(daemon));
        nothing_is_left(&mut processes).await;
    });
}

fn a_deep_tree_is_killed_below_a_living_leader() {
    with_processes(|mut processes| async move {
        let directory = Directory::new("deep");
        let nest =
            "if [ $N -gt 0 ]; then N=$((N-1)) setsid sh $D/nest & wait; else echo $$ > $D/pid; exec sleep 1000; fi";
        std::fs::write(directory.path().join("nest"), nest).expect("a script");
        let mut command = script(&directory, "sh $D/nest");
        command.env.push(("N".into(), "30".into()));
        start(&mut processes, 1, &command);
        number_in(&pid_file(&directory)).await;
        processes.kill_tree(1);
        killed(&mut processes, 1).await;
        nothing_is_left(&mut processes).await;
    });
}

fn other_runs_are_left_alone() {
    with_processes(|mut processes| async move {
        let (one, two) = (Directory::new("one"), Directory::new("two"));
        let text = format!("{DAEMON} exec sleep 1000");
        start(&mut processes, 1, &script(&one, &text));
        start(&mut processes, 2, &script(&two, &text));
        let killed_one = number_in(&pid_file(&one)).await;
        let daemon = number_in(&pid_file(&two)).await;
        processes.kill_tree(1);
        killed(&mut processes, 1).await;
        assert!(!alive(killed_one) && alive(daemon));
        processes.kill_tree(2);
        killed(&mut processes, 2).await;
        assert!(!alive(daemon));
    });
}

fn survivors_are_told_and_killed() {
    with_processes(|mut processes| async move {
        let directory = Directory::new("survivors");
        start(&mut processes, 1, &script(&directory, &format!("{DAEMON} exit 5")));
        assert_eq!(exit(&mut processes, 1).await, (Exit::Code(5), true));
        assert!(alive(number_in(&pid_file(&directory)).await));
        processes.kill_tree(1);
        vacated(&mut processes, 1).await;
        nothing_is_left(&mut processes).await;
        processes.kill_tree(1);
        processes.signal(1, libc::SIGTERM);
    });
}

/// Starts a script that starts itself twice, for ever, and kills it while it grows.
async fn bomb(mut processes: pilotfish_process::Processes, text: &str) {
    let directory = Directory::new("bomb");
    std::fs::write(directory.path().join("bomb"), text).expect("a script");
    // Bounded, because the machine has other tenants: a limit of processes binds ordinary users only (setrlimit(2)).
    std::fs::set_permissions(directory.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("a mode");
    let bounded = "exec setpriv --reuid 65533 --regid 65533 --clear-groups sh -c 'ulimit -u 300; exec sh $D/bomb'";
    start(&mut processes, 1, &script(&directory, bounded));
    until(|| others().len() > 20).await;
    processes.kill_tree(1);
    while let Happening::Exited { survivors: true, .. } | Happening::Signal(_) = soon(processes.next()).await {}
    nothing_is_left(&mut processes).await;
}

fn a_fork_bomb_is_killed() {
    with_processes(|processes| bomb(processes, "sh $D/bomb & sh $D/bomb & wait"));
}

/// Ten generations, each process in a session of its own, and the last one stays: where the kernel gives the bomb's many
/// processes more time than us, one without an end is only over when it has met the limit of processes.
const SESSIONS: &str = "N=${N:-10}; if [ $N = 0 ]; then exec sleep 1000; fi; export N=$((N-1));
    setsid sh $D/bomb & ( setsid sh $D/bomb & ) ; exit";

fn a_fork_bomb_of_sessions_is_killed() {
    with_processes(|processes| bomb(processes, SESSIONS));
}

fn kill_all_leaves_nothing() {
    with_processes(|mut processes| async move {
        let directory = Directory::new("all");
        start(&mut processes, 1, &script(&directory, &format!("{DAEMON} exit 5")));
        start(&mut processes, 2, &sh("trap '' TERM; while :; do :; done"));
        assert_eq!(exit(&mut processes, 1).await, (Exit::Code(5), true));
        processes.kill_all();
        assert_eq!(others(), []);
    });
}

fn kill_all_with_nothing_left() {
    with_processes(|mut processes| async move { processes.kill_all() });
}
