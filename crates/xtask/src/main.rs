//! Automation of the project: `cargo xtask COMMAND`. Everything that CI, a developer or a curious reader runs is a command here,
//! and each is its own module; shared are only [`workspace`] (where things are), [`phases`] (what took how long) and [`stage`]
//! (servers started for a while), on which [`workshop`] stands.

mod bench;
mod demo;
mod demo_mysql;
mod dist;
mod elf;
mod fuzz;
mod phases;
mod setup;
mod soak;
mod stage;
mod test;
mod tidy;
mod verify;
mod workshop;
mod workspace;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Build, test, measure and show pilotfish.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", max_term_width = 120)]
#[command(
    after_help = "Examples:\n  cargo xtask test            everything CI does\n  cargo xtask demo            see it work; under a minute\n  cargo xtask verify          before every commit\n  cargo xtask test reload     only tests whose name contains `reload`"
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Check the source: format, house rules, clippy, documentation.
    Verify,
    /// Check the house rules that neither compiler nor clippy knows.
    Tidy,
    /// Bring the servers and programs that tests and demo need; does nothing when they are there.
    #[command(
        after_help = "Packages are installed with apt-get as root or through sudo, no service is started.\nConsul and promtool are unpacked into the target directory, unless they are on PATH."
    )]
    Setup,
    /// Set up, verify, build, and run every test against real servers.
    #[command(
        after_help = "Examples:\n  cargo xtask test\n  cargo xtask test slide_27 reload\n  cargo xtask test --no-verify watch"
    )]
    Test {
        /// Leave out `verify`.
        #[arg(long)]
        no_verify: bool,
        /// Run only tests whose name contains one of these.
        filters: Vec<String>,
    },
    /// Build the static release binary, and check that it is static and small.
    Dist,
    /// Show nginx and two Node services under pilotfish: found, scaled up and down, one killed; nginx follows.
    #[command(
        after_help = "Examples:\n  cargo xtask demo                 under a minute, then everything is gone\n  cargo xtask demo --keep          leave it running to play with, until Ctrl-C\n  cargo xtask demo --seconds 300   leave it running for five minutes\n  cargo xtask demo --v2 --consul   the talk's own configs, on a real Consul"
    )]
    Demo {
        /// Keep everything running after the show, until Ctrl-C.
        #[arg(long, conflicts_with = "seconds")]
        keep: bool,
        /// Keep everything running after the show, for this many seconds.
        #[arg(long, value_name = "N")]
        seconds: Option<u64>,
        /// Use the talk's own configs (v2), whose scripts call consul-template.
        #[arg(long)]
        v2: bool,
        /// Use a real Consul instead of our own catalog.
        #[arg(long)]
        consul: bool,
        /// Show three database members instead: one is killed, another takes over.
        #[arg(long, conflicts_with_all = ["v2", "consul"])]
        mysql: bool,
        /// Show this binary instead of building one.
        #[arg(long, value_name = "PATH")]
        pilotfish: Option<PathBuf>,
    },
    /// Measure, and print each figure beside the floor of the same run.
    #[command(
        after_help = "Examples:\n  cargo xtask bench --list\n  cargo xtask bench\n  cargo xtask bench start change --runs 50\n  cargo xtask bench failover-mysql --fault switchover --fault SIGTERM"
    )]
    Bench {
        /// Print the names of the scenarios.
        #[arg(long)]
        list: bool,
        /// Print JSON instead of a table.
        #[arg(long)]
        json: bool,
        /// Measure this binary instead of building one.
        #[arg(long, value_name = "PATH")]
        pilotfish: Option<PathBuf>,
        /// Samples of what is measured in samples; the table shows their median and 90th percentile.
        #[arg(long, default_value_t = 200, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
        runs: u32,
        /// Of the failovers, measure only faults whose name contains this; may be said again.
        #[arg(long = "fault", value_name = "TEXT")]
        faults: Vec<String>,
        /// Run only scenarios whose name contains one of these.
        filters: Vec<String>,
    },
    /// Run for long, and watch that nothing grows.
    #[command(
        after_help = "Examples:\n  cargo xtask soak --list\n  cargo xtask soak --minutes 600\n  cargo xtask soak mysql-chaos --seed 42"
    )]
    Soak {
        /// Print the names of the scenarios.
        #[arg(long)]
        list: bool,
        /// How long each scenario runs.
        #[arg(long, default_value_t = 10, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
        minutes: u32,
        /// Play again what a scenario drew from this seed; it prints its own.
        #[arg(long, value_name = "N")]
        seed: Option<u64>,
        /// Run this binary instead of building one.
        #[arg(long, value_name = "PATH")]
        pilotfish: Option<PathBuf>,
        /// Run only scenarios whose name contains one of these.
        filters: Vec<String>,
    },
    /// Try random failures of model database clusters for as long as you like; a failure prints its seed, the smallest schedule, and its story.
    #[command(after_help = "Examples:\n  cargo xtask fuzz --minutes 10\n  cargo xtask fuzz --hours 8 --from 5000000")]
    Fuzz {
        /// How long, in hours.
        #[arg(long, value_name = "N", default_value_t = 0)]
        hours: u64,
        /// How long, in minutes, on top of the hours.
        #[arg(long, value_name = "N", default_value_t = 0)]
        minutes: u64,
        /// The first seed; by default one that depends on the time, so that no two runs try the same.
        #[arg(long, value_name = "SEED")]
        from: Option<u64>,
    },
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Verify => verify::verify(),
        Command::Tidy => tidy::tidy(),
        Command::Setup => setup::setup().and_then(|tools| {
            setup::report(&tools, &setup::clients()?);
            Ok(())
        }),
        Command::Test { no_verify, filters } => test::test(&test::Options { filters, no_verify }),
        Command::Dist => dist::dist().map(drop),
        Command::Demo { keep, seconds, mysql: true, pilotfish, .. } => {
            let afterwards = demo::Afterwards::new(keep, seconds);
            demo::binary(pilotfish).and_then(|pilotfish| demo_mysql::demo(pilotfish, &afterwards))
        }
        Command::Demo { keep, seconds, mysql: false, v2, consul, pilotfish } => {
            let afterwards = demo::Afterwards::new(keep, seconds);
            demo::demo(demo::Options { afterwards, v2, consul, pilotfish })
        }
        Command::Bench { list, runs, json, pilotfish, faults, filters } => {
            bench::bench(&bench::Options { list, runs, json, pilotfish, faults, filters })
        }
        Command::Fuzz { hours, minutes, from } => fuzz::fuzz(hours * 60 + minutes, from),
        Command::Soak { list, minutes, seed, pilotfish, filters } => {
            soak::soak(&soak::Options { list, minutes, seed, pilotfish, filters })
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }
}
