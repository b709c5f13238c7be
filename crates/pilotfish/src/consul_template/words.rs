//! Words of settings: durations, signals, truth, commands.

use std::time::Duration;

/// The longest duration that is accepted, 100 years: anything longer is a slip, and would overflow deadlines.
const LONGEST: Duration = Duration::from_secs(100 * 365 * 86_400);

/// Signals by the names that consul-template knows.
const SIGNALS: [(&str, i32); 31] = [
    ("SIGABRT", libc::SIGABRT),
    ("SIGALRM", libc::SIGALRM),
    ("SIGBUS", libc::SIGBUS),
    ("SIGCHLD", libc::SIGCHLD),
    ("SIGCONT", libc::SIGCONT),
    ("SIGFPE", libc::SIGFPE),
    ("SIGHUP", libc::SIGHUP),
    ("SIGILL", libc::SIGILL),
    ("SIGINT", libc::SIGINT),
    ("SIGIO", libc::SIGIO),
    ("SIGIOT", libc::SIGIOT),
    ("SIGKILL", libc::SIGKILL),
    ("SIGPIPE", libc::SIGPIPE),
    ("SIGPROF", libc::SIGPROF),
    ("SIGPWR", libc::SIGPWR),
    ("SIGQUIT", libc::SIGQUIT),
    ("SIGSEGV", libc::SIGSEGV),
    ("SIGSTOP", libc::SIGSTOP),
    ("SIGSYS", libc::SIGSYS),
    ("SIGTERM", libc::SIGTERM),
    ("SIGTRAP", libc::SIGTRAP),
    ("SIGTSTP", libc::SIGTSTP),
    ("SIGTTIN", libc::SIGTTIN),
    ("SIGTTOU", libc::SIGTTOU),
    ("SIGURG", libc::SIGURG),
    ("SIGUSR1", libc::SIGUSR1),
    ("SIGUSR2", libc::SIGUSR2),
    ("SIGVTALRM", libc::SIGVTALRM),
    ("SIGWINCH", libc::SIGWINCH),
    ("SIGXCPU", libc::SIGXCPU),
    ("SIGXFSZ", libc::SIGXFSZ),
];

/// Characters that mean something to a shell.
const SHELL: &[char] = &[
    '|', '&', ';', '<', '>', '(', ')', '$', '`', '\\', '"', '\'', '*', '?', '[', '#', '~', '=', '%', '!', '{', '}',
    '\n',
];

/// Words that only a shell knows (POSIX.1-2017, Shell Command Language, sections 2.4 and 2.14; and what there is no program for).
const BUILT_IN: [&str; 29] = [
    ".", ":", "case", "cd", "command", "eval", "exec", "exit", "export", "for", "function", "if", "kill", "local",
    "read", "readonly", "return", "set", "source", "time", "times", "trap", "type", "ulimit", "umask", "unset",
    "until", "wait", "while",
];

/// A command, as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Command {
    /// A line for a shell.
    Line(String),
    /// Program and arguments.
    Words(Vec<String>),
}

impl Command {
    /// What is executed. A line in which there is nothing for a shell to do needs none, so that signals reach the program itself.
    pub(super) fn argv(&self) -> Vec<String> {
        match self {
            Command::Words(words) => words.clone(),
            Command::Line(line) if needs_shell(line) => vec!["/bin/sh".into(), "-c".into(), line.clone()],
            Command::Line(line) => line.split_whitespace().map(str::to_owned).collect(),
        }
    }
}

fn needs_shell(line: &str) -> bool {
    line.contains(SHELL) || line.split_whitespace().next().is_some_and(|first| BUILT_IN.contains(&first))
}

/// A Go duration; like Go, it wants a unit.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let expected = || format!("'{text}' is not a duration; write a number and a unit (500ms, 30s, 1h30m)");
    if text != "0" && !text.ends_with(|last: char| last.is_ascii_alphabetic()) {
        return Err(expected());
    }
    let nanoseconds = pilotfish_config::parse_duration(text).map_err(|_| expected())?;
    let duration = u64::try_from(nanoseconds).map(Duration::from_nanos).ok().filter(|duration| *duration <= LONGEST);
    duration.ok_or_else(|| format!("'{text}' is out of range; a duration is at least zero and at most 100 years"))
}

/// `MIN:MAX`, or `MIN`, with four times as much for the other.
pub(super) fn wait(text: &str) -> Result<(Duration, Duration), String> {
    let (min, max) = match text.split_once(':') {
        Some((min, max)) => (duration(min)?, duration(max)?),
        None => (duration(text)?, duration(text)?.saturating_mul(4)),
    };
    if min > max {
        return Err(format!("'{text}': the shortest wait is longer than the longest; write MIN:MAX"));
    }
    Ok((min, max))
}

/// A signal by name; an empty text is none.
pub(super) fn signal(text: &str) -> Result<Option<i32>, String> {
    if text.is_empty() || text == "nil" {
        return Ok(None);
    }
    let name = text.to_ascii_uppercase();
    let found = SIGNALS.iter().find(|(known, _)| *known == name || known.strip_prefix("SIG") == Some(&name));
    match found {
        Some((_, number)) => Ok(Some(*number)),
        None => Err(format!("'{text}' is not a signal; write a name such as SIGHUP")),
    }
}

/// The spellings that Go's `strconv.ParseBool` takes.
pub(super) fn truth(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err(format!("'{text}' is neither true nor false")),
    }
}

/// A file's mode, in octal digits.
pub(super) fn mode(text: &str) -> Result<u32, String> {
    let digits = text.strip_prefix("0o").unwrap_or(text);
    let mode = u32::from_str_radix(digits, 8).ok().filter(|mode| *mode <= 0o7777);
    mode.ok_or_else(|| format!("'{text}' is not a file mode; write octal digits in quotes (\"0644\")"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_want_a_unit() {
        for (text, milliseconds) in [("0", 0), ("0s", 0), ("500ms", 500), ("1h30m", 5_400_000), ("1.5s", 1500)] {
            assert_eq!(duration(text), Ok(Duration::from_millis(milliseconds)), "{text}");
        }
        for text in ["", "5", "s", "-1s", "3x", "99999999h"] {
            assert!(duration(text).is_err(), "{text}");
        }
        assert_eq!(wait("5s:10s"), Ok((Duration::from_secs(5), Duration::from_secs(10))));
        assert_eq!(wait("5s"), Ok((Duration::from_secs(5), Duration::from_secs(20))));
        for text in ["", ":", "5", "10s:5s", "5s:"] {
            assert!(wait(text).is_err(), "{text}");
        }
    }

    #[test]
    fn signals_modes_and_commands() {
        assert_eq!((signal("SIGHUP"), signal("hup"), signal("")), (Ok(Some(1)), Ok(Some(1)), Ok(None)));
        assert!(signal("SIGNOPE").is_err() && signal("SIG").is_err());
        assert_eq!((mode("0644"), mode("600"), mode("0o4755")), (Ok(0o644), Ok(0o600), Ok(0o4755)));
        assert!(mode("0888").is_err() && mode("77777").is_err() && mode("").is_err());
        let line = |text: &str| Command::Line(text.into()).argv();
        assert_eq!(line("nginx -s  reload"), ["nginx", "-s", "reload"]);
        assert_eq!(line("a && b"), ["/bin/sh", "-c", "a && b"]);
        assert_eq!(line("exit 7"), ["/bin/sh", "-c", "exit 7"]);
        assert_eq!(Command::Words(vec!["a".into(), "$b".into()]).argv(), ["a", "$b"]);
    }
}
