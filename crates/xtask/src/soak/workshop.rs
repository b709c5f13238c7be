//! The workshop under load while it is scaled up and down: not one request may fail.

use std::time::Instant;

use anyhow::{Result, ensure};
use pilotfish_testing::Load;

use crate::bench::Kit;
use crate::workshop::{Catalog, SERVICES, Vocabulary, Workshop};

/// Instances of each service, by turns.
const FEW: usize = 2;
const MANY: usize = 5;

/// Requests at the same time, and what they ask for: the page, and both services with what they ask of each other.
const THREADS: usize = 4;
const PATHS: &[&str] = &["/sales/", "/customers/", "/sales/data", "/customers/data", "/"];

/// Scales one service after the other, up and down in order, and compares nginx.conf with the catalog after each step.
pub(super) fn scaling(kit: &Kit, until: Instant) -> Result<()> {
    let catalog = Catalog::Embedded;
    let mut workshop =
        Workshop::open("soak-workshop", &kit.interrupt, kit.pilotfish.clone(), &catalog, Vocabulary::V3)?;
    workshop.start_nginx()?;
    scale(&mut workshop, FEW)?;
    for service in SERVICES {
        workshop.expect_answers(service)?;
    }
    let load = Load::start(workshop.nginx, PATHS, THREADS);
    let mut scalings = 0;
    while Instant::now() < until {
        for count in [MANY, FEW] {
            scale(&mut workshop, count)?;
            scalings += SERVICES.len();
            let tally = load.tally();
            ensure!(tally.failed == 0, "{} requests failed: {:#?}", tally.failed, tally.failures);
        }
    }
    let tally = load.stop();
    ensure!(tally.failed == 0, "{} requests failed: {:#?}", tally.failed, tally.failures);
    let errors = workshop.nginx_errors()?;
    ensure!(errors.is_empty(), "nginx had to try again elsewhere: {errors:#?}");
    let slowest = tally.slowest.as_secs_f64() * 1000.0;
    println!("    {scalings} scalings, {} requests, 0 failed, the slowest took {slowest:.0} ms", tally.answered);
    Ok(())
}

fn scale(workshop: &mut Workshop<'_>, count: usize) -> Result<()> {
    for service in SERVICES {
        workshop.scale(service, count)?;
        workshop.expect_upstreams()?;
    }
    Ok(())
}
