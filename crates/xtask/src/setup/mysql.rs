//! MySQL, which Debian's stable releases do not have: of the unstable one, unpacked with all that it depends on, its C library included, into
//! the target directory. A script starts its programs with that library. A `mysqld` on PATH that is new enough wins.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result};

use super::archive::{PrivateApt, Scratch};
use crate::phases::seconds;
use crate::workspace::{find_program, output, tools_dir};

const SUITE: &str = "sid";
const PACKAGES: [&str; 2] = ["mysql-server-core", "mysql-client-core"];
/// Where it is unpacked to. The suite moves on, so the version is whatever it was when this was fetched.
const DIRECTORY: &str = "mysql";
/// What of a package is of no use to a server of tests.
const SUPERFLUOUS: [&str; 4] = ["usr/share/doc", "usr/share/man", "usr/share/locale", "usr/share/perl"];
/// The words that start MySQL's server: on PATH, or unpacked by this or an earlier run.
pub(crate) fn mysqld() -> Result<Vec<String>> {
    if let Some(path) = find_program("mysqld").filter(|path| is_recent(path)) {
        return Ok(vec![path.display().to_string()]);
    }
    let place = tools_dir().join(DIRECTORY);
    if !place.join("run").is_file() {
        fetch(&place)?;
    }
    Ok(vec![place.join("run").display().to_string(), "usr/sbin/mysqld".into()])
}

/// Whether it is MySQL 8.4 or later, and not MariaDB under its old name.
fn is_recent(mysqld: &Path) -> bool {
    let Ok(text) = output(Command::new(mysqld).arg("--version")) else { return false };
    let version = text.split_whitespace().skip_while(|word| *word != "Ver").nth(1).unwrap_or_default();
    let mut numbers = version.split('.').map_while(|number| number.parse::<u32>().ok());
    let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    !text.contains("MariaDB") && version >= (8, 4)
}

fn fetch(place: &Path) -> Result<()> {
    eprintln!("    fetching MySQL of Debian {SUITE} into {}", place.display());
    let started = Instant::now();
    fs::create_dir_all(tools_dir()).context("cannot create the directory of tools")?;
    let scratch = Scratch::new(&tools_dir())?;
    let apt = PrivateApt::new(scratch.path(), SUITE)?;
    apt.run(&["update"]).with_context(|| format!("cannot read the package list of Debian {SUITE}"))?;
    // To an apt that knows of nothing installed, an installation is everything that is needed.
    let plan = apt.run(&[&["--simulate", "--no-install-recommends", "install"][..], &PACKAGES].concat())?;
    let names: Vec<&str> =
        plan.lines().filter_map(|line| line.strip_prefix("Inst ")?.split_whitespace().next()).collect();
    apt.run(&[&["download"][..], &names].concat()).context("cannot download MySQL")?;
    let unpacked = scratch.path().join("unpacked");
    fs::create_dir_all(&unpacked).context("cannot create a directory for MySQL")?;
    for entry in fs::read_dir(scratch.path()).context("cannot list the downloaded packages")? {
        let package = entry?.path();
        if package.extension().is_some_and(|extension| extension == "deb") {
            output(Command::new("dpkg-deb").arg("--extract").args([&package, &unpacked]))?;
        }
    }
    for folder in SUPERFLUOUS {
        let _ = fs::remove_dir_all(unpacked.join(folder));
    }
    write_starter(&unpacked)?;
    let version = output(Command::new(unpacked.join("run")).args(["usr/sbin/mysqld", "--version"]))
        .context("the fetched MySQL does not run on this machine")?;
    match fs::rename(&unpacked, place) {
        Err(_) if place.join("run").is_file() => {} // Another run was faster.
        result => result.with_context(|| format!("cannot move {} into place", place.display()))?,
    }
    eprintln!("    {} in {}", version.trim(), seconds(started.elapsed()));
    Ok(())
}

/// `run usr/sbin/mysqld ARGUMENT...`: with the loader and the libraries of the unpacked release, under its whole name, so that the server
/// finds what belongs to it.
fn write_starter(prefix: &Path) -> Result<()> {
    let (libraries, loader) = loader(prefix)?;
    let script = format!(
        r#"#!/bin/sh
prefix=$(cd "$(dirname "$0")" && pwd)
program=$1
shift
libraries=$prefix/usr/lib/{libraries}
exec "$libraries/{loader}" --library-path "$libraries:$prefix/usr/lib/mysql/private:$prefix/usr/lib" \
    --argv0 "$prefix/$program" "$prefix/$program" "$@"
"#
    );
    let path: PathBuf = prefix.join("run");
    fs::write(&path, script).context("cannot write the script that starts MySQL")?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).context("cannot make a script executable")
}

/// The directory of the machine's architecture below `usr/lib` (Debian's multiarch tuple), and the C library's dynamic loader in it: both have
/// other names on every architecture.
fn loader(prefix: &Path) -> Result<(String, String)> {
    let names = |path: &Path| -> Vec<String> {
        let entries = fs::read_dir(path).into_iter().flatten().flatten();
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
    };
    let lib = prefix.join("usr/lib");
    let tuples = names(&lib).into_iter().filter(|name| name.contains("-linux-gnu"));
    let is_loader = |name: &String| name.starts_with("ld") && name.contains(".so.");
    let mut found = tuples.filter_map(|tuple| Some((names(&lib.join(&tuple)).into_iter().find(is_loader)?, tuple)));
    let (loader, tuple) =
        found.next().with_context(|| format!("the fetched MySQL came without a C library in {}", lib.display()))?;
    Ok((tuple, loader))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loader_is_found_on_every_architecture() {
        for (tuple, name) in
            [("x86_64-linux-gnu", "ld-linux-x86-64.so.2"), ("aarch64-linux-gnu", "ld-linux-aarch64.so.1")]
        {
            let prefix = Scratch::new(&std::env::temp_dir()).unwrap();
            assert!(loader(prefix.path()).is_err());
            for folder in [tuple, "mysql"] {
                fs::create_dir_all(prefix.path().join("usr/lib").join(folder)).unwrap();
            }
            for file in ["libc.so.6", "libld.so.1", name] {
                fs::write(prefix.path().join("usr/lib").join(tuple).join(file), "").unwrap();
            }
            assert_eq!(loader(prefix.path()).unwrap(), (tuple.to_owned(), name.to_owned()));
        }
    }
}
