//! Carrying out acts with the server. Each runs beside the loop, and ends with a fact; a fence interrupts whatever is under way.

use std::time::Duration;

use pilotfish_autopilot::{Act, Condemnation, Data, Identity, Lane, MemberId, Server as ServerState, Term, Time};
use pilotfish_process::Exit;

use super::fact::{Effect, Fact};
use super::{Level, Operator, Run, clock, reporting};
use crate::error::Error;
use crate::server::{Donor, Running};
use crate::sql::Source;
use crate::task::beside;

/// How long a statement may take that changes a setting.
const STATEMENT_LIMIT: Duration = Duration::from_secs(5);
/// How long the receiver may take to stop: 2 s when its source hangs, and MySQL 60 s after a partial transaction.
const STOP_RECEIVER_LIMIT: Duration = Duration::from_secs(70);
/// How long one attempt to drain may take; there will be another.
const DRAIN_LIMIT: Duration = Duration::from_secs(30);
/// How long a server has to stop politely.
const POLITE_STOP: Duration = Duration::from_secs(60);
/// The pause after an act that failed, which doubles with every failure in a row.
const FAILURE_PAUSE: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(2));

impl Operator {
    /// Begins an act; false if it has failed already, so that the next decision would be the same.
    pub(super) fn perform(&mut self, now: Time, act: Act) -> bool {
        if let Some(class) = act.failure_class() {
            self.view.budget.spend(class, now);
        }
        match act.lane() {
            Lane::None => return self.remember(&act),
            Lane::Lease => {
                if let Act::WriteLease { cas, change, value } = act {
                    self.write_lease(now, cas, change, value);
                }
            }
            Lane::Catalog => self.carry_out_in_catalog(now, act),
            Lane::Server => self.begin(act),
            Lane::Beat => self.beat(now),
            Lane::Release => {
                if let Act::Release { executed, .. } = act {
                    self.release(now, executed);
                }
            }
        }
        true
    }

    /// As long as the disk is full it fails again and again: that is told once.
    fn remember(&mut self, act: &Act) -> bool {
        let Act::Remember { seen } = act else { return true };
        let error = self.disk.remember(*seen).err().map(|error| error.to_string());
        if let Some(text) = error.as_ref().filter(|_| error != self.told.unwritten) {
            (self.log)(Level::Error, &format!("cannot remember the epoch of the lease: {text}"));
        }
        self.read_disk();
        self.told.unwritten = error;
        self.told.unwritten.is_none()
    }

    /// Takes what is on disk into the view.
    pub(super) fn read_disk(&mut self) {
        let found = self.disk.data();
        let error = found.as_ref().err().map(ToString::to_string);
        if let Some(text) = error.as_ref().filter(|_| error != self.told.unread) {
            (self.log)(Level::Error, text);
        }
        self.told.unread = error;
        self.view.data = found.unwrap_or(Data::Unknown);
        self.view.known_cluster = self.disk.known_cluster();
    }

    /// Begins an act with the server; its end is a fact.
    fn begin(&mut self, act: Act) {
        self.operation += 1;
        self.finished = None;
        self.told.doing = Some(reporting::act_name(&act));
        self.view.busy.server = Some(act.clone());
        let operation = self.operation;
        let facts = self.facts.clone();
        let done = move |outcome| {
            let _ = facts.send(Fact::ActDone { operation, outcome });
        };
        match act {
            Act::StartServer { start } => {
                self.count("starts");
                let server = self.server.clone();
                beside(async move { done(server.start(start).await.map(|run| Effect::Started(Box::new(run)))) });
            }
            Act::FenceServer => self.fence(done),
            Act::StopServer => self.stop_politely(done),
            Act::InitialiseCluster { cluster, data, .. } => {
                let identity = Identity { cluster, data, promise: Term::default(), seen: Default::default() };
                self.build(identity, None, done);
            }
            Act::Rebuild { from, cluster, data, seen } => {
                self.count("rebuilds");
                let known = self.view.lease().map(|(lease, _)| lease.epoch.term).unwrap_or_default();
                let identity = Identity { cluster, data, promise: known.max(seen.term), seen };
                self.build(identity, Some(from), done);
            }
            Act::Condemn { reason } => self.condemn(reason, done),
            Act::Attach { to, mode, .. } => {
                let Some(source) = self.source(to) else {
                    return done(Err(Error::Unfit(format!("nobody knows where {to} is"))));
                };
                let database = self.database.clone();
                beside(async move {
                    done(database.attach(&source, mode, STATEMENT_LIMIT).await.map(|()| Effect::Nothing));
                });
            }
            statement @ (Act::StopReceiver { .. }
            | Act::Drain { .. }
            | Act::SetGate { .. }
            | Act::SetAcks { .. }
            | Act::Open { .. }
            | Act::Close { .. }) => self.state(statement, done),
            // Not of this lane.
            Act::Wait
            | Act::Remember { .. }
            | Act::WriteLease { .. }
            | Act::PublishVote { .. }
            | Act::PublishRecord { .. }
            | Act::Register { .. }
            | Act::Answer { .. }
            | Act::Beat { .. }
            | Act::Release { .. } => done(Ok(Effect::Nothing)),
        }
    }

    /// Statements whose arguments are all in the act.
    fn state(&mut self, act: Act, done: impl FnOnce(Result<Effect, Error>) + Send + 'static) {
        let database = self.database.clone();
        let switchover = self.policy.switchover_limit;
        beside(async move {
            let outcome = match act {
                Act::StopReceiver { .. } => database.stop_receiver(STOP_RECEIVER_LIMIT).await.map(|()| Effect::Nothing),
                Act::Drain { .. } => database.drain(DRAIN_LIMIT).await.map(|()| Effect::Nothing),
                Act::SetGate { admit, .. } => database.set_gate(&admit, STATEMENT_LIMIT).await.map(Effect::Settled),
                Act::SetAcks { acks, .. } => database.set_acks(acks, STATEMENT_LIMIT).await.map(Effect::Settled),
                Act::Open { term } => database.open(term, STATEMENT_LIMIT).await.map(|()| Effect::Nothing),
                Act::Close { .. } => database.close(switchover).await.map(|()| Effect::Nothing),
                Act::Wait
                | Act::StartServer { .. }
                | Act::FenceServer
                | Act::StopServer
                | Act::InitialiseCluster { .. }
                | Act::Condemn { .. }
                | Act::Rebuild { .. }
                | Act::Remember { .. }
                | Act::WriteLease { .. }
                | Act::PublishVote { .. }
                | Act::PublishRecord { .. }
                | Act::Register { .. }
                | Act::Answer { .. }
                | Act::Attach { .. }
                | Act::Beat { .. }
                | Act::Release { .. } => Ok(Effect::Nothing),
            };
            done(outcome);
        });
    }

    /// SIGKILL; the act ends when nothing is left.
    fn fence(&mut self, done: impl FnOnce(Result<Effect, Error>)) {
        self.count("fences");
        match &self.run {
            Some(run) => self.launcher.kill(run.number),
            None => done(Ok(Effect::Nothing)),
        }
    }

    /// SIGTERM, and after a while SIGKILL; the act ends when nothing is left.
    fn stop_politely(&mut self, done: impl FnOnce(Result<Effect, Error>)) {
        const SIGTERM: i32 = 15;
        let Some(run) = &self.run else { return done(Ok(Effect::Nothing)) };
        self.launcher.signal(run.number, SIGTERM);
        let (launcher, number) = (self.launcher.clone(), run.number);
        beside(async move {
            tokio::time::sleep(POLITE_STOP).await;
            launcher.kill(number);
        });
    }

    /// Builds a data directory, alone or as a copy of a member's, beside the one in place; it is put in place when it is complete.
    fn build(
        &mut self,
        identity: Identity,
        from: Option<MemberId>,
        done: impl FnOnce(Result<Effect, Error>) + Send + 'static,
    ) {
        let new = match self.disk.begin_new() {
            Ok(new) => new,
            Err(error) => return done(Err(error)),
        };
        let donor = match from.map(|from| self.donor(from, identity)).transpose() {
            Ok(donor) => donor,
            Err(error) => return done(Err(error)),
        };
        let server = self.server.clone();
        self.building = Some(identity);
        beside(async move {
            let built = match donor {
                Some(donor) => server.copy_into(&new, &donor).await.map(|()| None),
                None => server.initialise(&new).await,
            };
            let synced = match built {
                // Beside the loop: with much data it takes its time.
                Ok(password) => tokio::task::spawn_blocking(move || crate::disk::sync_all(&new))
                    .await
                    .unwrap_or(Err(Error::Ending))
                    .map(|()| password),
                Err(error) => Err(error),
            };
            done(synced.map(Effect::Built));
        });
    }

    fn put_in_place(&mut self) -> Result<(), Error> {
        let Some(identity) = self.building.take() else { return Err(Error::Stale("the new data was not asked for")) };
        self.disk.put_in_place(&identity)?;
        self.disk.prune_aside(self.settings.keep_aside)?;
        self.view.nonce = clock::random();
        self.read_disk();
        Ok(())
    }

    /// A member's server, by where the member is now.
    pub(super) fn source(&self, member: MemberId) -> Option<Source> {
        let contact = self.reading.contacts.get(&member)?;
        Some(Source { member, host: contact.address.clone(), port: contact.port })
    }

    fn donor(&self, member: MemberId, identity: Identity) -> Result<Donor, Error> {
        let contact = self.reading.contacts.get(&member);
        let contact = contact.ok_or_else(|| Error::Unfit(format!("nobody knows where {member} is")))?;
        Ok(Donor {
            host: contact.address.clone(),
            port: contact.port,
            api_port: contact.api_port,
            cluster: identity.cluster,
        })
    }

    fn condemn(&mut self, reason: Condemnation, done: impl FnOnce(Result<Effect, Error>) + Send + 'static) {
        let errant = match reason {
            Condemnation::Errant(gtids) => Some(gtids),
            Condemnation::Purged | Condemnation::ApplierStopped | Condemnation::NeverUsed => None,
        };
        let ours = self.view.facts().map(|facts| facts.executed.clone());
        let holder = self.view.lease().map(|(lease, _)| lease.holder);
        let holder = holder.and_then(|holder| self.peer(holder));
        let limit = self.policy.request_limit * 2;
        let (server, disk) = (self.server.clone(), self.disk.exports());
        beside(async move {
            // A stray write may have stopped the applier before anybody noticed the write itself.
            let errant = match (errant, ours, holder) {
                (None, Some(ours), Some(holder)) => {
                    let theirs = holder.executed(limit).await.ok();
                    theirs.map(|theirs| ours.subtract(&theirs)).filter(|errant| !errant.is_empty())
                }
                (errant, ..) => errant,
            };
            let Some(gtids) = errant else { return done(Ok(Effect::Condemned(None))) };
            let exported = match disk.directory() {
                Ok(directory) => server.export_errant(&directory, &gtids).await,
                Err(error) => Err(error),
            };
            done(exported.map(|path| Effect::Condemned(Some(path))));
        });
    }

    /// An act has taken effect or failed. The lane is free once the server was looked at after that.
    pub(super) fn act_is_done(&mut self, operation: u64, outcome: Result<Effect, Error>) {
        if operation != self.operation {
            // It was interrupted by a fence. What it started must not live on.
            if let Ok(Effect::Started(run)) = outcome {
                self.launcher.kill(run.run);
            }
            return;
        }
        let outcome = outcome.and_then(|effect| self.take_effect(effect));
        let now = clock::now();
        self.watching.heat(now);
        if let Err(error) = outcome {
            (self.log)(Level::Warn, &format!("{}: {error}", self.told.doing.as_deref().unwrap_or("an act")));
            let pause = FAILURE_PAUSE.0.saturating_mul(1 << self.failures.min(10)).min(FAILURE_PAUSE.1);
            self.failures += 1;
            return self.finish_act(now.after(pause));
        }
        self.failures = 0;
        self.finish_act(now);
    }

    /// The lane is free at this time, and if there is a server that answers, when it was looked at after it.
    fn finish_act(&mut self, at: Time) {
        self.finished = Some(at);
        self.watching.look_after(at);
        self.release_lane();
    }

    /// Without a server to look at the lane is free as soon as the time has come.
    pub(super) fn release_lane(&mut self) {
        let Some(at) = self.finished else { return };
        if self.view.facts().is_none() && at <= clock::now() {
            self.finished = None;
            self.view.busy.server = None;
            self.told.doing = None;
        }
    }

    fn take_effect(&mut self, effect: Effect) -> Result<(), Error> {
        match effect {
            Effect::Nothing => {}
            Effect::Settled(position) => {
                if let Some(run) = &mut self.run {
                    run.settled = Some(position);
                }
            }
            Effect::Started(running) => self.server_started(*running),
            Effect::Built(root_password) => {
                if let Some(password) = root_password {
                    let text = format!("the password of root@localhost was drawn: {}", password.expose());
                    (self.log)(Level::Warn, &text);
                }
                return self.put_in_place();
            }
            Effect::Condemned(exported) => {
                if let Some(path) = exported {
                    (self.log)(Level::Warn, &format!("errant transactions were exported to {}", path.display()));
                }
                let condemned = self.disk.condemn();
                self.read_disk();
                return condemned;
            }
        }
        Ok(())
    }

    fn server_started(&mut self, running: Running) {
        let Running { run, pid, output, gone } = running;
        (self.log)(Level::Info, &format!("the server was started, process {pid}"));
        self.watching.forget();
        self.asking.forget();
        self.run = Some(Run { number: run, settled: None });
        self.view.server = ServerState::Starting { since: clock::now() };
        let facts = self.facts.clone();
        beside(async move {
            let exit = gone.await.unwrap_or(Exit::Signal(9));
            let _ = facts.send(Fact::Gone { run, exit });
        });
        if let Some(output) = output {
            self.relay(output);
        }
    }

    /// Passes the server's own log on to ours.
    fn relay(&self, mut output: pilotfish_process::Output) {
        let facts = self.facts.clone();
        beside(async move {
            while let Some(line) = output.next().await {
                if facts.send(Fact::Said(line.text().into_owned())).is_err() {
                    return;
                }
            }
        });
    }

    /// Nothing is left of the server.
    pub(super) fn server_is_gone(&mut self, run: u64, exit: Exit) {
        if self.run.as_ref().is_none_or(|ours| ours.number != run) {
            return;
        }
        let text = match exit {
            Exit::Code(code) => format!("the server has exited with code {code}"),
            Exit::Signal(signal) => format!("the server was ended by signal {signal}"),
        };
        (self.log)(Level::Warn, &text);
        self.run = None;
        self.watching.forget();
        self.asking.forget();
        self.database.forget();
        // The connections are gone, and so is what they were about to write.
        self.view.busy.beat = false;
        self.view.busy.release = false;
        self.view.server = ServerState::Stopped;
        // Whatever was under way with it is over, and so are a fence and a polite stop.
        if self.view.busy.server.as_ref().is_some_and(needs_a_server) {
            self.operation += 1;
            self.finished = None;
            self.view.busy.server = None;
            self.told.doing = None;
        }
        self.watching.heat(clock::now());
    }
}

/// Whether an act is over when there is no server.
pub(super) fn needs_a_server(act: &Act) -> bool {
    match act {
        Act::FenceServer
        | Act::StopServer
        | Act::StopReceiver { .. }
        | Act::Drain { .. }
        | Act::Attach { .. }
        | Act::SetGate { .. }
        | Act::SetAcks { .. }
        | Act::Open { .. }
        | Act::Close { .. } => true,
        Act::Wait
        | Act::StartServer { .. }
        | Act::InitialiseCluster { .. }
        | Act::Condemn { .. }
        | Act::Rebuild { .. }
        | Act::Remember { .. }
        | Act::WriteLease { .. }
        | Act::PublishVote { .. }
        | Act::PublishRecord { .. }
        | Act::Register { .. }
        | Act::Answer { .. }
        | Act::Beat { .. }
        | Act::Release { .. } => false,
    }
}
