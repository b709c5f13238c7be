//! Schedules as text: what `Display` prints can be read again, and written by hand.
//!
//! ```text
//! seed 1
//! cluster 3 MariaDb acks 1 Quorum
//! at 1000 kill-server primary
//! until 4000
//! ```

use pilotfish_autopilot::{Durability, Flavour};

use crate::fault::{Fault, Target};
use crate::run::Schedule;

impl Schedule {
    /// Reads a schedule.
    ///
    /// # Errors
    /// A sentence that says which line is not understood. Empty lines and such that begin with `#` are passed over.
    pub fn parse(text: &str) -> Result<Schedule, String> {
        let mut schedule = Schedule {
            seed: 1,
            members: 3,
            flavour: Flavour::MariaDb,
            acks: 1,
            durability: Durability::Quorum,
            bootstrap: false,
            faults: Vec::new(),
            until: 5_000,
        };
        for (index, line) in text.lines().enumerate() {
            let words: Vec<_> = line.split_whitespace().collect();
            if words.is_empty() || line.starts_with('#') {
                continue;
            }
            read_line(&mut schedule, &words)
                .ok_or_else(|| format!("line {}: `{line}` is not understood", index + 1))?;
        }
        Ok(schedule)
    }
}

fn read_line(schedule: &mut Schedule, words: &[&str]) -> Option<()> {
    match words {
        ["seed", seed] => schedule.seed = seed.parse().ok()?,
        ["until", until] => schedule.until = until.parse().ok()?,
        ["cluster", members, flavour, "acks", acks, durability, rest @ ..] => {
            schedule.members = members.parse().ok().filter(|members| (1..=9).contains(members))?;
            schedule.flavour = match *flavour {
                "MariaDb" => Flavour::MariaDb,
                "MySql" => Flavour::MySql,
                _other => return None,
            };
            schedule.acks = acks.parse().ok()?;
            schedule.durability = match *durability {
                "Quorum" => Durability::Quorum,
                "Async" => Durability::Async,
                _other => return None,
            };
            schedule.bootstrap = rest == ["empty"];
        }
        ["at", at, fault @ ..] => schedule.faults.push((at.parse().ok()?, read_fault(fault)?)),
        _other => return None,
    }
    Some(())
}

fn read_fault(words: &[&str]) -> Option<Fault> {
    let number = |index: usize| words.get(index).and_then(|word| word.parse::<u64>().ok());
    let id = |index: usize| number(index).and_then(|number| u32::try_from(number).ok());
    let target = match words.get(1) {
        Some(&"primary") => Some(Target::Primary),
        Some(word) => word.parse().ok().map(Target::Member),
        None => None,
    };
    Some(match *words.first()? {
        "kill-server" => Fault::KillServer(target?),
        "kill-member" => Fault::KillMember(target?, number(2)?),
        "kill-all" => Fault::KillAll(number(1)?),
        "pause-server" => Fault::PauseServer(target?, number(2)?),
        "pause-supervisor" => Fault::PauseSupervisor(target?, number(2)?),
        "pause-member" => Fault::PauseMember(target?, number(2)?),
        "isolate" => Fault::Isolate(target?, number(2)?),
        "cut-one-way" => Fault::CutOneWay(target?, id(2)?, number(3)?),
        "cut-between" => Fault::CutBetween(target?, id(2)?, number(3)?),
        "lose-acks" => Fault::LoseAcks(target?, number(2)?),
        "cut-catalog" => Fault::CutCatalog(target?, number(2)?),
        "cut-answers" => Fault::CutAnswers(target?, number(2)?),
        "slow-network" => Fault::SlowNetwork(number(1)?),
        "catalog-election" => Fault::CatalogElection(number(1)?),
        "catalog-down" => Fault::CatalogDown(number(1)?),
        "wipe-catalog" => Fault::WipeCatalog,
        "restore-catalog" => Fault::RestoreCatalog,
        "slow-disk" => Fault::SlowDisk(target?, number(2)?),
        "lag-applier" => Fault::LagApplier(target?, number(2)?),
        "break-applier" => Fault::BreakApplier(id(1)?),
        "local-write" => Fault::LocalWrite(id(1)?),
        "lose-disk" => Fault::LoseDisk(target?, number(2)?),
        "purge-logs" => Fault::PurgeLogs(target?),
        "switchover" => Fault::Switchover(id(1)?),
        "stop" => Fault::Stop(target?, number(2)?),
        "pause-autopilot" => Fault::PauseAutopilot(number(1)?),
        "adopt" => Fault::Adopt(id(1)?),
        "force" => Fault::Force(id(1)?),
        _other => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_is_read_again() {
        for seed in 0..200 {
            let schedule = Schedule::draw(seed);
            assert_eq!(Schedule::parse(&schedule.to_string()), Ok(schedule));
        }
    }

    #[test]
    fn an_error_names_the_line() {
        let error = Schedule::parse("seed 1\nat 5 dance").expect_err("nobody dances");
        assert!(error.contains("line 2") && error.contains("dance"), "{error}");
    }
}
