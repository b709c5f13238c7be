//! All templates together: what they ask, and what each of them is told.

use alloc::{
    collections::BTreeSet,
    format,
    string::{String, ToString},
    vec::Vec,
};

use crate::{
    event::{Effect, FactNews},
    facts::Facts,
    spec::Spec,
    supervisor::Supervisor,
    template::{RenderId, RenderOutcome, TEMPLATE_FACTS},
    templating::{Placed, Templating},
};

impl Supervisor {
    pub(crate) fn fact_answered(&mut self, fact: &str, agent: Option<String>, news: FactNews) {
        if let Some(agent) = &agent {
            self.lives(agent);
        }
        if self.facts.answered(&mut self.out, fact, agent, news) {
            self.fact_changed(fact);
        }
    }

    fn fact_changed(&mut self, fact: &str) {
        for template in self.templates.iter_mut().filter(|template| template.asked.contains(fact)) {
            template.changed(&mut self.out);
        }
    }

    pub(crate) fn rendered(&mut self, render: RenderId, asked: Vec<String>, outcome: RenderOutcome) {
        let Some(index) = self.templates.iter().position(|template| template.is_rendering(render)) else {
            // It was asked for by a template that is gone or defined anew.
            return self.discard(render, &outcome);
        };
        let mut all = BTreeSet::new();
        all.extend(asked);
        if let RenderOutcome::Refused { .. } = outcome {
            // What lies behind the mistake was not asked this time.
            all.extend(core::mem::take(&mut self.templates[index].asked));
        }
        let before = core::mem::replace(&mut self.templates[index].asked, all);
        let outcome = match self.follow_what_is_asked() {
            Ok(()) => outcome,
            Err(reason) => {
                self.discard(render, &outcome);
                self.templates[index].asked = before;
                RenderOutcome::Refused { reason }
            }
        };
        let template = &mut self.templates[index];
        if self.facts.changed_since(render, template.asked.iter()) {
            template.changed(&mut self.out);
        }
        if template.rendered(&mut self.out, render, outcome, self.held.is_some()) == Placed::Changed {
            self.react(index);
        }
    }

    /// Follows exactly what the templates ask, unless that is too much.
    fn follow_what_is_asked(&mut self) -> Result<(), String> {
        let mut asked = BTreeSet::new();
        asked.extend(self.templates.iter().flat_map(|template| &template.asked).map(String::as_str));
        if asked.len() > TEMPLATE_FACTS {
            return Err(too_many(asked.len()));
        }
        self.facts.follow(&mut self.out, &asked);
        Ok(())
    }

    fn discard(&mut self, render: RenderId, outcome: &RenderOutcome) {
        match outcome {
            RenderOutcome::Staged { .. } => self.out.push(Effect::Discard { render }),
            RenderOutcome::Waiting { .. }
            | RenderOutcome::Unchanged
            | RenderOutcome::Refused { .. }
            | RenderOutcome::NotWritten { .. } => {}
        }
    }

    pub(crate) fn committed(&mut self, render: RenderId, result: &Result<(), String>) {
        let held = self.held.is_some();
        for index in 0..self.templates.len() {
            let placed = self.templates[index].committed(&mut self.out, render, result.clone(), held);
            if placed == Placed::Changed {
                self.react(index);
            }
        }
    }

    /// Tells the processes that read the file.
    fn react(&mut self, index: usize) {
        for notify in &self.templates[index].spec.notify {
            if let Some(job) = self.jobs.iter_mut().find(|job| job.name() == notify.job) {
                job.react(&mut self.out, notify.reaction, self.spec.stop_timeout);
            }
        }
    }

    pub(crate) fn templates_time_passed(&mut self) {
        for fact in self.facts.time_passed(&mut self.out) {
            self.fact_changed(&fact);
        }
        for template in &mut self.templates {
            template.time_passed(&mut self.out);
        }
    }

    /// No file is rendered any more; what is being put in place still is.
    pub(crate) fn stop_templates(&mut self) {
        for mut template in self.templates.drain(..) {
            template.abandon(&mut self.out);
        }
        self.facts.follow(&mut self.out, &BTreeSet::new());
    }

    /// Touches what differs, as a reload does; removed templates leave their files alone.
    pub(crate) fn change_templates(&mut self, spec: &Spec, touched: &mut Vec<String>) {
        let mut before = core::mem::take(&mut self.templates);
        for new in &spec.templates {
            let old =
                before.iter().position(|template| template.spec.name == new.name).map(|index| before.remove(index));
            self.templates.push(match old {
                Some(old) if old.spec == *new => old,
                old => {
                    touched.push(format!("template.{}", new.name));
                    self.history.forget_template(&new.name);
                    match old {
                        Some(old) => old.redefined(&mut self.out, new.clone()),
                        None => Templating::new(new.clone(), self.out.now),
                    }
                }
            });
        }
        for mut gone in before {
            touched.push(format!("template.{}", gone.spec.name));
            self.history.forget_template(&gone.spec.name);
            let heirs = &mut self.templates;
            let heir = heirs.iter_mut().find(|template| template.spec.destination == gone.spec.destination);
            gone.bequeath(&mut self.out, heir);
        }
        // Fewer templates ask no more than before.
        let _ = self.follow_what_is_asked();
        for template in &mut self.templates {
            template.time_passed(&mut self.out);
        }
    }
}

impl Templating {
    /// Why its file is not there yet, or not what it is to be.
    pub(crate) fn obstacle(&self, facts: &Facts) -> String {
        if let Some(reason) = &self.failing {
            return reason.clone();
        }
        let unanswered = self.missing.iter().map(|fact| match facts.get(fact).and_then(|fact| fact.failing.as_ref()) {
            Some(reason) => format!("{fact} ({reason})"),
            None => fact.clone(),
        });
        match self.missing.is_empty() {
            true => "it is being rendered".to_string(),
            false => format!("no answer yet to {}", unanswered.collect::<Vec<_>>().join(", ")),
        }
    }
}

fn too_many(asked: usize) -> String {
    format!(
        "the templates ask {asked} questions; all together may ask {TEMPLATE_FACTS}, because each holds a connection"
    )
}
