//! Answers as text for people, or as they came for machines.

use std::fmt::Write as _;

use anyhow::Context as _;
use serde_json::Value;

use crate::command_line::ControlRequest;

/// What is printed for an answer.
pub(super) fn answer(request: &ControlRequest, answer: &str, json: bool) -> anyhow::Result<String> {
    Ok(match request {
        ControlRequest::Status if !json => status(&serde_json::from_str(answer).context("the answer is not JSON")?),
        ControlRequest::Maintenance(on) if !json => {
            let updated = serde_json::from_str::<Value>(answer).is_ok_and(|answer| answer["updated"] == true);
            match (on, updated) {
                (true, true) => "maintenance has begun\n".into(),
                (false, true) => "maintenance has ended\n".into(),
                (true, false) => "already in maintenance\n".into(),
                (false, false) => "not in maintenance\n".into(),
            }
        }
        ControlRequest::Status | ControlRequest::Maintenance(_) => format!("{}\n", answer.trim_end()),
        ControlRequest::Reload if !json => "reloaded\n".into(),
        ControlRequest::Ping if !json => "ok\n".into(),
        ControlRequest::PutEnv(_) | ControlRequest::PutMetric(_) if !json => String::new(),
        ControlRequest::Reload
        | ControlRequest::Ping
        | ControlRequest::PutEnv(_)
        | ControlRequest::PutMetric(_)
        | ControlRequest::Events => "{\"ok\":true}\n".into(),
    })
}

/// One server-sent event as a line, if it carries data.
pub(super) fn event(event: &str, json: bool) -> Option<String> {
    let data = event.lines().find_map(|line| line.strip_prefix("data: "))?;
    if json {
        return Some(data.to_owned());
    }
    let values: Value = serde_json::from_str(data).ok()?;
    let name = values["event"].as_str().unwrap_or("event");
    Some(format!("{:>14.3} {name:<18} {}", values["time"].as_f64().unwrap_or(0.0), values["text"].as_str()?))
}

/// The state of everything as two tables.
fn status(status: &Value) -> String {
    let mut text = head(status);
    let jobs = rows(&status["jobs"], |job| {
        vec![
            plain(&job["name"]),
            plain(&job["state"]),
            plain(&job["pid"]),
            duration(&job["runningFor"]),
            plain(&job["health"]),
            registration(&job["service"]),
            plain(&job["restarts"]),
            last_exit(job),
        ]
    });
    table(&mut text, &["JOB", "STATE", "PID", "FOR", "HEALTH", "CATALOG", "RESTARTS", "LAST EXIT"], &jobs);
    let watches = rows(&status["watches"], |watch| {
        vec![plain(&watch["name"]), members(&watch["members"]), duration(&watch["age"]), plain(&watch["failing"])]
    });
    if !watches.is_empty() {
        text.push('\n');
        table(&mut text, &["WATCH", "MEMBERS", "CONFIRMED", "FAILING"], &watches);
    }
    let templates = rows(&status["templates"], |template| {
        vec![
            plain(&template["name"]),
            plain(&template["state"]),
            plain(&template["destination"]),
            plain(&template["changes"]),
            duration(&template["age"]),
            plain(&template["obstacle"]),
        ]
    });
    if !templates.is_empty() {
        text.push('\n');
        table(&mut text, &["TEMPLATE", "STATE", "FILE", "CHANGES", "CONFIRMED", "OBSTACLE"], &templates);
    }
    text
}

fn head(status: &Value) -> String {
    let config = &status["config"];
    let mut text = format!(
        "pilotfish {}, pid {}, up {}, config {} (reloaded {} times)\n",
        plain(&status["version"]),
        status["pid"],
        duration(&status["uptime"]),
        plain(&config["source"]),
        config["reloads"],
    );
    if let Some(error) = config["error"].as_str() {
        let _ = writeln!(text, "last reload failed: {error}");
    }
    if status["maintenance"] == true {
        text.push_str("in maintenance: nothing is advertised\n");
    }
    if status["startupHeld"] == true {
        text.push_str("nothing is started yet: required templates are not rendered\n");
    }
    if let Some(reason) = status["stopping"].as_str() {
        let _ = writeln!(text, "stopping: {reason}");
    }
    text.push_str(&database(&status["mysql"]));
    text
}

/// One line about a member of a database cluster; `pilotfish mysql status` has all of it.
fn database(mysql: &Value) -> String {
    if mysql.is_null() {
        return String::new();
    }
    if let Some(error) = mysql["error"].as_str() {
        return format!("mysql: {error}\n");
    }
    let health = if mysql["healthy"] == true { "healthy" } else { "not healthy" };
    let copies = mysql["copies"].as_u64().map_or("no primary".into(), |copies| format!("a write is on {copies}"));
    let why = &mysql["why"];
    let (role, text, code) = (plain(&mysql["role"]), plain(&why["text"]), plain(&why["code"]));
    format!("mysql: {role}, {health}, term {}, {copies}: {text} [{code}]\n", mysql["lease"]["term"])
}

fn rows(list: &Value, row: impl Fn(&Value) -> Vec<String>) -> Vec<Vec<String>> {
    list.as_array().map_or_else(Vec::new, |list| list.iter().map(row).collect())
}

fn table(text: &mut String, head: &[&str], rows: &[Vec<String>]) {
    let width = |column: usize| {
        let longest = rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        longest.max(head[column].len())
    };
    let mut line = |cells: Vec<&str>| {
        let padded = cells.iter().enumerate().map(|(column, cell)| format!("{cell:<0$}", width(column)));
        let joined = padded.collect::<Vec<_>>().join("  ");
        text.push_str(joined.trim_end());
        text.push('\n');
    };
    line(head.to_vec());
    for row in rows {
        line(row.iter().map(String::as_str).collect());
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::Null => "-".into(),
        // A line break in a name or a reason must not break the table.
        Value::String(text) => text.chars().map(|each| if each.is_control() { ' ' } else { each }).collect(),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    }
}

fn duration(value: &Value) -> String {
    match value.as_f64() {
        None => "-".into(),
        Some(seconds) if seconds < 60.0 => format!("{seconds:.1}s"),
        Some(seconds) if seconds < 3600.0 => {
            format!("{:.0}m{:02.0}s", (seconds / 60.0).floor(), (seconds % 60.0).floor())
        }
        Some(seconds) => format!("{:.0}h{:02.0}m", (seconds / 3600.0).floor(), (seconds % 3600.0 / 60.0).floor()),
    }
}

fn registration(service: &Value) -> String {
    if service["contestedBy"].is_string() {
        return "contested".into();
    }
    match service["registered"].as_bool() {
        None => "-".into(),
        Some(true) => "registered".into(),
        Some(false) => "absent".into(),
    }
}

fn last_exit(job: &Value) -> String {
    let exit = &job["lastExit"];
    if let Some(signal) = exit["signal"].as_i64() {
        return format!("signal {signal}");
    }
    exit["code"].as_i64().map_or_else(|| "-".into(), |code| format!("code {code}"))
}

fn members(members: &Value) -> String {
    match members.as_array() {
        None => "unknown".into(),
        Some(members) if members.is_empty() => "none".into(),
        Some(members) => members.iter().map(plain).collect::<Vec<_>>().join(" "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_two_tables() {
        let text = answer(
            &ControlRequest::Status,
            r#"{"version":"0.1.0","pid":1,"uptime":75.2,"config":{"source":"/etc/x.json","reloads":2,"error":null},
                "maintenance":false,"stopping":null,
                "jobs":[{"name":"app","state":"running","pid":7,"runningFor":3.21,"health":"healthy","lastFailure":null,
                         "lastExit":{"code":137,"signal":9},"runs":2,"restarts":1,"service":{"registered":true}}],
                "watches":[{"name":"db","members":["10.0.0.1:3306"],"age":1.5,"failing":null}]}"#,
            false,
        );
        let expected = "\
pilotfish 0.1.0, pid 1, up 1m15s, config /etc/x.json (reloaded 2 times)
JOB  STATE    PID  FOR   HEALTH   CATALOG     RESTARTS  LAST EXIT
app  running  7    3.2s  healthy  registered  1         signal 9

WATCH  MEMBERS        CONFIRMED  FAILING
db     10.0.0.1:3306  1.5s       -
";
        assert_eq!(text.expect("valid"), expected);
    }

    #[test]
    fn a_database_is_a_line() {
        let report = serde_json::json!({
            "role": "replica", "healthy": true, "copies": 2, "lease": { "term": 7 },
            "why": { "code": "settled", "text": "nothing to do" },
        });
        assert_eq!(database(&report), "mysql: replica, healthy, term 7, a write is on 2: nothing to do [settled]\n");
        let silent = serde_json::json!({ "error": "the operator does not answer" });
        assert_eq!(database(&silent), "mysql: the operator does not answer\n");
        assert_eq!(database(&Value::Null), "");
    }

    #[test]
    fn odd_names_stay_in_their_columns() {
        let mut text = String::new();
        let rows =
            [serde_json::json!({ "name": "w\u{f6}rk\ner", "x": 1 }), serde_json::json!({ "name": "", "x": null })];
        let rows: Vec<Vec<String>> = rows.iter().map(|row| vec![plain(&row["name"]), plain(&row["x"])]).collect();
        table(&mut text, &["N", "LONG"], &rows);
        assert_eq!(text, "N        LONG\nw\u{f6}rk er  1\n         -\n");
    }

    #[test]
    fn an_event_is_a_line() {
        let text = "event: started\ndata: {\"event\":\"started\",\"time\":12.5,\"text\":\"app started\"}\n\n";
        assert_eq!(event(text, false).as_deref(), Some("        12.500 started            app started"));
        assert!(event(text, true).is_some_and(|line| line.starts_with("{\"event\"")));
        assert_eq!(event(": comment\n\n", false), None);
    }
}
