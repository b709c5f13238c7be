//! What tests tell the model world, and what they ask of its story.

use pilotfish_supervisor::*;

use super::World;

impl World {
    pub(crate) fn reload(&mut self, ticket: Ticket, spec: Spec) {
        self.next_config = Some(Ok(spec));
        self.event(Event::ReloadRequested { ticket: Some(ticket) });
    }

    pub(crate) fn term(&mut self) {
        self.event(Event::Signalled(Signal::Stop));
    }

    pub(crate) fn view(&mut self, watch: &str, members: &[&str]) {
        self.view_of(watch, members, false);
    }

    pub(crate) fn view_of(&mut self, watch: &str, members: &[&str], restarted: bool) {
        let member = |text: &&str| {
            let (name, definition) = text.split_once('=').unwrap_or((text, ""));
            Member { name: name.to_string(), definition: definition.to_string() }
        };
        let view = View { members: members.iter().map(member).collect(), restarted };
        self.event(Event::Viewed { watch: watch.to_string(), view, agent: self.agent.to_string() });
    }

    /// A question has another answer.
    pub(crate) fn fact(&mut self, name: &str, version: u64) {
        self.fact_of(name, version, false, false);
    }

    pub(crate) fn fact_of(&mut self, name: &str, version: u64, loses: bool, restarted: bool) {
        self.desk.answers.insert(name.into(), version);
        if let Some(event) = self.desk.answered(name, loses, restarted) {
            self.event(event);
        }
    }

    pub(crate) fn told(&self) -> String {
        self.story.iter().map(|(at, text)| format!("{:>8} {text}\n", at.as_millis())).collect()
    }

    /// How often something happened.
    pub(crate) fn count(&self, text: &str) -> usize {
        self.story.iter().filter(|(_, line)| line == text).count()
    }

    /// When something first happened, in milliseconds.
    #[track_caller]
    pub(crate) fn at(&self, text: &str) -> u64 {
        let found = self.story.iter().find(|(_, line)| line == text);
        found.unwrap_or_else(|| panic!("`{text}` did not happen:\n{}", self.told())).0.as_millis() as u64
    }

    /// These happened, first occurrences in this order.
    #[track_caller]
    pub(crate) fn order(&self, texts: &[&str]) {
        let places: Vec<_> =
            texts.iter().map(|text| (self.story.iter().position(|(_, line)| line == text), text)).collect();
        assert!(
            places.iter().all(|(place, _)| place.is_some()) && places.is_sorted(),
            "{places:?} in\n{}",
            self.told()
        );
    }

    pub(crate) fn job(&self, name: &str) -> JobStatus {
        self.supervisor.status(self.now).jobs.into_iter().find(|job| job.name == name).expect("such a job exists")
    }
}
