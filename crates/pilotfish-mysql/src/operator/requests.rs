//! What people and other members ask: orders, losses, copies. Orders are kept in the catalog, so that whoever must act sees them.

use pilotfish_autopilot::{Access, Data, MemberId, loss};
use tokio::sync::oneshot;

use super::fact::reply;
use super::handle::{Order, Request};
use super::{Level, Operator, clock};
use crate::catalog::{OrderKey, OrdersRead, Placed};
use crate::error::Error;
use crate::report::LossReport;
use crate::task::beside;

impl Operator {
    pub(super) fn asked(&mut self, request: Request) {
        match request {
            Request::Order(order, to) => self.place(&order, to),
            Request::Loss(member, to) => reply(to, self.loss(member.as_deref())),
            Request::Copy(authorization, to) => self.give_copy(&authorization, to),
        }
    }

    fn place(&mut self, order: &Order, to: oneshot::Sender<Result<String, Error>>) {
        let (placed, text) = match self.understand(order) {
            Ok(understood) => understood,
            Err(error) => return reply(to, Err(error)),
        };
        (self.log)(Level::Info, &format!("ordered: {text}"));
        let board = self.board.clone();
        beside(async move {
            let outcome = match placed {
                Change::Place(order) => board.place_order(&order).await,
                Change::Remove(key) => board.remove_order(key).await,
            };
            reply(to, outcome.map(|()| text));
        });
    }

    /// What an order means now, and the sentence that answers it.
    fn understand(&self, order: &Order) -> Result<(Change, String), Error> {
        let unfit = |text: String| Err(Error::Unfit(text));
        Ok(match order {
            Order::Switchover { to } => {
                let Some((lease, _)) = self.view.lease() else { return unfit("there is no primary yet".into()) };
                if !lease.is_established() {
                    return unfit("there is no primary at this moment: nothing to switch over from".into());
                }
                let to = to.as_deref().map(|to| self.member(to)).transpose()?;
                if to == Some(lease.holder) {
                    return unfit(format!("{} is primary already", self.name_of(lease.holder)));
                }
                if let Some(to) = to.filter(|to| !lease.config.in_sync.contains_key(to)) {
                    return unfit(format!("{} is not in sync, so it cannot take over", self.name_of(to)));
                }
                if lease.config.in_sync.is_empty() {
                    return unfit("no replica is in sync, so none can take over".into());
                }
                let target = to.map_or("the best replica".into(), |to| self.name_of(to));
                let text = format!("{} hands over to {target}", self.name_of(lease.holder));
                (Change::Place(Placed::Switchover { id: clock::random() >> 1, to, term: lease.epoch.term }), text)
            }
            Order::Force { member } => {
                let member = self.member_or_me(member.as_deref())?;
                let Some((lease, _)) = self.view.lease() else { return unfit("there is no lease to take".into()) };
                let term = lease.epoch.term.next();
                let text = format!("{} becomes primary in {term} without the votes", self.name_of(member));
                (Change::Place(Placed::Force { member, term }), text)
            }
            Order::Adopt { member } => {
                let member = self.member_or_me(member.as_deref())?;
                let text = format!("the data of {} is taken for the truth", self.name_of(member));
                (Change::Place(Placed::Adopt { member }), text)
            }
            Order::Rebuild { member } => {
                let member = self.member_or_me(member.as_deref())?;
                let lease = self.view.lease().map(|(lease, _)| lease).filter(|lease| lease.is_established());
                let Some(lease) = lease else { return unfit("there is no primary to copy the data from".into()) };
                if lease.holder == member {
                    return unfit(format!("{} is primary: switch over first", self.name_of(member)));
                }
                let text = format!("the data of {} is set aside and copied anew", self.name_of(member));
                (Change::Place(Placed::Rebuild { member }), text)
            }
            Order::Pause => (
                Change::Place(Placed::Pause),
                "paused: no change of role, no start and no rebuild until `resume`".into(),
            ),
            Order::Resume => (Change::Remove(OrderKey::Pause), "resumed".into()),
        })
    }

    fn member_or_me(&self, named: Option<&str>) -> Result<MemberId, Error> {
        named.map_or(Ok(self.view.me), |named| self.member(named))
    }

    /// A member by its name or number.
    fn member(&self, named: &str) -> Result<MemberId, Error> {
        let contacts = &self.reading.contacts;
        let by_name = contacts.iter().find(|(_, contact)| contact.name == named).map(|(member, _)| *member);
        let by_number = named.parse().ok().map(MemberId).filter(|member| contacts.contains_key(member));
        by_name.or(by_number).ok_or_else(|| {
            let known: Vec<&str> = contacts.values().map(|contact| contact.name.as_str()).collect();
            Error::Unfit(format!("there is no member `{named}`; there are: {}", known.join(", ")))
        })
    }

    pub(super) fn name_of(&self, member: MemberId) -> String {
        self.reading.contacts.get(&member).map_or_else(|| member.to_string(), |contact| contact.name.clone())
    }

    fn loss(&self, member: Option<&str>) -> Result<LossReport, Error> {
        let member = self.member_or_me(member)?;
        let unknown =
            || Error::Unfit(format!("there is no lease, or {} has not said what it has", self.name_of(member)));
        let loss = loss(&self.view, member).ok_or_else(unknown)?;
        Ok(LossReport {
            candidate: member.0,
            name: self.name_of(member),
            term: loss.term.0,
            unheard: loss.unheard.iter().map(|member| member.0).collect(),
            missing: loss.missing.as_ref().map(ToString::to_string),
            missing_count: loss.missing.as_ref().map_or(0, pilotfish_autopilot::GtidSet::count),
            needless: loss.needless,
            text: loss.to_string(),
        })
    }

    fn give_copy(&mut self, authorization: &str, to: oneshot::Sender<Result<crate::server::CopyStream, Error>>) {
        let Some(identity) = self.view.identity().filter(|_| self.view.facts().is_some()) else {
            return reply(to, Err(Error::Unfit("there is no running server with data here".into())));
        };
        let (server, authorization) = (self.server.clone(), authorization.to_owned());
        self.count("copies");
        beside(async move { reply(to, server.give_copy(&authorization, identity.cluster).await) });
    }

    /// An order to rebuild this member: its data is condemned, and the usual rules do the rest.
    pub(super) fn rebuild_if_ordered(&mut self, orders: &OrdersRead) {
        if !orders.rebuild.contains(&self.view.me) || self.view.busy.server.is_some() {
            return;
        }
        let Some((lease, _)) = self.view.lease() else { return };
        if lease.holder == self.view.me {
            (self.log)(Level::Warn, "not rebuilt: this member has the lease");
            return self.remove_order(OrderKey::Rebuild(self.view.me));
        }
        // Perhaps ours is the last copy, or is still in use: the order waits.
        let lapsed = self.view.lease_clock.unchanged() >= self.policy.expiry();
        let open = self.view.facts().is_some_and(|facts| facts.access != Access::ReadOnly);
        if !lease.is_established() || lapsed || open {
            return;
        }
        if matches!(self.view.data, Data::Present(_)) {
            match self.disk.condemn() {
                Ok(()) => self.read_disk(),
                Err(error) => return (self.log)(Level::Error, &error.to_string()),
            }
        }
        self.remove_order(OrderKey::Rebuild(self.view.me));
    }
}

/// A change of the orders.
enum Change {
    Place(Placed),
    Remove(OrderKey),
}
