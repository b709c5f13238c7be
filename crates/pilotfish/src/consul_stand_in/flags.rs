//! Flags as Go's `flag` reads them: `-name value`, `-name=value`, one dash or two, and the first word that is none ends them.

/// What was given.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Flags {
    given: Vec<(String, String)>,
    /// What follows the flags.
    pub(crate) words: Vec<String>,
}

impl Flags {
    /// The last value of a flag.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.given.iter().rev().find(|(flag, _)| flag == name).map(|(_, value)| value.as_str())
    }

    /// All values of a flag.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.given.iter().filter(move |(flag, _)| flag == name).map(|(_, value)| value.as_str())
    }

    /// Whether a switch is on.
    pub(crate) fn is_on(&self, name: &str) -> bool {
        matches!(self.get(name), Some("" | "1" | "t" | "T" | "true" | "TRUE" | "True"))
    }
}

/// Reads flags; `switches` stand alone, `values` take one.
///
/// # Errors
/// An unknown flag, or one without its value, in Go's words and with what is known.
pub(crate) fn parse(arguments: &[&str], switches: &[&str], values: &[&str]) -> Result<Flags, String> {
    let mut flags = Flags::default();
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        let name = argument.strip_prefix("--").or_else(|| argument.strip_prefix('-'));
        let name = match name {
            Some("") if *argument == "--" => break,
            Some("") | None => {
                flags.words.push((*argument).to_owned());
                break;
            }
            Some(name) => name,
        };
        let (name, value) = name.split_once('=').map_or((name, None), |(name, value)| (name, Some(value)));
        let value = if switches.contains(&name) {
            value.unwrap_or("")
        } else if values.contains(&name) {
            match value {
                Some(value) => value,
                None => rest.next().ok_or_else(|| format!("flag needs an argument: -{name}"))?,
            }
        } else {
            let known: Vec<String> = switches.iter().chain(values).map(|flag| format!("-{flag}")).collect();
            return Err(format!(
                "flag provided but not defined: -{name}\npilotfish's stand-in for consul knows here: {}",
                known.join(" ")
            ));
        };
        flags.given.push((name.to_owned(), value.to_owned()));
    }
    flags.words.extend(rest.map(|word| (*word).to_owned()));
    Ok(flags)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_read_as_go_reads_them() {
        let flags = parse(&["-cas", "--flags=42", "-session", "x", "key", "-value"], &["cas"], &["flags", "session"]);
        let flags = flags.expect("all of them are known");
        assert!(flags.is_on("cas") && flags.get("flags") == Some("42") && flags.get("session") == Some("x"));
        assert_eq!(flags.words, ["key", "-value"]);
        assert_eq!(parse(&["-"], &[], &[]).expect("a word").words, ["-"]);
        assert_eq!(parse(&["--", "-x"], &[], &[]).expect("a word").words, ["-x"]);
    }

    #[test]
    fn unknown_flags_are_refused_with_what_is_known() {
        let error = parse(&["-bogus"], &["cas"], &["flags"]).expect_err("it is unknown");
        assert!(
            error.starts_with("flag provided but not defined: -bogus\n") && error.ends_with("-cas -flags"),
            "{error}"
        );
        assert_eq!(parse(&["-flags"], &[], &["flags"]), Err("flag needs an argument: -flags".to_owned()));
    }
}
