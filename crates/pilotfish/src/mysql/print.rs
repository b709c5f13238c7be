//! A report for people: the cluster at a glance, and why the operator does what it does.

use std::fmt::Write as _;

use pilotfish_mysql::{LeaseReport, MemberReport, Report};

use super::{
    advice::advice,
    style::{Cell, Style, Tone, table},
};

/// The longest position that a table shows, in characters; `--json` has all of it.
const POSITION_CHARS: usize = 44;

/// What is known of the cluster.
pub(super) fn status(report: &Report, style: Style) -> String {
    let mut text = String::new();
    let head = format!("{} of {}: {} {}", report.name, report.service, report.flavour, report.version);
    let durability = format!("durability {}", report.durability);
    line(&mut text, &[&style.paint(Tone::Head, &head), &durability]);
    field(&mut text, "lease", &lease(report, style));
    field(&mut text, "writes", &writes(report, style));
    field(&mut text, "here", &here(report, style));
    if let Some(doing) = &report.doing {
        field(&mut text, "doing", doing);
    }
    field(&mut text, "why", &reason(report, style));
    for warning in warnings(report) {
        field(&mut text, "note", &style.paint(Tone::Doubtful, &warning));
    }
    text.push('\n');
    let mut members: Vec<&MemberReport> = report.members.iter().collect();
    members.sort_unstable_by_key(|member| (member.role != "primary", member.name.as_str()));
    let rows: Vec<Vec<Cell>> = members.into_iter().map(|member| row(report, member)).collect();
    if rows.is_empty() {
        text.push_str("no member is known yet\n");
    } else {
        let head = ["MEMBER", "ID", "ROLE", "ADDRESS", "IN SYNC", "BEHIND", "STATE", "POSITION"];
        text.push_str(&table(style, &head, &rows));
    }
    text
}

fn line(text: &mut String, parts: &[&str]) {
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{}", parts.join(", "));
}

fn field(text: &mut String, name: &str, value: &str) {
    let _ = writeln!(text, "  {name:<7} {value}");
}

/// A member's name, or its number if it has told nobody.
pub(super) fn name_of(report: &Report, id: u32) -> String {
    let found = report.members.iter().find(|member| member.id == id).map(|member| member.name.clone());
    found.filter(|name| !name.is_empty()).unwrap_or_else(|| id.to_string())
}

fn names(report: &Report, ids: &[u32]) -> String {
    match ids {
        [] => "nobody".into(),
        ids => ids.iter().map(|id| name_of(report, *id)).collect::<Vec<_>>().join(", "),
    }
}

/// Seconds, as short as they can be read.
pub(super) fn seconds(value: f64) -> String {
    match value {
        value if value < 0.0 => format!("-{}", seconds(-value)),
        value if value < 10.0 => format!("{value:.1}s"),
        value if value < 120.0 => format!("{value:.0}s"),
        value if value < 7200.0 => format!("{:.0}m{:02.0}s", (value / 60.0).floor(), (value % 60.0).floor()),
        value => format!("{:.0}h{:02.0}m", (value / 3600.0).floor(), (value % 3600.0 / 60.0).floor()),
    }
}

/// Who has the lease, in words.
pub(super) fn holding(report: &Report, lease: &LeaseReport) -> String {
    let holder = name_of(report, lease.holder);
    let term = lease.term;
    match lease.state.as_str() {
        "released" => format!("term {term}, given up by {holder}"),
        "initialising" => format!("term {term}, {holder} initialises the cluster"),
        _ if lease.holder == lease.primary => format!("term {term}, held by {holder}"),
        _ => format!("term {term}, taken by {holder}, which is not primary yet"),
    }
}

fn lease(report: &Report, style: Style) -> String {
    if let Some(silent) = report.catalog_silent {
        let text = format!("unknown: the catalog has not answered for {}", seconds(silent));
        return style.paint(Tone::Bad, &text);
    }
    let Some(lease) = &report.lease else {
        return style.paint(Tone::Doubtful, "none: there is no cluster in the catalog");
    };
    let mut text = format!("{}, unchanged for {}", holding(report, lease), seconds(lease.unchanged));
    if let Some(left) = lease.left {
        let _ = write!(text, ", ours for {} more", seconds(left));
    }
    text
}

/// How safe a write is that is acknowledged now.
fn writes(report: &Report, style: Style) -> String {
    let Some(copies) = report.copies else { return style.paint(Tone::Bad, "none: there is no primary") };
    let in_sync = report.lease.as_ref().map(|lease| names(report, &lease.in_sync)).unwrap_or_default();
    let text = match copies {
        1 if report.durability == "async" => "on 1 member when acknowledged (async): lost with it".to_owned(),
        1 => "on 1 member when acknowledged: no replica acknowledges, it is lost with the primary".to_owned(),
        copies => format!("on {copies} members when acknowledged; in sync: {in_sync}"),
    };
    style.paint(if copies > 1 { Tone::Good } else { Tone::Doubtful }, &text)
}

fn here(report: &Report, style: Style) -> String {
    let role = if report.role == "none" { "neither primary nor replica" } else { &report.role };
    let health = match report.healthy {
        true => style.paint(Tone::Good, "healthy"),
        false => style.paint(Tone::Bad, "not healthy"),
    };
    let Some(server) = &report.server else { return format!("{role}, {health}") };
    let mut parts = vec![format!("server {}", server.state)];
    if server.state == "running" {
        parts.push(if server.writable { "takes writes" } else { "read-only" }.to_owned());
    }
    parts.extend(server.lag.map(|lag| format!("{} behind", seconds(lag))));
    format!("{role}, {health}, {}", parts.join(", "))
}

fn reason(report: &Report, style: Style) -> String {
    let code = &report.why.code;
    let tone = match (code.as_str(), advice(code)) {
        ("settled", _) => Tone::Good,
        (_, None) => Tone::Doubtful,
        (_, Some(_)) => Tone::Bad,
    };
    format!("{} [{}]", report.why.text, style.paint(tone, code))
}

/// What somebody should know, in order of importance.
fn warnings(report: &Report) -> Vec<String> {
    let mut found = Vec::new();
    if report.paused {
        found.push("paused by an operator: nothing changes by itself until `pilotfish mysql resume`".to_owned());
    }
    if report.lease.as_ref().is_some_and(|lease| lease.forced) {
        found.push(
            "a failover was forced, and not all members have been in sync since: writes may have been lost".into(),
        );
    }
    if let Some(server) = &report.server {
        found.extend(server.silent.map(|silent| format!("the server has not answered for {}", seconds(silent))));
        let waits = server.waiting.filter(|waiting| *waiting >= 1.0);
        found.extend(
            waits.map(|waiting| format!("a commit has been waiting for acknowledgement for {}", seconds(waiting))),
        );
        found.extend(server.replication_error.iter().map(|error| format!("replication: {}", plain(error))));
    }
    found.extend(report.orders.iter().map(|order| format!("ordered: {}", plain(order))));
    found.extend(advice(&report.why.code).map(|text| format!("it waits for somebody: {text}")));
    found
}

fn row(report: &Report, member: &MemberReport) -> Vec<Cell> {
    let primary = member.role == "primary";
    let mark = if member.id == report.id { "*" } else { "" };
    let (state, tone) = state(report, member);
    let in_sync = match (primary, member.in_sync) {
        (true, _) => ("-".to_owned(), None),
        (false, true) => ("yes".to_owned(), Some(Tone::Good)),
        (false, false) => ("no".to_owned(), Some(Tone::Doubtful)),
    };
    let role = if primary { Some(Tone::Head) } else { None };
    let behind = member.behind.filter(|_| !primary).map_or_else(|| "-".to_owned(), |count| count.to_string());
    vec![
        (format!("{}{mark}", plain(&member.name)), role),
        (member.id.to_string(), None),
        (member.role.clone(), role),
        (format!("{}:{}", member.address, member.port), None),
        in_sync,
        (behind, None),
        (state, tone),
        (member.executed.as_deref().map_or_else(|| "-".to_owned(), shortened), None),
    ]
}

fn state(report: &Report, member: &MemberReport) -> Cell {
    let followed = member.following.map(|source| name_of(report, source));
    match (member.ailment.as_deref(), followed) {
        (Some("errant"), _) => {
            let count = member.errant.map_or_else(String::new, |count| format!("{count} "));
            (format!("has {count}transactions that the primary has not"), Some(Tone::Bad))
        }
        (Some("purged"), _) => ("needs what is purged".into(), Some(Tone::Bad)),
        (Some("applier-stopped"), _) => ("applier stopped".into(), Some(Tone::Bad)),
        (Some(other), _) => (other.into(), Some(Tone::Bad)),
        (None, _) if !member.data => ("no data".into(), Some(Tone::Doubtful)),
        (None, _) if member.leaving => ("stopping".into(), Some(Tone::Doubtful)),
        (None, _) if member.role == "primary" => ("leads".into(), Some(Tone::Good)),
        (None, Some(source)) if member.acking => (format!("follows {source}, acknowledges"), Some(Tone::Good)),
        (None, Some(source)) => (format!("follows {source}"), None),
        (None, None) => ("follows nobody".into(), Some(Tone::Doubtful)),
    }
}

fn shortened(position: &str) -> String {
    let position = plain(position);
    if position.chars().count() <= POSITION_CHARS {
        return position;
    }
    let end: String = position.chars().skip(position.chars().count() - POSITION_CHARS + 3).collect();
    format!("...{end}")
}

/// A line break in a name or an error must not break the table.
fn plain(text: &str) -> String {
    text.chars().map(|found| if found.is_control() { ' ' } else { found }).collect()
}

/// Why the operator does what it does, and what it did.
pub(super) fn why(report: &Report, style: Style) -> String {
    let mut text = String::new();
    let _ = writeln!(text, "{}: {}", style.paint(Tone::Head, &report.name), reason(report, style));
    if let Some(until) = report.why.until {
        field(&mut text, "until", &format!("something changes, or in {} at the latest", seconds(until)));
    }
    if let Some(doing) = &report.doing {
        field(&mut text, "doing", doing);
    }
    field(&mut text, "lease", &lease(report, style));
    for warning in warnings(report) {
        field(&mut text, "note", &style.paint(Tone::Doubtful, &warning));
    }
    if !report.decisions.is_empty() {
        let _ = writeln!(text, "\n{}", style.paint(Tone::Head, "what it did last (UTC)"));
    }
    for decided in &report.decisions {
        let code = style.paint(Tone::Doubtful, &decided.code);
        let _ = writeln!(text, "  {}  {}: {} [{code}]", clock_time(decided.at), decided.act, plain(&decided.why));
    }
    if !report.promotion.is_empty() {
        let _ = writeln!(text, "\n{}", style.paint(Tone::Head, "the last promotion of this member"));
        let phases: Vec<String> =
            report.promotion.iter().map(|phase| format!("{} {}", phase.name, seconds_exactly(phase.at))).collect();
        let _ = writeln!(text, "  {}", phases.join(", "));
    }
    text
}

/// The time of day of a time since 1970.
fn clock_time(at: f64) -> String {
    let of_day = at.rem_euclid(86_400.0);
    let (hours, minutes) = ((of_day / 3600.0).floor(), (of_day % 3600.0 / 60.0).floor());
    let seconds = ((of_day % 60.0) * 1000.0).floor() / 1000.0;
    format!("{hours:02.0}:{minutes:02.0}:{seconds:06.3}")
}

fn seconds_exactly(value: f64) -> String {
    format!("{value:.3}s")
}

#[cfg(test)]
pub(super) mod tests;
