//! `pilotfish mysql plan`: what the times of a config mean at the worst. Nothing runs for it.

use std::{fmt::Write as _, process::ExitCode, time::Duration};

use pilotfish_autopilot::{Flavour, Plan, plan};
use pilotfish_config::{Durability, Mysql};
use serde_json::json;

use super::{
    client::say,
    operator::settings_for_looking,
    style::{Cell, Style, Tone, table},
};
use crate::command_line::ConfigLocation;

/// The sizes of clusters that are worth a row.
const SIZES: [usize; 4] = [1, 2, 3, 5];

/// Prints it.
///
/// # Errors
/// When the config is wrong: unsafe times are refused with the same sentences.
pub(super) fn run(config: Option<&ConfigLocation>, json: bool) -> anyhow::Result<ExitCode> {
    let mysql = settings_for_looking(config)?;
    say(&if json { for_machines(&mysql) } else { for_people(&mysql, Style::of_output()) });
    Ok(ExitCode::SUCCESS)
}

fn plan_of(mysql: &Mysql, members: usize) -> Plan {
    // More acks than one are MySQL's; all else is the same for both.
    let flavour = if mysql.acks > 1 { Flavour::MySql } else { Flavour::MariaDb };
    plan(&mysql.policy(), flavour, members)
}

fn for_machines(mysql: &Mysql) -> String {
    let plan = plan_of(mysql, 3);
    let seconds = |time: Duration| time.as_secs_f64();
    let clusters: Vec<_> = SIZES.map(|members| cluster(mysql, members)).into();
    json!({
        "lease": seconds(mysql.lease),
        "crash": seconds(plan.crash),
        "hang": seconds(plan.hang),
        "hostLost": seconds(plan.host_lost),
        "switchover": seconds(mysql.switchover_limit),
        "staleReads": seconds(plan.stale_reads),
        "margin": seconds(plan.margin),
        "clusters": clusters.iter().map(|it| json!({
            "members": it.members,
            "acks": it.acks,
            "leastInSync": it.floor,
            "tolerated": it.tolerated,
        })).collect::<Vec<_>>(),
    })
    .to_string()
}

/// What a cluster of some size can take.
struct Cluster {
    members: usize,
    acks: u8,
    floor: usize,
    tolerated: usize,
}

fn cluster(mysql: &Mysql, members: usize) -> Cluster {
    let policy = mysql.policy();
    Cluster {
        members,
        acks: policy.acks_with(members - 1),
        floor: policy.floor(members),
        tolerated: plan_of(mysql, members).tolerated,
    }
}

fn shown(time: Duration) -> String {
    if time < Duration::from_secs(1) {
        format!("{} ms", time.as_millis())
    } else {
        format!("{:.1} s", time.as_secs_f64())
    }
}

fn for_people(mysql: &Mysql, style: Style) -> String {
    let plan = plan_of(mysql, 3);
    let policy = mysql.policy();
    let mut text = format!(
        "{}\n",
        style.paint(
            Tone::Head,
            &format!(
                "a lease of {}, renewed every {}; a primary that hangs for {} is killed",
                shown(policy.ttl),
                shown(policy.renew_every),
                shown(policy.hang_limit)
            )
        )
    );
    text.push_str("\nFor so long nobody takes writes, at the worst, before the others may elect; an election and the promotion come on top of it:\n");
    for (what, time) in [
        ("the primary's server crashes", plan.crash),
        ("the primary's server hangs", plan.hang),
        ("the primary's machine or network is lost", plan.host_lost),
    ] {
        let _ = writeln!(text, "  {what:<42} {}", shown(time));
    }
    let _ = writeln!(
        text,
        "  {:<42} {} until all goes back",
        "a switchover that does not succeed",
        shown(policy.switchover_limit)
    );
    text.push_str("\nTwo primaries:\n");
    let split = match mysql.durability {
        Durability::Quorum => "never: an election needs members without which the old one gets no acknowledgement",
        Durability::Async => "those of the old one until its lease ends, and they are lost",
    };
    let _ = writeln!(text, "  {:<42} {split}", "writes of both that are acknowledged");
    let stale = match plan.stale_reads {
        Duration::ZERO => "none: it is killed before anybody may be elected".to_owned(),
        time => format!("up to {}", shown(time)),
    };
    let _ = writeln!(text, "  {:<42} {stale}", "stale reads from the old one");
    let _ = writeln!(text, "  {:<42} {}", "margin between its end and an election", shown(plan.margin));
    text.push_str("\nHow many failures cost no acknowledged write, and how many acknowledgements a write needs:\n");
    let rows: Vec<Vec<Cell>> = SIZES.iter().map(|members| row(mysql, *members)).collect();
    let head = ["MEMBERS", "ACKS", "WRITES WAIT BELOW", "FAILURES WITHOUT LOSS"];
    text.push_str(&table(style, &head, &rows));
    if mysql.durability == Durability::Async {
        text.push_str(
            "\nDurability is async: a failover loses what no replica has received yet, and says what that was.\n",
        );
    }
    text
}

fn row(mysql: &Mysql, members: usize) -> Vec<Cell> {
    let Cluster { members, acks, floor, tolerated } = cluster(mysql, members);
    let below = if floor == 0 { "never".to_owned() } else { format!("{floor} in sync") };
    vec![
        (members.to_string(), None),
        (acks.to_string(), None),
        (below, None),
        (tolerated.to_string(), Some(if tolerated > 0 { Tone::Good } else { Tone::Doubtful })),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(section: &str) -> Mysql {
        settings_for_looking(Some(&ConfigLocation::Inline(format!("{{ mysql: {{ {section} }} }}")))).unwrap()
    }

    #[test]
    fn the_plan_of_the_defaults() {
        let text = for_people(&settings(""), Style::PLAIN);
        for words in [
            "a lease of 3.0 s, renewed every 1.0 s; a primary that hangs for 1.0 s is killed",
            "crashes               1.1 s",
            "network is lost   3.8 s",
            "none: it is killed before anybody may be elected",
            "3        1     1 in sync          1",
            "1        0     never              0",
        ] {
            assert!(text.contains(words), "{words}\n{text}");
        }
        let plan: serde_json::Value = serde_json::from_str(&for_machines(&settings(""))).unwrap();
        assert_eq!(plan["clusters"][2]["tolerated"], 1, "{plan}");
    }

    #[test]
    fn unsafe_times_are_refused() {
        let location = ConfigLocation::Inline("{ mysql: { hangLimit: 9 } }".into());
        let error = settings_for_looking(Some(&location)).unwrap_err().to_string();
        assert!(error.contains("mysql.hangLimit: a server may hang for 9s"), "{error}");
    }
}
