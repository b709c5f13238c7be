//! From a change of the catalog to an nginx that answers by it, beside nginx's own reload of a file that is there already.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use super::Options;
use super::http::Connection;
use super::kit::{Kit, Process, milliseconds, moment};
use super::table::{Figure, Row};
use crate::stage::free_ports;

/// Between changes: workers of the configuration before end, and queries are held again.
const PAUSE: Duration = Duration::from_millis(150);

/// Once without and once with nginx's judgement of the new file.
pub(super) fn nginx(kit: &Kit, options: &Options) -> Result<Vec<Row>> {
    let mut rows = measure(kit, options, false)?;
    rows.extend(measure(kit, options, true)?);
    Ok(rows)
}

fn measure(kit: &Kit, options: &Options, check: bool) -> Result<Vec<Row>> {
    let (_consul, consul) = kit.consul()?;
    let directory = kit.path(if check { "nginx-checked" } else { "nginx" });
    fs::create_dir_all(&directory).context("cannot make nginx's directory")?;
    let [port] = free_ports()?;
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let (source, file) = (directory.join("nginx.conf.ctmpl"), directory.join("nginx.conf"));
    fs::write(&source, template(&directory, address)).context("cannot write the template")?;
    let mut template =
        json!({ "source": source, "destination": file, "notify": { "job": "nginx", "signal": "SIGHUP" } });
    if check {
        template["check"] = json!(["nginx", "-q", "-t", "-e", "stderr", "-c", "{{.Path}}"]);
    }
    let exec = json!(["nginx", "-e", "stderr", "-c", file, "-g", "daemon off;"]);
    let jobs = json!([{ "name": "nginx", "exec": exec, "main": true }]);
    let config = json!({ "consul": consul.to_string(), "templates": [template], "jobs": jobs });
    let config = kit.config(if check { "nginx-checked" } else { "nginx" }, config)?;
    let mut writer = Connection::open(consul)?;
    writer.put("/v1/kv/answer", "start")?;
    let _supervisor = Process::start(&kit.supervisor(&config))?;
    kit.until("nginx to answer", || ensure_answer(address, "start"))?;
    let text = fs::read_to_string(directory.join("nginx.pid")).context("nginx wrote no pid")?;
    let master = text.trim().parse().ok().and_then(Pid::from_raw).context("nginx wrote no pid")?;
    let (mut ours, mut own) = (Vec::new(), Vec::new());
    let mut before = "start".to_owned();
    for round in 0..options.runs {
        kit.interrupt.pause(PAUSE)?;
        let (now, then) = (format!("ours{round}"), format!("own{round}"));
        let began = moment();
        writer.put("/v1/kv/answer", &now)?;
        ours.push(milliseconds(began, answered(kit, address, &now)?));
        kit.interrupt.pause(PAUSE)?;
        let text = fs::read_to_string(&file).context("there is no nginx.conf")?.replace(&now, &then);
        ensure!(!text.contains(&before), "nginx.conf still has {before}");
        fs::write(directory.join("new"), text).and_then(|()| fs::rename(directory.join("new"), &file))?;
        let began = moment();
        if check {
            let judged = Command::new("nginx").args(["-q", "-t", "-e", "stderr", "-c"]).arg(&file).status();
            ensure!(judged.context("cannot run nginx")?.success(), "nginx refuses its file");
        }
        kill_process(master, Signal::HUP).context("nginx is gone")?;
        own.push(milliseconds(began, answered(kit, address, &then)?));
        before = then;
    }
    let (how, floor) = if check { (", judged by nginx -t", "its own test and reload") } else { ("", "its own reload") };
    let (ours, own) = (Figure::of(ours), Figure::of(own));
    let beyond = Figure::one(ours.median() - own.median());
    Ok(vec![
        Row::new(format!("catalog change -> nginx reloaded{how}"), "ms", ours).beside(own),
        Row::new(format!("the same beyond {floor}"), "ms", beyond).goal(10.0),
    ])
}

fn template(directory: &Path, address: SocketAddr) -> String {
    let directory = directory.display();
    let paths: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("    {kind}_temp_path {directory}/{kind};\n"))
        .concat();
    format!(
        "user root root;\nworker_processes 1;\nerror_log stderr crit;\npid {directory}/nginx.pid;\nevents {{}}\nhttp {{\n    access_log off;\n\
         {paths}    server {{\n        listen {address};\n        location / {{ return 200 '{{{{ key \"answer\" }}}}'; }}\n    }}\n}}\n"
    )
}

/// When nginx first gave this answer.
fn answered(kit: &Kit, address: SocketAddr, expected: &str) -> Result<i64> {
    loop {
        if ask(address).is_ok_and(|answer| answer == expected) {
            return Ok(moment());
        }
        kit.interrupt.check()?;
    }
}

fn ensure_answer(address: SocketAddr, expected: &str) -> Result<()> {
    let answer = ask(address)?;
    ensure!(answer == expected, "nginx answers {answer:?}");
    Ok(())
}

/// One request on a connection of its own: only new connections reach new workers.
fn ask(address: SocketAddr) -> Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default())
}
