//! Requests for sessions.

use std::time::Duration;

use super::fields::{Fields, Read};
use super::json::{self, Value};
use super::{duration, undecodable};
use crate::state::{Behavior, Refusal, Session};

/// How Go calls the struct.
const STRUCT: &str = "struct { LockDelay interface {}; *structs.Alias }";

/// The lock-delay where the request does not say (Consul documentation, sessions).
const LOCK_DELAY: Duration = Duration::from_secs(15);

/// Numbers below this are seconds, others nanoseconds, as Consul reads them.
const SECONDS_BELOW: f64 = 1000.0;

/// Shortest and longest TTL (Consul documentation, sessions).
const TTL_RANGE: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(24 * 3600));

/// Reads the body of `session/create`; the session gets this identity, and this node where it names none.
///
/// # Errors
/// As Consul refuses it.
pub(crate) fn create(body: &[u8], id: String, node: &str) -> Result<Session, Refusal> {
    let mut behavior = String::new();
    let mut session = read(body, &mut behavior).map_err(undecodable)?;
    session.id = id;
    if session.node.is_empty() {
        node.clone_into(&mut session.node);
    }
    session.behavior = match behavior.as_str() {
        "" | "release" => Behavior::Release,
        "delete" => Behavior::Delete,
        other => return Err(Refusal::internal(format!("Invalid Behavior setting '{other}'"))),
    };
    if !session.ttl.is_empty() {
        let nanos = duration::parse(&session.ttl)
            .map_err(|text| Refusal::internal(format!("Session TTL '{}' invalid: {text}", session.ttl)))?;
        let ttl = duration::positive(nanos);
        if nanos != 0 && !(TTL_RANGE.0..=TTL_RANGE.1).contains(&ttl) {
            return Err(Refusal::internal(format!(
                "Invalid Session TTL '{nanos}', must be between [{}={}]",
                short(TTL_RANGE.0),
                duration::format(TTL_RANGE.1)
            )));
        }
        session.ttl_time = (nanos != 0).then_some(ttl);
    }
    Ok(session)
}

fn short(time: Duration) -> String {
    duration::format(time)
}

fn read(body: &[u8], behavior: &mut String) -> Read<Session> {
    let mut session =
        Session { lock_delay: LOCK_DELAY, node_checks: Some(vec!["serfHealth".to_owned()]), ..Session::default() };
    if body.is_empty() {
        return Ok(session);
    }
    let mut fields = Fields::new(json::parse(body)?, "", STRUCT)?;
    session.name = fields.text("Name")?;
    session.node = fields.text("Node")?;
    *behavior = fields.text("Behavior")?;
    session.ttl = fields.text("TTL")?;
    match fields.take("LockDelay") {
        Some(Value::Text(text)) => session.lock_delay = duration::positive(duration::parse(&text)?),
        Some(Value::Number(number)) => {
            let number: f64 = number.parse().unwrap_or(0.0);
            let nanos = if number < SECONDS_BELOW { number * 1e9 } else { number };
            session.lock_delay = Duration::from_nanos(nanos as u64);
        }
        Some(Value::Null | Value::Bool(_) | Value::List(_) | Value::Object(_)) | None => {}
    }
    if let Some(checks) = fields.texts("NodeChecks")? {
        session.node_checks = Some(checks);
    }
    // The older name: without any, there are none of the node either; the check that is there by default goes without saying.
    let given = fields.is_given("Checks");
    let checks = fields.texts_of("Checks", "[]types.CheckID")?.unwrap_or_default();
    if given && checks.is_empty() {
        session.node_checks = Some(Vec::new());
    }
    session.checks = Some(checks).filter(|checks| !checks.is_empty() && *checks != ["serfHealth"]);
    if let Some(items) = fields.list_if_any("ServiceChecks", "[]structs.ServiceCheck")? {
        let mut services = Vec::new();
        for item in items {
            let mut check = Fields::new(item, "ServiceCheck", "structs.ServiceCheck")?;
            services.push(check.text("ID")?);
        }
        session.service_checks = Some(services);
    }
    Ok(session)
}
