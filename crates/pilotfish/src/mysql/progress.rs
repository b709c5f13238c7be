//! How far an order is, seen from one report to the next.

use pilotfish_mysql::{LeaseReport, Report};

use super::print::{holding, name_of};
use crate::command_line::MysqlOrder;

/// What became of an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// What was ordered is so.
    Done(String),
    /// It will not happen.
    Failed(String),
}

/// Follows an order.
#[derive(Debug)]
pub(super) struct Progress {
    order: MysqlOrder,
    /// The report before the order was given.
    before: Report,
    /// The order was seen to wait.
    waited: bool,
    /// The member that is rebuilt was seen without data, or at it.
    emptied: bool,
    told_holding: String,
    told_until: f64,
}

impl Progress {
    pub(super) fn new(order: &MysqlOrder, before: Report) -> Progress {
        let told_holding = before.lease.as_ref().map(|lease| holding(&before, lease)).unwrap_or_default();
        let told_until = before.decisions.last().map_or(0.0, |decided| decided.at);
        Progress { order: order.clone(), before, waited: false, emptied: false, told_holding, told_until }
    }

    /// What is new since the last report, a line each.
    pub(super) fn news(&mut self, now: &Report) -> Vec<String> {
        let mut lines = Vec::new();
        for decided in now.decisions.iter().filter(|decided| decided.at > self.told_until) {
            lines.push(format!("{}: {}: {} [{}]", now.name, decided.act, decided.why, decided.code));
        }
        self.told_until = now.decisions.last().map_or(self.told_until, |decided| decided.at.max(self.told_until));
        let holding = now.lease.as_ref().map(|lease| holding(now, lease)).unwrap_or_default();
        if holding != self.told_holding {
            lines.push(holding.clone());
            self.told_holding = holding;
        }
        lines
    }

    /// Whether it is done, or will not be.
    pub(super) fn outcome(&mut self, now: &Report) -> Option<Outcome> {
        self.waited |= !now.orders.is_empty();
        match self.order.clone() {
            MysqlOrder::Switchover(_) => self.switched_over(now),
            MysqlOrder::Force { member, .. } => {
                let lease = self.newly_established(now)?;
                Some(self.expected(now, lease, member.as_deref()))
            }
            MysqlOrder::Adopt(member) => {
                let lease = self.newly_established(now)?;
                Some(self.expected(now, lease, member.as_deref()))
            }
            MysqlOrder::Rebuild(member) => self.rebuilt(now, member.as_deref()),
            MysqlOrder::Pause | MysqlOrder::Resume => Some(Outcome::Done(String::new())),
        }
    }

    /// A lease with a primary that was not there before.
    fn newly_established<'r>(&self, now: &'r Report) -> Option<&'r LeaseReport> {
        let lease = now.lease.as_ref()?;
        let before = self.before.lease.as_ref().map_or(0, |lease| lease.term);
        (lease.term > before && lease.state == "held" && lease.holder == lease.primary).then_some(lease)
    }

    /// Whether who leads now is who was meant.
    fn expected(&self, now: &Report, lease: &LeaseReport, member: Option<&str>) -> Outcome {
        let name = name_of(now, lease.holder);
        let meant = member.map_or_else(|| now.id.to_string(), str::to_owned);
        let text = format!("{name} is primary in term {}", lease.term);
        if meant == name || meant == lease.holder.to_string() {
            Outcome::Done(text)
        } else {
            Outcome::Failed(format!("{text}, and not {meant}: it was overtaken by events"))
        }
    }

    fn switched_over(&self, now: &Report) -> Option<Outcome> {
        let before = self.before.lease.as_ref().map_or(0, |lease| lease.holder);
        if let Some(lease) = self.newly_established(now) {
            let name = name_of(now, lease.holder);
            return Some(match lease.holder == before {
                false => Outcome::Done(format!("{name} is primary in term {}", lease.term)),
                true => Outcome::Failed(format!("{name} is still primary, in term {}", lease.term)),
            });
        }
        let lease = now.lease.as_ref()?;
        let same = self.before.lease.as_ref().is_some_and(|before| before.term == lease.term);
        let given_up = self.waited && now.orders.is_empty() && same && lease.state == "held";
        given_up.then(|| {
            let name = name_of(now, lease.holder);
            Outcome::Failed(format!("it was not possible in time, and all is as before: {name} is primary"))
        })
    }

    fn rebuilt(&mut self, now: &Report, member: Option<&str>) -> Option<Outcome> {
        let meant = |id: u32, name: &str| match member {
            None => id == now.id,
            Some(member) => member == name || member == id.to_string(),
        };
        let found = now.members.iter().find(|found| meant(found.id, &found.name))?;
        self.emptied |= !found.data;
        let whole = found.data && found.following.is_some() && found.ailment.is_none();
        (self.emptied && whole).then(|| Outcome::Done(format!("{} has a new copy of the data", found.name)))
    }
}

#[cfg(test)]
mod tests {
    use pilotfish_mysql::Decided;

    use super::{
        super::print::tests::{member, report},
        *,
    };

    fn with_lease(edit: impl FnOnce(&mut LeaseReport)) -> Report {
        let mut report = report();
        edit(report.lease.as_mut().unwrap());
        report
    }

    fn led_by(holder: u32, primary: u32, term: u64) -> Report {
        with_lease(|lease| (lease.holder, lease.primary, lease.term) = (holder, primary, term))
    }

    #[test]
    fn a_switchover_is_done_when_another_is_established() {
        let mut progress = Progress::new(&MysqlOrder::Switchover(None), report());
        assert_eq!(progress.outcome(&report()), None);
        assert_eq!(progress.outcome(&led_by(3, 1, 8)), None);
        assert_eq!(progress.outcome(&led_by(3, 3, 8)), Some(Outcome::Done("db-3 is primary in term 8".into())));
        let same = Outcome::Failed("db-1 is still primary, in term 8".into());
        assert_eq!(progress.outcome(&led_by(1, 1, 8)), Some(same));
    }

    #[test]
    fn a_switchover_that_is_given_up_has_failed() {
        let mut progress = Progress::new(&MysqlOrder::Switchover(None), report());
        let waiting = Report { orders: vec!["db-1 hands over".into()], ..report() };
        assert_eq!(progress.outcome(&waiting), None);
        let Some(Outcome::Failed(text)) = progress.outcome(&report()) else { panic!("it goes on") };
        assert!(text.contains("all is as before: db-1 is primary"), "{text}");
    }

    #[test]
    fn a_forced_failover_is_done_when_who_was_meant_leads() {
        let order = |member: Option<&str>| MysqlOrder::Force { member: member.map(str::to_owned), yes: true };
        let done = Some(Outcome::Done("db-2 is primary in term 8".into()));
        for named in [None, Some("db-2"), Some("2")] {
            assert_eq!(Progress::new(&order(named), report()).outcome(&led_by(2, 2, 8)), done, "{named:?}");
        }
        let overtaken = Progress::new(&order(Some("db-2")), report()).outcome(&led_by(3, 3, 8));
        assert!(matches!(overtaken, Some(Outcome::Failed(text)) if text.contains("overtaken by events")));
    }

    #[test]
    fn a_rebuild_is_done_when_the_data_is_there_again_and_follows() {
        let mut progress = Progress::new(&MysqlOrder::Rebuild(Some("db-3".into())), report());
        assert_eq!(progress.outcome(&report()), None);
        let mut empty = report();
        empty.members[2] = pilotfish_mysql::MemberReport { data: false, following: None, ..member(3, "none") };
        assert_eq!(progress.outcome(&empty), None);
        assert_eq!(progress.outcome(&report()), Some(Outcome::Done("db-3 has a new copy of the data".into())));
    }

    #[test]
    fn only_news_are_told() {
        let decided = |at: f64| Decided { at, act: "vote".into(), code: "lease-free".into(), why: "it is free".into() };
        let mut before = report();
        before.decisions = vec![decided(1.0)];
        let mut progress = Progress::new(&MysqlOrder::Switchover(None), before.clone());
        assert_eq!(progress.news(&before), Vec::<String>::new());
        let mut now = led_by(3, 1, 8);
        now.decisions = vec![decided(1.0), decided(2.0)];
        let expected = ["db-2: vote: it is free [lease-free]", "term 8, taken by db-3, which is not primary yet"];
        assert_eq!(progress.news(&now), expected);
        assert_eq!(progress.news(&now), Vec::<String>::new());
    }
}
