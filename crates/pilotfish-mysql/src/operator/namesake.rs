//! Another member with our number: one that was configured like us, or a copy of our machine. Each would undo what the other does, and of two
//! copies of one directory nobody can tell who has everything; so one of them does not run.
//!
//! What the catalog says of us from elsewhere is usually our own word, from before we moved. So whoever is there is asked who it is. Who starts
//! believes nothing of the catalog before that is known, and writes nothing there.

use std::time::Duration;

use pilotfish_autopilot::{ClusterId, LeaseFact, LeaseState};
use serde_json::Value;
use tokio::time::timeout;

use super::fact::Fact;
use super::{Level, Operator, clock};
use crate::catalog::{Contact, Snapshot};
use crate::error::Error;
use crate::http;
use crate::task::beside;

/// How long it may take to answer. Nobody answers where we were before we moved.
const LIMIT: Duration = Duration::from_secs(1);
/// The longest answer, in bytes.
const LONGEST: u64 = 1 << 20;

/// Whether a [`Report`](crate::Report) is not ours, but of our number, and of our cluster as far as both know one.
fn is_namesake(report: &Value, id: u32, service: &str, incarnation: &str, cluster: Option<ClusterId>) -> bool {
    let theirs = report["lease"]["cluster"].as_str();
    let elsewhere = theirs.zip(cluster).is_some_and(|(theirs, ours)| theirs != format!("{:016x}", ours.0));
    report["id"] == id && report["service"] == service && report["incarnation"] != incarnation && !elsewhere
}

fn says_it_leads(report: &Value) -> bool {
    report["lease"]["left"].as_f64().is_some_and(|left| left > 0.0)
}

/// Which of two that live gives way: never who holds the lease; who starts, before who runs; and of others the one of the later address.
fn gives_way(starts: bool, holds: bool, other_holds: bool, is_later: bool) -> bool {
    !holds && (starts || other_holds || is_later)
}

impl Operator {
    /// Whether what was read may be believed: false while another is asked who speaks in our name, and nothing was read before.
    pub(super) fn may_believe(&mut self, snapshot: &Snapshot) -> bool {
        let recorded = snapshot.members.get(&self.view.me).map(|(_, contact, _)| contact);
        let elsewhere = recorded.filter(|contact| contact.api() != self.contact.api());
        if self.reading.namesake.as_ref() != elsewhere {
            self.reading.namesake = elsewhere.cloned();
            self.reading.asking_namesake = elsewhere.is_some();
            if let Some(contact) = elsewhere {
                let cluster = match &snapshot.lease {
                    LeaseFact::Present { lease, .. } => Some(lease.cluster),
                    LeaseFact::Absent | LeaseFact::Unknown => self.view.known_cluster,
                };
                self.ask_namesake(contact.clone(), cluster);
            }
        }
        !(self.is_starting() && self.reading.asking_namesake)
    }

    /// Nothing of the catalog was believed yet.
    fn is_starting(&self) -> bool {
        self.view.lease == LeaseFact::Unknown
    }

    fn ask_namesake(&self, contact: Contact, cluster: Option<ClusterId>) {
        let facts = self.facts.clone();
        let (id, service, own) = (self.view.me.0, self.settings.service.clone(), self.incarnation.clone());
        beside(async move {
            let report = timeout(LIMIT, report(&contact)).await.ok().flatten();
            let namesake = report.filter(|report| is_namesake(report, id, &service, &own, cluster));
            let _ = facts.send(Fact::Namesake { contact, holds_lease: namesake.as_ref().map(says_it_leads) });
        });
    }

    /// Whoever is there was asked; `holds_lease` is absent if that is nobody of our number.
    pub(super) fn namesake_answered(&mut self, contact: &Contact, holds_lease: Option<bool>) {
        if self.reading.namesake.as_ref() != Some(contact) {
            return;
        }
        self.reading.asking_namesake = false;
        let starts = self.is_starting();
        if let Some(other_holds) = holds_lease {
            let text = format!(
                "{} runs already: {} at {}; give this one another mysql.id and a directory of its own",
                self.view.me, contact.name, contact.address
            );
            let is_later = self.contact.api() > contact.api();
            if gives_way(starts, self.holds_lease(), other_holds, is_later) {
                self.refused = Some(Error::Unfit(text));
                return;
            }
            (self.log)(Level::Error, &text);
        }
        if starts {
            self.read_catalog();
        }
    }

    /// Whether this run holds the lease now, not only once.
    fn holds_lease(&self) -> bool {
        let ends = self.view.deadline(self.policy.ttl);
        let (Some((lease, _)), Some(held)) = (self.view.lease(), &self.view.holding) else { return false };
        let same = lease.holder == self.view.me && lease.epoch.term == held.lease.epoch.term;
        same && lease.state != LeaseState::Released && ends.is_some_and(|ends| ends > clock::now())
    }
}

/// Asks an operator who it is.
async fn report(contact: &Contact) -> Option<Value> {
    let address = format!("{}:{}", contact.address, contact.api_port);
    let (_, body) = http::get(&address, "/v1/status", "").await.ok()?;
    let body = http::text(body, LONGEST).await.ok()?;
    serde_json::from_str(&body).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn of_two_one_gives_way_and_never_who_leads() {
        let rule = |starts, holds, other_holds| [false, true].map(|later| gives_way(starts, holds, other_holds, later));
        assert_eq!(rule(true, false, false), [true, true], "who starts, whatever the other does");
        assert_eq!(rule(false, true, false), [false, false], "not who holds the lease");
        assert_eq!(rule(false, false, true), [true, true], "but the other");
        assert_eq!(rule(false, false, false), [false, true], "of two that only follow one");
    }

    #[test]
    fn a_namesake_is_another_of_our_number_in_our_cluster() {
        let report = |lease: Value| json!({ "id": 3, "service": "mysql", "incarnation": "b", "lease": lease });
        let leads = report(json!({ "cluster": "000000000000000a", "left": 2.5 }));
        let (ours, theirs) = (Some(ClusterId(10)), Some(ClusterId(11)));
        assert!(is_namesake(&leads, 3, "mysql", "a", ours) && is_namesake(&leads, 3, "mysql", "a", None));
        assert!(says_it_leads(&leads));
        for (id, service, incarnation, cluster) in
            [(3, "mysql", "b", ours), (2, "mysql", "a", ours), (3, "db", "a", ours), (3, "mysql", "a", theirs)]
        {
            let found = is_namesake(&leads, id, service, incarnation, cluster);
            assert!(!found, "{id} {service} {incarnation} {cluster:?}");
        }
        // It has not read the lease yet, or holds it no more.
        let starts = report(Value::Null);
        assert!(is_namesake(&starts, 3, "mysql", "a", ours) && !says_it_leads(&starts));
        let over = report(json!({ "cluster": "000000000000000a", "left": -0.5 }));
        assert!(is_namesake(&over, 3, "mysql", "a", ours) && !says_it_leads(&over));
        assert!(!is_namesake(&json!([]), 3, "mysql", "a", ours));
    }
}
