//! The parts of a document that both vocabularies share and that concern the supervisor itself.

use std::time::Duration;

use pilotfish_supervisor::{HangupMeaning, SignalMeanings, User1Meaning};

use crate::config::{Control, Format, Level, LogOutput, Logging};
use crate::duration;
use crate::reader::{Object, Reader};

/// Time between SIGTERM and SIGKILL when the document does not say (ContainerPilot's).
pub(crate) const DEFAULT_STOP_TIMEOUT: Duration = Duration::from_secs(5);
/// The same for a document with a database: a switchover and a clean end of the server fit into it.
const MYSQL_STOP_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a reload waits for changed jobs to become healthy when the document does not say.
const DEFAULT_RELOAD_TIMEOUT: Duration = Duration::from_secs(60);

/// Reads `logging`.
pub(crate) fn logging(reader: &mut Reader, document: &Object<'_>) -> Logging {
    let Some(object) = reader.object(document, "logging") else { return Logging::default() };
    let level = match reader.word(&object, "level") {
        Some("panic" | "fatal" | "error") => Level::Error,
        Some("warn" | "warning") => Level::Warn,
        Some("debug") => Level::Debug,
        _ => Level::Info,
    };
    let format = match reader.word(&object, "format") {
        Some("text") => Format::Text,
        Some("json") => Format::Json,
        _ => Format::Default,
    };
    let output = match reader.text(&object, "output").filter(|output| !output.is_empty()) {
        None => LogOutput::Stdout,
        Some(output) if output.eq_ignore_ascii_case("stdout") => LogOutput::Stdout,
        Some(output) if output.eq_ignore_ascii_case("stderr") => LogOutput::Stderr,
        Some(path) => LogOutput::File(path),
    };
    Logging { level, format, output }
}

/// Reads `control`.
pub(crate) fn control(reader: &mut Reader, document: &Object<'_>) -> Control {
    let Some(object) = reader.object(document, "control") else { return Control::default() };
    let socket = reader.text(&object, "socket").filter(|socket| !socket.is_empty());
    socket.map_or_else(Control::default, |socket| Control { socket })
}

/// Reads `signals`, which only v3 has.
pub(crate) fn signals(reader: &mut Reader, document: &Object<'_>) -> SignalMeanings {
    let Some(object) = reader.object(document, "signals") else { return SignalMeanings::default() };
    let hangup = match reader.word(&object, "hangup") {
        Some("reload") => HangupMeaning::Reload,
        _ => HangupMeaning::Event,
    };
    let user1 = match reader.word(&object, "user1") {
        Some("maintenance") => User1Meaning::ToggleMaintenance,
        _ => User1Meaning::ReopenLog,
    };
    SignalMeanings { hangup, user1 }
}

/// Reads `stopTimeout`; zero kills at once. A database needs more time to end than other jobs.
pub(crate) fn stop_timeout(reader: &mut Reader, document: &Object<'_>) -> Duration {
    let default = if document.field("mysql").is_some() { MYSQL_STOP_TIMEOUT } else { DEFAULT_STOP_TIMEOUT };
    let Some(nanos) = reader.signed_duration(document, "stopTimeout") else { return default };
    let place = document.place_of("stopTimeout");
    match u64::try_from(nanos) {
        Ok(0) => {
            let default_shown = duration::show(default);
            let message = format!("0 means the default, {default_shown}, as in ContainerPilot; -1 kills at once");
            reader.warn(&place, message);
            default
        }
        Ok(nanos) => Duration::from_nanos(nanos),
        Err(_) if nanos == -1_000_000_000 => Duration::ZERO,
        Err(_) => {
            reader.problem(&place, "a time cannot be negative; only -1 is allowed, which kills at once");
            Duration::ZERO
        }
    }
}

/// Reads `reloadTimeout`.
pub(crate) fn reload_timeout(reader: &mut Reader, document: &Object<'_>) -> Duration {
    reader.duration(document, "reloadTimeout", Duration::ZERO).unwrap_or(DEFAULT_RELOAD_TIMEOUT)
}
