//! Gives an order, asks first where something may be lost, and follows it until it is done.

use std::{
    io::{BufRead as _, IsTerminal as _, Write as _},
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::bail;
use pilotfish_mysql::LossReport;
use serde_json::json;

use super::{
    client::{Client, say},
    progress::{Outcome, Progress},
    style::{Style, Tone},
};
use crate::command_line::{Follow, MysqlOrder};

/// Time between two looks at what has become of it.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Gives an order; the exit code says whether it was carried out.
///
/// # Errors
/// The operator's refusal, or why it cannot be asked.
pub(super) async fn carry_out(
    client: &Client,
    order: &MysqlOrder,
    follow: Follow,
    json: bool,
) -> anyhow::Result<ExitCode> {
    let style = Style::of_output();
    if let MysqlOrder::Force { member, yes } = order
        && !may_lose(client, member.as_deref(), *yes, json, style).await?
    {
        say("nothing was done");
        return Ok(ExitCode::FAILURE);
    }
    let (_, before) = client.report().await?;
    let told = client.order(wire(order)).await?;
    if !json {
        say(&told);
    }
    let ended = match (follow, order) {
        (Follow::No, _) | (_, MysqlOrder::Pause | MysqlOrder::Resume) => None,
        (Follow::Until(limit), _) => Some(followed(client, Progress::new(order, before), limit, json).await),
    };
    let (done, text) = match ended {
        None => (true, None),
        Some(Outcome::Done(text)) => (true, Some(text)),
        Some(Outcome::Failed(text)) => (false, Some(text)),
    };
    if json {
        say(&json!({ "order": told, "done": done, "outcome": text }).to_string());
    } else if let Some(text) = text {
        say(&style.paint(if done { Tone::Good } else { Tone::Bad }, &text));
    }
    Ok(if done { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The order as the operator reads it.
fn wire(order: &MysqlOrder) -> String {
    match order {
        MysqlOrder::Switchover(to) => json!({ "order": "switchover", "to": to }),
        MysqlOrder::Force { member, .. } => json!({ "order": "failover", "to": member }),
        MysqlOrder::Adopt(member) => json!({ "order": "adopt", "member": member }),
        MysqlOrder::Rebuild(member) => json!({ "order": "rebuild", "member": member }),
        MysqlOrder::Pause => json!({ "order": "pause" }),
        MysqlOrder::Resume => json!({ "order": "resume" }),
    }
    .to_string()
}

/// Looks again and again until it is done, will not be, or takes too long.
async fn followed(client: &Client, mut progress: Progress, limit: Duration, quiet: bool) -> Outcome {
    let began = Instant::now();
    loop {
        // An operator that starts anew, or is fenced, does not answer for a moment.
        if let Ok((_, report)) = client.report().await {
            for line in progress.news(&report).iter().filter(|_| !quiet) {
                say(&format!("  {line}"));
            }
            if let Some(outcome) = progress.outcome(&report) {
                return outcome;
            }
        }
        if began.elapsed() >= limit {
            let text =
                format!("not done within {limit:?}; it may still happen: `pilotfish mysql why` says what it waits for");
            return Outcome::Failed(text);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Says what a forced failover would lose, and asks; whether it may be done.
async fn may_lose(client: &Client, member: Option<&str>, yes: bool, json: bool, style: Style) -> anyhow::Result<bool> {
    let (_, loss) = client.loss(member).await?;
    let text = described(&loss);
    if !json {
        say(&style.paint(if loss.needless { Tone::Doubtful } else { Tone::Bad }, &text));
    }
    if yes {
        return Ok(true);
    }
    if json || !std::io::stdin().is_terminal() {
        bail!("{text}\nnobody can be asked here; say --yes if that is to be done");
    }
    print!("Make {} primary all the same? Type its name: ", loss.name);
    std::io::stdout().flush()?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    Ok(answer.trim() == loss.name)
}

/// What would be lost, for people.
fn described(loss: &LossReport) -> String {
    let mut text = format!("{} would be primary in term {}: {}", loss.name, loss.term, loss.text);
    if loss.needless {
        text.push_str("\nIt needs no force: a switchover, or an election without the primary, loses nothing.");
    }
    if let Some(missing) = loss.missing.as_ref().filter(|_| loss.missing_count > 0) {
        text.push_str(&format!("\nKnown to be lost, number of transactions: {} ({missing}).", loss.missing_count));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_what_the_operator_reads() {
        let to = || Some("db-2".to_owned());
        for (order, expected) in [
            (MysqlOrder::Switchover(None), r#"{"order":"switchover","to":null}"#),
            (MysqlOrder::Force { member: to(), yes: true }, r#"{"order":"failover","to":"db-2"}"#),
            (MysqlOrder::Adopt(to()), r#"{"member":"db-2","order":"adopt"}"#),
            (MysqlOrder::Rebuild(None), r#"{"member":null,"order":"rebuild"}"#),
            (MysqlOrder::Pause, r#"{"order":"pause"}"#),
            (MysqlOrder::Resume, r#"{"order":"resume"}"#),
        ] {
            assert_eq!(wire(&order), expected);
        }
    }

    #[test]
    fn a_loss_is_told_with_its_size() {
        let loss = LossReport {
            name: "db-2".into(),
            term: 8,
            text: "db-3 may have more".into(),
            missing: Some("0-1-5".into()),
            missing_count: 1,
            ..LossReport::default()
        };
        let text = described(&loss);
        assert!(text.starts_with("db-2 would be primary in term 8: db-3 may have more"), "{text}");
        assert!(text.ends_with("Known to be lost, number of transactions: 1 (0-1-5)."), "{text}");
        let needless = described(&LossReport { needless: true, missing: None, ..loss });
        assert!(needless.ends_with("loses nothing."), "{needless}");
    }
}
