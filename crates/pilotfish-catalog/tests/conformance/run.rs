//! Runs one script against one server.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use pilotfish_testing::PATIENCE;
use serde_json::Value;

use crate::script::{Action, Body, Condition, Save, Script, Source, Step};
use crate::wire::{Answer, Connection, Request};

/// Time between two looks.
const LOOK: Duration = Duration::from_millis(10);

/// A server that scripts run against.
#[derive(Debug, Clone)]
pub(crate) struct Server {
    pub(crate) http: SocketAddr,
    /// Its own name in the catalog; the same on both, so that answers can be compared.
    pub(crate) node: String,
}

/// What happened at one step.
#[derive(Debug, Clone)]
pub(crate) struct Outcome {
    pub(crate) answer: Answer,
    /// For a blocking query: whether it was held for all of its wait.
    pub(crate) held: Option<bool>,
}

struct Run<'a> {
    server: &'a Server,
    main: Connection,
    variables: BTreeMap<String, String>,
    bytes: BTreeMap<String, Vec<u8>>,
    begun: BTreeMap<String, Begun>,
}

/// A request on a connection of its own.
struct Begun {
    request: Request,
    thread: JoinHandle<std::io::Result<Answer>>,
    patience: Duration,
}

/// Runs the steps in order. An error says which step could not be carried out at all.
pub(crate) fn run(script: &Script, server: &Server) -> Result<Vec<Outcome>, String> {
    let variables = [("NODE", server.node.clone()), ("HTTP", server.http.port().to_string())];
    let mut run = Run {
        server,
        main: Connection::new(server.http),
        variables: variables.map(|(name, value)| (name.to_owned(), value)).into(),
        bytes: BTreeMap::new(),
        begun: BTreeMap::new(),
    };
    let at = |step: &Step, error: String| format!("line {}: {}: {error}", step.line, step.text);
    let mut outcomes = Vec::new();
    for step in &script.steps {
        let outcome = run.step(step).map_err(|error| at(step, error))?;
        outcomes.extend(outcome);
    }
    match run.begun.keys().next() {
        Some(name) => Err(format!("`{}`: nobody waits for the answer on `{name}`", script.title)),
        None => Ok(outcomes),
    }
}

impl Run<'_> {
    fn step(&mut self, step: &Step) -> Result<Option<Outcome>, String> {
        let (request, answer) = match &step.action {
            Action::Begin(name) => {
                self.begin(name, step)?;
                return Ok(None);
            }
            Action::Collect(name) => {
                let begun = self.begun.remove(name).ok_or("nothing was begun there")?;
                wait_up_to(begun.patience, || begun.thread.is_finished());
                if !begun.thread.is_finished() {
                    return Err(format!("no answer within {:?}", begun.patience));
                }
                let answer = begun.thread.join().map_err(|_| "the request panicked")?;
                (begun.request, answer.map_err(|error| error.to_string())?)
            }
            Action::Ask => {
                let request = self.request(step)?;
                let answer = self.ask_until(&request, &step.until)?;
                (request, answer)
            }
        };
        if let Some(index) = answer.header("x-consul-index") {
            self.variables.insert("INDEX".into(), index.to_owned());
        }
        for save in &step.saves {
            self.save(save, &answer)?;
        }
        let held = wait(&request.target).map(|wait| answer.took >= wait);
        Ok(Some(Outcome { answer, held }))
    }

    fn begin(&mut self, name: &str, step: &Step) -> Result<(), String> {
        let request = self.request(step)?;
        let (mut connection, sent) = (Connection::new(self.server.http), request.clone());
        let thread = std::thread::spawn(move || connection.exchange(&sent));
        let patience = PATIENCE + wait(&request.target).unwrap_or_default();
        self.begun.insert(name.to_owned(), Begun { request, thread, patience });
        Ok(())
    }

    fn ask_until(&mut self, request: &Request, conditions: &[Condition]) -> Result<Answer, String> {
        let mut ask = || self.main.exchange(request).map_err(|error| error.to_string());
        if conditions.is_empty() {
            return ask();
        }
        let mut last = ask()?;
        let begun = &self.begun;
        let holds = |answer: &Answer| {
            conditions.iter().all(|condition| match condition {
                Condition::Status(status) => answer.status == *status,
                Condition::Has(text) => answer.text().contains(text),
                Condition::Lacks(text) => !answer.text().contains(text),
                Condition::Answered(name) => begun.get(name).is_some_and(|begun| begun.thread.is_finished()),
            })
        };
        wait_up_to(PATIENCE * 3 / 4, || {
            let done = holds(&last);
            if !done && let Ok(answer) = ask() {
                last = answer;
            }
            done
        });
        if holds(&last) { Ok(last) } else { Err(format!("in vain; at last {} {}", last.status, last.text())) }
    }

    fn request(&self, step: &Step) -> Result<Request, String> {
        let headers = step.headers.iter().map(|(name, value)| Ok((name.clone(), self.expand(value)?)));
        let body = match &step.body {
            Body::Text(text) => self.expand(text)?.into_bytes(),
            Body::Bytes(bytes) => bytes.clone(),
            Body::Saved(name) => self.bytes.get(name).cloned().ok_or("no such bytes were saved")?,
        };
        let headers = headers.collect::<Result<_, String>>()?;
        Ok(Request { method: step.method.clone(), target: self.expand(&step.target)?, headers, body })
    }

    fn save(&mut self, save: &Save, answer: &Answer) -> Result<(), String> {
        let value = match &save.from {
            Source::Bytes => {
                self.bytes.insert(save.name.clone(), answer.body.clone());
                return Ok(());
            }
            Source::Header(name) => answer.header(name).map(str::to_owned),
            Source::Body(pointer) => {
                serde_json::from_slice::<Value>(&answer.body).ok().and_then(|body| text_at(&body, pointer))
            }
        };
        let missing = || format!("nothing to save as {} in {} {}", save.name, answer.status, answer.text());
        self.variables.insert(save.name.clone(), value.ok_or_else(missing)?);
        Ok(())
    }

    /// Replaces `$NAME`, in capitals, by the variable's value.
    fn expand(&self, text: &str) -> Result<String, String> {
        let mut parts = text.split('$');
        let mut expanded = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let end = part.find(|c: char| !c.is_ascii_uppercase() && c != '_').unwrap_or(part.len());
            let (name, rest) = part.split_at(end);
            if name.is_empty() {
                expanded.push('$');
            } else {
                expanded += self.variables.get(name).ok_or_else(|| format!("there is no ${name}"))?;
            }
            expanded += rest;
        }
        Ok(expanded)
    }
}

fn text_at(body: &Value, pointer: &str) -> Option<String> {
    match body.pointer(pointer)? {
        Value::String(text) => Some(text.clone()),
        value @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
            Some(value.to_string())
        }
    }
}

/// Looks until something is so, and gives up after this time.
fn wait_up_to(time: Duration, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while start.elapsed() < time && !is_so() {
        std::thread::park_timeout(LOOK);
    }
}

/// How long a target asks the server to hold the request; nothing when it is no blocking query.
fn wait(target: &str) -> Option<Duration> {
    let query = target.split_once('?')?.1;
    let value = |name: &str| query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
    value("index").or_else(|| value("hash"))?;
    let wait = value("wait")?;
    let milliseconds =
        |unit, scale| wait.strip_suffix(unit).and_then(|n: &str| n.parse::<u64>().ok()).map(|n| n * scale);
    milliseconds("ms", 1).or_else(|| milliseconds("s", 1000)).map(Duration::from_millis)
}
