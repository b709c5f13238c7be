//! Faults carried out, and undone.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::schedule::{Deed, Fault, Parts, Who};
use super::{End, Game};
use crate::mysql::{Flavour, Member, Part, board};

/// How long somebody is waited for who is to take the lease or to vote; then there was no election.
const ELECTION_LIMIT: Duration = Duration::from_secs(8);
/// Time between the starts of members after an outage.
const STAGGER: Duration = Duration::from_millis(1_500);

/// What ends a fault.
#[derive(Clone, Copy, Debug)]
pub(super) enum Undo {
    Start(usize),
    Thaw(usize, Parts),
    Resume,
    CatalogResumes,
    CatalogStarts,
}

fn each(parts: Parts) -> &'static [Part] {
    match parts {
        Parts::Server => &[Part::Server],
        Parts::Operator => &[Part::Operator],
        Parts::Supervisor => &[Part::Supervisor],
        Parts::All => &[Part::Supervisor, Part::Operator, Part::Server],
    }
}

impl Game<'_> {
    pub(super) fn strike(&mut self, fault: &Fault) -> Result<(), End> {
        let who = match fault.deed {
            Deed::Kill(who, _) | Deed::Freeze(who, _) | Deed::Terminate(who) => self.find(who)?,
            Deed::StopApplier(who, _) | Deed::StrayWrite(who) | Deed::Switchover(Some(who)) => self.find(who)?,
            Deed::Switchover(None) | Deed::Pause | Deed::Outage(_) => self.lease.1,
            Deed::CatalogHangs | Deed::CatalogDies | Deed::CatalogRestarts => self.lease.1,
        };
        self.lease = self.read_lease().unwrap_or(self.lease);
        let (holder, name) = (self.lease.1, self.name(who));
        let until = Instant::now() + fault.lasts;
        self.tell(&format!(
            "{}: {name}, {:.1} s (term {}, {})",
            fault.deed,
            fault.lasts.as_secs_f64(),
            self.lease.0,
            self.name(holder)
        ));
        match fault.deed {
            Deed::Kill(_, parts) => self.kill(who, parts, until),
            Deed::Freeze(_, parts) => {
                each(parts).iter().for_each(|part| self.chaos.cluster.members[who].signal(*part, Signal::STOP));
                self.undo.push((until, Undo::Thaw(who, parts)));
            }
            Deed::Terminate(_) if !self.leaving[who] => {
                self.chaos.cluster.members[who].terminate();
                self.leave(who, until);
            }
            Deed::Terminate(_) => {}
            Deed::Outage(order) => self.outage(order, until),
            Deed::Switchover(to) => {
                let name = self.name(who);
                let mut words = vec!["switchover", "--no-wait"];
                words.extend(to.iter().flat_map(|_| ["--to", &name]));
                self.command(holder, &words);
            }
            Deed::Pause => {
                self.command(holder, &["pause"]);
                self.undo.push((until, Undo::Resume));
            }
            Deed::CatalogHangs => self.break_catalog(Some(Undo::CatalogResumes), until),
            Deed::CatalogDies => self.break_catalog(Some(Undo::CatalogStarts), until),
            Deed::CatalogRestarts => self.break_catalog(None, until),
            Deed::StopApplier(_, receiver) => {
                let word = if self.chaos.flavour == Flavour::MariaDb { "SLAVE" } else { "REPLICA" };
                let what = if receiver { "" } else { " SQL_THREAD" };
                self.sql(who, &format!("STOP {word}{what}"));
            }
            Deed::StrayWrite(_) => {
                if self.chaos.flavour == Flavour::MySql {
                    self.sql(who, "SET GLOBAL super_read_only = 0");
                }
                self.sql(who, &format!("INSERT INTO app.promises VALUES ({})", self.stray));
                self.stray -= 1;
            }
        }
        Ok(())
    }

    fn name(&self, member: usize) -> String {
        self.chaos.cluster.members[member].name().to_owned()
    }

    fn leave(&mut self, member: usize, until: Instant) {
        self.leaving[member] = true;
        self.undo.push((until, Undo::Start(member)));
    }

    fn kill(&mut self, who: usize, parts: Parts, until: Instant) {
        match parts {
            Parts::Server | Parts::Operator => self.chaos.cluster.members[who].signal(each(parts)[0], Signal::KILL),
            Parts::Supervisor => {
                self.chaos.cluster.members[who].signal(Part::Supervisor, Signal::KILL);
                self.leave(who, until);
            }
            Parts::All => {
                self.chaos.cluster.members[who].kill();
                self.leave(who, until);
            }
        }
    }

    /// Nobody sees another die first.
    fn outage(&mut self, order: [u8; 3], until: Instant) {
        self.chaos.cluster.members.iter().for_each(Member::freeze);
        self.chaos.cluster.members.iter_mut().for_each(Member::kill);
        for (place, member) in (0..).zip(order) {
            self.leave(usize::from(member), until + STAGGER * place);
        }
    }

    /// Breaks the catalog in the way that this undoes; nothing is left to undo if it only restarts.
    fn break_catalog(&mut self, undo: Option<Undo>, until: Instant) {
        if !self.is_catalog_well {
            return;
        }
        match undo {
            Some(Undo::CatalogResumes) => self.chaos.catalog.pause(),
            Some(_) => self.chaos.catalog.kill(),
            None => self.chaos.catalog.restart(),
        }
        self.is_catalog_well = undo.is_none();
        self.undo.extend(undo.map(|undo| (until, undo)));
    }

    /// Undoes something; what is left of it, if it cannot be undone yet.
    pub(super) fn undo(&mut self, undo: Undo) -> Option<Undo> {
        match undo {
            Undo::Start(who) if self.leaving[who] => {
                let member = &mut self.chaos.cluster.members[who];
                if !member.has_ended() {
                    return Some(undo);
                }
                member.kill();
                member.start();
                self.leaving[who] = false;
            }
            Undo::Start(_) => return None,
            Undo::Thaw(who, parts) => {
                each(parts).iter().rev().for_each(|part| self.chaos.cluster.members[who].signal(*part, Signal::CONT));
            }
            Undo::Resume => {
                let done = self
                    .chaos
                    .cluster
                    .members
                    .iter()
                    .any(|member| member.report().is_some() && member.command(&["resume"]).0 == 0);
                if !done {
                    return Some(undo);
                }
            }
            Undo::CatalogResumes => {
                self.chaos.catalog.resume();
                self.is_catalog_well = true;
            }
            Undo::CatalogStarts => {
                self.chaos.catalog.restart();
                self.is_catalog_well = true;
            }
        }
        self.tell(&match undo {
            Undo::Start(who) => format!("{} is started", self.name(who)),
            Undo::Thaw(who, parts) => format!("{parts} of {} goes on", self.name(who)),
            Undo::Resume => "the autopilot is resumed".into(),
            Undo::CatalogResumes => "the catalog goes on".into(),
            Undo::CatalogStarts => "the catalog runs again".into(),
        });
        None
    }

    fn command(&mut self, member: usize, words: &[&str]) {
        let (code, text) = self.chaos.cluster.members[member].command(words);
        self.tell(&format!("  {words:?}: {code} {}", text.trim().replace('\n', "; ")));
    }

    fn sql(&mut self, member: usize, statement: &str) {
        let done = self.chaos.cluster.members[member].client().as_operator(statement).is_some();
        self.tell(&format!("  {statement}: {}", if done { "done" } else { "not done" }));
    }

    /// The member that is meant, at this moment.
    fn find(&mut self, who: Who) -> Result<usize, End> {
        let (term, holder) = self.lease;
        let others = |holder: usize, count: usize| (0..count).filter(move |index| *index != holder);
        let count = self.chaos.cluster.members.len();
        Ok(match who {
            Who::Primary => self.read_lease().map_or(holder, |(_, holder)| holder),
            Who::Replica(index) => {
                let holder = self.read_lease().map_or(holder, |(_, holder)| holder);
                others(holder, count).nth(usize::from(index)).unwrap_or(holder)
            }
            Who::Taker => {
                self.in_election(|game| Some(game.read_lease().filter(|(now, _)| *now > term)?.1))?.unwrap_or(holder)
            }
            Who::Voter => self
                .in_election(|game| game.is_catalog_well.then(|| board::voter(game.chaos.catalog, term))?)?
                .unwrap_or((holder + 1) % count),
        })
    }

    /// What an election shows, unless there is none.
    fn in_election(&mut self, mut look: impl FnMut(&Self) -> Option<usize>) -> Result<Option<usize>, End> {
        let began = Instant::now();
        while began.elapsed() < ELECTION_LIMIT {
            if let Some(found) = look(self) {
                return Ok(Some(found));
            }
            self.idle()?;
        }
        self.tell("  there is no election");
        Ok(None)
    }

    /// Term and holder of the lease, if the catalog can be asked.
    fn read_lease(&self) -> Option<(u64, usize)> {
        self.is_catalog_well.then(|| board::lease(self.chaos.catalog))?
    }
}
