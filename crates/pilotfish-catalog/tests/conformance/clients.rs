//! Clients that nobody here wrote, against both servers: what they do with a real Consul, they do with ours.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use pilotfish_testing::{Consul, ConsulOptions, Kind, OnlyConsul};

use crate::pair::subject;

/// Where `cargo xtask setup` has put a library, unless the variable says otherwise.
fn library(variable: &str, directory: &str) -> PathBuf {
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/tools");
    let path = std::env::var_os(variable).map_or_else(|| tools.join(directory), PathBuf::from);
    assert!(path.is_dir(), "{} is not there: run `cargo xtask setup`, or set {variable}", path.display());
    path
}

fn drive(program: &str, script: &str, library_variable: &str, library: &Path) {
    for kind in [Kind::Consul(OnlyConsul::Judge), subject()] {
        let consul = Consul::start_with(ConsulOptions { kind, ..ConsulOptions::default() });
        let output = Command::new(program)
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients").join(script))
            .arg(consul.http().to_string())
            .env(library_variable, library)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdin(Stdio::null())
            .output()
            .unwrap_or_else(|error| panic!("cannot run {program}: {error}"));
        let told = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let done = told(&output.stdout);
        assert!(
            output.status.success() && done.lines().last() == Some("elect"),
            "{script} against {kind:?}: {} after {done:?}\n{}",
            output.status,
            told(&output.stderr)
        );
    }
}

#[test]
fn py_consul_drives_both() {
    drive("python3", "drive.py", "PYTHONPATH", &library("PILOTFISH_TEST_PY_CONSUL", "py-consul-1.8.0"));
}

#[test]
fn the_node_package_consul_drives_both() {
    let library = library("PILOTFISH_TEST_NODE_CONSUL", "node-consul-2.0.1/node_modules");
    drive("node", "drive.js", "NODE_PATH", &library);
}
