//! `pilotfish-sim`: runs schedules for as long as is wanted, or replays one. What `cargo xtask fuzz` starts.
//!
//! ```text
//! pilotfish-sim run --minutes 10 [--from SEED]     random schedules, two at a time
//! pilotfish-sim replay SEED                        the story of one
//! pilotfish-sim play FILE                          the story of a script
//! ```

use std::process::ExitCode;
use std::time::{Duration, Instant};

use pilotfish_sim::{Flaw, Schedule, search};

/// Schedules between two looks at the clock.
const BATCH: u64 = 200;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["run", options @ ..] => run(options),
        ["replay", seed] => match seed.parse() {
            Ok(seed) => play(&Schedule::draw(seed)),
            Err(_) => usage(),
        },
        ["play", file] => match std::fs::read_to_string(file)
            .map_err(|error| error.to_string())
            .and_then(|text| Schedule::parse(&text))
        {
            Ok(schedule) => play(&schedule),
            Err(error) => {
                eprintln!("error: cannot read {file}: {error}");
                ExitCode::from(2)
            }
        },
        _other => usage(),
    }
}

fn usage() -> ExitCode {
    eprintln!("usage: pilotfish-sim run [--minutes N] [--from SEED] | replay SEED | play FILE");
    ExitCode::from(2)
}

fn run(options: &[&str]) -> ExitCode {
    let (mut minutes, mut from) = (10_u64, 1_000_000_u64);
    for option in options.chunks(2) {
        let (place, value) = match option {
            ["--minutes", value] => (&mut minutes, value),
            ["--from", value] => (&mut from, value),
            _other => return usage(),
        };
        match value.parse() {
            Ok(number) => *place = number,
            Err(_) => return usage(),
        }
    }
    let until = Instant::now() + Duration::from_secs(minutes.saturating_mul(60));
    let (first, mut done) = (from, 0);
    while Instant::now() < until {
        let found = search(from..from + BATCH, Flaw::None, until);
        if let Some(failure) = found.failure {
            eprintln!("{failure}");
            return ExitCode::FAILURE;
        }
        done += found.schedules;
        from += BATCH;
    }
    println!("{done} schedules from seed {first}, none failed");
    ExitCode::SUCCESS
}

fn play(schedule: &Schedule) -> ExitCode {
    let outcome = schedule.run(Flaw::None, true);
    print!("{schedule}\n{}\n", outcome.narrative.join("\n"));
    match outcome.violation {
        Some(violation) => {
            println!("{}: {}", violation.invariant, violation.text);
            ExitCode::FAILURE
        }
        None => ExitCode::SUCCESS,
    }
}
