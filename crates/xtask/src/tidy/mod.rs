//! `cargo xtask tidy`: the house rules that neither the compiler nor clippy knows.
//!
//! Each rule is a pure function from text (or cargo's metadata) to [`Finding`]s, with a small failing example as its test; only
//! this module reads files.

mod arrows;
mod code;
mod dependencies;
mod licences;
mod links;
mod lints;
mod metadata;
mod text;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::workspace;

/// One breach of a rule.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Finding {
    /// File (relative to the root) or package.
    place: String,
    /// Line from 1, or 0 when the finding is about the whole place.
    line: usize,
    severity: Severity,
    text: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Severity {
    Error,
    Warning,
}

impl Finding {
    fn error(place: impl Into<String>, line: usize, text: impl Into<String>) -> Self {
        Self { place: place.into(), line, severity: Severity::Error, text: text.into() }
    }

    fn warning(place: impl Into<String>, line: usize, text: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(place, line, text) }
    }
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        match self.line {
            0 => write!(f, "{severity}: {}: {}", self.place, self.text),
            line => write!(f, "{severity}: {}:{line}: {}", self.place, self.text),
        }
    }
}

/// Runs every rule over the repository, prints what it finds, and fails on errors.
pub(crate) fn tidy() -> Result<()> {
    let root = workspace::root();
    let metadata = metadata::read()?;
    let deny = dependencies::Deny::parse(&read(&root, Path::new("deny.toml"))?).context("cannot read deny.toml")?;
    let files = tracked_files(&root)?;

    let mut findings = arrows::check(&metadata);
    findings.extend(dependencies::check(&metadata, &deny));
    findings.extend(licences::check(&metadata, &deny));
    findings.extend(check_lints(&root, &metadata)?);
    findings.extend(check_rust(&root, &files)?);
    findings.extend(check_text(&root, &files)?);
    findings.sort();
    findings.dedup();

    for finding in &findings {
        eprintln!("{finding}");
    }
    let errors = findings.iter().filter(|finding| finding.severity == Severity::Error).count();
    if errors > 0 {
        bail!("tidy found {errors} error(s); the rules are in CONTRIBUTING.md");
    }
    Ok(())
}

/// The repository's files, tracked or new but not ignored, relative to the root.
fn tracked_files(root: &Path) -> Result<Vec<PathBuf>> {
    let mut git = std::process::Command::new("git");
    git.current_dir(root).args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]);
    let listed = workspace::output(&mut git).context("tidy asks git which files belong to the repository")?;
    // A file that was just deleted is still listed until the deletion is staged; what is listed twice is in a merge.
    let files: BTreeSet<_> = listed.split('\0').filter(|name| !name.is_empty()).map(PathBuf::from).collect();
    Ok(files.into_iter().filter(|file| root.join(file).is_file()).collect())
}

fn read(root: &Path, file: &Path) -> Result<String> {
    fs::read_to_string(root.join(file)).with_context(|| format!("cannot read {}", file.display()))
}

fn check_lints(root: &Path, metadata: &metadata::Metadata) -> Result<Vec<Finding>> {
    let mut findings = lints::check_workspace(&read(root, Path::new("Cargo.toml"))?);
    for package in metadata.members() {
        let manifest = fs::read_to_string(&package.manifest_path)
            .with_context(|| format!("cannot read {}", package.manifest_path))?;
        findings.extend(lints::check_member(&package.name, &manifest));
        if let Some(library) = package.library() {
            let source = fs::read_to_string(library).with_context(|| format!("cannot read {library}"))?;
            findings.extend(lints::check_no_std(&package.name, &source));
        }
    }
    Ok(findings)
}

/// Parses every Rust file once; which modules are tests is known only after all of them were read.
fn check_rust(root: &Path, files: &[PathBuf]) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    let mut parsed = BTreeMap::new();
    for file in files.iter().filter(|file| file.extension().is_some_and(|extension| extension == "rs")) {
        let source = read(root, file)?;
        let place = file.display().to_string();
        findings.extend(text::check_rust(&place, &source));
        match syn::parse_file(&source) {
            Ok(syntax) => drop(parsed.insert(file.clone(), syntax)),
            Err(error) => {
                findings.push(Finding::error(place, error.span().start().line, format!("does not parse: {error}")))
            }
        }
    }
    let tests = code::TestFiles::of(&parsed);
    for (file, syntax) in &parsed {
        findings.extend(code::check(&file.display().to_string(), syntax, tests.contains(file)));
    }
    Ok(findings)
}

fn check_text(root: &Path, files: &[PathBuf]) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for file in files.iter().filter(|file| text::is_ours(file)) {
        let source = read(root, file)?;
        let place = file.display().to_string();
        findings.extend(text::check_layout(&place, &source));
        findings.extend(text::check_markers(&place, &source));
        if file.extension().is_some_and(|extension| extension == "md") {
            findings.extend(links::check(file, &source, &|target| root.join(target).exists()));
        }
    }
    Ok(findings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_reads_like_a_compiler_message() {
        assert_eq!(Finding::error("a.rs", 3, "no").to_string(), "error: a.rs:3: no");
        assert_eq!(Finding::warning("pilotfish", 0, "odd").to_string(), "warning: pilotfish: odd");
    }
}
