//! The part of the model that renders: facts with versions, files with texts, and a disk that can be full or slow.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use pilotfish_supervisor::*;

use crate::model::{Catalog, World};

/// What the disk does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Disk {
    Good,
    Full,
    /// Nothing is answered until it is healed.
    Hangs,
}

/// Facts, files and what is being done about them.
#[derive(Clone)]
pub(crate) struct Desk {
    /// What a template asks, and what it asks beside that once the first answer is an even number.
    pub(crate) asks: BTreeMap<String, (Vec<&'static str>, Option<&'static str>)>,
    /// What the catalog says.
    pub(crate) answers: BTreeMap<String, u64>,
    /// Templates that cannot be rendered.
    pub(crate) broken: BTreeSet<String>,
    pub(crate) disk: Disk,
    /// The agent that answers.
    pub(crate) agent: &'static str,
    /// What is in place, by destination.
    pub(crate) files: BTreeMap<String, String>,
    /// What the core follows: the answer in force and the last one.
    pub(crate) followed: BTreeMap<String, (Option<u64>, Option<u64>)>,
    /// Whether the core was told of the startup.
    pub(crate) started: bool,
    work: BTreeMap<RenderId, Work>,
    late: Vec<Event>,
    latency: Duration,
}

#[derive(Clone)]
struct Work {
    template: String,
    destination: String,
    text: String,
    step: Step,
    /// A reload came in between: the core may have forgotten it.
    stale: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Rendering,
    Staged,
    Committing,
}

impl Desk {
    pub(crate) fn new() -> Desk {
        Desk {
            asks: BTreeMap::new(),
            answers: BTreeMap::new(),
            broken: BTreeSet::new(),
            disk: Disk::Good,
            agent: "10.0.0.1:8500",
            files: BTreeMap::new(),
            followed: BTreeMap::new(),
            started: false,
            work: BTreeMap::new(),
            late: Vec::new(),
            latency: Duration::from_millis(1),
        }
    }

    /// What a template asks now, and its text if nothing is missing.
    pub(crate) fn text(&self, template: &Template) -> (Vec<String>, Vec<String>, String) {
        let (always, then) = self.asks.get(&template.name).cloned().unwrap_or_default();
        let in_force = |fact: &str| self.followed.get(fact).and_then(|(in_force, _)| *in_force);
        let mut asked = always.clone();
        if always.first().and_then(|first| in_force(first)).is_some_and(|version| version % 2 == 0) {
            asked.extend(then);
        }
        let missing: Vec<String> =
            asked.iter().filter(|fact| in_force(fact).is_none()).map(ToString::to_string).collect();
        let versions: Vec<String> =
            asked.iter().map(|fact| format!("{fact}={}", in_force(fact).unwrap_or_default())).collect();
        (asked.iter().map(ToString::to_string).collect(), missing, format!("{}:{}", template.text, versions.join(",")))
    }

    /// What the catalog answers to a question, once it is asked and there is an answer.
    pub(crate) fn answered(&mut self, fact: &str, loses: bool, restarted: bool) -> Option<Event> {
        let version = *self.answers.get(fact)?;
        let (in_force, last) = self.followed.get_mut(fact)?;
        *last = Some(version);
        let news = FactNews { changed: *in_force != Some(version), loses, restarted };
        Some(Event::FactAnswered { fact: fact.into(), agent: Some(self.agent.into()), news })
    }

    /// Performs an effect that is about templates; returns what comes of it and when.
    #[expect(clippy::wildcard_enum_match_arm, reason = "all others are the world's business")]
    pub(crate) fn perform(&mut self, effect: &Effect, spec: &Spec) -> Option<(Duration, Event)> {
        match effect {
            Effect::Follow { fact } => {
                let before = self.followed.insert(fact.clone(), (None, None));
                assert!(before.is_none(), "{fact} is followed twice");
                self.answered(fact, false, false).map(|event| (self.latency, event))
            }
            Effect::Unfollow { fact } => {
                assert!(self.followed.remove(fact).is_some(), "{fact} was not followed");
                None
            }
            Effect::TakeFact { fact } => {
                let (in_force, last) = self.followed.get_mut(fact).expect("what is taken is followed");
                *in_force = *last;
                assert!(in_force.is_some(), "nothing to take of {fact}");
                None
            }
            Effect::Render { render, template } => self.render(*render, template, spec),
            Effect::Commit { render } => self.commit(*render),
            Effect::Discard { render } => {
                let work = self.work.remove(render).expect("what is discarded was staged");
                assert_eq!(work.step, Step::Staged, "discarded");
                None
            }
            other => panic!("{other:?} is not about templates"),
        }
    }

    fn render(&mut self, render: RenderId, name: &str, spec: &Spec) -> Option<(Duration, Event)> {
        let Some(template) = spec.templates.iter().find(|template| template.name == name) else {
            // The same step that asked for it took it out of the config.
            let outcome = RenderOutcome::Refused { reason: "there is no such template".into() };
            return Some((self.latency, Event::Rendered { render, asked: Vec::new(), outcome }));
        };
        let twice = self.work.values().any(|work| work.template == name && !work.stale);
        assert!(!twice, "two renderings of {name} at a time");
        let destination = template.destination.clone();
        let committing = |work: &Work| work.destination == destination && work.step == Step::Committing;
        assert!(!self.work.values().any(committing), "{name} is rendered while its file is being replaced");
        let (asked, missing, text) = self.text(template);
        let outcome = if self.broken.contains(name) {
            RenderOutcome::Refused { reason: "broken".into() }
        } else if !missing.is_empty() {
            RenderOutcome::Waiting { missing }
        } else if self.disk == Disk::Full {
            RenderOutcome::NotWritten { reason: "no space left".into() }
        } else if self.files.get(&destination) == Some(&text) {
            RenderOutcome::Unchanged
        } else {
            let work = Work { template: name.into(), destination, text, step: Step::Rendering, stale: false };
            self.work.insert(render, work);
            RenderOutcome::Staged { path: format!("/beside/{name}") }
        };
        let event = Event::Rendered { render, asked, outcome };
        match self.disk {
            Disk::Hangs => {
                self.late.push(event);
                None
            }
            Disk::Good | Disk::Full => Some((self.latency, event)),
        }
    }

    fn commit(&mut self, render: RenderId) -> Option<(Duration, Event)> {
        let work = self.work.get_mut(&render).expect("what is put in place was staged");
        assert_eq!(work.step, Step::Staged, "put in place");
        work.step = Step::Committing;
        let result = if self.disk == Disk::Full { Err("no space left".into()) } else { Ok(()) };
        let event = Event::Committed { render, result };
        match self.disk {
            Disk::Hangs => {
                self.late.push(event);
                None
            }
            Disk::Good | Disk::Full => Some((self.latency, event)),
        }
    }

    /// Something is about to be told to the core that changes what lies on the disk.
    pub(crate) fn delivered(&mut self, event: &Event) {
        if let Event::Rendered { render, .. } = event
            && let Some(work) = self.work.get_mut(render)
        {
            work.step = Step::Staged;
        }
        if let Event::Committed { render, result } = event {
            let work = self.work.remove(render).expect("it was being put in place");
            if result.is_ok() {
                self.files.insert(work.destination, work.text);
            }
        }
    }

    pub(crate) fn reloaded(&mut self) {
        self.work.values_mut().for_each(|work| work.stale = true);
    }

    /// Everything works from now on; what was not answered yet is.
    pub(crate) fn heal(&mut self) -> Vec<Event> {
        self.disk = Disk::Good;
        let mended = !std::mem::take(&mut self.broken).is_empty();
        let late = std::mem::take(&mut self.late);
        let facts: Vec<String> = self.followed.keys().cloned().collect();
        for fact in &facts {
            let version = self.answers.entry(fact.clone()).or_insert(1);
            // What could not be rendered with one answer is tried with the next.
            *version += 2 * u64::from(mended);
        }
        late.into_iter().chain(facts.iter().filter_map(|fact| self.answered(fact, false, false))).collect()
    }
}

impl World {
    /// Whoever is asked again answers, if there is somebody.
    pub(crate) fn ask_again(&mut self, followed: &Followed) {
        let (Followed::Watch(name) | Followed::Fact(name)) = followed;
        self.tell(format!("ask again {name}"));
        if let Followed::Fact(fact) = followed {
            assert!(self.desk.followed.contains_key(fact), "{fact} is asked again, and is not followed");
            if self.catalog == Catalog::Up
                && let Some(event) = self.desk.answered(fact, false, false)
            {
                self.later(self.latency, event);
            }
        }
    }
}
