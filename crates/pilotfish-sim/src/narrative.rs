//! Names of acts, for the story of a schedule.

use pilotfish_autopilot::{Act, Condemnation, LeaseChange, Start};

/// What an act is called in a story.
pub(crate) fn name(act: &Act) -> String {
    match act {
        Act::Wait => "wait".into(),
        Act::StartServer { start: Start::Plain } => "start server".into(),
        Act::StartServer { start: Start::DropTail } => "start server without its tail".into(),
        Act::FenceServer => "FENCE".into(),
        Act::StopServer => "stop server".into(),
        Act::InitialiseCluster { .. } => "initialise".into(),
        Act::Condemn { reason: Condemnation::Errant(gtids) } => format!("condemn (errant {gtids})"),
        Act::Condemn { .. } => "condemn".into(),
        Act::Rebuild { from, .. } => format!("rebuild from {from}"),
        Act::Remember { .. } => "remember".into(),
        Act::WriteLease { change, value, .. } => format!("{} ({})", change_name(*change), value.epoch.term),
        Act::PublishVote { vote } => format!("vote for {} with {}", vote.term, vote.received),
        Act::PublishRecord { .. } => "report".into(),
        Act::Register { role } => format!("register as {role}"),
        Act::Answer { outcome, .. } => format!("answer order: {outcome:?}"),
        Act::StopReceiver { .. } => "stop receiver".into(),
        Act::Drain { .. } => "drain".into(),
        Act::Attach { to, mode, .. } => format!("attach to {to}, {mode}"),
        Act::SetGate { admit, .. } => {
            let ids: Vec<_> = admit.iter().map(|member| member.0.to_string()).collect();
            format!("admit [{}]", ids.join(" "))
        }
        Act::SetAcks { acks, .. } => format!("ask for {acks} acks"),
        Act::Open { term } => format!("OPEN ({term})"),
        Act::Close { .. } => "close".into(),
        Act::Beat { .. } => "beat".into(),
        Act::Release { .. } => "release commits".into(),
    }
}

fn change_name(change: LeaseChange) -> String {
    match change {
        LeaseChange::Create => "create lease".into(),
        LeaseChange::Renew => "renew".into(),
        LeaseChange::Take => "TAKE LEASE".into(),
        LeaseChange::Retake => "retake lease".into(),
        LeaseChange::Force => "FORCE LEASE".into(),
        LeaseChange::Adopt => "adopt".into(),
        LeaseChange::Reassert => "reassert lease".into(),
        LeaseChange::Establish => "establish".into(),
        LeaseChange::Join(member) => format!("join {member}"),
        LeaseChange::Leave(member) => format!("drop {member}"),
        LeaseChange::Acks(acks) => format!("acks {acks}"),
        LeaseChange::HandOver(member) => format!("hand over to {member}"),
        LeaseChange::Release => "release lease".into(),
    }
}
