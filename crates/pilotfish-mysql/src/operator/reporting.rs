//! What the operator says of itself: the report, the health of its registration, the phases of a promotion.

use std::collections::BTreeMap;
use std::time::Duration;

use pilotfish_autopilot::{
    Access, Acking, Act, Ailment, Catalog, Flavour, LeaseChange, LeaseState, MemberId, Mode, Receiver, Role,
    Server as ServerState, ServerFacts, Time, Why, writes_wait,
};
use pilotfish_consul::CheckStatus;

use super::registrar::Wanted;
use super::{Operator, REPORT_EVERY, clock};
use crate::catalog::Health;
use crate::report::{LeaseReport, MemberReport, Phase, Reason, Report, ServerReport};
use pilotfish_autopilot::Durability;

impl Operator {
    /// Tells the catalog whether this member can be used for what its role promises.
    pub(super) fn tell_health(&mut self) {
        let term = self.view.lease().map(|(lease, _)| lease.epoch.term.0).unwrap_or_default();
        self.registrar.want(Wanted { role: self.view.registered, health: self.health(), term });
    }

    fn health(&self) -> Health {
        let bad = |text: &str| Err((CheckStatus::Critical, text.into()));
        let Some(facts) = self.view.facts() else {
            return bad(match self.view.server {
                ServerState::Starting { .. } => "the server starts",
                ServerState::Unknown | ServerState::Stopped | ServerState::Running(_) => "the server is stopped",
            });
        };
        let now = clock::now();
        if facts.silent_since.is_some_and(|since| now.since(since) > self.policy.hang_limit) {
            return bad("the server does not answer");
        }
        match self.view.registered {
            // There is no better one to send them to.
            Some(Role::Primary) if writes_wait(&self.view, &self.policy, now).is_some() => {
                Err((CheckStatus::Warning, "takes writes, and no replica acknowledges them: they wait".into()))
            }
            Some(Role::Primary) if facts.access == Access::Writable => Ok("takes writes".into()),
            Some(Role::Primary) => bad("does not take writes"),
            Some(Role::Replica) | None => match facts.receiver {
                Receiver::Running { to, connected: true, .. } => Ok(format!("follows {}", self.name_of(to))),
                Receiver::Running { .. } | Receiver::Stopped | Receiver::Purged | Receiver::Unknown => {
                    bad("follows nobody")
                }
            },
        }
    }

    /// Notes a phase of becoming primary.
    pub(super) fn phase(&mut self, name: &str) {
        let now = clock::now();
        if name == "voted" || self.told.promotion_began.is_none_or(|began| now.since(began) > Duration::from_secs(60)) {
            self.told.promotion_began = Some(now);
            self.told.promotion.clear();
        }
        let began = self.told.promotion_began.unwrap_or(now);
        self.told.promotion.push(Phase { name: name.into(), at: now.since(began).as_secs_f64() });
    }

    pub(super) fn publish_report(&mut self) {
        let now = clock::now();
        if self.told.reported.is_none_or(|last| now.since(last) >= REPORT_EVERY) {
            self.told.reported = Some(now);
            let report = self.make_report(now);
            self.report.send_replace(report);
        }
    }

    fn make_report(&self, now: Time) -> Report {
        let why = self.told.why.clone().unwrap_or(Why::ServerUnknown);
        let mut counters = BTreeMap::new();
        counters.extend(self.told.counters.iter().map(|(name, count)| ((*name).to_owned(), *count)));
        Report {
            id: self.view.me.0,
            incarnation: self.incarnation.clone(),
            name: self.settings.name.clone(),
            service: self.settings.service.clone(),
            flavour: match self.view.flavour {
                Flavour::MariaDb => "mariadb".into(),
                Flavour::MySql => "mysql".into(),
            },
            version: self.version.clone(),
            durability: match self.settings.policy.durability {
                Durability::Quorum => "quorum".into(),
                Durability::Async => "async".into(),
            },
            role: role_name(self.view.registered).into(),
            healthy: self.health().is_ok(),
            doing: self.told.doing.clone(),
            why: Reason {
                code: why.code().into(),
                text: why.to_string(),
                until: self.told.until.map(|until| until.since(now).as_secs_f64()),
            },
            catalog_silent: match self.view.catalog {
                Catalog::Answers => None,
                Catalog::Unknown(since) => Some(now.since(since).as_secs_f64()),
            },
            lease: self.lease_report(now),
            copies: self.copies(),
            members: self.member_reports(),
            server: Some(self.server_report(now)),
            paused: self.view.orders.paused,
            orders: self.reading.orders.sentences(),
            counters,
            promotion: self.told.promotion.clone(),
            decisions: self.told.decisions.iter().cloned().collect(),
        }
    }

    fn lease_report(&self, now: Time) -> Option<LeaseReport> {
        let (lease, _) = self.view.lease()?;
        let deadline = self.view.deadline(self.policy.ttl).filter(|_| lease.holder == self.view.me);
        Some(LeaseReport {
            cluster: format!("{:016x}", lease.cluster.0),
            term: lease.epoch.term.0,
            change: lease.epoch.change,
            holder: lease.holder.0,
            state: match lease.state {
                LeaseState::Initialising => "initialising".into(),
                LeaseState::Held => "held".into(),
                LeaseState::Released => "released".into(),
            },
            primary: lease.config.primary.member.0,
            in_sync: lease.config.in_sync.keys().map(|member| member.0).collect(),
            acks: lease.config.acks,
            unchanged: self.view.lease_clock.unchanged().as_secs_f64(),
            left: deadline.map(|deadline| deadline.since(now).as_secs_f64() - now.since(deadline).as_secs_f64()),
            forced: lease.forced,
        })
    }

    /// On how many members an acknowledged write is: the primary, and as many as must acknowledge.
    fn copies(&self) -> Option<u32> {
        let (lease, _) = self.view.lease()?;
        lease.is_established().then(|| 1 + u32::from(lease.config.acks))
    }

    fn member_reports(&self) -> Vec<MemberReport> {
        let lease = self.view.lease().map(|(lease, _)| lease);
        let holder = lease.map(|lease| lease.holder);
        let primary = lease.filter(|lease| lease.is_established()).map(|lease| lease.holder);
        let position = primary.and_then(|primary| self.view.records.get(&primary)).and_then(|it| it.executed.as_ref());
        let of = |(member, record): (&MemberId, &pilotfish_autopilot::MemberRecord)| {
            let contact = self.reading.contacts.get(member);
            let behind = position.zip(record.executed.as_ref()).map(|(theirs, ours)| theirs.subtract(ours).count());
            let errant = position.zip(record.executed.as_ref()).map(|(theirs, ours)| ours.subtract(theirs).count());
            let role = match () {
                () if primary == Some(*member) => "primary",
                () if holder == Some(*member) => "candidate",
                () if record.following.is_some() => "replica",
                () => "none",
            };
            MemberReport {
                id: member.0,
                name: self.name_of(*member),
                address: contact.map(|contact| contact.address.clone()).unwrap_or_default(),
                port: contact.map(|contact| contact.port).unwrap_or_default(),
                role: role.into(),
                in_sync: lease.is_some_and(|lease| lease.config.in_sync.contains_key(member)),
                data: record.data.is_some(),
                executed: record.executed.as_ref().map(ToString::to_string),
                received: record.received.as_ref().map(ToString::to_string),
                behind,
                errant: errant.filter(|_| record.ailment == Some(Ailment::Errant)),
                following: record.following.map(|following| following.source.0),
                acking: record.following.is_some_and(|following| following.mode == Mode::Acking),
                ailment: record.ailment.map(|ailment| ailment_name(ailment).into()),
                may_lead: record.may_lead,
                leaving: record.leaving || (*member == self.view.me && self.view.orders.stop.is_some()),
            }
        };
        self.view.records.iter().map(of).collect()
    }

    fn server_report(&self, now: Time) -> ServerReport {
        let free_bytes = self.server.free_bytes();
        let facts: &ServerFacts = match &self.view.server {
            ServerState::Running(facts) => facts,
            ServerState::Starting { .. } => {
                return ServerReport { state: "starting".into(), free_bytes, ..Default::default() };
            }
            ServerState::Stopped | ServerState::Unknown => {
                return ServerReport { state: "stopped".into(), free_bytes, ..Default::default() };
            }
        };
        let seen = self.watching.seen.as_deref();
        ServerReport {
            state: "running".into(),
            writable: facts.access == Access::Writable,
            executed: Some(facts.executed.to_string()),
            silent: facts.silent_since.map(|since| now.since(since).as_secs_f64()),
            waiting: facts.waiting_since.map(|since| now.since(since).as_secs_f64()),
            lag: seen.and_then(|seen| seen.lag).map(|lag| lag.as_secs_f64()),
            replication_error: seen.and_then(|seen| seen.replication_error.clone()),
            acks: facts.acks,
            acking: facts
                .acking
                .iter()
                .filter(|(_, it)| **it == Acking::Connected)
                .map(|(member, _)| member.0)
                .collect(),
            free_bytes,
        }
    }
}

fn role_name(role: Option<Role>) -> &'static str {
    match role {
        Some(Role::Primary) => "primary",
        Some(Role::Replica) => "replica",
        None => "none",
    }
}

fn ailment_name(ailment: Ailment) -> &'static str {
    match ailment {
        Ailment::ApplierStopped => "applier-stopped",
        Ailment::Errant => "errant",
        Ailment::Purged => "purged",
    }
}

/// An act in words.
pub(super) fn act_name(act: &Act) -> String {
    match act {
        Act::Wait => "wait".into(),
        Act::StartServer { .. } => "start the server".into(),
        Act::FenceServer => "kill the server".into(),
        Act::StopServer => "stop the server".into(),
        Act::InitialiseCluster { .. } => "initialise the cluster".into(),
        Act::Condemn { .. } => "condemn the data".into(),
        Act::Rebuild { from, .. } => format!("copy the data of {from}"),
        Act::Remember { .. } => "remember".into(),
        Act::WriteLease { change, .. } => change_name(*change),
        Act::PublishVote { vote } => format!("vote for {}", vote.term),
        Act::PublishRecord { .. } => "report".into(),
        Act::Register { role: Role::Primary } => "register as primary".into(),
        Act::Register { role: Role::Replica } => "register as replica".into(),
        Act::Answer { .. } => "answer an order".into(),
        Act::StopReceiver { .. } => "stop receiving".into(),
        Act::Drain { .. } => "apply what was received".into(),
        Act::Attach { to, mode: Mode::Acking, .. } => format!("follow {to}, acknowledging"),
        Act::Attach { to, mode: Mode::Plain, .. } => format!("follow {to}"),
        Act::SetGate { .. } => "set who may acknowledge".into(),
        Act::SetAcks { acks, .. } => format!("ask for {acks} acknowledgements"),
        Act::Open { .. } => "open for writes".into(),
        Act::Close { .. } => "close for writes".into(),
        Act::Beat { .. } => "write a transaction that says nothing".into(),
        Act::Release { .. } => "release commits that wait".into(),
    }
}

fn change_name(change: LeaseChange) -> String {
    match change {
        LeaseChange::Create => "create the lease".into(),
        LeaseChange::Renew => "renew the lease".into(),
        LeaseChange::Take => "take the lease".into(),
        LeaseChange::Retake => "retake the lease".into(),
        LeaseChange::Force => "take the lease by force".into(),
        LeaseChange::Adopt => "adopt the catalog".into(),
        LeaseChange::Reassert => "write the lease again".into(),
        LeaseChange::Establish => "establish the lease".into(),
        LeaseChange::Join(member) => format!("take {member} into the in-sync set"),
        LeaseChange::Leave(member) => format!("drop {member} from the in-sync set"),
        LeaseChange::Acks(acks) => format!("ask for {acks} acknowledgements in the lease"),
        LeaseChange::HandOver(member) => format!("hand the lease over to {member}"),
        LeaseChange::Release => "release the lease".into(),
    }
}
