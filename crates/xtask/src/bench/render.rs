//! A file is rendered once from two services of 1,000 instances each, and of 10,000, beside the two bare queries that nobody can do without.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Context, Result, bail, ensure};
use serde_json::json;

use super::Options;
use super::http::Connection;
use super::kit::{Kit, Process, milliseconds, moment};
use super::table::{Figure, Row};
use crate::workspace::find_program;

/// Instances of each of the two services, and how often the file is rendered at most.
const SIZES: [(usize, u32); 2] = [(1_000, 40), (10_000, 6)];

/// Queries and renderings take turns, so that both see the same machine. consul-template is a peer where the machine has it.
pub(super) fn render(kit: &Kit, options: &Options) -> Result<Vec<Row>> {
    let (_consul, address) = kit.consul()?;
    let mut rows = Vec::new();
    for (instances, runs) in SIZES {
        register(address, instances)?;
        let output = kit.path(&format!("rendered-{instances}"));
        let ours = command(kit, vec![kit.pilotfish.clone(), "template".into()], address, instances)?;
        let peer =
            find_program("consul-template").map(|path| command(kit, vec![path], address, instances)).transpose()?;
        let (mut bare, mut walls, mut peaks, mut theirs) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for _ in 0..options.runs.min(runs) {
            bare.push(queries(address, instances)?);
            let (wall, peak) = once(kit, &ours)?;
            let lines = fs::read_to_string(&output).context("nothing was rendered")?.lines().count();
            ensure!(lines == 2 * instances, "{lines} lines were rendered for 2 x {instances} instances");
            fs::remove_file(&output)?;
            walls.push(wall);
            peaks.push(peak);
            if let Some(peer) = &peer {
                theirs.push(once(kit, peer)?.0);
                fs::remove_file(&output)?;
            }
        }
        let name = |what: &str| format!("render 2 x {instances} instances once: {what}");
        let floor = || Figure::of(bare.clone());
        rows.push(Row::new(name("wall"), "ms", Figure::of(walls)).beside(floor()).goal_ratio(1.15));
        let peak = Row::new(name("peak memory"), "MB", Figure::of(peaks));
        rows.push(if instances == 1_000 { peak.goal(8.0) } else { peak });
        if !theirs.is_empty() {
            rows.push(Row::new("    consul-template: wall", "ms", Figure::of(theirs)).beside(floor()));
        }
    }
    Ok(rows)
}

/// Puts the instances into the catalog, each on a node of its own, which is the longest answer that there can be.
fn register(address: SocketAddr, instances: usize) -> Result<()> {
    let mut connection = Connection::open(address)?;
    for instance in 0..instances {
        let (high, low) = (instance / 250, instance % 250 + 1);
        for side in ["web", "app"] {
            let (service, id) = (format!("{side}-{instances}"), format!("{side}-{instances}-{instance}"));
            let node = format!("node-{instances}-{instance}");
            let body = json!({
                "Node": node, "Address": format!("10.0.{high}.{low}"), "SkipNodeUpdate": side == "app",
                "Service": { "ID": id, "Service": service, "Address": format!("10.1.{high}.{low}"), "Port": 8000 + instance % 1000,
                             "Tags": ["v1", "primary"], "Meta": { "version": "1.2.3" } },
                "Check": { "CheckID": format!("service:{id}"), "Name": "answers", "Status": "passing", "ServiceID": id, "Output": "ok" },
            });
            connection.put("/v1/catalog/register", &body.to_string())?;
        }
    }
    Ok(())
}

/// A command line of consul-template; one line of the file for each instance.
fn command(kit: &Kit, mut program: Vec<PathBuf>, address: SocketAddr, instances: usize) -> Result<Vec<PathBuf>> {
    let each = |side: &str| {
        format!(
            "{{{{ range service \"{side}-{instances}\" }}}}server {{{{ .Address }}}}:{{{{ .Port }}}};\n{{{{ end }}}}"
        )
    };
    let source = kit.path(&format!("source-{instances}"));
    fs::write(&source, each("web") + &each("app")).context("cannot write the template")?;
    let template = format!("{}:{}", source.display(), kit.path(&format!("rendered-{instances}")).display());
    let flags = ["-once", "-consul-addr", &address.to_string(), "-template", &template].map(PathBuf::from);
    program.extend(flags);
    Ok(program)
}

/// Renders; how long that took in ms, and the peak of its memory in MB.
fn once(kit: &Kit, command: &[PathBuf]) -> Result<(f64, f64)> {
    let ended = Process::start(&kit.below("weigh", command.to_vec()))?.wait()?;
    ensure!(ended.success(), "the rendering failed: {ended}");
    match kit.fifo.next()?[..] {
        // Exact up to 2^53.
        [nanoseconds, kib] => Ok((nanoseconds as f64 / 1e6, kib as f64 * 1024.0 / 1e6)),
        ref other => bail!("expected a time and a size, got {other:?}"),
    }
}

/// Both queries on one connection, as the least that any client does; in ms.
fn queries(address: SocketAddr, instances: usize) -> Result<f64> {
    let began = moment();
    let mut connection = Connection::open(address)?;
    for side in ["web", "app"] {
        let answer = connection.get(&format!("/v1/health/service/{side}-{instances}?passing=1"))?;
        ensure!(answer.body.len() > instances * 100, "the answer is too short");
    }
    Ok(milliseconds(began, moment()))
}
