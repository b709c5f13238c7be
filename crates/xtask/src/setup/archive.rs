//! Programs unpacked from Debian packages into the target directory, without touching the machine's own packages: apt gets its
//! own sources, lists and cache, thrown away afterwards. Signatures are checked as always.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::phases::seconds;
use crate::workspace::{find_program, is_executable, output, tools_dir};

/// The release that still has Consul; its promtool knows the same rules as today's. Frozen, so everybody tests with the same.
const SUITE: &str = "bullseye";

/// A program of a package of [`SUITE`].
pub(crate) struct Archived {
    /// The program's name, on PATH too: one that is there wins.
    program: &'static str,
    package: &'static str,
    /// What unpacks to `target/tools/DIRECTORY`.
    directory: &'static str,
    /// Path in the package.
    path: &'static str,
    /// Arguments that make it print its version, to see that it runs here.
    version: &'static [&'static str],
}

impl Archived {
    pub(crate) const CONSUL: Self = Self {
        program: "consul",
        package: "consul",
        directory: "consul-1.8.7",
        path: "usr/bin/consul",
        version: &["version"],
    };
    pub(crate) const PROMTOOL: Self = Self {
        program: "promtool",
        package: "prometheus",
        directory: "prometheus-2.24.1",
        path: "usr/bin/promtool",
        version: &["--version"],
    };

    pub(crate) const TINI: Self = Self {
        program: "tini",
        package: "tini",
        directory: "tini-0.19.0",
        path: "usr/bin/tini",
        version: &["--version"],
    };
    pub(crate) const DUMB_INIT: Self = Self {
        program: "dumb-init",
        package: "dumb-init",
        directory: "dumb-init-1.2.5",
        path: "usr/bin/dumb-init",
        version: &["--version"],
    };

    /// Where the program is: on PATH, or unpacked by an earlier run.
    pub(super) fn find(&self) -> Option<PathBuf> {
        let unpacked = tools_dir().join(self.directory).join(self.path);
        find_program(self.program).or_else(|| Some(unpacked).filter(|path| is_executable(path)))
    }
}

/// Brings the programs that are not there, all with one look at the mirror, and returns the path of each.
pub(super) fn bring(programs: &[Archived]) -> Result<Vec<PathBuf>> {
    let missing: Vec<_> = programs.iter().filter(|program| program.find().is_none()).collect();
    if !missing.is_empty() {
        fetch(&missing)?;
    }
    let found = |program: &Archived| {
        program.find().with_context(|| format!("`{}` was unpacked, yet is not there", program.program))
    };
    programs.iter().map(found).collect()
}

fn fetch(missing: &[&Archived]) -> Result<()> {
    let names: Vec<_> = missing.iter().map(|program| program.package).collect();
    eprintln!("    fetching {} of Debian {SUITE} into {}", names.join(", "), tools_dir().display());
    let started = Instant::now();
    let scratch = Scratch::new(&tools_dir())?;
    let apt = PrivateApt::new(&scratch.0, SUITE)?;
    apt.run(&["update"]).with_context(|| format!("cannot read the package list of Debian {SUITE}"))?;
    apt.run(&[&["download"][..], &names].concat()).with_context(|| format!("cannot download {}", names.join(", ")))?;
    for program in missing {
        unpack(program, &scratch.0)?;
    }
    eprintln!("    fetched in {}", seconds(started.elapsed()));
    Ok(())
}

/// Unpacks one package, checks that its program runs, and only then puts it in place, in one step: a run beside us or one that
/// is interrupted never leaves half a program.
fn unpack(program: &Archived, scratch: &Path) -> Result<()> {
    let package = downloaded(program.package, scratch)?;
    let unpacked = scratch.join(program.directory);
    output(Command::new("dpkg-deb").arg("--extract").args([&package, &unpacked]))?;
    let version = output(Command::new(unpacked.join(program.path)).args(program.version))
        .with_context(|| format!("the fetched `{}` does not run on this machine", program.program))?;
    let place = tools_dir().join(program.directory);
    match fs::rename(&unpacked, &place) {
        Err(_) if is_executable(&place.join(program.path)) => {} // Another run was faster.
        result => result.with_context(|| format!("cannot move {} into place", place.display()))?,
    }
    eprintln!("    {}", version.lines().next().unwrap_or(program.program));
    Ok(())
}

fn downloaded(package: &str, scratch: &Path) -> Result<PathBuf> {
    let prefix = format!("{package}_");
    for entry in fs::read_dir(scratch).context("cannot list the downloaded packages")? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if name.starts_with(&prefix) && name.ends_with(".deb") {
            return Ok(path);
        }
    }
    bail!("apt-get downloaded no package `{package}`")
}

/// A directory beside its final place (so that a rename is possible), removed when dropped.
pub(super) struct Scratch(PathBuf);

impl Scratch {
    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    pub(super) fn new(parent: &Path) -> Result<Self> {
        let path = parent.join(format!("fetch-{}", std::process::id()));
        fs::create_dir_all(&path).with_context(|| format!("cannot create {}", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Nothing depends on it being gone; `target` is thrown away as a whole.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// An apt whose sources, lists, cache and status are in one directory.
pub(super) struct PrivateApt {
    directory: PathBuf,
}

impl PrivateApt {
    pub(super) fn new(directory: &Path, suite: &str) -> Result<Self> {
        for folder in ["parts", "lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(directory.join(folder)).context("cannot create apt's directories")?;
        }
        fs::write(directory.join("status"), "").context("cannot create apt's status file")?;
        let source = debian_source(&machine_sources()?, suite).context(
            "apt on this machine has no Debian mirror to fetch from; put `consul`, `promtool` and `mysqld` on PATH instead",
        )?;
        fs::write(directory.join("parts/archive.sources"), source).context("cannot write apt's sources")?;
        Ok(Self { directory: directory.to_path_buf() })
    }

    pub(super) fn run(&self, arguments: &[&str]) -> Result<String> {
        let at = |name: &str| self.directory.join(name).display().to_string();
        let options = [
            "Dir::Etc::sourcelist=/dev/null".to_owned(),
            format!("Dir::Etc::sourceparts={}", at("parts")),
            format!("Dir::State::lists={}", at("lists")),
            format!("Dir::State::status={}", at("status")),
            format!("Dir::Cache={}", at("cache")),
            // The release is frozen, so its index is "too old" by design; it is signed all the same.
            "Acquire::Check-Valid-Until=false".to_owned(),
            "Acquire::Languages=none".to_owned(),
            "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false".to_owned(),
            "Acquire::Retries=3".to_owned(),
            // Hooks of the machine's own apt would clean or refresh what is not theirs.
            "APT::Update::Post-Invoke=".to_owned(),
            "APT::Update::Post-Invoke-Success=".to_owned(),
            // As root, apt drops to its own user, which cannot write here.
            "APT::Sandbox::User=root".to_owned(),
            "Debug::NoLocking=1".to_owned(),
        ];
        let mut command = Command::new("apt-get");
        command.current_dir(&self.directory).arg("-qq");
        output(command.args(options.iter().flat_map(|option| ["-o", option])).args(arguments))
    }
}

/// The text of all of apt's sources on this machine.
fn machine_sources() -> Result<String> {
    let mut files = vec![PathBuf::from("/etc/apt/sources.list")];
    if let Ok(entries) = fs::read_dir("/etc/apt/sources.list.d") {
        files.extend(entries.filter_map(|entry| Some(entry.ok()?.path())));
    }
    files.sort();
    let texts: Vec<_> = files.iter().filter_map(|file| fs::read_to_string(file).ok()).collect();
    Ok(texts.join("\n\n"))
}

/// The source of a suite on the first Debian mirror among `sources`, which may be in either format of sources.list(5).
fn debian_source(sources: &str, suite: &str) -> Option<String> {
    let (uri, signed_by) =
        sources.split("\n\n").find_map(debian_stanza).or_else(|| sources.lines().find_map(debian_line))?;
    let key = signed_by.map(|path| format!("Signed-By: {path}\n")).unwrap_or_default();
    Some(format!("Types: deb\nURIs: {uri}\nSuites: {suite}\nComponents: main\n{key}"))
}

/// Mirror and key of a deb822 stanza, if it is of Debian's main archive.
fn debian_stanza(stanza: &str) -> Option<(String, Option<String>)> {
    let field = |name: &str| {
        let mut lines = stanza.lines().filter_map(|line| line.split_once(':'));
        lines.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim().to_owned())
    };
    let uri = field("URIs")?.split_whitespace().find(|uri| is_main_archive(uri))?.to_owned();
    Some((uri, field("Signed-By").filter(|path| path.starts_with('/'))))
}

/// Mirror and key of a one-line source, `deb [signed-by=KEY] URI SUITE COMPONENT...`.
fn debian_line(line: &str) -> Option<(String, Option<String>)> {
    let rest = line.trim().strip_prefix("deb ")?.trim_start();
    let (options, rest) = match rest.strip_prefix('[') {
        Some(rest) => rest.split_once(']')?,
        None => ("", rest),
    };
    let uri = rest.split_whitespace().next().filter(|uri| is_main_archive(uri))?;
    let key = options.split_whitespace().find_map(|option| option.strip_prefix("signed-by="));
    Some((uri.to_owned(), key.map(String::from)))
}

/// A mirror of the main archive ends in `/debian`, wherever it is; that of the security team in `/debian-security`.
fn is_main_archive(uri: &str) -> bool {
    uri.trim_end_matches('/').ends_with("/debian")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mirror_is_taken_from_either_format() {
        let stanzas = "Types: deb\nURIs: http://mirror.example/node\nSuites: x\n\n\
                       Types: deb\n# comment: here\nURIs: http://mirror.example/debian\nSuites: bookworm\nSigned-By: /k.gpg\n";
        let expected =
            "Types: deb\nURIs: http://mirror.example/debian\nSuites: bullseye\nComponents: main\nSigned-By: /k.gpg\n";
        assert_eq!(debian_source(stanzas, SUITE).as_deref(), Some(expected));
        let lines = "deb http://mirror.example/debian-security x main\n\
                     deb [arch=amd64 signed-by=/k.gpg] http://mirror.example/debian/ bookworm main\n";
        let source = debian_source(lines, SUITE).expect("the second line is Debian's");
        assert!(
            source.contains("URIs: http://mirror.example/debian/\n") && source.contains("Signed-By: /k.gpg\n"),
            "{source}"
        );
    }

    #[test]
    fn a_machine_without_a_debian_mirror_is_told() {
        assert_eq!(
            debian_source("deb http://mirror.example/other x main\n# deb http://mirror.example/debian x main\n", SUITE),
            None
        );
        assert_eq!(debian_source("", SUITE), None);
    }

    #[test]
    fn scratch_is_removed() {
        let parent = std::env::temp_dir().join(format!("xtask-scratch-{}", std::process::id()));
        let scratch = Scratch::new(&parent).expect("the temporary directory is writable");
        fs::write(scratch.0.join("file"), "x").expect("it was just created");
        drop(scratch);
        assert_eq!(fs::read_dir(&parent).expect("the parent stays").count(), 0);
        fs::remove_dir_all(&parent).expect("it is ours");
    }
}
