//! A real Consul and ours, side by side, for one script after the other.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use pilotfish_testing::{Consul, ConsulOptions, Kind, OnlyConsul, wait_until};
use serde_json::Value;

use crate::normal::Normaliser;
use crate::run::{Outcome, Server, run};
use crate::script::{Action, Script, Step, parse};

/// Name of the node of both.
const NODE: &str = "judged";

/// Longest part of a line that a report shows, in bytes.
const EXCERPT: usize = 800;

/// Both servers.
pub(crate) struct Pair {
    real: Consul,
    ours: Consul,
}

/// What is judged: ours, or another real Consul, to see whether a test is worth something. (What differs between two real ones
/// says nothing about ours.)
pub(crate) fn subject() -> Kind {
    match std::env::var("PILOTFISH_TEST_SUBJECT").as_deref() {
        Ok("consul") => Kind::Consul(OnlyConsul::Judge),
        _ => Kind::Embedded,
    }
}

/// One of the two. A real one has its page switched on, as ours always has.
fn start(kind: Kind) -> Consul {
    let extra = match kind {
        Kind::Consul(_) => Some(r#""ui": true"#.to_owned()),
        Kind::AsAsked | Kind::Embedded => None,
    };
    let options = ConsulOptions { kind, node: Some(NODE.into()), production: true, extra, ..ConsulOptions::default() };
    let consul = Consul::start_with(options);
    settle(&consul);
    consul
}

/// Waits until agent and leader have told the catalog all about the node, which they do when they find the time, and then has every
/// table changed at one index: how the indexes of the start relate is nobody's promise.
fn settle(consul: &Consul) {
    wait_until("the agent to be in sync", || {
        let (_, nodes) = consul.request("GET", "/v1/catalog/nodes", "")?;
        let (_, checks) = consul.request("GET", &format!("/v1/health/node/{NODE}"), "")?;
        (nodes.contains("consul-network-segment") && checks.contains("serfHealth")).then_some(())
    });
    let put = |path: &str, body: &str| consul.request("PUT", path, body).expect("it has answered before");
    let (service, check) = (r#"{"Service": "settled"}"#, r#"{"Name": "settled", "Status": "passing"}"#);
    let node = r#""Node": "settled", "Address": "10.0.0.1""#;
    put("/v1/catalog/register", &format!("{{{node}, \"Service\": {service}, \"Check\": {check}}}"));
    put("/v1/catalog/deregister", r#"{"Node": "settled"}"#);
    put("/v1/kv/settled", "1");
    clear(consul);
}

impl Pair {
    /// Starts both.
    pub(crate) fn start() -> Pair {
        let (real, ours) = std::thread::scope(|scope| {
            let real = scope.spawn(|| start(Kind::Consul(OnlyConsul::Judge)));
            let ours = start(subject());
            (real.join().unwrap(), ours)
        });
        Pair { real, ours }
    }

    /// Runs the scripts of a text one after the other, and fails with all differences.
    pub(crate) fn judge(&self, file: &str, text: &str) {
        let chosen = std::env::var("PILOTFISH_TEST_SCRIPT").unwrap_or_default();
        let scripts = parse(text).unwrap_or_else(|error| panic!("{file}: {error}"));
        let mut report = String::new();
        for script in scripts.iter().filter(|script| script.title.contains(&chosen)) {
            for difference in self.differences(script) {
                writeln!(report, "\n{file}:{}: {}\n{difference}", script.line, script.title).unwrap();
            }
        }
        assert!(report.is_empty(), "Consul and ours differ:\n{report}");
    }

    /// Runs a script on both, and leaves both as they were before.
    pub(crate) fn differences(&self, script: &Script) -> Vec<String> {
        let differences = self.compare(script);
        for consul in [&self.real, &self.ours] {
            clear(consul);
        }
        differences
    }

    fn compare(&self, script: &Script) -> Vec<String> {
        let (real, ours) = std::thread::scope(|scope| {
            let real = scope.spawn(|| run(script, &server(&self.real)));
            let ours = run(script, &server(&self.ours));
            (real.join().unwrap(), ours)
        });
        let (real, ours) = match (real, ours) {
            (Ok(real), Ok(ours)) => (real, ours),
            (Err(error), _) => return vec![format!("  a real Consul does not carry out {error}")],
            (Ok(_), Err(error)) => return vec![format!("  ours does not carry out {error}")],
        };
        let answered = script.steps.iter().filter(|step| !matches!(step.action, Action::Begin(_)));
        let targets = answered.clone().map(|step| target(script, step).to_owned());
        let (mut of_real, mut of_ours) = (Normaliser::new(), Normaliser::new());
        let (mut differences, mut seen) = (Vec::new(), Seen::default());
        for ((step, target), (real, ours)) in answered.zip(targets).zip(real.iter().zip(&ours)) {
            let left = told(&mut of_real, &self.real, step, &target, real);
            let right = told(&mut of_ours, &self.ours, step, &target, ours);
            if std::env::var_os("PILOTFISH_TEST_SHOW").is_some() {
                eprintln!("--- {} {}\n{left}\n", step.line, step.text);
            }
            differences.extend(verdict(step, &left, &right));
            differences.extend(seen.lost(step, &target, ours));
        }
        differences
    }
}

/// The last answer of ours to each target: its index and body.
#[derive(Default)]
struct Seen(BTreeMap<String, (String, Vec<u8>)>);

impl Seen {
    /// A change that nobody would have been woken for.
    fn lost(&mut self, step: &Step, target: &str, outcome: &Outcome) -> Option<String> {
        let index = outcome.answer.header("x-consul-index")?.to_owned();
        let now = (index, outcome.answer.body.clone());
        let before = self.0.insert(target.to_owned(), now.clone())?;
        let lost = before.0 == now.0 && before.1 != now.1;
        let text =
            format!("  line {}: {}\n    ours has another answer with the same index {}", step.line, step.text, now.0);
        lost.then_some(text)
    }
}

fn verdict(step: &Step, real: &str, ours: &str) -> Option<String> {
    let head = format!("  line {}: {}", step.line, step.text);
    match &step.compare.accepted {
        Some(name) => {
            (real == ours).then(|| format!("{head}\n    is no longer different: `accepted {name}` has to go"))
        }
        None => (real != ours).then(|| format!("{head}\n{}", beside(real, ours))),
    }
}

/// Lines that both have once, the others with who has them.
fn beside(real: &str, ours: &str) -> String {
    let mut text = String::new();
    let differ = real.bytes().zip(ours.bytes()).take_while(|(one, other)| one == other).count();
    for (who, told, other) in [("real:", real, ours), ("ours:", ours, real)] {
        let mut start = 0;
        for line in told.lines() {
            let common = other.lines().any(|known| known == line);
            if !common {
                writeln!(text, "    {who} {}", excerpt(line, differ.saturating_sub(start))).unwrap();
            } else if who == "real:" {
                writeln!(text, "          {}", excerpt(line, 0)).unwrap();
            }
            start += line.len() + 1;
        }
    }
    if real.trim_end() == ours.trim_end() {
        text += "    (only the white space at the end differs)\n";
    }
    text
}

/// A line, or the part of a long one around what matters.
fn excerpt(line: &str, at: usize) -> String {
    if line.len() <= EXCERPT {
        return line.to_owned();
    }
    let boundary = |mut at: usize| {
        while !line.is_char_boundary(at) {
            at -= 1;
        }
        at
    };
    let start = boundary(at.min(line.len()).saturating_sub(EXCERPT / 2));
    let end = boundary((start + EXCERPT).min(line.len()));
    format!("[{start} bytes] {} [{} bytes]", &line[start..end], line.len() - end)
}

/// The target of a step; that of the beginning for one that collects.
fn target<'a>(script: &'a Script, step: &'a Step) -> &'a str {
    match &step.action {
        Action::Ask | Action::Begin(_) => &step.target,
        Action::Collect(name) => {
            let begun = |other: &&Step| other.line < step.line && other.action == Action::Begin(name.clone());
            script.steps.iter().rev().find(begun).map_or("", |begin| &begin.target)
        }
    }
}

fn server(consul: &Consul) -> Server {
    Server { http: consul.http(), node: consul.node() }
}

fn told(normaliser: &mut Normaliser, consul: &Consul, step: &Step, target: &str, outcome: &Outcome) -> String {
    let ports = [(consul.http().port(), "<http>")];
    normaliser.answer(outcome, target, &step.compare, &ports)
}

/// Removes whatever a script has left, so that the next one finds both servers alike.
fn clear(consul: &Consul) {
    let ask = |method: &str, path: &str, body: &str| {
        consul.request(method, path, body).map(|(_, body)| body).unwrap_or_default()
    };
    let json = |path: &str| serde_json::from_str::<Value>(&ask("GET", path, "")).unwrap_or_default();
    let keys = |value: &Value| value.as_object().map(|map| map.keys().cloned().collect::<Vec<_>>()).unwrap_or_default();
    ask("PUT", "/v1/agent/maintenance?enable=false", "");
    for id in keys(&json("/v1/agent/services")) {
        ask("PUT", &format!("/v1/agent/service/deregister/{}", escaped(&id)), "");
    }
    for id in keys(&json("/v1/agent/checks")) {
        ask("PUT", &format!("/v1/agent/check/deregister/{}", escaped(&id)), "");
    }
    for session in json("/v1/session/list").as_array().into_iter().flatten() {
        ask("PUT", &format!("/v1/session/destroy/{}", session["ID"].as_str().unwrap_or_default()), "");
    }
    ask("DELETE", "/v1/kv/?recurse", "");
    let nodes = json("/v1/catalog/nodes");
    let others =
        nodes.as_array().into_iter().flatten().filter_map(|node| node["Node"].as_str()).filter(|node| *node != NODE);
    for node in others {
        ask("PUT", "/v1/catalog/deregister", &serde_json::json!({ "Node": node }).to_string());
    }
    wait_until("an empty catalog", || {
        let services = keys(&json("/v1/catalog/services"));
        let checks = json("/v1/health/state/any");
        let left = checks.as_array()?.iter().filter(|check| check["CheckID"] != "serfHealth").count();
        (services == ["consul"] && left == 0).then_some(())
    });
}

/// A path segment.
fn escaped(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// The pair that the scripts share, one script at a time. It ends with the last test thread that has asked for it.
pub(crate) fn shared() -> Arc<Mutex<Pair>> {
    static SHARED: Mutex<Weak<Mutex<Pair>>> = Mutex::new(Weak::new());
    thread_local!(static KEPT: OnceCell<Arc<Mutex<Pair>>> = const { OnceCell::new() });
    let share = || {
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        shared.upgrade().unwrap_or_else(|| {
            let pair = Arc::new(Mutex::new(Pair::start()));
            *shared = Arc::downgrade(&pair);
            pair
        })
    };
    KEPT.with(|kept| kept.get_or_init(share).clone())
}
