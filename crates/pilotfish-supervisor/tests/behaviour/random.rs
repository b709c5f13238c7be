//! Every short sequence of events for a few small specifications, and long random ones for random specifications: no step may break an
//! invariant of the model, and once all faults are over a stop must end.

use pilotfish_supervisor::*;
use proptest::{prelude::*, test_runner::RngSeed};

use crate::{desk::Disk, model::*, specs::*};

/// How long a stop may take, in model time, once nothing misbehaves: hooks of random specifications are limited to 30 s.
const STOP_LIMIT: core::time::Duration = secs(120);

#[derive(Clone, Copy, Debug)]
enum Move {
    Exit(usize, Exit, bool),
    Answer(usize, usize),
    Wait,
    Stop,
    Hangup,
    Reload,
    Maintenance,
    View(&'static [&'static str]),
    Missing,
    Taken,
    Fact {
        loses: bool,
        restarted: bool,
    },
    Disk,
    /// The questions, the checks or the templates themselves misbehave.
    Break(usize),
}

/// Another answer to what templates ask, and everything that can go wrong with them.
fn template_moves() -> Vec<Move> {
    let facts = [(false, false), (true, false), (true, true)];
    let facts = facts.map(|(loses, restarted)| Move::Fact { loses, restarted });
    facts.into_iter().chain([Move::Disk]).chain((0..3).map(Move::Break)).collect()
}

fn moves(world: &World) -> Vec<Move> {
    if !world.supervisor.spec().templates.is_empty() {
        let mut moves = template_moves();
        moves.extend([Move::Stop, Move::Reload]);
        for index in 0..world.alive().len() {
            moves.extend([Move::Exit(index, Exit::Code(0), false), Move::Exit(index, Exit::Code(1), true)]);
        }
        for index in 0..world.open_calls().len() {
            moves.extend([5, 6].map(|outcome| Move::Answer(index, outcome)));
        }
        moves.extend(world.next().map(|_| Move::Wait));
        return moves;
    }
    let mut moves = vec![
        Move::Stop,
        Move::Hangup,
        Move::Reload,
        Move::Maintenance,
        Move::View(&["a"]),
        Move::View(&[]),
        Move::Missing,
        Move::Taken,
    ];
    for index in 0..world.alive().len() {
        moves.extend([Move::Exit(index, Exit::Code(0), false), Move::Exit(index, Exit::Code(1), true)]);
    }
    for index in 0..world.open_calls().len() {
        moves.extend((0..6).chain([7, 8]).map(|outcome| Move::Answer(index, outcome)));
    }
    moves.extend(world.next().map(|_| Move::Wait));
    moves
}

fn make(world: &mut World, step: Move, other: &Spec) {
    match step {
        Move::Exit(index, exit, survivors) => match world.alive().get(index) {
            Some((run, true)) => world.exit_now(*run, exit, survivors),
            Some((run, false)) => world.later(ms(0), Event::Vacated { run: *run }),
            None => {}
        },
        Move::Answer(index, outcome) => {
            let Some(call) = world.open_calls().get(index).copied() else { return };
            let address = |text: &str| CallOutcome::Done { address: text.into() };
            world.answer_of(
                call,
                match outcome {
                    0 => address("a"),
                    1 => address("b"),
                    2 => CallOutcome::Unknown,
                    3 => CallOutcome::Seen { ours: false, others: vec![rival(true)] },
                    4 => CallOutcome::Seen { ours: true, others: vec![rival(true)] },
                    6 => address(world.agent),
                    8 => address("b"),
                    _ => CallOutcome::Unreachable { refused: false, reason: "away".into() },
                },
                if outcome < 7 { &[] } else { &["a"] },
            );
        }
        Move::Wait => {
            if let Some(next) = world.next() {
                world.run_until(next);
            }
        }
        Move::Stop => world.term(),
        Move::Hangup => world.event(Event::Signalled(Signal::Hangup)),
        Move::Reload => {
            let ticket = world.tickets.len() as Ticket;
            world.tickets.push(ticket);
            world.reload(ticket, other.clone());
        }
        Move::Maintenance => {
            let on = !world.supervisor.status(world.now).maintenance;
            world.event(Event::MaintenanceRequested(on));
        }
        Move::View(members) => world.view("db", members),
        Move::Fact { loses, restarted } => {
            let version = world.desk.answers.get("a").map_or(1, |version| version + 1);
            world.fact_of("a", version, loses, restarted);
        }
        Move::Disk => {
            world.desk.disk = match world.desk.disk {
                Disk::Good => Disk::Hangs,
                Disk::Hangs => Disk::Full,
                Disk::Full => Disk::Good,
            };
        }
        Move::Break(0) => world.event(Event::FactFailed { fact: "a".into(), reason: "no leader".into() }),
        Move::Break(1) => drop(world.checks.insert("conf".into(), Script::task(5, 1))),
        Move::Break(_) => drop(world.desk.broken.insert("conf".into())),
        Move::Missing => world.event(Event::ServiceMissing { service: "web".into() }),
        Move::Taken => world.event(Event::ServiceTaken { service: "web".into(), by: "rival".into() }),
    }
    world.run(0);
}

/// Whatever happened: when nothing misbehaves any more, every file is what its template and the last answers say.
fn must_settle(world: &mut World) {
    if world.finished.is_some() || world.supervisor.spec().templates.is_empty() {
        return;
    }
    world.heal_desk();
    // The longest retry, and the longest check before it.
    world.run(65_000);
    let status = world.supervisor.status(world.now);
    if world.finished.is_some() || status.stopping.is_some() {
        return;
    }
    assert!(!status.startup_held, "{status:?}\n{}", world.told());
    for template in &world.supervisor.spec().templates {
        let (_, missing, text) = world.desk.text(template);
        assert_eq!(missing, [""; 0]);
        assert_eq!(world.desk.files.get(&template.destination), Some(&text), "{status:?}\n{}", world.told());
    }
    let asked: std::collections::BTreeSet<String> =
        world.supervisor.spec().templates.iter().flat_map(|template| world.desk.text(template).0).collect();
    assert!(world.desk.followed.keys().eq(&asked), "{:?} against {asked:?}", world.desk.followed);
    for (fact, (in_force, last)) in &world.desk.followed {
        assert_eq!(in_force, last, "{fact}\n{}", world.told());
    }
}

/// Whatever happened: when the catalog answers again, no service is left with an agent that is not its home.
fn must_leave_no_twin(world: &mut World) {
    world.heal_desk();
    world.catalog = Catalog::Up;
    world.others.clear();
    world.latency = ms(2);
    // The longest retry, and the second look at whoever did not answer.
    world.run(30_000);
    let status = world.supervisor.status(world.now);
    if world.finished.is_some() || status.stopping.is_some() {
        return;
    }
    for (agent, held) in &world.held {
        for service in held.keys() {
            let is_home = |job: &JobStatus| {
                job.service.as_ref().is_some_and(|own| own.id == *service && own.agent.as_deref() == Some(*agent))
            };
            assert!(status.jobs.iter().any(is_home), "{service} at {agent}: {status:?}\n{}", world.told());
        }
    }
}

/// Whatever happened: when nothing misbehaves any more, a stop ends, and everybody who waits has an answer.
fn must_end(mut world: World) {
    must_settle(&mut world);
    if world.finished.is_none() {
        world.heal();
        world.term();
        let took = world.run_to_end();
        assert!(took <= STOP_LIMIT, "{took:?}\n{}", world.told());
    }
    for ticket in &world.tickets {
        assert!(world.settled.contains_key(ticket), "ticket {ticket} was never answered\n{}", world.told());
    }
}

fn explore(world: &World, other: &Spec, depth: usize) {
    must_end(world.clone());
    if depth == 0 || world.finished.is_some() {
        return;
    }
    for step in moves(world) {
        let mut next = world.clone();
        make(&mut next, step, other);
        explore(&next, other, depth - 1);
    }
}

fn explored(jobs: Vec<Job>, other: Vec<Job>, depth: usize) {
    let watches = vec![watch("db")];
    let mut world = World::new(Spec { watches: watches.clone(), ..spec(jobs.clone()) });
    world.catalog = Catalog::Silent;
    for job in jobs.iter().chain(&other) {
        world.scripts.insert(job.name.clone(), Script::STUBBORN);
        world.checks.insert(job.name.clone(), Script::STUBBORN);
    }
    world.event(Event::Booted);
    world.run(0);
    explore(&world, &Spec { watches, ..spec(other) }, depth);
}

#[test]
fn all_short_histories_of_a_service_with_hooks() {
    let web = Job { main: true, ..advertised("web") };
    let jobs =
        vec![web, once("pre", of("web", JobOccurrence::Stopping)), once("post", of("web", JobOccurrence::Stopped))];
    explored(jobs.clone(), jobs[..2].to_vec(), 4);
}

#[test]
fn all_short_histories_of_a_restarting_service_that_is_replaced() {
    let web = Job { restarts: Restarts::Unlimited, ..advertised("web") };
    let mut replaced = web.clone();
    replaced.process.as_mut().expect("it has one").argv.push("-v".into());
    explored(vec![web], vec![replaced], 4);
}

#[test]
fn all_short_histories_of_a_handler_beside_main() {
    let hook = each("hook", changed("db"));
    explored(vec![main_job(), hook.clone()], vec![main_job(), each("hook", Occurrence::Hangup), hook_on_stop()], 4);
}

#[test]
fn all_short_histories_of_two_jobs_that_need_one_another() {
    let client = Job { on_failure: OnFailure::Exit, ..once("client", of("web", JobOccurrence::Healthy)) };
    explored(vec![advertised("web"), client.clone()], vec![client], 4);
}

fn templates_explored(conf: Template, other: Option<Template>, depth: usize) {
    let jobs = || vec![job("app"), each("command", rendered("conf"))];
    let spec_of = |template: Option<Template>| {
        let mut jobs = jobs();
        jobs.truncate(if template.is_some() { 2 } else { 1 });
        Spec { templates: template.into_iter().collect(), ..spec(jobs) }
    };
    let mut world = World::new(spec_of(Some(conf)));
    world.desk.asks.insert("conf".into(), (vec!["a"], Some("b")));
    world.desk.answers.insert("b".into(), 1);
    world.scripts.insert("command".into(), Script::task(20, 0));
    world.catalog = Catalog::Silent;
    world.event(Event::Booted);
    world.run(0);
    explore(&world, &spec_of(other), depth);
}

#[test]
fn all_short_histories_of_a_template_with_a_check_that_a_reload_changes() {
    let conf = judged(template("conf"));
    templates_explored(conf.clone(), Some(Template { text: "new".into(), ..conf }), 3);
}

#[test]
fn all_short_histories_of_a_template_that_a_reload_removes() {
    let wait = Some(Wait { min: secs(1), max: secs(2) });
    templates_explored(Template { wait, required: false, ..template("conf") }, None, 3);
}

fn hook_on_stop() -> Job {
    once("bye", Occurrence::Shutdown)
}

/// Reads choices from bytes, so that a failing case shrinks to few and small ones.
struct Choices<'a>(std::slice::Iter<'a, u8>);

impl Choices<'_> {
    fn below(&mut self, limit: usize) -> usize {
        self.0.next().map_or(0, |byte| usize::from(*byte) % limit)
    }

    fn flag(&mut self) -> bool {
        self.below(2) == 1
    }
}

const NAMES: [&str; 4] = ["web", "db", "x", "y"];

fn random_trigger(choices: &mut Choices<'_>) -> Occurrence {
    use JobOccurrence::{ExitFailed, ExitSuccess, Healthy, Started, Stopped, Stopping, Unhealthy};
    let name = NAMES[choices.below(4)];
    match choices.below(13) {
        0..4 => Occurrence::Startup,
        4 => Occurrence::Shutdown,
        5 => Occurrence::Hangup,
        6 => changed("db"),
        7 => rendered("conf"),
        other => of(name, [ExitFailed, ExitSuccess, Healthy, Started, Stopped, Stopping, Unhealthy][other % 7]),
    }
}

fn random_job(name: &str, choices: &mut Choices<'_>) -> Job {
    let mut job = if choices.flag() { advertised(name) } else { job(name) };
    let times = if choices.flag() { Times::Each } else { Times::Once };
    let triggers: Vec<Occurrence> = (0..=choices.below(2)).map(|_| random_trigger(choices)).collect();
    let condition = Condition {
        triggers,
        quantifier: if choices.flag() { Quantifier::All } else { Quantifier::Any },
        times,
        timeout: choices.flag().then_some(secs(20)),
        hold_back: (choices.below(4) == 1).then(|| HoldBack { until: vec![random_trigger(choices)], at_most: secs(3) }),
    };
    job.start = if choices.below(5) == 1 { Start::Every(secs(2)) } else { Start::On(condition) };
    job.after = (choices.below(5) == 1).then(|| random_trigger(choices));
    job.restarts = [Restarts::Limited(0), Restarts::Limited(2), Restarts::Unlimited][choices.below(3)];
    job.on_failure = [OnFailure::Ignore, OnFailure::Restart, OnFailure::Exit][choices.below(3)];
    job.timeout = (choices.flag() || waits_for_end(&job)).then_some(secs(30));
    job.stopping_timeout = choices.flag().then_some(secs(2));
    if choices.below(6) == 1 {
        job.process = None;
    }
    job
}

fn random_spec(choices: &mut Choices<'_>) -> Spec {
    let count = 1 + choices.below(4);
    let mut jobs: Vec<Job> = NAMES[..count].iter().map(|name| random_job(name, choices)).collect();
    jobs[0].main = choices.flag();
    let mut templates = vec![judged(template("conf")), Template { required: false, ..template("other") }];
    templates.truncate(choices.below(3));
    for template in &mut templates {
        template.text = format!("text {}", choices.below(3));
        template.splay = secs(choices.below(3) as u64);
        template.wait = choices.flag().then(|| Wait { min: secs(1), max: secs(3) });
        template.notify = match choices.below(4) {
            0 => vec![Notify { job: NAMES[0].into(), reaction: Reaction::Restart { signal: None } }],
            1 => vec![Notify { job: NAMES[0].into(), reaction: Reaction::Signal(1) }],
            _ => vec![],
        };
    }
    let watches = if choices.flag() { vec![watch("db")] } else { vec![] };
    Spec { watches, templates, once: choices.below(8) == 7, ..spec(jobs) }
}

fn random_script(choices: &mut Choices<'_>) -> Script {
    match choices.below(7) {
        0 | 1 => Script::DAEMON,
        2 => Script::STUBBORN,
        3 => Script::task(1 + choices.below(200) as u64 * 20, choices.below(2) as u8),
        4 => Script { unspawnable: Some(127), ..Script::DAEMON },
        5 => Script { survivors: Some(secs(choices.below(9) as u64)), ..Script::task(500, 0) },
        _ => Script { unkillable: true, ..Script::STUBBORN },
    }
}

fn nonsense(world: &mut World, choices: &mut Choices<'_>) {
    let gone = (0..1_000).find(|run| world.alive().iter().all(|(alive, _)| alive != run)).unwrap_or(7_000);
    let run = if choices.flag() { 1_000_000 } else { gone };
    world.event(match choices.below(9) {
        0 => Event::Spawned { run, pid: 1 },
        1 => Event::SpawnFailed { run: 1_000_000, code: 127, reason: "none".into() },
        2 => Event::Exited { run: 1_000_000, exit: Exit::Code(0), survivors: choices.flag() },
        3 => Event::Vacated { run },
        4 => Event::Probed { run, result: Ok(()) },
        5 => Event::CatalogAnswered { call: run, outcome: CallOutcome::Unknown, may_hold: vec![] },
        6 => Event::Loaded(Err("nobody asked".into())),
        7 => Event::Booted,
        _ => Event::CalendarDue { job: NAMES[choices.below(4)].into() },
    });
}

fn random_step(world: &mut World, choices: &mut Choices<'_>) {
    match choices.below(15) {
        12 | 13 => {
            let moves = template_moves();
            make(world, moves[choices.below(moves.len())], &Spec::default());
        }
        14 => drop(world.checks.remove("conf")),
        0..3 => world.run(choices.below(256) as u64 * 20),
        3 => {
            let script = random_script(choices);
            world.scripts.insert(NAMES[choices.below(4)].into(), script);
        }
        4 => {
            let script = random_script(choices);
            world.checks.insert(NAMES[choices.below(4)].into(), script);
        }
        5 => {
            let away = [true, false].map(|refused| Catalog::Away { refused });
            let modes = [Catalog::Up, away[0], away[1], Catalog::Denies, Catalog::Leaderless];
            world.catalog = modes[choices.below(5)];
            world.others = if choices.below(4) == 1 { vec![rival(choices.flag())] } else { vec![] };
            world.agent = ["a", "b"][choices.below(2)];
            world.desk.agent = world.agent;
            world.latency = ms(choices.below(3) as u64 * 700);
        }
        6 | 7 => nonsense(world, choices),
        8 => {
            let other = random_spec(choices);
            make(world, Move::Reload, &other);
        }
        9 => make(world, Move::Maintenance, &Spec::default()),
        10 => make(world, Move::View(&["a"]), &Spec::default()),
        _ => {
            let signals =
                [Signal::Hangup, Signal::User1, Signal::User2, Signal::Other(28), Signal::Hangup, Signal::Stop];
            world.event(Event::Signalled(signals[choices.below(6)]));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, rng_seed: RngSeed::Fixed(7), ..ProptestConfig::default() })]

    #[test]
    fn random_histories_break_nothing_and_end(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let mut choices = Choices(bytes.iter());
        let mut world = World::new(random_spec(&mut choices));
        world.desk.asks.insert("conf".into(), (vec!["a"], Some("b")));
        world.desk.asks.insert("other".into(), (vec!["b", "a"], None));
        for name in NAMES {
            world.scripts.insert(name.into(), random_script(&mut choices));
        }
        world.event(Event::Booted);
        while !choices.0.as_slice().is_empty() && world.finished.is_none() {
            random_step(&mut world, &mut choices);
        }
        must_leave_no_twin(&mut world);
        must_end(world);
    }
}
