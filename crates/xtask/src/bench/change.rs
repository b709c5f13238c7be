//! From a change of the catalog (its PUT is about to be written) to the first instruction of the onChange command.

use std::net::SocketAddr;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::json;

use super::Options;
use super::http::Connection;
use super::kit::{Kit, LIMIT, Process, milliseconds, moment};
use super::table::{Figure, Row};

/// Between changes, so that both sides hold a query again and their pace has room.
const PAUSE: Duration = Duration::from_millis(80);

/// Changes of one service are for us, those of the other for the bare query, in turns: neither wakes the other's client.
pub(super) fn change(kit: &Kit, options: &Options) -> Result<Vec<Row>> {
    let (_consul, address) = kit.consul()?;
    let jobs = json!([
        { "name": "app", "exec": kit.app("wait", &["signal"]), "main": true },
        { "name": "hook", "exec": [kit.app, "tell", kit.fifo.path],
          "when": { "source": "watch.ours", "each": "changed" } },
    ]);
    let watches = json!([{ "name": "ours", "interval": 10 }]);
    let config = kit.config("change", json!({ "consul": address.to_string(), "jobs": jobs, "watches": watches }))?;
    let mut writer = Connection::open(address)?;
    // A query for a service that does not exist is answered by every change of the catalog; so both exist.
    writer.put("/v1/agent/service/register", r#"{"Name":"bare"}"#)?;
    let bare = bare_query(address)?;
    let _supervisor = Process::start(&kit.supervisor(&config))?;
    let mut change = |service: &str, round: u32| {
        let body = format!(r#"{{"Name":"{service}","Address":"10.0.0.1","Port":{}}}"#, 1 + round);
        let began = moment();
        writer.put("/v1/agent/service/register", &body)?;
        anyhow::Ok(began)
    };
    // The first change may come before the watch; it is repeated until it is seen.
    let mut round = 0;
    kit.until("the first onChange", || {
        round += 1;
        change("ours", round)?;
        kit.interrupt.pause(PAUSE)?;
        kit.fifo.moments().first().copied().context("it has not run")
    })?;
    kit.interrupt.pause(Duration::from_secs(1))?;
    kit.fifo.forget();
    bare.try_iter().for_each(drop);
    let (mut ours, mut floor) = (Vec::new(), Vec::new());
    for _ in 0..options.runs {
        round += 1;
        let began = change("ours", round)?;
        ours.push(milliseconds(began, kit.fifo.moment()?));
        kit.interrupt.pause(PAUSE)?;
        let began = change("bare", round)?;
        floor.push(milliseconds(began, bare.recv_timeout(LIMIT).context("the bare query saw no change")?));
        kit.interrupt.pause(PAUSE)?;
    }
    let row = Row::new("catalog change -> onChange command's main", "ms", Figure::of(ours)).beside(Figure::of(floor));
    Ok(vec![row.goal(3.0).goal_ratio(1.6)])
}

/// Holds a query for the other service, and tells when it is answered.
fn bare_query(address: SocketAddr) -> Result<mpsc::Receiver<i64>> {
    let mut connection = Connection::open(address)?;
    let (sender, receiver) = mpsc::channel();
    let mut index = connection.get("/v1/health/service/bare?passing")?.index;
    thread::spawn(move || {
        // Ends with the Consul.
        while let Ok(answer) = connection.get(&format!("/v1/health/service/bare?passing&wait=60s&index={index}")) {
            let changed = answer.index != index;
            index = answer.index;
            if changed && sender.send(answer.at).is_err() {
                return;
            }
        }
    });
    Ok(receiver)
}
