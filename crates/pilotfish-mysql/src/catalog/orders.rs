//! Orders of people, as keys below `<service>/orders/`.

use std::collections::BTreeSet;

use pilotfish_autopilot::{MemberId, Term};
use serde::{Deserialize, Serialize};

/// An order as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Placed {
    /// Hand the lease over.
    Switchover { id: u64, to: Option<MemberId>, term: Term },
    /// Become primary without the votes.
    Force { member: MemberId, term: Term },
    /// Take a member's data for the truth.
    Adopt { member: MemberId },
    /// Build a member's data anew.
    Rebuild { member: MemberId },
    /// No change of role.
    Pause,
}

/// The key of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OrderKey {
    Switchover,
    Force,
    Adopt,
    Rebuild(MemberId),
    Pause,
}

impl OrderKey {
    pub(super) fn name(self) -> String {
        match self {
            OrderKey::Switchover => "switchover".into(),
            OrderKey::Force => "force".into(),
            OrderKey::Adopt => "adopt".into(),
            OrderKey::Rebuild(member) => format!("rebuild/{}", member.0),
            OrderKey::Pause => "pause".into(),
        }
    }
}

/// All orders that are there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct OrdersRead {
    pub(crate) switchover: Option<SwitchoverRead>,
    pub(crate) force: Option<(MemberId, Term)>,
    pub(crate) adopt: Option<MemberId>,
    pub(crate) rebuild: BTreeSet<MemberId>,
    pub(crate) paused: bool,
}

/// A switchover that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SwitchoverRead {
    pub(crate) id: u64,
    pub(crate) to: Option<MemberId>,
    pub(crate) term: Term,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct Wire {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    member: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    term: Option<u64>,
}

/// The key and the text of an order.
pub(super) fn write(order: &Placed) -> (OrderKey, Vec<u8>) {
    let (key, wire) = match *order {
        Placed::Switchover { id, to, term } => {
            (OrderKey::Switchover, Wire { id: Some(id), member: to.map(|to| to.0), term: Some(term.0) })
        }
        Placed::Force { member, term } => {
            (OrderKey::Force, Wire { member: Some(member.0), term: Some(term.0), ..Wire::default() })
        }
        Placed::Adopt { member } => (OrderKey::Adopt, Wire { member: Some(member.0), ..Wire::default() }),
        Placed::Rebuild { member } => (OrderKey::Rebuild(member), Wire { member: Some(member.0), ..Wire::default() }),
        Placed::Pause => (OrderKey::Pause, Wire::default()),
    };
    (key, serde_json::to_vec(&wire).expect("numbers can be written"))
}

impl OrdersRead {
    /// Takes a key below `orders/`.
    pub(super) fn take(&mut self, key: &str, value: &[u8]) -> Result<(), String> {
        if key == "pause" {
            // It says all by being there, whatever a person has written into it.
            self.paused = true;
            return Ok(());
        }
        let wire: Wire = serde_json::from_slice(value).map_err(|error| error.to_string())?;
        let member = || wire.member.map(MemberId).ok_or("it names no member");
        let term = || wire.term.map(Term).ok_or("it names no term");
        match key {
            "switchover" => {
                let id = wire.id.ok_or("it has no id")?;
                self.switchover = Some(SwitchoverRead { id, to: wire.member.map(MemberId), term: term()? });
            }
            "force" => self.force = Some((member()?, term()?)),
            "adopt" => self.adopt = Some(member()?),
            _ if key.starts_with("rebuild/") => {
                self.rebuild.insert(member()?);
            }
            _ => return Err("there is no such order".into()),
        }
        Ok(())
    }

    /// What is ordered, in words.
    pub(crate) fn sentences(&self) -> Vec<String> {
        let to = |to: Option<MemberId>| to.map_or("the best replica".to_owned(), |member| member.to_string());
        let switchover = self.switchover.iter().map(|order| format!("switchover to {}", to(order.to)));
        let force = self.force.iter().map(|(member, term)| format!("forced failover to {member} in {term}"));
        let adopt = self.adopt.iter().map(|member| format!("adopt the data of {member}"));
        let rebuild = self.rebuild.iter().map(|member| format!("rebuild {member}"));
        switchover.chain(force).chain(adopt).chain(rebuild).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_read_as_they_were_given() {
        let mut read = OrdersRead::default();
        let member = MemberId(4);
        let given = [
            Placed::Switchover { id: 9, to: None, term: Term(3) },
            Placed::Force { member, term: Term(5) },
            Placed::Adopt { member },
            Placed::Rebuild { member },
            Placed::Pause,
        ];
        for order in &given {
            let (key, value) = write(order);
            read.take(&key.name(), &value).unwrap();
        }
        assert_eq!(read.switchover, Some(SwitchoverRead { id: 9, to: None, term: Term(3) }));
        assert_eq!((read.force, read.adopt, read.paused), (Some((member, Term(5))), Some(member), true));
        assert_eq!(read.rebuild, BTreeSet::from([member]));
    }

    #[test]
    fn what_cannot_be_understood_is_said() {
        let mut read = OrdersRead::default();
        assert_eq!(read.take("force", b"{\"member\": 1}").unwrap_err(), "it names no term");
        assert_eq!(read.take("dance", b"{}").unwrap_err(), "there is no such order");
        assert!(read.take("adopt", b"yes").is_err());
        assert_eq!(read, OrdersRead::default());
        read.take("pause", b"yes").unwrap();
        assert!(read.paused, "a pause that is worded in another way is a pause");
    }
}
