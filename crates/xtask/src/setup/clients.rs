//! Clients of Consul that others wrote, for the tests of the catalog: each with its own package manager, in the versions named
//! here, into the target directory. Nothing of the machine's own Python or Node is touched.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::archive::Scratch;
use crate::workspace::{output, tools_dir};

/// Libraries for other languages, and where each looks for them.
pub(crate) struct Clients {
    /// For `PYTHONPATH`.
    pub(crate) python: PathBuf,
    /// For `NODE_PATH`.
    pub(crate) node: PathBuf,
}

/// Bring the directories that are not there.
pub(crate) fn clients() -> Result<Clients> {
    let python = bring("py-consul-1.8.0", |directory| {
        let mut pip = Command::new("python3");
        pip.args(["-m", "pip", "--disable-pip-version-check", "--quiet", "install", "--no-deps", "--no-compile"]);
        pip.args(["--root-user-action=ignore", "--target"]).arg(directory);
        pip.args(["py-consul==1.8.0", "requests==2.34.2", "urllib3==2.8.0", "idna==3.20"]);
        pip.args(["certifi==2026.10.19.post1", "charset-normalizer==3.5.3"]);
        pip
    })?;
    let node = bring("node-consul-2.0.1", |directory| {
        let mut npm = Command::new("npm");
        npm.args(["install", "--ignore-scripts", "--no-audit", "--no-fund", "--no-save", "--silent", "--prefix"]);
        npm.arg(directory).args(["consul@2.0.1", "papi@1.1.2", "uuid@10.0.0"]);
        npm
    })?;
    Ok(Clients { python, node: node.join("node_modules") })
}

/// Installs beside the final place and then renames, so that an interrupted run never leaves half a library.
fn bring(name: &str, install: impl FnOnce(&Path) -> Command) -> Result<PathBuf> {
    let place = tools_dir().join(name);
    if place.is_dir() {
        return Ok(place);
    }
    eprintln!("    installing {name} into {}", tools_dir().display());
    let scratch = Scratch::new(&tools_dir())?;
    let fresh = scratch.path().join(name);
    fs::create_dir(&fresh).with_context(|| format!("cannot create {}", fresh.display()))?;
    output(&mut install(&fresh)).with_context(|| format!("cannot install {name}"))?;
    match fs::rename(&fresh, &place) {
        Err(_) if place.is_dir() => {} // Another run was faster.
        result => result.with_context(|| format!("cannot move {} into place", place.display()))?,
    }
    Ok(place)
}
