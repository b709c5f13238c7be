//! What breaks, what operators do, and how a schedule of that is drawn from a seed.

use std::fmt;

use pilotfish_autopilot::{Data, MemberId, Switchover};

use crate::network::CATALOG;
use crate::rng::Rng;
use crate::world::{Event, Index, Process, World};

/// Whom a fault hits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// Who takes writes at that moment; the first member if nobody does.
    Primary,
    /// A member by its id.
    Member(u32),
}

/// One fault or order. Times are in ms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// kill -9 of mysqld.
    KillServer(Target),
    /// kill -9 of the supervisor, and so of mysqld; it is started again after so long.
    KillMember(Target, u64),
    /// All members at once; each is started again after so long, one after the other.
    KillAll(u64),
    /// SIGSTOP of mysqld.
    PauseServer(Target, u64),
    /// SIGSTOP of the supervisor.
    PauseSupervisor(Target, u64),
    /// SIGSTOP of both.
    PauseMember(Target, u64),
    /// A member is cut off from everything.
    Isolate(Target, u64),
    /// What one member sends to another is lost.
    CutOneWay(Target, u32, u64),
    /// Two members are cut off from each other.
    CutBetween(Target, u32, u64),
    /// Acks to a member are lost; its replicas have what they acknowledged.
    LoseAcks(Target, u64),
    /// A member is cut off from the catalog.
    CutCatalog(Target, u64),
    /// The catalog's answers to a member are lost, not its requests.
    CutAnswers(Target, u64),
    /// Messages are slow and late.
    SlowNetwork(u64),
    /// The catalog elects a leader.
    CatalogElection(u64),
    /// The catalog is gone.
    CatalogDown(u64),
    /// The catalog loses everything.
    WipeCatalog,
    /// The catalog is restored from a backup.
    RestoreCatalog,
    /// A disk is slow.
    SlowDisk(Target, u64),
    /// An applier is slow.
    LagApplier(Target, u64),
    /// An applier stops with an error.
    BreakApplier(u32),
    /// Somebody writes on a replica.
    LocalWrite(u32),
    /// A disk is lost; the member is started again after so long.
    LoseDisk(Target, u64),
    /// Binary logs are purged.
    PurgeLogs(Target),
    /// An operator asks for a switchover; 0: to the best.
    Switchover(u32),
    /// A supervisor is told to stop, and started again after so long.
    Stop(Target, u64),
    /// An operator pauses the autopilot.
    PauseAutopilot(u64),
    /// An operator adopts a member's data.
    Adopt(u32),
    /// An operator forces a failover.
    Force(u32),
}

const MS: u64 = 1_000;

impl World {
    fn hit(&self, target: Target) -> Index {
        match target {
            Target::Primary => self.primary().unwrap_or(0),
            Target::Member(id) => (id as usize - 1).min(self.members.len() - 1),
        }
    }

    fn target(&mut self, target: Target) -> &mut crate::world::Member {
        let m = self.hit(target);
        &mut self.members[m]
    }

    pub(crate) fn fault(&mut self, fault: Fault) {
        self.tell(|| format!("*** {fault}"));
        let until = |world: &World, ms: u64| world.now + ms * MS;
        match fault {
            Fault::KillServer(target) => self.kill_server(self.hit(target)),
            Fault::KillMember(target, ms) => self.restart_member(self.hit(target), ms * MS),
            Fault::KillAll(ms) => {
                for m in 0..self.members.len() {
                    let place = self.rng.below(self.members.len() as u64) + 1;
                    self.restart_member(m, place * ms * MS);
                }
            }
            Fault::PauseServer(target, ms) => self.target(target).server.paused_until = until(self, ms),
            Fault::PauseSupervisor(target, ms) => {
                self.target(target).supervisor.paused_until = until(self, ms);
            }
            Fault::PauseMember(target, ms) => {
                let until = until(self, ms);
                let later = self.rng.below(50) * MS;
                let member = self.target(target);
                member.supervisor.paused_until = until;
                member.server.paused_until = until + later;
            }
            Fault::Isolate(..)
            | Fault::CutOneWay(..)
            | Fault::CutBetween(..)
            | Fault::CutCatalog(..)
            | Fault::CutAnswers(..) => {
                self.cut(fault);
            }
            Fault::LoseAcks(target, ms) => self.target(target).server.deaf_until = until(self, ms),
            Fault::SlowNetwork(ms) => self.network.slow_until = self.now + ms * MS,
            Fault::CatalogElection(ms) | Fault::CatalogDown(ms) => {
                self.catalog.stops(self.now);
                self.catalog.reachable &= matches!(fault, Fault::CatalogElection(_));
                self.catalog.outage += 1;
                let since = self.catalog.outage;
                self.catalog_lost();
                self.after(ms * MS, Event::CatalogBack(since));
            }
            Fault::WipeCatalog => self.wipe(),
            Fault::RestoreCatalog => self.restore_backup(),
            Fault::SlowDisk(target, ms) => self.target(target).disk.slow_until = until(self, ms),
            Fault::LagApplier(target, ms) => self.target(target).server.lag_until = until(self, ms),
            Fault::BreakApplier(id) => self.on_replica(id, |world, m| {
                if let Some(database) = &mut world.members[m].disk.database {
                    database.applier_broken = true;
                }
                world.look_soon(m);
            }),
            Fault::LocalWrite(id) => self.on_replica(id, World::local_write),
            Fault::LoseDisk(target, ms) => self.lose_disk(self.hit(target), ms * MS),
            Fault::PurgeLogs(target) => {
                let m = self.hit(target);
                if let Some(database) = &mut self.members[m].disk.database {
                    // Never the file that is being written.
                    database.purged = database.committed;
                }
            }
            Fault::Switchover(_) | Fault::Stop(..) | Fault::PauseAutopilot(_) | Fault::Adopt(_) | Fault::Force(_) => {
                self.operate(fault);
            }
        }
    }

    fn on_replica(&mut self, id: u32, act: impl FnOnce(&mut World, Index)) {
        let m = self.hit(Target::Member(id));
        let server = &self.members[m].server;
        if server.process == Process::Up && !server.writable {
            act(self, m);
        }
    }

    fn local_write(&mut self, m: Index) {
        if self.new_txn(m).is_some()
            && let Some(database) = &mut self.members[m].disk.database
        {
            database.committed = database.log.len();
        }
        // Whoever is attached to it already receives it.
        self.pump_all(m);
    }

    fn operate(&mut self, fault: Fault) {
        match fault {
            Fault::Switchover(to) => {
                let id = self.rng.next();
                let to = (to > 0).then_some(MemberId(to));
                let term = self.catalog.now.lease.as_ref().map(|(lease, _)| lease.epoch.term).unwrap_or_default();
                let since = Default::default();
                self.catalog_order(|orders| orders.switchover = Some(Switchover { id, to, term, since }));
            }
            Fault::Stop(target, ms) => {
                let m = self.hit(target);
                let now = self.local(m);
                let supervisor = &mut self.members[m].supervisor;
                if supervisor.up {
                    supervisor.view.orders.stop = Some(now);
                    supervisor.stopping = true;
                    let run = supervisor.run;
                    self.after(100, Event::Wake(m, run));
                    self.after(ms * MS, Event::Fault(Fault::KillMember(Target::Member(m as u32 + 1), 100)));
                }
            }
            Fault::PauseAutopilot(ms) => {
                self.catalog_order(|orders| orders.paused = true);
                self.after(ms * MS, Event::Unpause);
            }
            Fault::Adopt(id) => self.catalog_order(|orders| orders.adopt = Some(MemberId(id))),
            Fault::Force(id) => {
                let term =
                    self.catalog.now.lease.as_ref().map(|(lease, _)| lease.epoch.term.next()).unwrap_or_default();
                self.forced = true;
                self.catalog_order(|orders| orders.force = Some((MemberId(id), term)));
            }
            _not_an_order => {}
        }
    }

    fn restart_member(&mut self, m: Index, delay: u64) {
        self.kill_supervisor(m);
        self.after(delay, Event::SupervisorStarts(m));
    }

    fn lose_disk(&mut self, m: Index, delay: u64) {
        self.restart_member(m, delay);
        self.members[m].disk.data = Data::Empty;
        self.members[m].disk.database = None;
        self.members[m].disk.known_cluster = None;
        self.members[m].disk.rebuilt += 1;
    }

    fn cut(&mut self, fault: Fault) {
        let (target, ms) = match fault {
            Fault::Isolate(target, ms)
            | Fault::CutOneWay(target, _, ms)
            | Fault::CutBetween(target, _, ms)
            | Fault::CutCatalog(target, ms)
            | Fault::CutAnswers(target, ms) => (target, ms),
            _not_a_cut => return,
        };
        let (m, until) = (self.hit(target), self.now + ms * MS);
        let mut cut = |from, to| self.network.cut(from, to, until);
        match fault {
            Fault::Isolate(..) => {
                for other in (0..self.members.len()).filter(|other| *other != m).chain([CATALOG]) {
                    cut(m, other);
                    cut(other, m);
                }
            }
            Fault::CutOneWay(_, to, _) => cut(m, to as usize - 1),
            Fault::CutBetween(_, to, _) => {
                cut(m, to as usize - 1);
                cut(to as usize - 1, m);
            }
            Fault::CutCatalog(..) => {
                cut(m, CATALOG);
                cut(CATALOG, m);
            }
            Fault::CutAnswers(..) => cut(CATALOG, m),
            _not_a_cut => {}
        }
    }

    /// A member that never saw a cluster and is alone with an empty catalog begins one; it cannot know better, and no protocol can help. So the
    /// catalog is not wiped here while such a member is there and nobody with data can say so.
    fn wipe(&mut self) {
        let ignorant = |member: &crate::world::Member| {
            member.disk.known_cluster.is_none() && matches!(member.disk.data, Data::Empty | Data::Partial)
        };
        let has_data = |m: &Index| matches!(self.members[*m].disk.data, Data::Present(_));
        let tells = |m: Index| {
            let supervisor = &self.members[m].supervisor;
            supervisor.up
                && supervisor.paused_until <= self.now
                && self.network.carries(m, CATALOG, self.now)
                && self.network.carries(CATALOG, m, self.now)
        };
        let with_data: Vec<_> = (0..self.members.len()).filter(has_data).collect();
        if with_data.is_empty() || !self.members.iter().any(ignorant) || with_data.into_iter().any(tells) {
            self.catalog.wipe();
            self.catalog_reset();
        }
    }

    fn catalog_reset(&mut self) {
        self.catalog_resets += 1;
        self.happenings.push(crate::happening::Happening::CatalogReset);
        self.catalog_changed();
    }

    /// An old catalog is noticed by those who saw a newer one. If as many members as could elect somebody under the old lease never saw that,
    /// because they were down all the time since, nobody can know, and no protocol can help: such a backup is not restored here.
    fn restore_backup(&mut self) {
        let Some(old) = self.catalog.backups.first().cloned() else { return };
        let Some((lease, _)) = &old.lease else { return };
        let ignorant = self.members.iter().filter(|member| match member.disk.data {
            Data::Present(identity) => identity.seen <= lease.epoch,
            _no_data => false,
        });
        let now = self.catalog.now.lease.as_ref().map(|(lease, _)| lease.epoch);
        if ignorant.count() == 0 || now == Some(lease.epoch) {
            self.catalog.restore(old);
            self.catalog_reset();
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::Primary => f.write_str("primary"),
            Target::Member(id) => write!(f, "{id}"),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::KillServer(target) => write!(f, "kill-server {target}"),
            Fault::KillMember(target, ms) => write!(f, "kill-member {target} {ms}"),
            Fault::KillAll(ms) => write!(f, "kill-all {ms}"),
            Fault::PauseServer(target, ms) => write!(f, "pause-server {target} {ms}"),
            Fault::PauseSupervisor(target, ms) => write!(f, "pause-supervisor {target} {ms}"),
            Fault::PauseMember(target, ms) => write!(f, "pause-member {target} {ms}"),
            Fault::Isolate(target, ms) => write!(f, "isolate {target} {ms}"),
            Fault::CutOneWay(target, to, ms) => write!(f, "cut-one-way {target} {to} {ms}"),
            Fault::CutBetween(target, to, ms) => write!(f, "cut-between {target} {to} {ms}"),
            Fault::LoseAcks(target, ms) => write!(f, "lose-acks {target} {ms}"),
            Fault::CutCatalog(target, ms) => write!(f, "cut-catalog {target} {ms}"),
            Fault::CutAnswers(target, ms) => write!(f, "cut-answers {target} {ms}"),
            Fault::SlowNetwork(ms) => write!(f, "slow-network {ms}"),
            Fault::CatalogElection(ms) => write!(f, "catalog-election {ms}"),
            Fault::CatalogDown(ms) => write!(f, "catalog-down {ms}"),
            Fault::WipeCatalog => f.write_str("wipe-catalog"),
            Fault::RestoreCatalog => f.write_str("restore-catalog"),
            Fault::SlowDisk(target, ms) => write!(f, "slow-disk {target} {ms}"),
            Fault::LagApplier(target, ms) => write!(f, "lag-applier {target} {ms}"),
            Fault::BreakApplier(id) => write!(f, "break-applier {id}"),
            Fault::LocalWrite(id) => write!(f, "local-write {id}"),
            Fault::LoseDisk(target, ms) => write!(f, "lose-disk {target} {ms}"),
            Fault::PurgeLogs(target) => write!(f, "purge-logs {target}"),
            Fault::Switchover(to) => write!(f, "switchover {to}"),
            Fault::Stop(target, ms) => write!(f, "stop {target} {ms}"),
            Fault::PauseAutopilot(ms) => write!(f, "pause-autopilot {ms}"),
            Fault::Adopt(id) => write!(f, "adopt {id}"),
            Fault::Force(id) => write!(f, "force {id}"),
        }
    }
}

/// Draws a fault.
pub(crate) fn draw(rng: &mut Rng, members: u32) -> Fault {
    let member = |rng: &mut Rng| rng.range(1, u64::from(members)) as u32;
    let target = if rng.chance(50) { Target::Primary } else { Target::Member(member(rng)) };
    let short = rng.range(50, 800);
    let long = rng.range(500, 6_000);
    match rng.below(100) {
        0..14 => Fault::KillServer(target),
        14..26 => Fault::KillMember(target, rng.range(100, 4_000)),
        26..29 => Fault::KillAll(rng.range(10, 800)),
        29..34 => Fault::PauseServer(target, long),
        34..39 => Fault::PauseSupervisor(target, long),
        39..45 => Fault::PauseMember(target, long),
        45..52 => Fault::Isolate(target, long),
        52..56 => Fault::CutOneWay(target, member(rng), long),
        56..58 => Fault::CutBetween(target, member(rng), long),
        58..60 => Fault::LoseAcks(target, long),
        60..64 => Fault::CutCatalog(target, long),
        64..66 => Fault::CutAnswers(target, long),
        66..70 => Fault::SlowNetwork(long),
        70..72 => Fault::CatalogElection(short),
        72..76 => Fault::CatalogDown(long),
        76..77 => Fault::WipeCatalog,
        77..78 => Fault::RestoreCatalog,
        78..80 => Fault::SlowDisk(target, long),
        80..84 => Fault::LagApplier(Target::Member(member(rng)), long * 2),
        84..86 => Fault::BreakApplier(member(rng)),
        86..88 => Fault::LocalWrite(member(rng)),
        88..89 => Fault::LoseDisk(target, short),
        89..90 => Fault::PurgeLogs(target),
        90..95 => Fault::Switchover(if rng.chance(50) { 0 } else { member(rng) }),
        95..98 => Fault::Stop(target, rng.range(1_000, 4_000)),
        _rest => Fault::PauseAutopilot(long),
    }
}
