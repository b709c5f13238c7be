//! Carries out what the state machine asks about templates: follows questions, renders, has files written. It chooses nothing.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    io::Write as _,
    sync::Arc,
};

use pilotfish_config::Config;
use pilotfish_consul::Client;
use pilotfish_supervisor::{Event, FactNews, RenderId, RenderOutcome, Template};
use pilotfish_template::{
    Facts, Functions, Limits, MissingKey, Query, RenderOptions, Value, catalog::Question, catalog_functions,
};
use tokio::{sync::Notify, task::AbortHandle};

use super::{
    catalog::{Homes, known},
    files::Files,
    inbox::{Message, Sender},
    panics::called,
};
use crate::templates::{
    facts,
    follow::{Answer, Found, Told, follow},
    replace::{Destination, Staged, clean, stage},
};

/// Work that one rendering may do, in steps of the engine: about half a second, for which the loop stands still. A template that lists
/// 10,000 instances takes a twentieth of it.
const STEPS: u64 = 5_000_000;

/// The longest file that is rendered, in bytes.
const OUTPUT_BYTES: usize = 16 << 20;

/// Templates, what they ask, and the files that are being written.
pub(super) struct Rendering {
    inbox: Sender,
    homes: Homes,
    dry: bool,
    files: Files,
    functions: Functions,
    templates: BTreeMap<String, Prepared>,
    /// The answers in force.
    facts: Facts,
    /// The environment, which is a template's dot.
    variables: Value,
    following: BTreeMap<String, Following>,
    next_term: u64,
    staged: HashMap<RenderId, Staged>,
}

/// A template that is ready to be rendered.
struct Prepared {
    spec: Template,
    parsed: Result<pilotfish_template::Template, String>,
    /// What a predecessor may have left beside the file was looked for.
    cleaned: bool,
}

/// A question that is followed.
struct Following {
    query: Query,
    term: u64,
    task: AbortHandle,
    /// Has it ask anew.
    again: Arc<Notify>,
    in_force: Option<Value>,
    /// A later answer that differs, and is not in force yet.
    last: Option<Value>,
}

/// What one rendering gave, before it is written.
struct Rendered {
    asked: Vec<String>,
    outcome: Result<String, RenderOutcome>,
}

impl Rendering {
    /// Agents that answer are remembered in `homes`; `dry` has everything printed instead of written.
    pub(super) fn new(inbox: Sender, homes: Homes, dry: bool) -> Rendering {
        Rendering {
            homes,
            dry,
            files: Files::new(inbox.clone()),
            inbox,
            functions: catalog_functions(),
            templates: BTreeMap::new(),
            facts: Facts::default(),
            variables: Value::Nil,
            following: BTreeMap::new(),
            next_term: 0,
            staged: HashMap::new(),
        }
    }

    /// Follows a new config; `variables` is the environment that it was rendered with.
    pub(super) fn configure(&mut self, config: &Config, variables: &BTreeMap<String, String>) {
        if config.spec.templates.is_empty() {
            self.templates.clear();
            return;
        }
        let mut before = std::mem::take(&mut self.templates);
        for spec in &config.spec.templates {
            let prepared = match before.remove(&spec.name) {
                Some(prepared) if prepared.spec == *spec => prepared,
                Some(_) | None => self.prepare(spec.clone()),
            };
            self.templates.insert(spec.name.clone(), prepared);
        }
        self.facts = self.facts_of(variables);
        self.variables = Value::string_map(variables.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    }

    /// What is known without asking anybody, and the answers in force.
    fn facts_of(&self, variables: &BTreeMap<String, String>) -> Facts {
        let mut known = Facts::from_environment(variables);
        for following in self.following.values() {
            if let Some(value) = &following.in_force {
                known.answer(&following.query, value.clone());
            }
        }
        known
    }

    fn prepare(&self, spec: Template) -> Prepared {
        let name = spec.source.as_deref().unwrap_or(&spec.name);
        let parsed = pilotfish_template::Template::parse(name, &spec.text, &self.functions);
        Prepared { parsed: parsed.map_err(|error| error.to_string()), spec, cleaned: false }
    }

    /// Begins to ask a question.
    pub(super) fn follow(&mut self, fact: String, client: Option<Client>) {
        let query = query_of(&fact);
        let (term, task, again) = self.ask(&fact, &query, client);
        let following = Following { query, term, task, again, in_force: None, last: None };
        if let Some(before) = self.following.insert(fact, following) {
            before.task.abort();
        }
    }

    /// Asks until it is aborted; the number of this asking, and what has it ask anew.
    fn ask(&mut self, fact: &str, query: &Query, client: Option<Client>) -> (u64, AbortHandle, Arc<Notify>) {
        self.next_term += 1;
        let told = Told { fact: fact.to_owned(), term: self.next_term, inbox: self.inbox.clone() };
        let again = Arc::new(Notify::new());
        let task = tokio::spawn(follow(client, query.clone(), told, again.clone())).abort_handle();
        (self.next_term, task, again)
    }

    /// Has a question asked anew: whoever was asked may hang.
    pub(super) fn ask_again(&self, fact: &str) {
        if let Some(following) = self.following.get(fact) {
            following.again.notify_one();
        }
    }

    /// Stops asking, and forgets the answer.
    pub(super) fn unfollow(&mut self, fact: &str) {
        if let Some(following) = self.following.remove(fact) {
            following.task.abort();
            self.facts.remove(&following.query);
        }
    }

    /// Asks everything again at another catalog; until that answers, the answers in force stay.
    pub(super) fn follow_again(&mut self, client: Option<&Client>) {
        let mut all = std::mem::take(&mut self.following);
        for (fact, following) in &mut all {
            following.task.abort();
            (following.term, following.task, following.again) = self.ask(fact, &following.query, client.cloned());
        }
        self.following = all;
    }

    /// What a question found, for the state machine to judge.
    pub(super) fn found(&mut self, fact: String, term: u64, found: Result<Found, String>) -> Option<Event> {
        let following = self.following.get_mut(&fact).filter(|following| following.term == term)?;
        let Found { value: Answer { value, endpoint }, restarted } = match found {
            Ok(found) => found,
            Err(reason) => return Some(Event::FactFailed { fact, reason }),
        };
        let in_force = following.in_force.as_ref();
        let changed = in_force.is_none_or(|in_force| !facts::is_same(in_force, &value));
        let loses = changed && in_force.is_some_and(|in_force| facts::loses(in_force, &value));
        following.last = changed.then_some(value);
        let agent = endpoint.map(|endpoint| known(&self.homes, endpoint));
        Some(Event::FactAnswered { fact, agent, news: FactNews { changed, loses, restarted } })
    }

    /// The last answer is in force.
    pub(super) fn take(&mut self, fact: &str) {
        if let Some(following) = self.following.get_mut(fact)
            && let Some(value) = following.last.take()
        {
            self.facts.answer(&following.query, value.clone());
            following.in_force = Some(value);
        }
    }

    /// Renders a template and has it written; says at once if there is nothing to write.
    pub(super) fn render(&mut self, render: RenderId, template: &str) -> Option<Event> {
        let rendered = self.rendered(template);
        let asked = rendered.asked;
        let text = match rendered.outcome {
            Ok(text) => text,
            Err(outcome) => return Some(Event::Rendered { render, asked, outcome }),
        };
        let prepared = self.templates.get_mut(template)?;
        let destination = Destination::of(&prepared.spec);
        let cleaned = std::mem::replace(&mut prepared.cleaned, true);
        let (answer, dry) = (asked.clone(), self.dry);
        let work = move |tell: &dyn Fn(Message)| {
            if !cleaned && !dry {
                clean(&destination);
            }
            let write = || if dry { print(&destination, &text) } else { stage(&destination, &text) };
            let staged = called(write).unwrap_or_else(|panicked| Err(panicked.to_string()));
            tell(Message::Staged { render, asked, staged });
        };
        let refused = self.files.work(work).err()?;
        Some(Event::Rendered { render, asked: answer, outcome: RenderOutcome::NotWritten { reason: refused } })
    }

    fn rendered(&mut self, template: &str) -> Rendered {
        let refused = |reason: String| Err(RenderOutcome::Refused { reason });
        let Some(prepared) = self.templates.get(template) else {
            return Rendered { asked: Vec::new(), outcome: refused("there is no such template".to_owned()) };
        };
        let parsed = match &prepared.parsed {
            Ok(parsed) => parsed,
            Err(reason) => return Rendered { asked: Vec::new(), outcome: refused(reason.clone()) },
        };
        self.facts.forget_questions();
        let time = Question::Time.to_query();
        if let Some(now) = facts::local(&time) {
            self.facts.answer(&time, now);
        }
        let options = RenderOptions {
            missing_key: if prepared.spec.strict { MissingKey::Error } else { MissingKey::Zero },
            limits: Limits { steps: STEPS, output_bytes: OUTPUT_BYTES, ..Limits::default() },
        };
        let interfaces = Question::Interfaces.to_query();
        self.facts.remove(&interfaces);
        let mut result = called(|| parsed.render(&self.variables, &mut self.facts, &options));
        // What few templates ask is looked up when one does.
        if self.facts.missing().contains(&interfaces)
            && let Some(addresses) = facts::local(&interfaces)
        {
            self.facts.forget_questions();
            self.facts.answer(&interfaces, addresses);
            result = called(|| parsed.render(&self.variables, &mut self.facts, &options));
        }
        let mut missing = BTreeSet::new();
        missing.extend(self.facts.missing().iter().chain(self.facts.blocking()));
        let asked = self.facts.used().iter().chain(self.facts.missing());
        let asked = asked.filter(|query| facts::is_followed(query)).map(facts::name).collect();
        let missing: Vec<String> =
            missing.into_iter().filter(|query| facts::is_followed(query)).map(facts::name).collect();
        let outcome = match result {
            Err(panicked) => refused(panicked.to_string()),
            // What went wrong may be right once everything has an answer.
            Ok(_) if !missing.is_empty() => Err(RenderOutcome::Waiting { missing }),
            Ok(Err(error)) => refused(error.to_string()),
            Ok(Ok(output)) => Ok(output.text),
        };
        Rendered { asked, outcome }
    }

    /// A new file was written beside the one in place, or not.
    pub(super) fn staged(
        &mut self,
        render: RenderId,
        asked: Vec<String>,
        staged: Result<Option<Staged>, String>,
    ) -> Event {
        let outcome = match staged {
            Ok(None) => RenderOutcome::Unchanged,
            Err(reason) => RenderOutcome::NotWritten { reason },
            Ok(Some(staged)) => {
                let path = staged.path().to_string_lossy().into_owned();
                self.staged.insert(render, staged);
                RenderOutcome::Staged { path }
            }
        };
        Event::Rendered { render, asked, outcome }
    }

    /// Puts a new file in place.
    pub(super) fn commit(&mut self, render: RenderId) -> Option<Event> {
        let staged = self.staged.remove(&render)?;
        let work = move |tell: &dyn Fn(Message)| match called(|| staged.commit())
            .unwrap_or_else(|panicked| Err(panicked.to_string()))
        {
            Ok(in_place) => {
                tell(Message::Event(Event::Committed { render, result: Ok(()) }));
                in_place.sync();
            }
            Err(reason) => tell(Message::Event(Event::Committed { render, result: Err(reason) })),
        };
        let refused = self.files.work(work).err()?;
        Some(Event::Committed { render, result: Err(refused) })
    }

    /// Removes a new file.
    pub(super) fn discard(&mut self, render: RenderId) {
        let Some(staged) = self.staged.remove(&render) else { return };
        // If nobody has time for it, it is removed here, by being dropped.
        let _ = self.files.work(move |_| staged.discard());
    }

    /// A piece of work on files is over.
    pub(super) fn filed(&mut self) {
        self.files.done();
    }
}

/// Prints what would be written.
fn print(destination: &Destination, text: &str) -> Result<Option<Staged>, String> {
    let mut out = std::io::stdout().lock();
    let printed = write!(out, "> {}\n{text}", destination.path.display()).and_then(|()| out.flush());
    printed.map(|()| None).map_err(|error| format!("cannot write to standard output: {error}"))
}

/// The question of a name that [`facts::name`] has given it.
fn query_of(fact: &str) -> Query {
    let (source, name) = fact.split_once(' ').unwrap_or((fact, ""));
    Query { source: source.to_owned(), name: name.to_owned() }
}
