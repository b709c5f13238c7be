//! One template: when it is rendered, whether what came out replaces the file, and what follows from that.
//!
//! ```text
//!         changed       its time               staged            passed                in place
//!   Idle ---------> Due --------> Rendering -----------> Checking -----> Committing ------------> Idle, told if it changed
//!    ^                              |    '---- without a check -------------^   |
//!    |-- missing, same, refused ----'                |                          |
//!    '-------- a change ----------- Retry <----------'------- failed -----------'
//! ```
//!
//! A change that comes while a rendering is under way is kept, and another rendering follows: the last state is always rendered.

use alloc::{
    collections::BTreeSet,
    format,
    string::{String, ToString},
    vec::Vec,
};
use core::time::Duration;

use crate::{
    event::{Effect, Exit, Label, Notice, RunId, RunKind},
    execution::Execution,
    facts::Facts,
    output::Output,
    spec::{Occurrence, Process},
    status::{TemplateState, TemplateStatus},
    template::{NEW_FILE, RenderId, RenderOutcome, Template, TemplateCheck},
    time::Time,
};

/// The wait after the first failure to write or check a file; it doubles with each further one.
const FIRST_RETRY: Duration = Duration::from_secs(1);

/// The longest such wait.
const LONGEST_RETRY: Duration = Duration::from_secs(60);

/// The state of one template.
#[derive(Clone, Debug)]
pub(crate) struct Templating {
    pub(crate) spec: Template,
    activity: Activity,
    /// Something changed while a rendering was under way.
    again: bool,
    /// A rendering of the same file under an earlier definition is being put in place; nothing is rendered before that is over.
    predecessor: Option<RenderId>,
    /// The file was replaced under an earlier definition, and nobody was told yet.
    untold: bool,
    pub(crate) asked: BTreeSet<String>,
    pub(crate) missing: Vec<String>,
    pub(crate) failing: Option<String>,
    /// When the file was last known to be what the template and the answers say; `None`: it never was.
    pub(crate) in_place: Option<Time>,
    pub(crate) renders: u64,
    pub(crate) changes: u64,
    failures_in_row: u32,
}

/// What is being done about a template.
#[derive(Clone, Debug)]
enum Activity {
    /// Nothing: what it asks has not changed.
    Idle,
    /// It will be rendered. The splay is thrown once, with the first change.
    Due { first: Time, splay: Duration, at: Time },
    /// It could not be put in place, and will be rendered once more.
    Retry { at: Time },
    /// It is being rendered, and what came out is written beside the file.
    Rendering(RenderId),
    /// The new file is judged.
    Checking(RenderId, Execution),
    /// The new file is being put in place.
    Committing(RenderId),
}

/// What became of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Placed {
    /// It has changed, and whoever reads it is to be told.
    Changed,
    /// There is nothing to be told.
    Quiet,
}

impl Templating {
    /// A template that is to be rendered at once.
    pub(crate) fn new(spec: Template, now: Time) -> Templating {
        Templating {
            spec,
            activity: Activity::Due { first: now, splay: Duration::ZERO, at: now },
            again: false,
            predecessor: None,
            untold: false,
            asked: BTreeSet::new(),
            missing: Vec::new(),
            failing: None,
            in_place: None,
            renders: 0,
            changes: 0,
            failures_in_row: 0,
        }
    }

    /// The same template under a new definition, which is rendered at once.
    pub(crate) fn redefined(mut self, out: &mut Output, spec: Template) -> Templating {
        let predecessor = self.abandon(out).or(self.predecessor);
        // What was asked is asked on until the new definition has said what it asks: most of it is the same.
        let asked = core::mem::take(&mut self.asked);
        let (renders, changes, untold) = (self.renders, self.changes, self.untold);
        Templating { predecessor, untold, asked, renders, changes, ..Templating::new(spec, out.now) }
    }

    /// Nothing more is done about it; whoever writes the same file under another name waits for what is still being put in place.
    pub(crate) fn bequeath(&mut self, out: &mut Output, heir: Option<&mut Templating>) {
        let left = self.abandon(out).or(self.predecessor);
        if let Some(heir) = heir {
            heir.predecessor = heir.predecessor.or(left);
            heir.untold |= self.untold;
        }
    }

    /// Nothing more is done about it; says which rendering is still being put in place.
    pub(crate) fn abandon(&mut self, out: &mut Output) -> Option<RenderId> {
        match core::mem::replace(&mut self.activity, Activity::Idle) {
            Activity::Checking(render, mut execution) => {
                execution.kill(out);
                out.push(Effect::Discard { render });
                None
            }
            Activity::Committing(render) => Some(render),
            Activity::Idle | Activity::Due { .. } | Activity::Retry { .. } | Activity::Rendering(_) => None,
        }
    }

    /// Something that it asks has another answer.
    pub(crate) fn changed(&mut self, out: &mut Output) {
        let (first, splay) = match self.activity {
            Activity::Idle | Activity::Retry { .. } => {
                self.failures_in_row = 0;
                (out.now, self.splay(out))
            }
            Activity::Due { first, splay, .. } => (first, splay),
            Activity::Rendering(_) | Activity::Checking(..) | Activity::Committing(_) => {
                self.again = true;
                return;
            }
        };
        let quiet_at = match &self.spec.wait {
            Some(wait) if self.in_place.is_some() => out.now.after(wait.min).min(first.after(wait.max)),
            Some(_) | None => first,
        };
        self.activity = Activity::Due { first, splay, at: quiet_at.after(splay) };
    }

    /// A file that was never there is not kept waiting.
    fn splay(&self, out: &mut Output) -> Duration {
        match (self.in_place, self.spec.splay.as_nanos() as u64) {
            (None, _) | (_, 0) => Duration::ZERO,
            (Some(_), most) => Duration::from_nanos(out.random() % most),
        }
    }

    pub(crate) fn deadline(&self) -> Option<Time> {
        match &self.activity {
            Activity::Due { at, .. } | Activity::Retry { at } if self.predecessor.is_none() => Some(*at),
            Activity::Checking(_, execution) => execution.deadline(),
            Activity::Due { .. }
            | Activity::Retry { .. }
            | Activity::Idle
            | Activity::Rendering(_)
            | Activity::Committing(_) => None,
        }
    }

    /// Does what is due.
    pub(crate) fn time_passed(&mut self, out: &mut Output) {
        match &mut self.activity {
            Activity::Due { at, .. } | Activity::Retry { at } if *at <= out.now && self.predecessor.is_none() => {
                self.render(out);
            }
            Activity::Checking(_, execution) => {
                // A check that outlives SIGKILL is waited for no longer.
                if let Some(exit) = execution.time_passed(out, true) {
                    self.checked(out, exit);
                }
            }
            Activity::Due { .. }
            | Activity::Retry { .. }
            | Activity::Idle
            | Activity::Rendering(_)
            | Activity::Committing(_) => {}
        }
    }

    fn render(&mut self, out: &mut Output) {
        let render = out.next_run();
        self.renders += 1;
        self.again = false;
        self.activity = Activity::Rendering(render);
        out.push(Effect::Render { render, template: self.spec.name.clone() });
    }

    pub(crate) fn is_rendering(&self, render: RenderId) -> bool {
        matches!(self.activity, Activity::Rendering(current) if current == render)
    }

    /// It was rendered, and what it asks is followed.
    pub(crate) fn rendered(
        &mut self,
        out: &mut Output,
        render: RenderId,
        outcome: RenderOutcome,
        held: bool,
    ) -> Placed {
        self.missing.clear();
        match outcome {
            RenderOutcome::Waiting { missing } => {
                self.missing = missing;
                self.rest(out);
            }
            RenderOutcome::Unchanged => {
                out.notice(Notice::TemplateUnchanged { template: self.spec.name.clone() });
                self.placed(out);
                if self.untold {
                    return self.tell(out, held);
                }
            }
            RenderOutcome::Refused { reason } => {
                self.fail(out, reason);
                self.rest(out);
            }
            RenderOutcome::NotWritten { reason } => self.retry(out, reason),
            RenderOutcome::Staged { path } => match &self.spec.check {
                Some(check) => {
                    let process = judge(check, &path);
                    let label = Label { job: self.spec.name.clone(), kind: RunKind::TemplateCheck };
                    let execution = Execution::spawn(out, label, &process, Some(check.timeout));
                    self.activity = Activity::Checking(render, execution);
                }
                None => self.commit(out, render),
            },
        }
        Placed::Quiet
    }

    fn commit(&mut self, out: &mut Output, render: RenderId) {
        self.activity = Activity::Committing(render);
        out.push(Effect::Commit { render });
    }

    pub(crate) fn owns(&self, run: RunId) -> bool {
        matches!(&self.activity, Activity::Checking(_, execution) if execution.run == run)
    }

    pub(crate) fn check_spawned(&mut self, pid: u32) {
        if let Activity::Checking(_, execution) = &mut self.activity {
            execution.pid = Some(pid);
        }
    }

    pub(crate) fn check_not_spawned(&mut self, out: &mut Output, reason: String) {
        match &self.activity {
            Activity::Checking(_, execution) if execution.pid.is_none() => self.judged(out, Err(reason)),
            Activity::Checking(..)
            | Activity::Idle
            | Activity::Due { .. }
            | Activity::Retry { .. }
            | Activity::Rendering(_)
            | Activity::Committing(_) => {}
        }
    }

    pub(crate) fn check_exited(&mut self, out: &mut Output, exit: Exit, survivors: bool) {
        if let Activity::Checking(_, execution) = &mut self.activity
            && let Some(exit) = execution.exited(out, exit, survivors)
        {
            self.checked(out, exit);
        }
    }

    pub(crate) fn check_vacated(&mut self, out: &mut Output) {
        if let Activity::Checking(_, execution) = &mut self.activity
            && let Some(exit) = execution.vacated()
        {
            self.checked(out, exit);
        }
    }

    fn checked(&mut self, out: &mut Output, exit: Exit) {
        let Activity::Checking(_, execution) = &self.activity else { return };
        let verdict = match execution.report(out, exit) {
            Exit::Code(0) => Ok(()),
            Exit::Code(code) => Err(format!("exited with code {code}")),
            Exit::Signal(signal) => Err(format!("was killed by signal {signal}")),
            Exit::OutOfMemory => Err("was killed for want of memory".to_string()),
        };
        self.judged(out, verdict);
    }

    fn judged(&mut self, out: &mut Output, verdict: Result<(), String>) {
        let Activity::Checking(render, _) = self.activity else { return };
        match verdict {
            Ok(()) => self.commit(out, render),
            Err(reason) => {
                out.push(Effect::Discard { render });
                // What the check says is found in the log; the same file may pass later, when a name resolves or another file is there.
                self.retry(out, format!("its check refuses the new file: it {reason}"));
            }
        }
    }

    /// A file is in place, or could not be put there. Before the startup (`held`) nothing runs that could have seen another file.
    pub(crate) fn committed(
        &mut self,
        out: &mut Output,
        render: RenderId,
        result: Result<(), String>,
        held: bool,
    ) -> Placed {
        if self.predecessor == Some(render) {
            self.predecessor = None;
            // Whether it is what the new definition says is known once that was rendered.
            self.untold |= result.is_ok();
            return Placed::Quiet;
        }
        if !matches!(self.activity, Activity::Committing(current) if current == render) {
            return Placed::Quiet;
        }
        if let Err(reason) = result {
            self.retry(out, reason);
            return Placed::Quiet;
        }
        let (template, destination) = (self.spec.name.clone(), self.spec.destination.clone());
        out.notice(Notice::TemplateWritten { template, destination });
        self.changes += 1;
        self.placed(out);
        self.tell(out, held)
    }

    fn tell(&mut self, out: &mut Output, held: bool) -> Placed {
        self.untold = false;
        if held && self.spec.required && !self.spec.announced {
            return Placed::Quiet;
        }
        out.publish(Occurrence::TemplateChanged(self.spec.name.clone()));
        Placed::Changed
    }

    /// The file is what it is to be.
    fn placed(&mut self, out: &mut Output) {
        self.in_place = Some(out.now);
        self.failing = None;
        self.failures_in_row = 0;
        self.rest(out);
    }

    /// A rendering is over; what changed meanwhile is rendered next.
    fn rest(&mut self, out: &mut Output) {
        self.activity = Activity::Idle;
        if core::mem::take(&mut self.again) {
            self.changed(out);
        }
    }

    fn retry(&mut self, out: &mut Output, reason: String) {
        self.fail(out, reason);
        let wait = FIRST_RETRY.saturating_mul(1 << self.failures_in_row.min(16)).min(LONGEST_RETRY);
        self.failures_in_row = self.failures_in_row.saturating_add(1);
        self.rest(out);
        if let Activity::Idle = self.activity {
            self.activity = Activity::Retry { at: out.now.after(wait) };
        }
    }

    /// The file stays as it is; the same reason is not told twice in a row.
    fn fail(&mut self, out: &mut Output, reason: String) {
        if self.failing.as_ref() != Some(&reason) {
            out.notice(Notice::TemplateFailed { template: self.spec.name.clone(), reason: reason.clone() });
        }
        self.failing = Some(reason);
    }

    /// Nothing is being done and nothing will be, until something changes.
    pub(crate) fn is_at_rest(&self) -> bool {
        matches!(self.activity, Activity::Idle)
    }

    fn age(&self, facts: &Facts, now: Time) -> Option<Duration> {
        let confirmed = self.asked.iter().map(|fact| facts.get(fact).and_then(|fact| fact.confirmed));
        let oldest = confirmed.collect::<Option<Vec<Time>>>()?.into_iter().min();
        Some(oldest.map_or(Duration::ZERO, |oldest| now.since(oldest)))
    }

    pub(crate) fn status(&self, facts: &Facts, now: Time) -> TemplateStatus {
        let state = match &self.activity {
            Activity::Rendering(_) | Activity::Checking(..) | Activity::Committing(_) => TemplateState::Rendering,
            _ if self.failing.is_some() => TemplateState::Failing,
            Activity::Due { .. } => TemplateState::Due,
            _ if !self.missing.is_empty() => TemplateState::Waiting,
            Activity::Idle | Activity::Retry { .. } => TemplateState::InPlace,
        };
        let is_well = self.in_place.is_some() && self.failing.is_none() && self.missing.is_empty();
        TemplateStatus {
            name: self.spec.name.clone(),
            destination: self.spec.destination.clone(),
            state,
            obstacle: (!is_well).then(|| self.obstacle(facts)),
            rendered: self.in_place.map(|at| now.since(at)),
            age: self.age(facts, now),
            renders: self.renders,
            changes: self.changes,
        }
    }
}

/// The check of the file at `path`.
fn judge(check: &TemplateCheck, path: &str) -> Process {
    let mut process = check.process.clone();
    for argument in &mut process.argv {
        *argument = argument.replace(NEW_FILE, path);
    }
    process
}
