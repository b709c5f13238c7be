//! Containers that allow next to nothing: failure-modes.md, F-A15, and F-C2 with little processor time.

use std::path::{Path, PathBuf};

use serde_json::json;

use crate::catalog::view::{assert_absent, assert_passing, wait_for_passing};
use crate::catalog::{app, service, stage_of, wait_for_heartbeats};
use crate::stage::{End, consul};

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
    assert_absent(&consul, "few-rights");
}

/// A control group in which processes have a twentieth of a processor, removed with this value.
struct Twentieth(PathBuf);

impl Twentieth {
    /// Nothing where no such group can be made.
    fn new() -> Option<Twentieth> {
        let name = format!("pilotfish-test-{}", std::process::id());
        let unified = Path::new("/sys/fs/cgroup");
        let (group, limits) = match unified.join("cgroup.controllers").exists() {
            true => (unified.join(name), [("cpu.max", "5000 100000")].as_slice()),
            false => (
                unified.join("cpu").join(name),
                [("cpu.cfs_period_us", "100000"), ("cpu.cfs_quota_us", "5000")].as_slice(),
            ),
        };
        std::fs::create_dir(&group).ok()?;
        let group = Twentieth(group);
        limits.iter().all(|(file, value)| std::fs::write(group.0.join(file), value).is_ok()).then_some(group)
    }
}

impl Drop for Twentieth {
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
    let Some(group) = Twentieth::new() else { return eprintln!("not tested: no group with a limit can be made here") };
    let consul = consul();
    let mut patient = service("patient");
    patient["health"] = json!({ "exec": "true", "interval": "2s", "timeout": "1900ms", "ttl": "6s" });
    let mut stage = stage_of(json!({ "consul": consul.http().to_string(), "jobs": [app(), patient] }));
    stage.prologue(&format!("echo $$ > {}/cgroup.procs", group.0.display()));
    let pilot = stage.start();
    wait_for_passing(&consul, "patient");
    wait_for_heartbeats(&pilot, "patient", 6, || assert_passing(&consul, "patient"));
    // All of it is in the group: the supervisor, its application and the checks.
    let members = std::fs::read_to_string(group.0.join("cgroup.procs")).unwrap();
    let own = pilot.pid().as_raw_nonzero().to_string();
    assert!(members.lines().any(|pid| pid == own) && members.lines().count() > 1, "{members}");
    drop(pilot);
}
