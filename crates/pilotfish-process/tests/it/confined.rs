//! Control groups of runs. Where none can be made, the same is asked of the walk that takes their place.

use crate::Case;
use crate::groups::{subgroups, unified};
use crate::kit::{Directory, alive, exit, nothing_is_left, number_in, sh, start, until, vacated, with_processes};
use pilotfish_process::{Command, Exit};
use std::path::{Path, PathBuf};

pub(crate) const CASES: &[Case] = &[
    ("each_run_has_its_own_group", each_run_has_its_own_group),
    ("a_daemon_without_any_mark_is_found", a_daemon_without_any_mark_is_found),
    ("a_divided_group_is_removed", a_divided_group_is_removed),
    ("left_overs_are_removed", left_overs_are_removed),
    ("no_more_groups_allowed", no_more_groups_allowed),
    ("groups_that_refuse", groups_that_refuse),
];

/// The groups that the supervisor has made in ours.
fn made() -> Vec<PathBuf> {
    unified().map_or_else(Vec::new, |own| subgroups(&own))
}

fn group_of(pid: i32) -> String {
    let groups = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).expect("the process is there");
    groups.lines().find_map(|line| line.strip_prefix("0::")).unwrap_or_default().to_owned()
}

/// Starts a run that lives, kills it, and sees that nothing is left; whether it was in a group of its own.
fn lives_and_is_killed(prepare: fn(&Path)) -> bool {
    unified().iter().for_each(|own| prepare(own));
    let mut answer = false;
    let grouped = &mut answer;
    with_processes(|mut processes| async move {
        let pid = start(&mut processes, 1, &sh("sleep 1000 & wait")).pid;
        *grouped = group_of(pid).contains("/pilotfish-");
        processes.kill_tree(1);
        let (status, survivors) = exit(&mut processes, 1).await;
        assert_eq!(status, Exit::Signal(libc::SIGKILL));
        if survivors {
            vacated(&mut processes, 1).await;
        }
        nothing_is_left(&mut processes).await;
        start(&mut processes, 2, &sh("exit 5"));
        assert_eq!(exit(&mut processes, 2).await, (Exit::Code(5), false));
        processes.kill_all();
    });
    answer
}

fn each_run_has_its_own_group() {
    let Some(own) = unified() else {
        assert!(!lives_and_is_killed(|_| {}));
        return eprintln!("tested without groups: none can be made here");
    };
    with_processes(|mut processes| async move {
        let pids = [1, 2].map(|run| start(&mut processes, run, &sh("setsid sleep 1000 & wait")).pid);
        let groups = pids.map(group_of);
        assert!(groups[0] != groups[1] && groups.iter().all(|group| group.contains("/pilotfish-")), "{groups:?}");
        assert_eq!(made().len(), 2);
        start(&mut processes, 3, &Command { confined: false, ..sh("exit 3") });
        assert_eq!(exit(&mut processes, 3).await, (Exit::Code(3), false));
        let nothing = Command { argv: vec!["/no/such/program".into()], ..sh("") };
        processes.spawn(4, &nothing).expect_err("it cannot start");
        assert_eq!(made().len(), 2);
        processes.kill_tree(1);
        let (_, survivors) = exit(&mut processes, 1).await;
        if survivors {
            vacated(&mut processes, 1).await;
        }
        assert_eq!(made().len(), 1);
        assert!(alive(pids[1]));
        processes.kill_all();
        assert_eq!(subgroups(&own), Vec::<PathBuf>::new());
    });
}

/// It has left the group and the session, its parents are gone, its environment is empty and the inherited limit is changed.
fn a_daemon_without_any_mark_is_found() {
    if unified().is_none() {
        return eprintln!("not tested: without control groups, such a process is nobody's");
    }
    with_processes(|mut processes| async move {
        let directory = Directory::new("unmarked");
        let daemon = "env -i D=$D prlimit --rttime=77777777: setsid sh -c 'sleep 1000 & echo $! > $D/pid; exit' &";
        let mut command = sh(&format!("( {daemon} ) ; while [ ! -s $D/pid ]; do :; done; exit 6"));
        command.env.push(("D".into(), directory.path().into()));
        start(&mut processes, 1, &command);
        assert_eq!(exit(&mut processes, 1).await, (Exit::Code(6), true));
        let daemon = number_in(&directory.path().join("pid")).await;
        assert!(alive(daemon));
        processes.kill_tree(1);
        vacated(&mut processes, 1).await;
        nothing_is_left(&mut processes).await;
        assert_eq!(made(), Vec::<PathBuf>::new());
    });
}

fn a_divided_group_is_removed() {
    let Some(own) = unified() else { return eprintln!("not tested: no groups can be made here") };
    with_processes(|mut processes| async move {
        // As a supervisor within the job would do, or an engine of containers.
        let divide = "cd $OWN/pilotfish-*; mkdir -p a/b c; echo 0 > a/b/cgroup.procs; sleep 1000 & sleep 1000";
        let mut command = sh(divide);
        command.env.push(("OWN".into(), own.clone().into()));
        start(&mut processes, 1, &command);
        let inner = |group: &PathBuf| std::fs::read_to_string(group.join("a/b/cgroup.procs")).unwrap_or_default();
        until(|| made().iter().any(|group| inner(group).lines().count() >= 2)).await;
        processes.kill_tree(1);
        let (status, survivors) = exit(&mut processes, 1).await;
        assert_eq!(status, Exit::Signal(libc::SIGKILL));
        if survivors {
            vacated(&mut processes, 1).await;
        }
        nothing_is_left(&mut processes).await;
        assert_eq!(made(), Vec::<PathBuf>::new());
    });
}

fn left_overs_are_removed() {
    let Some(own) = unified() else { return eprintln!("not tested: no groups can be made here") };
    let group = |name: &str| {
        let path = own.join(name);
        std::fs::create_dir_all(&path).expect("a group");
        path
    };
    let (empty, others) = (group("pilotfish-abc-7/part"), group("somebody-elses"));
    let used = group("pilotfish-def-8");
    let mut user = std::process::Command::new("sleep").arg("1000").spawn().expect("it starts");
    std::fs::write(used.join("cgroup.procs"), user.id().to_string()).expect("it is moved");
    with_processes(|_| async {});
    assert!(!empty.exists() && used.exists() && others.exists());
    user.kill().and_then(|()| user.wait()).expect("it is our child");
}

fn no_more_groups_allowed() {
    assert!(!lives_and_is_killed(|own| {
        std::fs::write(own.join("cgroup.max.descendants"), "0").expect("a limit");
    }));
}

/// Beside a threaded group, a new one takes no processes until somebody makes it threaded too (cgroups(7)).
fn groups_that_refuse() {
    assert!(!lives_and_is_killed(|own| {
        std::fs::create_dir(own.join("threads")).expect("a group");
        std::fs::write(own.join("threads/cgroup.type"), "threaded").expect("a type");
    }));
    assert!(made().iter().all(|group| group.ends_with("threads")));
}
