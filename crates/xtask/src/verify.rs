//! `cargo xtask verify`: everything about the source that can be judged without running it.

use anyhow::Result;

use crate::phases::Phases;
use crate::{tidy, workspace};

/// Runs all checks, cheapest first.
pub(crate) fn verify() -> Result<()> {
    let mut phases = Phases::new("verify");
    in_phases(&mut phases)?;
    phases.finish();
    Ok(())
}

/// The checks as phases of a longer command.
pub(crate) fn in_phases(phases: &mut Phases) -> Result<()> {
    phases.run("format", || {
        workspace::run(workspace::cargo().args(["fmt", "--all", "--check"]))
            .map_err(|error| error.context("the source is not formatted; run `cargo fmt --all`"))
    })?;
    phases.run("tidy", tidy::tidy)?;
    phases.run("clippy", || {
        let flags = ["clippy", "--quiet", "--workspace", "--all-targets", "--", "-D", "warnings"];
        workspace::run(workspace::cargo().args(flags))
    })?;
    phases.run("rustdoc", || {
        // Private items too: their documents are what a developer reads, and a broken link there misleads as much.
        let flags = ["doc", "--quiet", "--workspace", "--no-deps", "--document-private-items"];
        workspace::run(workspace::cargo().args(flags).env("RUSTDOCFLAGS", "-D warnings"))
    })
}
