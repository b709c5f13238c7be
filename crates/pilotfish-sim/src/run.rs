//! One schedule: a cluster, faults for a while, then none; it must stay safe, and then heal.

use std::collections::BTreeMap;
use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use pilotfish_autopilot::{
    ClusterId, Config, Data, DataId, Durability, Epoch, Flavour, Identity, Lease, LeaseState, MemberId, Policy, Seat,
    Server, Term, Time, View,
};

use crate::database::Database;
use crate::fault::{self, Fault};
use crate::flaw::Flaw;
use crate::happening::Happening;
use crate::invariants::{self, Invariant};
use crate::rng::Rng;
use crate::world::{Disk, Event, Member, Mysqld, Process, Supervisor, World};

const SECOND: u64 = 1_000_000;
/// Within how much time without faults a cluster must be whole again, in µs.
const HEAL_LIMIT: u64 = 90 * SECOND;
/// How long a cluster with a planted bug is watched without faults, in µs.
const FLAWED_LIMIT: u64 = 4 * SECOND;
/// Time between two looks whether it is, in µs.
const HEAL_LOOK: u64 = 100_000;
/// One cluster in so many is watched when it is whole: it costs more than all before.
const SETTLE_ONE_IN: u64 = 20;
/// After so long nothing of a fault is on its way any more, in µs.
const AFTERMATH: u64 = 15 * SECOND;
/// For how long a whole cluster is watched, in µs.
const SETTLED: u64 = 1_500_000;
/// For how long a commit may wait in a whole cluster, in µs.
const STUCK: u64 = 2 * SECOND;
/// Time between two backups of the catalog, in µs.
const BACKUP_EVERY: u64 = 2 * SECOND;
/// The lease in schedules: shorter than on real servers, so that more happens in less simulated time.
const TTL: Duration = Duration::from_millis(1_000);

/// Everything that a run depends on.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    /// For all that is left to chance.
    pub seed: u64,
    /// How many members.
    pub members: u32,
    /// Which servers.
    pub flavour: Flavour,
    /// Acks wanted.
    pub acks: u8,
    /// Whether writes may be lost.
    pub durability: Durability,
    /// Begin with empty disks.
    pub bootstrap: bool,
    /// When, in ms, and what.
    pub faults: Vec<(u64, Fault)>,
    /// When the faults end, in ms.
    pub until: u64,
}

/// What went wrong.
#[derive(Clone, Debug)]
pub struct Violation {
    /// Which guarantee.
    pub invariant: String,
    /// How.
    pub text: String,
    /// When, in µs.
    pub at: u64,
}

/// What came of a run.
#[derive(Debug)]
pub struct Outcome {
    /// The first violation, if any.
    pub violation: Option<Violation>,
    /// How many writes were acknowledged.
    pub acknowledged: u64,
    /// How long it took to heal, in µs.
    pub healed_after: Option<u64>,
    /// An operator had to accept a loss: data was lost with disks.
    pub forced: bool,
    /// The story, if it was asked for.
    pub narrative: Vec<String>,
}

impl Schedule {
    /// Draws a schedule from a seed.
    pub fn draw(seed: u64) -> Schedule {
        let mut rng = Rng::new(seed);
        let members = rng.pick(&[1, 2, 2, 2, 3, 3, 3, 3, 3, 3, 3, 3, 3, 4, 4, 5, 5, 5, 7, 9]);
        let flavour = rng.pick(&[Flavour::MariaDb, Flavour::MySql]);
        let acks = match flavour {
            Flavour::MariaDb => 1,
            Flavour::MySql => rng.pick(&[1, 1, 2, 3]),
        };
        let durability = if rng.chance(4) { Durability::Async } else { Durability::Quorum };
        let until = rng.range(1_000, 5_000);
        let count = rng.range(1, 7);
        let mut faults: Vec<_> = (0..count).map(|_| (rng.range(300, until), fault::draw(&mut rng, members))).collect();
        // Some faults come in the middle of what another has set off.
        for index in 1..faults.len() {
            if rng.chance(40) {
                faults[index].0 = until.min(faults[index - 1].0 + rng.below(200));
            }
        }
        faults.sort_by_key(|(at, _)| *at);
        let bootstrap = rng.chance(15);
        let resets = faults.iter().any(|(_, fault)| matches!(fault, Fault::WipeCatalog | Fault::RestoreCatalog));
        limit_losses(&mut faults, members == 1 || bootstrap || resets);
        Schedule { seed, members, flavour, acks, durability, bootstrap, faults, until }
    }

    /// Runs it, with a planted bug or none.
    pub fn run(&self, flaw: Flaw, tell: bool) -> Outcome {
        Run::new(self, flaw, tell).run()
    }

    /// The smallest schedule that still fails: faults are left out one after the other.
    pub fn shrink(&self, flaw: Flaw) -> Schedule {
        let mut best = self.clone();
        loop {
            let smaller = (0..best.faults.len()).rev().find_map(|index| {
                let mut fewer = best.clone();
                fewer.faults.remove(index);
                fewer.run(flaw, false).violation.is_some().then_some(fewer)
            });
            match smaller {
                Some(fewer) => best = fewer,
                None => return best,
            }
        }
    }
}

/// A lost disk cannot be healed away: one of them at most, and not the only one, so that what is acknowledged survives by right. Nor together with a
/// wiped catalog: then nothing that is left knows that there was a cluster.
fn limit_losses(faults: &mut Vec<(u64, Fault)>, mut lost: bool) {
    faults.retain(|(_, fault)| {
        let loses = matches!(fault, Fault::LoseDisk(..));
        let keep = !loses || !lost;
        lost |= loses;
        keep
    });
}

struct Run {
    world: World,
    invariants: Vec<Box<dyn Invariant>>,
    until: u64,
    violation: Option<Violation>,
}

impl Run {
    fn new(schedule: &Schedule, flaw: Flaw, tell: bool) -> Run {
        let mut rng = Rng::new(schedule.seed ^ 0x5eed);
        let members = (1..=schedule.members).map(|id| member(id, schedule, &mut rng)).collect();
        let mut world = World::new(rng.next(), schedule.flavour, flaw, members);
        if tell {
            world.narrative = Some(Vec::new());
        }
        if !schedule.bootstrap {
            established(&mut world, schedule);
        }
        for m in 0..schedule.members as usize {
            let delay = world.rng.below(40_000);
            world.after(delay, Event::SupervisorStarts(m));
        }
        world.after(50_000, Event::Write);
        for (at, fault) in &schedule.faults {
            world.at(at * 1_000, Event::Fault(*fault));
        }
        let invariants = invariants::all(schedule.durability == Durability::Quorum);
        Run { world, invariants, until: schedule.until * 1_000, violation: None }
    }

    fn run(mut self) -> Outcome {
        let mut backup = BACKUP_EVERY;
        while self.violation.is_none() && self.world.next_time().is_some_and(|time| time <= self.until) {
            if self.world.now >= backup {
                backup += BACKUP_EVERY;
                let snapshot = self.world.catalog.now.clone();
                self.world.catalog.backups.push(snapshot);
            }
            self.step();
        }
        let healed_after = if self.violation.is_none() { self.heal() } else { None };
        Outcome {
            violation: self.violation,
            acknowledged: self.world.acked_count,
            healed_after,
            forced: self.world.forced,
            narrative: self.world.narrative.unwrap_or_default(),
        }
    }

    fn step(&mut self) {
        self.world.step();
        let mut happenings = core::mem::take(&mut self.world.happenings);
        for happening in &happenings {
            self.tell(happening);
            for invariant in &mut self.invariants {
                if let Err(text) = invariant.check(&self.world, happening)
                    && self.violation.is_none()
                {
                    // A planted bug must be seen in what happens, not by the judge who knows what was decided.
                    if self.world.flaw != Flaw::None && invariant.name() == "lint" {
                        continue;
                    }
                    let invariant = invariant.name().to_owned();
                    self.world.tell(|| format!("!!! {invariant}: {text}"));
                    self.violation = Some(Violation { invariant, text, at: self.world.now });
                }
            }
        }
        happenings.clear();
        self.world.happenings = happenings;
    }

    fn tell(&mut self, happening: &Happening) {
        match happening {
            Happening::Opened { member, term } => {
                let (member, term) = (member + 1, *term);
                self.world.tell(|| format!("    member {member} is open in {term}"));
            }
            Happening::LeaseWritten { old, new, .. } if old.as_ref().is_none_or(|old| old.epoch != new.epoch) => {
                let new = new.clone();
                self.world.tell(|| format!("    lease: {}", lease_line(&new)));
            }
            _other => {}
        }
    }

    /// All faults end; the cluster must become whole.
    fn heal(&mut self) -> Option<u64> {
        let world = &mut self.world;
        world.tell(|| "--- all faults end".into());
        world.network.heal(world.now);
        if !world.catalog.answers() {
            let outage = world.catalog.outage;
            world.catalog_back(outage);
        }
        world.catalog_order(|orders| orders.paused = false);
        let now = world.now;
        for member in &mut world.members {
            member.disk.slow_until = now;
            member.server.lag_until = now;
            member.server.deaf_until = now;
            // Who is stopped wakes when it was going to: what waits for it is queued for then.
        }
        let began = world.now;
        let mut look = began;
        let before = world.acked_count;
        // With a planted bug only what breaks counts, not what never ends.
        let limit = if self.world.flaw == Flaw::None { HEAL_LIMIT } else { FLAWED_LIMIT };
        while self.violation.is_none() && self.world.now < began + limit {
            self.step();
            let lost = self.world.members.iter().any(|member| member.disk.rebuilt > 0);
            let useless =
                |data| matches!(data, Data::Empty | Data::Partial) || lost && matches!(data, Data::Condemned(_));
            if self.world.members.iter().all(|member| useless(member.disk.data)) {
                // The last good copy went while another was being built: there is nothing left to heal, and nobody is told otherwise.
                self.world.forced = true;
                return None;
            }
            if self.world.now >= look {
                look = self.world.now + HEAL_LOOK;
                self.operator_helps(began);
                if self.world.acked_count > before && whole(&self.world).is_none() {
                    let took = self.world.now - began;
                    if took.is_multiple_of(SETTLE_ONE_IN) {
                        self.settle();
                    }
                    return self.violation.is_none().then_some(took);
                }
            }
        }
        if self.violation.is_none() && self.world.flaw == Flaw::None {
            let text = whole(&self.world).unwrap_or_else(|| "nothing was acknowledged".into());
            self.world.tell(|| format!("!!! heals: {text}"));
            self.violation = Some(Violation { invariant: "heals".into(), text, at: self.world.now });
        }
        None
    }

    /// A whole cluster stays as it is: nothing but renewals and reports follows.
    fn settle(&mut self) {
        let world = &self.world;
        let ordered =
            world.catalog.now.orders.switchover.is_some() || world.members.iter().any(|m| m.supervisor.stopping);
        if ordered {
            return;
        }
        // What the last faults have set off may still be on its way.
        let from = self.world.now + AFTERMATH;
        while self.violation.is_none() && self.world.now < from {
            self.step();
        }
        let epoch = |world: &World| world.catalog.now.lease.as_ref().map(|(lease, _)| lease.epoch);
        let (before, until) = (epoch(&self.world), self.world.now + SETTLED);
        while self.violation.is_none() && self.world.now < until {
            self.step();
        }
        let after = epoch(&self.world);
        if self.violation.is_none() && self.world.flaw == Flaw::None && before != after {
            let text = format!("a whole cluster went from {before:?} to {after:?} by itself");
            self.world.tell(|| format!("!!! settles: {text}"));
            self.violation = Some(Violation { invariant: "settles".into(), text, at: self.world.now });
        }
    }

    /// What an operator would do when told to: adopt after the catalog was reset, force after disks were lost.
    fn operator_helps(&mut self, began: u64) {
        let waited = self.world.now - began;
        if waited < 8 * SECOND || whole(&self.world).is_none() {
            return;
        }
        let world = &mut self.world;
        let usable = |m: &usize| matches!(world.members[*m].disk.data, Data::Present(_));
        let best = (0..world.members.len()).filter(usable).max_by_key(|m| {
            let database = world.members[*m].disk.database.as_ref();
            let acked = database.map_or(0, |database| {
                (0..world.gtids.len() as u32).filter(|txn| world.acked.has(*txn) && database.in_any.has(*txn)).count()
            });
            let sound = database.is_some_and(|database| !database.applier_broken);
            let leads = world.catalog.now.lease.as_ref().is_some_and(|(lease, _)| lease.holder == world.members[*m].id);
            (world.members[*m].server.writable, sound, acked, leads, std::cmp::Reverse(*m))
        });
        let Some(best) = best else { return };
        let id = best as u32 + 1;
        if world.catalog_resets > 0 && world.catalog.now.orders.adopt.is_none() {
            world.fault(Fault::Adopt(id));
        }
        if waited > 16 * SECOND {
            world.rebuild_foreign(MemberId(id));
        }
        let lost_disk = world.members.iter().any(|member| member.disk.rebuilt > 0);
        let lease_free = world.primary().is_none();
        if waited > 25 * SECOND && lost_disk && lease_free && world.catalog.now.orders.force.is_none() {
            // Somebody with a broken applier cannot lead: the operator repairs it first.
            if let Some(database) = &mut world.members[best].disk.database {
                database.applier_broken = false;
            }
            world.fault(Fault::Force(id));
        }
    }
}

fn lease_line(lease: &Lease) -> String {
    let ids: Vec<_> = lease.config.in_sync.keys().map(|member| member.0.to_string()).collect();
    format!(
        "{} {:?} by {}, primary {}, in sync [{}], acks {}",
        lease.epoch.term,
        lease.state,
        lease.holder,
        lease.config.primary.member.0,
        ids.join(" "),
        lease.config.acks
    )
}

/// What is missing for the cluster to be whole.
pub(crate) fn whole(world: &World) -> Option<String> {
    let Some((lease, _)) = &world.catalog.now.lease else { return Some("there is no lease".into()) };
    if !lease.is_established() {
        return Some(format!("the lease is not established: {}", lease_line(lease)));
    }
    let holder = lease.holder.0 as usize - 1;
    let open: Vec<_> = world.members.iter().filter(|member| member.server.writable).map(|member| member.id).collect();
    if open != [lease.holder] {
        return Some(format!("{open:?} take writes, {} has the lease", lease.holder));
    }
    let Some(primary) = &world.members[holder].disk.database else { return Some("the primary has no data".into()) };
    for member in world.members.iter().filter(|member| member.id != lease.holder) {
        if !lease.config.in_sync.contains_key(&member.id) {
            return Some(format!("{} is not in sync", member.id));
        }
        let Some(database) = &member.disk.database else { return Some(format!("{} has no data", member.id)) };
        if let Some(txn) = primary.in_log.lacks(&database.in_any) {
            return Some(format!("{} has errant transaction {txn}", member.id));
        }
        if primary.log.len() > database.log.len() + 20 {
            return Some(format!("{} lags", member.id));
        }
    }
    let waiting = world.members[holder].server.waiting.first();
    if waiting.is_some_and(|waiting| world.now - waiting.since > STUCK) {
        return Some("commits wait".into());
    }
    let wanted = world.members[holder].supervisor.policy.acks_with(world.members.len() - 1);
    if lease.config.acks != wanted || world.members[holder].server.acks != wanted {
        return Some(format!("{} acks instead of {wanted}", lease.config.acks));
    }
    let lost = primary.in_log.lacks(&world.acked);
    let durable = world.members[holder].supervisor.policy.durability == Durability::Quorum && !world.forced;
    lost.filter(|_| durable).map(|txn| format!("acknowledged transaction {txn} is lost"))
}

fn member(id: u32, schedule: &Schedule, rng: &mut Rng) -> Member {
    let mut policy = Policy::with_ttl(TTL);
    policy.acks = schedule.acks;
    policy.durability = schedule.durability;
    policy.report_every = Duration::from_millis(300);
    policy.switchover_limit = Duration::from_secs(3);
    policy.release_after = Duration::from_millis(300);
    let me = MemberId(id);
    Member {
        id: me,
        disk: Disk { data: Data::Empty, database: None, slow_until: 0, known_cluster: None, rebuilt: 0 },
        server: Mysqld {
            process: Process::Stopped,
            run: 0,
            paused_until: 0,
            writable: false,
            closing: false,
            open_term: Term(0),
            receiver: None,
            applier_on: false,
            applying: false,
            lag_until: 0,
            acks: 0,
            gate: Default::default(),
            settled: None,
            dumps: BTreeMap::new(),
            waiting: Vec::new(),
            deaf_until: 0,
            jammed: false,
        },
        supervisor: Supervisor {
            up: false,
            run: 0,
            paused_until: 0,
            view: View { server: Server::Stopped, ..View::new(me, schedule.flavour, 0, Time::START) },
            policy,
            drift: rng.range(0, 10_000) as i64 - 5_000,
            offset: rng.range(1, 1_000) * SECOND,
            wake: u64::MAX,
            operation: 0,
            requests: BTreeMap::new(),
            poll: (0, 0),
            known: Default::default(),
            lease_answered: 0,
            asked: Time::START,
            lease_asked: Time::START,
            record_index: 0,
            missing: BTreeMap::new(),
            told: String::new(),
            observing: false,
            asking: false,
            members_asked: Default::default(),
            order_seen: None,
            stopping: false,
        },
    }
}

impl World {
    /// An operator has members rebuilt whose data is of another cluster than the primary's.
    fn rebuild_foreign(&mut self, primary: MemberId) {
        let Some((lease, _)) = self.catalog.now.lease.clone().filter(|(lease, _)| lease.holder == primary) else {
            return;
        };
        for m in 0..self.members.len() {
            let member = &mut self.members[m];
            if let Data::Present(identity) = member.disk.data
                && identity.cluster != lease.cluster
                && !member.server.writable
                && member.supervisor.view.busy.server.is_none()
            {
                member.disk.data = Data::Condemned(identity);
                member.supervisor.view.data = member.disk.data;
                self.tell(|| format!("*** rebuild {}", m + 1));
                self.look_soon(m);
            }
        }
    }
}

/// A cluster that was stopped in good order: everybody has the same data, member 1 was the primary.
fn established(world: &mut World, schedule: &Schedule) {
    let cluster = ClusterId(7);
    let epoch = Epoch { term: Term(1), change: 1 };
    for (index, member) in world.members.iter_mut().enumerate() {
        let data = DataId(index as u64 + 1);
        member.disk.data = Data::Present(Identity { cluster, data, promise: Term(1), seen: epoch });
        member.disk.database = Some(Database::new(schedule.flavour, u128::from(data.0)));
    }
    let in_sync: BTreeMap<_, _> = (2..=schedule.members).map(|id| (MemberId(id), DataId(u64::from(id)))).collect();
    let acks = world.members[0].supervisor.policy.acks_with(in_sync.len());
    let lease = Lease {
        cluster,
        epoch,
        holder: MemberId(1),
        state: LeaseState::Released,
        config: Config { primary: Seat { member: MemberId(1), data: DataId(1) }, in_sync, acks },
        alone: false,
        forced: false,
        beat: 0,
    };
    world.catalog.now.index = 1;
    world.catalog.now.lease = Some((Rc::new(lease), 1));
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {}", self.seed)?;
        writeln!(
            f,
            "cluster {} {:?} acks {} {:?}{}",
            self.members,
            self.flavour,
            self.acks,
            self.durability,
            if self.bootstrap { " empty" } else { "" }
        )?;
        for (at, fault) in &self.faults {
            writeln!(f, "at {at} {fault}")?;
        }
        writeln!(f, "until {}", self.until)
    }
}
