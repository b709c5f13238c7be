//! Programs that the system's package manager installs, because they need their own users, modules or privileges.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use rustix::process::geteuid;

use crate::workspace::find_program;

/// A program, and the Debian package that brings it.
const PROGRAMS: [(&str, &str); 22] = [
    ("nginx", "nginx"),
    ("node", "nodejs"),
    ("npm", "npm"),
    ("python3", "python3"),
    ("pip3", "python3-pip"),
    ("curl", "curl"),
    ("ip", "iproute2"),
    ("iptables", "iptables"),
    ("unshare", "util-linux"),
    ("setpriv", "util-linux"),
    ("fsfreeze", "util-linux"),
    ("mount", "mount"),
    ("mkfs.ext4", "e2fsprogs"),
    ("ps", "procps"),
    ("openssl", "openssl"),
    ("dpkg-deb", "dpkg"),
    ("mariadbd", "mariadb-server"),
    ("mariadb-backup", "mariadb-backup"),
    ("zstd", "zstd"),
    ("gzip", "gzip"),
    ("chromium", "chromium"),
    ("chromedriver", "chromium-driver"),
];

/// Runs as root. A package's own scripts would start nginx on port 80; while `policy-rc.d` answers 101, they start nothing
/// (Debian policy 9.3.3, invoke-rc.d). It is removed again however this ends, unless it was there before.
const INSTALL: &str = r#"
set -eu
policy=/usr/sbin/policy-rc.d
if ! [ -e "$policy" ]; then
    trap 'rm -f "$policy"' EXIT
    trap 'exit 130' INT TERM
    printf '#!/bin/sh\nexit 101\n' > "$policy"
    chmod 755 "$policy"
fi
export DEBIAN_FRONTEND=noninteractive
install() {
    apt-get -qq -y -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 --no-install-recommends install "$@" > /dev/null
}
apt-get -qq -o DPkg::Lock::Timeout=300 update
# The second try is for an earlier installation that was interrupted; the command is the one that apt advises then.
install "$@" || { dpkg --configure -a && install "$@"; }
"#;

/// The programs without which the demo does not run. Everything else of the list is for tests.
pub(super) const DEMO: [&str; 6] = ["nginx", "node", "curl", "unshare", "setpriv", "ps"];

/// What a cluster of MariaDB needs.
pub(super) const DATABASES: [&str; 4] = ["mariadbd", "mariadb-backup", "zstd", "setpriv"];

/// Installs the packages of the programs that are needed and not there.
pub(super) fn install_missing(needed: impl Fn(&str) -> bool) -> Result<()> {
    let packages = missing(&|program| !needed(program) || find_program(program).is_some());
    if packages.is_empty() {
        return Ok(());
    }
    let by_hand = format!("apt-get update && apt-get install --no-install-recommends {}", packages.join(" "));
    if find_program("apt-get").is_none() {
        bail!(
            "this machine lacks what these Debian packages bring, and has no apt-get: {}; install them",
            packages.join(", ")
        );
    }
    eprintln!("    installing {} (no service is started)", packages.join(", "));
    let mut command = as_root(&by_hand)?;
    command.args(["sh", "-c", INSTALL, "install"]).args(&packages);
    let status = command.status().context("cannot run the package installation")?;
    if !status.success() {
        bail!("apt-get could not install packages ({status}, reason above); as root, run: {by_hand}");
    }
    let still = missing(&|program| !needed(program) || find_program(program).is_some());
    if !still.is_empty() {
        bail!("apt-get reported success, but these packages' programs are still not found: {}", still.join(", "));
    }
    Ok(())
}

/// The programs that are there, with their paths.
pub(super) fn present() -> Vec<(&'static str, PathBuf)> {
    PROGRAMS.iter().filter_map(|(program, _)| Some((*program, find_program(program)?))).collect()
}

/// The packages, each once, of the programs that are not present.
fn missing(present: &dyn Fn(&str) -> bool) -> Vec<&'static str> {
    let mut packages: Vec<_> =
        PROGRAMS.iter().filter(|(program, _)| !present(program)).map(|(_, package)| *package).collect();
    packages.dedup();
    packages
}

/// The start of a command that runs as root: `env` when we are root, `sudo` when it is there and asks nothing or can ask.
fn as_root(by_hand: &str) -> Result<Command> {
    if geteuid().is_root() {
        return Ok(Command::new("env"));
    }
    match find_program("sudo") {
        Some(sudo) => Ok(Command::new::<&Path>(&sudo)),
        None => bail!("packages are missing, and this is neither root nor is there sudo; as root, run: {by_hand}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_packages_of_missing_programs_are_named_and_once() {
        assert_eq!(missing(&|_| true), Vec::<&str>::new());
        assert_eq!(missing(&|program| !["nginx", "unshare", "setpriv"].contains(&program)), ["nginx", "util-linux"]);
    }

    #[test]
    fn the_demo_needs_programs_of_the_list() {
        assert!(DEMO.iter().all(|needed| PROGRAMS.iter().any(|(program, _)| program == needed)));
    }

    #[test]
    fn the_install_script_is_valid_shell() {
        let checked = Command::new("sh").args(["-n", "-c", INSTALL]).status().expect("sh is there");
        assert!(checked.success());
    }
}
