//! The agent's half: the services and checks that were registered with it, and how the catalog learns of them.
//!
//! As in Consul, a heartbeat that changes nothing ends here, and an output that changes without the status is told to the catalog only after
//! [`OUTPUT_PAUSE`]: neither wakes a watch.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::changes::Key;
use super::command::{AgentCheck, Means};
use super::due::Due;
use super::types::{CRITICAL, Check, PASSING, Service, Stamp, Time, WARNING};
use super::{Answer, Refusal, Refused, State};

/// How long an output that changed alone is kept from the catalog (Consul's `check_update_interval`).
pub(crate) const OUTPUT_PAUSE: Duration = Duration::from_secs(5 * 60);

/// The agent compares itself with the catalog this often (Consul's anti-entropy, up to 128 nodes).
pub(crate) const COMPARE_INTERVAL: Duration = Duration::from_secs(60);

/// The shortest time for `DeregisterCriticalServiceAfter` (Consul documentation, check registration).
const REAP_MIN: Duration = Duration::from_secs(60);

/// Critical services are looked for this often (Consul's `check_reap_interval`).
const REAP_INTERVAL: Duration = Duration::from_secs(30);

/// Longest output of a check in bytes (Consul's `check_output_max_size`).
const OUTPUT_LIMIT: usize = 4096;

/// Identity of the check that stands for maintenance of the node.
pub(crate) const NODE_MAINTENANCE: &str = "_node_maintenance";

/// Identity of the check that stands for maintenance of a service.
pub(crate) fn service_maintenance(service: &str) -> String {
    format!("_service_maintenance:{service}")
}

/// A check of the agent.
#[derive(Clone, Debug)]
pub(crate) struct Local {
    pub(crate) spec: AgentCheck,
    /// When the next heartbeat must have come.
    pub(super) beat_at: Option<Time>,
    /// When its service is removed unless it recovers.
    pub(super) reap_at: Option<Time>,
    /// When its output is told to the catalog.
    pub(super) output_at: Option<Time>,
    /// What came with the last heartbeat.
    pub(super) said: String,
}

/// What is registered with the agent.
#[derive(Debug, Default)]
pub(crate) struct Agent {
    pub(crate) services: BTreeMap<String, Service>,
    pub(crate) checks: BTreeMap<String, Local>,
    pub(super) compare_at: Option<Time>,
    /// The checks that stand for those of another service.
    aliases: BTreeSet<String>,
}

impl Agent {
    /// The checks of a service, or those of the node for the empty name.
    pub(crate) fn checks_of<'a>(&'a self, service: &'a str) -> impl Iterator<Item = &'a Check> {
        self.checks.values().map(|local| &local.spec.check).filter(move |check| check.service_id == service)
    }
}

impl State {
    pub(super) fn register_service(
        &mut self,
        service: Service,
        checks: Vec<AgentCheck>,
        replace: bool,
    ) -> Result<Answer, Refused> {
        let id = service.id.clone();
        let kept: Vec<String> = checks.iter().map(|check| check.check.id.clone()).collect();
        self.agent.services.insert(id.clone(), service);
        self.changes.add(Key::Agent(id.clone()));
        for spec in checks {
            self.keep_check(spec);
        }
        let superfluous: Vec<String> = match replace {
            true => self.agent.checks_of(&id).map(|check| check.id.clone()).filter(|id| !kept.contains(id)).collect(),
            false => Vec::new(),
        };
        self.sync_service(&id);
        for check in superfluous {
            self.drop_check(&check);
        }
        Ok(Answer::Done)
    }

    pub(super) fn deregister_service(&mut self, id: &str) -> Result<Answer, Refused> {
        if self.agent.services.remove(id).is_some() {
            let checks: Vec<String> = self.agent.checks_of(id).map(|check| check.id.clone()).collect();
            for check in checks {
                self.forget_check(&check);
            }
            self.changes.add(Key::Agent(id.to_owned()));
            let node = self.identity.node.clone();
            self.write(|tables, writing| tables.remove_service(&node, id, writing));
        }
        Ok(Answer::Done)
    }

    pub(super) fn register_check(&mut self, spec: AgentCheck) -> Result<Answer, Refused> {
        let service = &spec.check.service_id;
        if !service.is_empty() && !self.agent.services.contains_key(service) {
            return Err(Refusal::internal(format!("ServiceID {} does not exist", super::quote(service))));
        }
        let id = spec.check.id.clone();
        self.keep_check(spec);
        self.sync_check(&id);
        Ok(Answer::Done)
    }

    pub(super) fn deregister_check(&mut self, id: &str) -> Result<Answer, Refused> {
        self.drop_check(id);
        Ok(Answer::Done)
    }

    pub(super) fn beat(&mut self, id: &str, status: &str, output: String) -> Result<Answer, Refused> {
        let now = self.now;
        let told = match self.agent.checks.get_mut(id) {
            Some(Local { spec: AgentCheck { means: Means::Ttl(ttl), output_limit, .. }, beat_at, said, .. }) => {
                self.deadlines.set(Due::Beat(id.to_owned()), beat_at, Some(now + *ttl));
                let told = shortened(output, output_limit.map_or(OUTPUT_LIMIT, |limit| limit.min(OUTPUT_LIMIT)));
                said.clone_from(&told);
                told
            }
            Some(_) | None => {
                let text = format!("CheckID {} does not have associated TTL", super::quote(id));
                return Err(Refusal::internal(text));
            }
        };
        self.set_status(id, status, told);
        Ok(Answer::Done)
    }

    pub(super) fn probed(&mut self, id: &str, status: &str, output: String) -> Result<Answer, Refused> {
        // The check may have been removed, or have become another one, while the probe was under way.
        if self.agent.checks.get(id).is_some_and(|local| matches!(local.spec.means, Means::Probe(_))) {
            self.set_status(id, status, output);
        }
        Ok(Answer::Done)
    }

    pub(super) fn expire_check(&mut self, id: &str) -> Result<Answer, Refused> {
        let Some(local) = self.agent.checks.get_mut(id) else { return Ok(Answer::Done) };
        self.deadlines.set(Due::Beat(id.to_owned()), &mut local.beat_at, None);
        let output = match local.said.as_str() {
            "" => "TTL expired".to_owned(),
            said => format!("TTL expired (last output before timeout follows): {said}"),
        };
        self.set_status(id, CRITICAL, output);
        Ok(Answer::Done)
    }

    pub(super) fn reap_service(&mut self, check: &str) -> Result<Answer, Refused> {
        let Some(local) = self.agent.checks.get_mut(check) else { return Ok(Answer::Done) };
        self.deadlines.set(Due::Reap(check.to_owned()), &mut local.reap_at, None);
        let service = local.spec.check.service_id.clone();
        self.deregister_service(&service)
    }

    pub(super) fn sync_output(&mut self, id: &str) -> Result<Answer, Refused> {
        if let Some(local) = self.agent.checks.get_mut(id) {
            self.deadlines.set(Due::Output(id.to_owned()), &mut local.output_at, None);
            self.sync_check(id);
        }
        Ok(Answer::Done)
    }

    pub(super) fn sync_agent(&mut self) -> Result<Answer, Refused> {
        let mut slot = self.agent.compare_at;
        self.deadlines.set(Due::Agent, &mut slot, Some(self.now + COMPARE_INTERVAL));
        self.agent.compare_at = slot;
        let node = self.identity.node.clone();
        if self.tables.host(&node).is_none_or(|host| !host.services.contains_key("consul")) {
            self.register_self();
        }
        for id in self.agent.services.keys().cloned().collect::<Vec<_>>() {
            self.sync_service(&id);
        }
        for id in self.agent.checks.keys().cloned().collect::<Vec<_>>() {
            self.sync_check(&id);
        }
        self.remove_strangers(&node);
        Ok(Answer::Done)
    }

    /// What others registered on the agent's node goes, as the agent is who knows what runs there.
    fn remove_strangers(&mut self, node: &str) {
        let Some(host) = self.tables.host(node) else { return };
        let services = host.services.keys().filter(|id| *id != "consul" && !self.agent.services.contains_key(*id));
        let services: Vec<String> = services.cloned().collect();
        let checks = host.checks.keys().filter(|id| *id != "serfHealth" && !self.agent.checks.contains_key(*id));
        let checks: Vec<String> = checks.cloned().collect();
        for id in services {
            self.write(|tables, writing| tables.remove_service(node, &id, writing));
        }
        for id in checks {
            if self.tables.host(node).is_some_and(|host| host.checks.contains_key(&id)) {
                self.write(|tables, writing| tables.remove_check(node, &id, writing));
            }
        }
    }

    /// Adds a check to the agent, or changes it; then it keeps the state that it was in.
    pub(super) fn keep_check(&mut self, mut spec: AgentCheck) {
        if let Some(service) = self.agent.services.get(&spec.check.service_id) {
            spec.check.service_name.clone_from(&service.name);
            spec.check.service_tags.clone_from(&service.tags);
        }
        let id = spec.check.id.clone();
        let before = self.agent.checks.remove(&id);
        let (mut beat_at, mut reap_at, mut output_at) = (None, None, None);
        if let Some(before) = before {
            (beat_at, reap_at, output_at) = (before.beat_at, before.reap_at, before.output_at);
            spec.check.status = before.spec.check.status;
            spec.check.output = before.spec.check.output;
        }
        let beat = match spec.means {
            Means::Ttl(ttl) => Some(self.now + ttl),
            Means::Probe(_) | Means::Alias { .. } | Means::Fixed => None,
        };
        self.deadlines.set(Due::Beat(id.clone()), &mut beat_at, beat);
        self.deadlines.set(Due::Output(id.clone()), &mut output_at, None);
        let reap = self.reap_time(&spec, reap_at);
        self.deadlines.set(Due::Reap(id.clone()), &mut reap_at, reap);
        if matches!(spec.means, Means::Alias { .. }) {
            self.agent.aliases.insert(id.clone());
        } else {
            self.agent.aliases.remove(&id);
        }
        self.agent.checks.insert(id, Local { spec, beat_at, reap_at, output_at, said: String::new() });
        self.changes.add(Key::Probes);
    }

    /// When the service of a check is removed, if it stays as it is.
    fn reap_time(&self, spec: &AgentCheck, before: Option<Time>) -> Option<Time> {
        let after = spec.deregister_after.filter(|after| !after.is_zero())?;
        if spec.check.status != CRITICAL || spec.check.service_id.is_empty() {
            return None;
        }
        before.or_else(|| {
            let rounds = (self.now + after.max(REAP_MIN)).as_nanos() / REAP_INTERVAL.as_nanos() + 1;
            Some(REAP_INTERVAL * u32::try_from(rounds).unwrap_or(u32::MAX))
        })
    }

    fn set_status(&mut self, id: &str, status: &str, output: String) {
        let Some(mut local) = self.agent.checks.remove(id) else { return };
        let check = &mut local.spec.check;
        let turned = check.status != status;
        let differs = turned || check.output != output;
        status.clone_into(&mut check.status);
        check.output = output;
        let reap = self.reap_time(&local.spec, local.reap_at);
        self.deadlines.set(Due::Reap(id.to_owned()), &mut local.reap_at, reap);
        if turned {
            self.deadlines.set(Due::Output(id.to_owned()), &mut local.output_at, None);
        } else if differs && local.output_at.is_none() {
            self.deadlines.set(Due::Output(id.to_owned()), &mut local.output_at, Some(self.now + OUTPUT_PAUSE));
        }
        self.agent.checks.insert(id.to_owned(), local);
        if turned {
            self.sync_check(id);
        }
    }

    fn drop_check(&mut self, id: &str) {
        if self.forget_check(id) {
            let node = self.identity.node.clone();
            self.write(|tables, writing| tables.remove_check(&node, id, writing));
        }
    }

    /// Removes a check from the agent alone; whether there was one.
    fn forget_check(&mut self, id: &str) -> bool {
        let Some(mut local) = self.agent.checks.remove(id) else { return false };
        self.deadlines.set(Due::Beat(id.to_owned()), &mut local.beat_at, None);
        self.deadlines.set(Due::Reap(id.to_owned()), &mut local.reap_at, None);
        self.deadlines.set(Due::Output(id.to_owned()), &mut local.output_at, None);
        self.agent.aliases.remove(id);
        self.changes.add(Key::Probes);
        true
    }

    /// Tells the catalog of a service and its checks where it knows something else: in one write if the service itself differs.
    fn sync_service(&mut self, id: &str) {
        let Some(mut service) = self.agent.services.get(id).cloned() else { return };
        let node = self.identity.node.clone();
        let known = self.tables.service(&node, id);
        if service.enable_tag_override
            && let Some(known) = known
        {
            service.tags.clone_from(&known.tags);
        }
        let differs = known.is_none_or(|known| Service { stamp: Stamp::default(), ..known.clone() } != service);
        let checks: Vec<Check> = self.agent.checks_of(id).filter(|check| self.is_news(&node, check)).cloned().collect();
        if differs {
            self.write(|tables, writing| {
                tables.put_service(&node, &service, writing);
                for check in &checks {
                    // Its service is there now, so nothing can be missing.
                    let _ = tables.put_check(&node, check, writing);
                }
            });
        } else {
            for check in checks {
                self.sync_check(&check.id);
            }
        }
    }

    fn sync_check(&mut self, id: &str) {
        let node = self.identity.node.clone();
        let Some(check) = self.agent.checks.get(id).map(|local| local.spec.check.clone()) else { return };
        if !self.is_news(&node, &check) {
            return;
        }
        if !check.service_id.is_empty() && self.tables.service(&node, &check.service_id).is_none() {
            // Somebody removed the service from the catalog; the next comparison brings it back.
            return;
        }
        // Node and service are there.
        let _ = self.write(|tables, writing| tables.put_check(&node, &check, writing));
    }

    /// Whether the catalog knows something else of a check; an output that waits for its time is no news.
    fn is_news(&self, node: &str, check: &Check) -> bool {
        let Some(known) = self.tables.host(node).and_then(|host| host.checks.get(&check.id)) else { return true };
        let waits = self.agent.checks.get(&check.id).is_some_and(|local| local.output_at.is_some());
        known.name != check.name
            || known.status != check.status
            || known.notes != check.notes
            || known.service_id != check.service_id
            || known.kind != check.kind
            || (!waits && known.output != check.output)
    }

    pub(super) fn service_maintenance(&mut self, id: &str, enable: bool, reason: &str) -> Result<Answer, Refused> {
        let Some(service) = self.agent.services.get(id) else {
            return Err(Refusal { status: 404, text: format!("No service registered with ID {}", super::quote(id)) });
        };
        let check = Check {
            id: service_maintenance(id),
            name: "Service Maintenance Mode".to_owned(),
            service_id: id.to_owned(),
            service_name: service.name.clone(),
            ..Check::default()
        };
        self.maintain(check, enable, reason, "service");
        Ok(Answer::Done)
    }

    pub(super) fn node_maintenance(&mut self, enable: bool, reason: &str) -> Result<Answer, Refused> {
        let check =
            Check { id: NODE_MAINTENANCE.to_owned(), name: "Node Maintenance Mode".to_owned(), ..Check::default() };
        self.maintain(check, enable, reason, "node");
        Ok(Answer::Done)
    }

    fn maintain(&mut self, check: Check, enable: bool, reason: &str, what: &str) {
        let id = check.id.clone();
        if !enable {
            self.drop_check(&id);
            return;
        }
        if self.agent.checks.contains_key(&id) {
            return;
        }
        let notes = match reason {
            "" => format!(
                "Maintenance mode is enabled for this {what}, but no reason was provided. This is a default message."
            ),
            reason => reason.to_owned(),
        };
        let check = Check { status: CRITICAL.to_owned(), notes, kind: "maintenance".to_owned(), ..check };
        self.keep_check(AgentCheck { check, means: Means::Fixed, deregister_after: None, output_limit: None });
        self.sync_check(&id);
    }

    /// Gives alias checks the state of the service that they stand for.
    pub(super) fn follow_aliases(&mut self) {
        let node = self.identity.node.clone();
        if self.agent.aliases.is_empty() || self.changes.is_empty() {
            return;
        }
        let mut found = Vec::new();
        for id in &self.agent.aliases {
            if let Some(Local { spec: AgentCheck { means: Means::Alias { service }, .. }, .. }) =
                self.agent.checks.get(id)
            {
                let checks = self.tables.host(&node).into_iter().flat_map(|host| host.checks.values());
                let checks = checks.filter(|check| check.service_id == *service || check.service_id.is_empty());
                found.push((id.clone(), worst(checks.filter(|check| check.id != *id))));
            }
        }
        for (id, (status, output)) in found {
            self.set_status(&id, status, output);
        }
    }
}

/// The worst state among checks, in Consul's words.
fn worst<'a>(checks: impl Iterator<Item = &'a Check>) -> (&'static str, String) {
    let (mut status, mut output) = (PASSING, "No checks found.".to_owned());
    for check in checks {
        match check.status.as_str() {
            CRITICAL => return (CRITICAL, format!("Aliased check \"{}\" failing: {}", check.name, check.output)),
            WARNING => {
                status = WARNING;
                output = format!("Aliased check \"{}\" failing: {}", check.name, check.output);
            }
            _ if status == PASSING => "All checks passing.".clone_into(&mut output),
            _ => {}
        }
    }
    (status, output)
}

/// Cuts an output as Consul does.
fn shortened(output: String, limit: usize) -> String {
    if output.len() <= limit {
        return output;
    }
    let end = (0..=limit).rev().find(|end| output.is_char_boundary(*end)).unwrap_or(0);
    format!("{} ... (captured {limit} of {} bytes)", &output[..end], output.len())
}
