//! Asking one job for its health, again and again, without two questions at a time.

use alloc::string::{String, ToString};
use core::time::Duration;

use crate::{
    event::{Effect, Exit, Label, Notice, RunId, RunKind},
    execution::Execution,
    output::Output,
    spec::{Check, Health},
    time::Time,
};

/// Until a job has been healthy once, it is asked at least this often: a service that is up shall not wait a whole interval to be found.
pub const FIRST_CHECKS: Duration = Duration::from_secs(1);

/// What is known of a job's health.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HealthStatus {
    /// Not asked yet, or not since the last start.
    #[default]
    Unknown,
    /// The last check passed.
    Healthy,
    /// The last check failed.
    Unhealthy,
}

/// The health checks of one job.
#[derive(Clone, Debug)]
pub(crate) struct Checking {
    pub(crate) spec: Health,
    pub(crate) status: HealthStatus,
    pub(crate) last_failure: Option<String>,
    begun: Time,
    /// It has been healthy since it began.
    passed: bool,
    next: Option<Time>,
    asking: Option<Asking>,
    /// The answer to the open question does not count: the job was stopped or started since.
    void: bool,
}

/// A question that is not answered yet.
#[derive(Clone, Debug)]
enum Asking {
    Exec(Execution),
    Probe(RunId),
}

/// What a check found.
pub(crate) type Finding = Result<(), String>;

impl Checking {
    pub(crate) fn new(spec: Health) -> Checking {
        Checking {
            spec,
            status: HealthStatus::Unknown,
            last_failure: None,
            begun: Time::START,
            passed: false,
            next: None,
            asking: None,
            void: false,
        }
    }

    /// The job has started: from now on it is asked.
    pub(crate) fn begin(&mut self, now: Time) {
        self.begun = now;
        self.status = HealthStatus::Unknown;
        self.passed = false;
        self.next = Some(match self.spec.check {
            Check::Running => now,
            Check::Exec(_) | Check::Http(_) | Check::Tcp(_) | Check::File(_) => now.after(self.pace()),
        });
    }

    /// The job shall be asked at once: maintenance has ended.
    pub(crate) fn resume(&mut self, now: Time) {
        self.begin(now);
        self.next = Some(now);
    }

    /// The job is not asked any more; an answer that is under way does not count.
    pub(crate) fn pause(&mut self, out: &mut Output) {
        self.next = None;
        self.status = HealthStatus::Unknown;
        self.void = true;
        match &mut self.asking {
            Some(Asking::Exec(execution)) => execution.kill(out),
            Some(Asking::Probe(_)) => self.asking = None,
            None => {}
        }
    }

    /// What is asked has changed.
    pub(crate) fn redefine(&mut self, out: &mut Output, spec: Health) {
        if self.spec != spec {
            let asked = self.next.is_some();
            self.pause(out);
            self.spec = spec;
            if asked {
                self.resume(out.now);
            }
        }
    }

    pub(crate) fn deadline(&self) -> Option<Time> {
        let execution = match &self.asking {
            Some(Asking::Exec(execution)) => execution.deadline(),
            Some(Asking::Probe(_)) | None => None,
        };
        self.next.into_iter().chain(execution).min()
    }

    /// Asks if it is time; a question that is still open is not asked twice.
    pub(crate) fn time_passed(&mut self, out: &mut Output, job: &str) -> Option<Finding> {
        if let Some(Asking::Exec(execution)) = &mut self.asking
            && let Some(exit) = execution.time_passed(out, false)
        {
            return self.over(out, exit);
        }
        if self.next.is_none_or(|next| next > out.now) {
            return None;
        }
        self.next = Some(out.now.after(self.pace()));
        if self.asking.is_some() {
            return None;
        }
        self.void = false;
        match &self.spec.check {
            Check::Running => Some(Ok(())),
            Check::Exec(process) => {
                let label = Label { job: job.to_string(), kind: RunKind::Check };
                self.asking = Some(Asking::Exec(Execution::spawn(out, label, process, Some(self.spec.timeout))));
                None
            }
            check @ (Check::Http(_) | Check::Tcp(_) | Check::File(_)) => {
                let run = out.next_run();
                out.push(Effect::Probe { run, job: job.to_string(), check: check.clone(), timeout: self.spec.timeout });
                self.asking = Some(Asking::Probe(run));
                None
            }
        }
    }

    pub(crate) fn owns(&self, run: RunId) -> bool {
        match &self.asking {
            Some(Asking::Exec(execution)) => execution.run == run,
            Some(Asking::Probe(probe)) => *probe == run,
            None => false,
        }
    }

    pub(crate) fn spawned(&mut self, pid: u32) {
        if let Some(Asking::Exec(execution)) = &mut self.asking {
            execution.pid = Some(pid);
        }
    }

    pub(crate) fn not_spawned(&mut self, reason: String) -> Option<Finding> {
        match &self.asking {
            Some(Asking::Exec(execution)) if execution.pid.is_none() => self.asking = None,
            Some(Asking::Exec(_) | Asking::Probe(_)) | None => return None,
        }
        (!self.void).then_some(Err(reason))
    }

    pub(crate) fn exited(&mut self, out: &mut Output, exit: Exit, survivors: bool) -> Option<Finding> {
        let Some(Asking::Exec(execution)) = &mut self.asking else { return None };
        let exit = execution.exited(out, exit, survivors)?;
        self.over(out, exit)
    }

    pub(crate) fn vacated(&mut self, out: &mut Output) -> Option<Finding> {
        let Some(Asking::Exec(execution)) = &mut self.asking else { return None };
        let exit = execution.vacated()?;
        self.over(out, exit)
    }

    pub(crate) fn probed(&mut self, result: Finding) -> Option<Finding> {
        match self.asking {
            Some(Asking::Probe(_)) => self.asking = None,
            Some(Asking::Exec(_)) | None => return None,
        }
        (!self.void).then_some(result)
    }

    /// Takes note of a finding; says whether it counts.
    pub(crate) fn found(&mut self, out: &mut Output, job: &str, finding: &Finding) -> bool {
        match finding {
            Ok(()) => {
                self.status = HealthStatus::Healthy;
                if !self.passed {
                    self.passed = true;
                    self.next = Some(out.now.after(self.spec.interval));
                }
                self.last_failure = None;
                true
            }
            Err(reason) => {
                let in_grace = !self.passed && out.now.since(self.begun) < self.spec.grace;
                out.notice(Notice::CheckFailed { job: job.to_string(), reason: reason.clone(), in_grace });
                self.last_failure = Some(reason.clone());
                if !in_grace {
                    self.status = HealthStatus::Unhealthy;
                }
                !in_grace
            }
        }
    }

    /// A check's process is gone: what it found, unless the job is not asked any more.
    fn over(&mut self, out: &mut Output, exit: Exit) -> Option<Finding> {
        let Some(Asking::Exec(execution)) = self.asking.take() else { return None };
        let exit = execution.report(out, exit);
        if self.void {
            return None;
        }
        Some(match exit {
            Exit::Code(0) => Ok(()),
            Exit::Code(code) => Err(alloc::format!("exit code {code}")),
            Exit::Signal(signal) => Err(alloc::format!("killed by signal {signal}")),
            Exit::OutOfMemory => Err("killed for want of memory".to_string()),
        })
    }

    /// It has been healthy since it began.
    pub(crate) fn has_passed(&self) -> bool {
        self.passed
    }

    fn pace(&self) -> Duration {
        if self.passed { self.spec.interval } else { self.spec.interval.min(FIRST_CHECKS) }
    }
}
