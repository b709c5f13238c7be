//! Named phases with their durations, and one line at the end that says how all of them went.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// Runs phases one after the other and remembers how long each took.
pub(crate) struct Phases {
    command: &'static str,
    started: Instant,
    done: Vec<(&'static str, Duration)>,
}

impl Phases {
    /// Phases of `cargo xtask COMMAND`.
    pub(crate) fn new(command: &'static str) -> Self {
        Self { command, started: Instant::now(), done: Vec::new() }
    }

    /// Runs one phase. A failure is printed with the time it took, and ends the command.
    pub(crate) fn run<T>(&mut self, name: &'static str, phase: impl FnOnce() -> Result<T>) -> Result<T> {
        eprintln!("==> {name}");
        let started = Instant::now();
        let result = phase();
        let took = started.elapsed();
        let verdict = if result.is_ok() { "ok" } else { "FAILED" };
        eprintln!("    {name}: {verdict} in {}", seconds(took));
        self.done.push((name, took));
        result.with_context(|| {
            format!("{} failed in phase `{name}` after {}", self.command, seconds(self.started.elapsed()))
        })
    }

    /// Prints the summary line.
    pub(crate) fn finish(self) {
        println!("{}", summary(self.command, &self.done, self.started.elapsed()));
    }
}

fn summary(command: &str, done: &[(&str, Duration)], total: Duration) -> String {
    let parts: Vec<_> = done.iter().map(|(name, took)| format!("{name} {}", seconds(*took))).collect();
    format!("{command}: ok in {} ({})", seconds(total), parts.join(", "))
}

/// A duration as seconds with one decimal.
pub(crate) fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_names_every_phase() {
        let done = [("format", Duration::from_millis(1_240)), ("clippy", Duration::from_secs(61))];
        let line = summary("verify", &done, Duration::from_millis(62_300));
        assert_eq!(line, "verify: ok in 62.3 s (format 1.2 s, clippy 61.0 s)");
    }

    #[test]
    fn a_failure_says_in_which_phase() {
        let mut phases = Phases::new("verify");
        let error = phases.run::<()>("tidy", || anyhow::bail!("2 findings")).expect_err("it bails");
        assert!(format!("{error:#}").contains("phase `tidy`"), "{error:#}");
    }
}
