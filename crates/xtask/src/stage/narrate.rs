//! Telling what happens: colours on a terminal, plain text elsewhere.

use std::fmt::Display;
use std::io::{self, IsTerminal};
use std::time::Instant;

const BOLD: &str = "1";
const DIM: &str = "2";
const GREEN: &str = "32";

/// Writes to stdout, one idea a line, with the seconds since the start before it.
pub(crate) struct Narrator {
    colours: bool,
    started: Instant,
}

impl Narrator {
    pub(crate) fn new() -> Self {
        // https://no-color.org
        let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self { colours: io::stdout().is_terminal() && !unwanted, started: Instant::now() }
    }

    /// What is about to happen.
    pub(crate) fn scene(&self, text: impl Display) {
        println!("\n{}", self.styled(BOLD, &format!("[{:5.1} s] {text}", self.started.elapsed().as_secs_f64())));
    }

    /// What was seen.
    pub(crate) fn seen(&self, text: impl Display) {
        println!("  {} {text}", self.styled(GREEN, "ok"));
    }

    /// Something worth knowing on the side: a command to try, raw output.
    pub(crate) fn note(&self, text: impl Display) {
        for line in text.to_string().lines() {
            println!("     {}", self.styled(DIM, line));
        }
    }

    fn styled(&self, style: &str, text: &str) -> String {
        if self.colours { format!("\x1b[{style}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_only_where_they_are_wanted() {
        let mut narrator = Narrator { colours: false, started: Instant::now() };
        assert_eq!(narrator.styled(GREEN, "ok"), "ok");
        narrator.colours = true;
        assert_eq!(narrator.styled(GREEN, "ok"), "\x1b[32mok\x1b[0m");
    }
}
