//! `cargo xtask test`: what CI runs. Source first, then every test of the workspace against real servers.

use std::process::Command;

use anyhow::{Result, bail};
use rustix::process::geteuid;

use crate::phases::Phases;
use crate::setup::{Clients, Tools};
use crate::{setup, verify, workspace};

/// Threads per test binary. The integration tests each run a Consul and a supervisor: more at once than this, and a small machine
/// spends its time switching between them while their deadlines run.
const TEST_THREADS: usize = 8;

/// Tests that need a real Consul (`OnlyConsul` of `pilotfish-testing` says why); all others of the supervisor, the templates and the client
/// run once more on the embedded catalog.
const ONLY_ON_CONSUL: &[&str] = &["cluster::", "security::", "over_a_unix_socket"];
/// Schedules of the simulator, from seed 0; it stops by itself after three minutes, however many are done. All of these seeds have been run to
/// their end, so what a faster machine gets to is no surprise: new seeds are the business of `cargo xtask fuzz`. Who changes what is decided,
/// or the model, runs all of them anew (`cargo xtask fuzz --minutes 10 --from 0`), or makes this fewer.
const SIM_SCHEDULES: &str = "100000";

/// What `cargo xtask test` was asked for.
pub(crate) struct Options {
    /// Names of tests, as for `cargo test`; none means all.
    pub(crate) filters: Vec<String>,
    /// Leave out `verify`.
    pub(crate) no_verify: bool,
}

/// Runs the phases in order and stops at the first that fails.
pub(crate) fn test(options: &Options) -> Result<()> {
    let mut phases = Phases::new("test");
    phases.run("namespaces", check_namespaces)?;
    let (tools, clients) = phases.run("setup", || Ok((setup::setup()?, setup::clients()?)))?;
    if !options.no_verify {
        verify::in_phases(&mut phases)?;
    }
    phases.run("build", || workspace::run(workspace::cargo().args(["build", "--workspace", "--all-targets"])))?;
    phases.run("tests", || run_tests(&tools, &clients, &options.filters))?;
    phases.run("tests on the embedded catalog", || run_tests_on_the_embedded_catalog(&tools, &options.filters))?;
    phases.finish();
    Ok(())
}

fn run_tests(tools: &Tools, clients: &Clients, filters: &[String]) -> Result<()> {
    let mut cargo = cargo_test(tools);
    cargo.arg("--workspace");
    if !filters.is_empty() {
        // Documentation tests know no names worth filtering by.
        cargo.arg("--all-targets");
    }
    cargo.env("PILOTFISH_TEST_PY_CONSUL", &clients.python);
    cargo.env("PILOTFISH_TEST_NODE_CONSUL", &clients.node);
    cargo.arg("--").arg(format!("--test-threads={TEST_THREADS}")).args(filters);
    workspace::run(&mut cargo)
}

fn run_tests_on_the_embedded_catalog(tools: &Tools, filters: &[String]) -> Result<()> {
    let mut cargo = cargo_test(tools);
    // Of the workspace, as above: packages that are chosen by name have other features of their dependencies, which would be built anew.
    cargo.args(["--workspace", "--exclude", "pilotfish-process", "--test", "it"]);
    cargo.env("PILOTFISH_TEST_CATALOG", "embedded");
    cargo.arg("--").arg(format!("--test-threads={TEST_THREADS}"));
    cargo.args(ONLY_ON_CONSUL.iter().flat_map(|name| ["--skip", name])).args(filters);
    workspace::run(&mut cargo)
}

fn cargo_test(tools: &Tools) -> Command {
    let mut cargo = workspace::cargo();
    // A failure in one crate must not hide those in the others.
    cargo.args(["test", "--no-fail-fast"]);
    cargo.env("PILOTFISH_TEST_CONSUL", &tools.consul);
    cargo.env("PILOTFISH_TEST_PROMTOOL", &tools.promtool);
    cargo.env("PILOTFISH_TEST_MYSQLD", tools.mysqld.join(" "));
    cargo.env("PILOTFISH_SIM_SCHEDULES", SIM_SCHEDULES);
    cargo.env("PATH", workspace::path_with_root_programs());
    cargo
}

/// The integration tests give each supervisor its own PID and network namespace. Say early if that cannot work here.
fn check_namespaces() -> Result<()> {
    let mut unshare = Command::new("unshare");
    unshare.args(["--pid", "--net", "--fork", "--mount-proc"]);
    if !geteuid().is_root() {
        unshare.args(["--user", "--map-root-user"]);
    }
    unshare.arg("true");
    if workspace::find_program("unshare").is_none() {
        return Ok(()); // Setup is about to install it.
    }
    if let Err(error) = workspace::output(&mut unshare) {
        bail!(
            "{error}\nthe integration tests need namespaces of their own: run as root (in a container: with `--privileged`), or allow \
             user namespaces (`sysctl kernel.unprivileged_userns_clone=1`, and on Ubuntu \
             `sysctl kernel.apparmor_restrict_unprivileged_userns=0`)"
        );
    }
    Ok(())
}
