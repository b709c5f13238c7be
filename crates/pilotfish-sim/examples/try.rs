//! Scratch.
use pilotfish_sim::*;
fn main() {
    let args: Vec<String> = std::env::args().collect();
    let from: u64 = args[1].parse().unwrap();
    let to: u64 = args[2].parse().unwrap();
    let start = std::time::Instant::now();
    let mut fails = std::collections::BTreeMap::<String, Vec<u64>>::new();
    let (mut acked, mut healed, mut forced) = (0, vec![], 0);
    for seed in from..to {
        let schedule = Schedule::draw(seed);
        let one = to - from == 1;
        let outcome = schedule.run(Flaw::None, one);
        if one {
            println!("{schedule}");
            for l in &outcome.narrative {
                println!("{l}");
            }
        }
        acked += outcome.acknowledged;
        forced += outcome.forced as u32;
        healed.extend(outcome.healed_after);
        if let Some(v) = outcome.violation {
            fails.entry(v.invariant.clone()).or_default().push(seed);
            if one {
                println!("{v:?}");
            }
        }
    }
    let n = to - from;
    healed.sort();
    println!(
        "{n} schedules in {:?}, {:?} each; acked {acked}; forced {forced}; heal p50 {:?} p99 {:?} max {:?}",
        start.elapsed(),
        start.elapsed() / n as u32,
        healed.get(healed.len() / 2),
        healed.get(healed.len() * 99 / 100),
        healed.last()
    );
    for (k, v) in fails {
        println!("{k}: {} e.g. {:?}", v.len(), &v[..v.len().min(12)]);
    }
}
