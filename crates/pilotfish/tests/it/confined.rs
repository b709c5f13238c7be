//! Containers that allow next to nothing: failure-modes.md, F-A15, and F-C2 with little processor time.

use std::path::{Path, PathBuf};

use serde_json::json;

use crate::catalog::view::{assert_passing, wait_for_absence, wait_for_passing};
use crate::catalog::{app, service, stage_of, wait_for_heartbeats};
use crate::stage::{End, Stage, consul};

/// Becomes a program that may do what a container's usual profile of system calls leaves it: no namespaces, mounts, modules, keys, BPF and the
/// like, and a `clone3` that is said not to exist. The numbers are those of x86-64.
const SECCOMP: &str = r#"use strict; use Errno qw(EPERM ENOSYS);
my @denied = (103, 134..136, 139, 153, 155, 156, 161, 163..176, 179, 180, 212, 227, 237..239, 246, 248..250, 256, 272, 279, 298, 300, 303,
    304, 308, 312, 313, 321, 323, 425..433, 442);
my $filter = '';
sub add { $filter .= pack 'SCCL', @_ }
my ($load, $equals, $any, $return, $allow, $refuse) = (0x20, 0x15, 0x45, 0x06, 0x7fff0000, 0x00050000);
add($load, 0, 0, 0);
for (@denied) { add($equals, 0, 1, $_); add($return, 0, 0, $refuse | EPERM); }
add($equals, 0, 1, 435); add($return, 0, 0, $refuse | ENOSYS);
# The flags of clone are its first argument: no new namespaces.
add($equals, 0, 3, 56); add($load, 0, 0, 16); add($any, 0, 1, 0x7e020000); add($return, 0, 0, $refuse | EPERM);
add($return, 0, 0, $allow);
my $program = pack 'S x6 P', length($filter) / 8, $filter;
syscall(157, 38, 1, 0, 0, 0) == 0 or die "no_new_privs: $!";
syscall(157, 22, 2, $program, 0, 0) == 0 or die "seccomp: $!";
syscall(272, 0x10000000) == -1 && $! == EPERM or die 'the filter is not in force';
exec @ARGV or die "exec: $!";"#;

#[test]
fn a_user_without_a_name_on_a_read_only_root_without_execution_in_run_and_with_few_system_calls() {
    if !cfg!(target_arch = "x86_64") {
        return eprintln!("not tested: the filter knows the system calls of x86-64 only");
    }
    let consul = consul();
    let leaving = json!({ "name": "leaving", "exec": ["sh", "-c", "setsid sleep 3000 & exit 4"], "restarts": 2 });
    let mut by_command = service("few-rights");
    by_command["health"] = json!({ "exec": "test -e @DIR@/healthy", "interval": "250ms", "ttl": "5s" });
    let mut stage = stage_of(
        json!({ "consul": consul.http().to_string(), "stopTimeout": 2, "jobs": [app(), by_command, leaving] }),
    );
    stage.file("healthy", "").file("seccomp.pl", SECCOMP);
    for command in [
        "chmod 1777 @DIR@/run",
        "mount --bind / / && mount -o remount,ro,bind /",
        "mount -o remount,bind,noexec,nosuid,nodev /run",
        "mount -t tmpfs -o ro tmpfs /proc/sys",
    ] {
        stage.prologue(command);
    }
    let user = "setpriv --reuid 65527 --regid 65527 --clear-groups --bounding-set -all --pdeathsig KILL";
    let pilot = stage.program(&format!("{user} perl @DIR@/seccomp.pl pilotfish")).start();
    wait_for_passing(&consul, "few-rights");
    let job = pilot.wait_for_job("leaving", |job| job["state"] == "complete");
    assert_eq!((job["lastExit"]["code"].as_u64(), job["runs"].as_u64()), (Some(4), Some(3)));
    pilot.wait_for("what it left behind to be gone", || pilot.processes_with("sleep 3000").is_empty().then_some(()));
    assert_eq!(pilot.stop(), End::Code(143), "{}", pilot.story());
    wait_for_absence(&consul, "few-rights");
}

/// What is said where a test finds no way to make a group.
const NO_GROUP: &str = "not tested: no group with a limit can be made here";

/// A file of a control group, and what is written to it.
type Limit = (&'static str, &'static str);

/// A control group with limits, removed with this value.
struct Group(PathBuf);

impl Group {
    /// A group of a controller with limits, as version 2 and as version 1 know them; nothing where none can be made.
    fn new(controller: &str, unified: &[Limit], legacy: &[Limit]) -> Option<Group> {
        let root = Path::new("/sys/fs/cgroup");
        let controllers = std::fs::read_to_string(root.join("cgroup.controllers")).unwrap_or_default();
        let name = format!("pilotfish-test-{controller}-{}", std::process::id());
        let (group, limits) = match controllers.split_whitespace().any(|known| known == controller) {
            true => (root.join(name), unified),
            false => (root.join(controller).join(name), legacy),
        };
        std::fs::create_dir(&group).ok()?;
        let group = Group(group);
        limits.iter().all(|(file, value)| std::fs::write(group.0.join(file), value).is_ok()).then_some(group)
    }

    /// Everything of the stage shall be in the group.
    fn holds(&self, stage: &mut Stage) {
        stage.prologue(&format!("echo $$ > {}/cgroup.procs", self.0.display()));
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // Its processes are killed by now, and may take a moment to be gone; a test that has failed already must not fail twice.
        let gone = || std::fs::remove_dir(&self.0).is_ok().then_some(());
        if gone().is_none() && !std::thread::panicking() {
            pilotfish_testing::wait_until("the control group to be empty", gone);
        }
    }
}

/// Three heartbeats in a TTL are enough for a service never to be taken for ill, though its supervisor waits most of the time.
#[test]
fn a_twentieth_of_a_processor_is_enough_for_heartbeats() {
    let legacy = [("cpu.cfs_period_us", "100000"), ("cpu.cfs_quota_us", "5000")];
    let Some(group) = Group::new("cpu", &[("cpu.max", "5000 100000")], &legacy) else { return eprintln!("{NO_GROUP}") };
    let consul = consul();
    let mut patient = service("patient");
    patient["health"] = json!({ "exec": "true", "interval": "4s", "timeout": "3900ms", "ttl": "12s" });
    let mut stage = stage_of(json!({ "consul": consul.http().to_string(), "jobs": [app(), patient] }));
    group.holds(&mut stage);
    let pilot = stage.start();
    wait_for_passing(&consul, "patient");
    wait_for_heartbeats(&pilot, "patient", 6, || assert_passing(&consul, "patient"));
    // All of it is in the group: the supervisor, its application and the checks.
    let members = std::fs::read_to_string(group.0.join("cgroup.procs")).unwrap();
    let own = pilot.pid().as_raw_nonzero().to_string();
    assert!(members.lines().any(|pid| pid == own) && members.lines().count() > 1, "{members}");
    drop(pilot);
}

/// failure-modes.md, F-A11: the kernel takes the job, not the supervisor, and that is what is told.
#[test]
fn a_job_that_runs_out_of_memory_is_told_as_that_and_started_again() {
    let unified = [("memory.max", "67108864"), ("memory.swap.max", "0")];
    let legacy = [("memory.swappiness", "0"), ("memory.limit_in_bytes", "67108864")];
    let Some(group) = Group::new("memory", &unified, &legacy) else { return eprintln!("{NO_GROUP}") };
    // It keeps all of a line that has no end.
    let hog = json!({ "name": "hog", "exec": "tail /dev/zero", "restarts": 1, "restartBackoff": { "initial": "1ms" } });
    let mut stage = Stage::with_config(&json!({ "jobs": [app(), hog] }).to_string());
    group.holds(&mut stage);
    let pilot = stage.start();
    let job = pilot.wait_for_job("hog", |job| job["state"] == "complete");
    assert_eq!((job["runs"].as_u64(), job["lastExit"]["code"].as_u64()), (Some(2), Some(137)), "{job}");
    assert_eq!(job["lastExit"]["reason"], "oom", "{job}");
    assert_eq!(pilot.stdout.all("because memory ran out").len(), 2, "{}", pilot.story());
    assert_eq!((pilot.job("app")["state"].as_str(), pilot.job("app")["runs"].as_u64()), (Some("running"), Some(1)));
    assert_eq!(pilot.stop(), End::Code(143));
    drop(pilot);
}
