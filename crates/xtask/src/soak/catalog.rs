//! Consul, as it is when it is not well.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use crate::bench::{Kit, Look, Process};
use crate::stage::{free_ports, get_json};

/// A fault and its return last between this and ten times this.
const SHORTEST: Duration = Duration::from_millis(500);

/// Faults at random. After each, the registration comes back by itself; the application never notices.
pub(super) fn faults(kit: &Kit, until: Instant) -> Result<()> {
    let ports = free_ports()?;
    let address = (Ipv4Addr::LOCALHOST, ports[0]).into();
    let mut consul = kit.consul_at(ports)?;
    let job = json!({
        "name": "steady", "exec": kit.serve(), "main": true, "port": 80, "interfaces": ["static:127.0.0.1"],
        "health": { "exec": kit.app("end", &["well"]), "interval": 1, "timeout": "900ms", "ttl": 5 },
    });
    let logging = json!({ "level": "ERROR", "output": kit.path("catalog.log") });
    let watches = json!([{ "name": "steady", "interval": 5 }]);
    let config = json!({ "consul": format!("{address}"), "logging": logging, "jobs": [job], "watches": watches });
    let mut process = Process::start(&kit.supervisor(&kit.config("catalog", config)?))?;
    kit.fifo.moment()?;
    let mut random = Random::new()?;
    println!("    seed {}", random.0);
    let (mut faults, mut slowest, mut warm) = (0, Duration::ZERO, None::<Look>);
    while Instant::now() < until {
        let pause = SHORTEST * (1 + random.below(9));
        match random.below(3) {
            0 => {
                consul.kill()?;
                kit.interrupt.pause(pause)?;
                consul = kit.consul_at(ports)?;
            }
            1 => {
                consul.stop()?;
                consul = kit.consul_at(ports)?;
            }
            _ => {
                let pid = i32::try_from(consul.pid()).ok().and_then(Pid::from_raw).context("Consul has no pid")?;
                kill_process(pid, Signal::STOP).context("cannot pause Consul")?;
                let paused = kit.interrupt.pause(pause * 4);
                kill_process(pid, Signal::CONT).context("cannot continue Consul")?;
                paused?;
            }
        }
        let healed = Instant::now();
        kit.until("the registration to come back", || {
            let found = get_json(address, "/v1/health/service/steady?passing")?;
            ensure!(found.as_array().is_some_and(|instances| instances.len() == 1), "found {found}");
            Ok(())
        })?;
        slowest = slowest.max(healed.elapsed());
        faults += 1;
        ensure!(process.is_running()?, "the supervisor is gone");
        ensure!(kit.fifo.moments().is_empty(), "the application was restarted");
        let look = Look::at(process.pid()?)?;
        let warm = warm.get_or_insert(look);
        ensure!(look.threads <= 1.0, "{} threads", look.threads);
        ensure!(
            look.descriptors <= warm.descriptors + 8.0,
            "{} descriptors, at first {}",
            look.descriptors,
            warm.descriptors
        );
    }
    println!("    {faults} faults, registered again within {:.1} s", slowest.as_secs_f64());
    process.stop()?;
    Ok(())
}

/// A small generator (Marsaglia's xorshift64); the seed is printed, so that a run can be understood afterwards.
struct Random(u64);

impl Random {
    fn new() -> Result<Self> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).context("the clock is before 1970")?;
        Ok(Self(now.as_secs() | 1))
    }

    fn below(&mut self, limit: u32) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        u32::try_from((self.0 >> 33) % u64::from(limit)).unwrap_or(0)
    }
}
