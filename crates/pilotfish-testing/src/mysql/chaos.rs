//! A cluster under faults that a seed chooses, with clients that write all the time, also where they should not.
//!
//! Each round is a few faults (`schedule`), carried out as they come (`deeds`) and undone when they are over. Then the cluster must heal by itself, hold everything
//! that clients were promised, and be the same on all members. Whatever fails tells the seed and the story so far.

mod deeds;
pub mod schedule;

use std::any::Any;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use self::deeds::Undo;
use super::{CLUSTER_PATIENCE, Flavour, Member, MySqlCluster, Tally, Writer};
use crate::Consul;

/// Time between two looks.
const INTERVAL: Duration = Duration::from_millis(5);
/// Writers that follow the catalog.
const CLIENTS: usize = 2;
/// A cluster that takes longer to heal has something to tell.
const LONG: Duration = Duration::from_secs(40);
/// So many acknowledged writes show that the cluster takes some.
const ENOUGH: usize = 20;

/// What is played with.
pub struct Chaos<'a> {
    /// The cluster, settled.
    pub cluster: &'a mut MySqlCluster,
    /// Its catalog, which must keep its data when it is killed.
    pub catalog: &'a mut Consul,
    /// Whose servers they are.
    pub flavour: Flavour,
    /// Chooses the faults.
    pub seed: u64,
    /// No round begins later.
    pub until: Instant,
    /// Whether somebody wants it to end.
    pub ended: &'a dyn Fn() -> bool,
    /// Where the members' logs are kept if it fails, or a cluster takes strangely long to heal.
    pub logs: Option<PathBuf>,
    /// Is given the story line by line.
    pub tell: &'a mut dyn FnMut(&str),
}

/// What was survived.
#[derive(Clone, Copy, Debug, Default)]
pub struct Survived {
    /// Rounds.
    pub rounds: u32,
    /// Faults in them.
    pub faults: usize,
    /// Acknowledged writes, all of which were there in the end.
    pub acknowledged: usize,
    /// The longest time from the end of a round's faults until the cluster was as it should be.
    pub slowest: Duration,
}

/// A seed that no other run has had.
pub fn new_seed() -> u64 {
    let nanos = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
    // Short enough to be typed.
    u64::try_from(nanos / 1_000 % 1_000_000_000_000).unwrap_or(0)
}

/// Why a round is not over as it should be.
enum End {
    /// Somebody wants it to end.
    Asked,
    /// It went wrong.
    Failed(String),
}

/// A run under way.
struct Game<'a> {
    chaos: Chaos<'a>,
    began: Instant,
    story: Vec<String>,
    survived: Survived,
    tallies: Vec<Tally>,
    /// What is to be undone, and when.
    undo: Vec<(Instant, Undo)>,
    /// Members that were killed or asked to stop, and are to be started again.
    leaving: Vec<bool>,
    is_catalog_well: bool,
    /// Term and holder of the lease before the last fault.
    lease: (u64, usize),
    /// The key of the next write behind the cluster's back.
    stray: u64,
}

impl Chaos<'_> {
    /// Plays round after round until the time is over.
    ///
    /// # Errors
    /// When a write is lost, the cluster does not heal, or anything else is wrong: with the seed, the story, and the members' last words.
    pub fn play(self) -> Result<Survived, String> {
        let leaving = vec![false; self.cluster.members.len()];
        let mut game = Game {
            chaos: self,
            began: Instant::now(),
            story: Vec::new(),
            survived: Survived::default(),
            tallies: Vec::new(),
            undo: Vec::new(),
            leaving,
            is_catalog_well: true,
            lease: (0, 0),
            stray: u64::MAX,
        };
        for number in 0.. {
            if Instant::now() >= game.chaos.until {
                break;
            }
            // Whatever the harness waits for in vain is told by a panic.
            let over = catch_unwind(AssertUnwindSafe(|| game.round(number)));
            match over.unwrap_or_else(|panic| Err(End::Failed(words(panic.as_ref())))) {
                Ok(()) => {}
                Err(End::Asked) => break,
                Err(End::Failed(what)) => return Err(game.failure(number, &what)),
            }
        }
        Ok(game.survived)
    }
}

fn words(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref().copied());
    text.unwrap_or("a panic without words").to_owned()
}

impl Game<'_> {
    fn failure(&self, number: u32, what: &str) -> String {
        let (seed, story) = (self.chaos.seed, self.story.join("\n"));
        let last = if what.contains("---") { String::new() } else { self.chaos.cluster.last_words() };
        let kept = self.keep_logs();
        format!("seed {seed}, round {number}: {what}\n{last}\nseed {seed}, the story:\n{story}{kept}")
    }

    /// Keeps the members' logs, if somebody wants them; where they are.
    fn keep_logs(&self) -> String {
        let Some(directory) = &self.chaos.logs else { return String::new() };
        let write = |member: &Member| {
            let file = directory.join(format!("{}-{}.log", self.chaos.seed, member.name()));
            fs::write(&file, member.log()).map(|()| format!("\n{}", file.display()))
        };
        let kept = fs::create_dir_all(directory).and_then(|()| self.chaos.cluster.members.iter().map(write).collect());
        kept.unwrap_or_else(|error| format!("\nthe logs cannot be kept in {}: {error}", directory.display()))
    }

    fn tell(&mut self, what: &str) {
        let day = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let (seconds, millis) = (day.as_secs() % 86_400, day.subsec_millis());
        let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
        let since = self.began.elapsed().as_secs_f64();
        let line = format!("{hour:02}:{minute:02}:{second:02}.{millis:03} {since:>7.1} s  {what}");
        (self.chaos.tell)(&line);
        self.story.push(line);
    }

    /// Faults, then peace, then the questions.
    fn round(&mut self, number: u32) -> Result<(), End> {
        let faults = schedule::round(self.chaos.seed, number);
        self.tell(&format!("round {number}: {} faults", faults.len()));
        let catalog = self.chaos.catalog.http();
        let clients: Vec<_> = (0..CLIENTS).map(|_| Writer::to_primary(catalog)).collect();
        let worst: Vec<_> = self.chaos.cluster.members.iter().map(|member| Writer::to_server(member.address)).collect();
        self.progress(&clients[0])?;
        for fault in &faults {
            self.idle_for(fault.gap)?;
            self.strike(fault)?;
        }
        while !self.undo.is_empty() {
            self.idle()?;
        }
        let healing = Instant::now();
        self.wait("the cluster to heal", |game| game.chaos.cluster.settled())?;
        self.progress(&clients[0])?;
        let took = healing.elapsed();
        self.tallies.extend(clients.into_iter().chain(worst).map(Writer::stop));
        self.chaos.cluster.verify(&self.tallies);
        self.survived = Survived {
            rounds: number + 1,
            faults: self.survived.faults + faults.len(),
            acknowledged: self.tallies.iter().map(|tally| tally.acknowledged.len()).sum(),
            slowest: self.survived.slowest.max(took),
        };
        let (seconds, acknowledged) = (took.as_secs_f64(), self.survived.acknowledged);
        self.tell(&format!("healed within {seconds:.1} s; all {acknowledged} acknowledged writes are there"));
        if took > LONG {
            let kept = self.keep_logs();
            self.tell(&format!("  that was long{kept}"));
        }
        Ok(())
    }

    /// Waits until a client has had some more writes acknowledged.
    fn progress(&mut self, client: &Writer) -> Result<(), End> {
        let wanted = client.tally().times.len() + ENOUGH;
        self.wait("acknowledged writes", |_| (client.tally().times.len() >= wanted).then_some(()))
    }

    /// Looks until `condition` gives a value.
    fn wait<T>(&mut self, what: &str, mut condition: impl FnMut(&mut Self) -> Option<T>) -> Result<T, End> {
        let began = Instant::now();
        loop {
            if let Some(value) = condition(self) {
                return Ok(value);
            }
            if began.elapsed() > CLUSTER_PATIENCE {
                let reports: Vec<_> = self.chaos.cluster.members.iter().map(Member::report).collect();
                return Err(End::Failed(format!("waited in vain for {what}: {reports:?}")));
            }
            self.idle()?;
        }
    }

    fn idle_for(&mut self, time: Duration) -> Result<(), End> {
        let end = Instant::now() + time;
        while Instant::now() < end {
            self.idle()?;
        }
        Ok(())
    }

    /// A moment, in which what is due is undone.
    fn idle(&mut self) -> Result<(), End> {
        if (self.chaos.ended)() {
            return Err(End::Asked);
        }
        std::thread::sleep(INTERVAL);
        while let Some(due) = self.undo.iter().position(|(due, _)| *due <= Instant::now()) {
            let (since, undo) = self.undo.remove(due);
            if let Some(again) = self.undo(undo) {
                if since.elapsed() > CLUSTER_PATIENCE {
                    return Err(End::Failed(format!("cannot be undone: {again:?}")));
                }
                self.undo.push((since, again));
                break;
            }
        }
        Ok(())
    }
}
