//! How stale a view may get when the agent that holds its query hangs: supervisor.md section 6, "bounds how stale a view may get".

use pilotfish_supervisor::*;

use crate::{model::*, specs::*};

const HOME: &str = "10.0.0.1:8500";

/// A supervisor of watches of these intervals in seconds, each with an answer.
fn watching(jobs: Vec<Job>, intervals: &[u64]) -> World {
    let watches = intervals.iter().enumerate().map(|(index, interval)| {
        let name = format!("w{index}");
        Watch { interval: secs(*interval), ..watch(&name) }
    });
    let mut world = World::booted(Spec { watches: watches.collect(), ..spec(jobs) }, &[]);
    for index in 0..intervals.len() {
        world.view(&format!("w{index}"), &["a"]);
    }
    world
}

fn pings(world: &World) -> usize {
    world.count(&format!("ping {HOME}"))
}

#[test]
fn heartbeats_of_a_service_are_proof_enough() {
    let mut world = watching(vec![Job { main: true, ..advertised("main") }], &[3, 1, 60]);
    world.run(600_000);
    assert!(world.count("beat main Passing") > 100);
    assert_eq!((pings(&world), world.count("ask again w0")), (0, 0));
}

#[test]
fn without_heartbeats_an_agent_is_asked_once_for_all_watches_and_seldom() {
    let mut world = watching(vec![main_job()], &[3, 1, 6]);
    world.run(60_000);
    assert_eq!(pings(&world), 9);
    // Answers of watches are proof, too: Consul gives one every 10 s at least.
    let mut world = watching(vec![main_job()], &[3, 1, 6]);
    for _ in 0..6 {
        world.run(5_000);
        world.view("w0", &["a"]);
        world.view("w1", &["a"]);
        world.view("w2", &["a"]);
        world.run(5_000);
    }
    assert_eq!(pings(&world), 5, "one between two answers");
    assert_eq!(world.count("ask again w0"), 0);
}

#[test]
fn an_answer_to_one_watch_is_proof_for_the_others() {
    let mut world = watching(vec![main_job()], &[3, 1]);
    for _ in 0..10 {
        world.run(5_000);
        world.view("w0", &["a"]);
    }
    assert_eq!(pings(&world), 0);
    world.agent = "10.0.0.2:8500";
    for _ in 0..10 {
        world.run(5_000);
        world.view("w0", &["a"]);
    }
    assert_eq!(pings(&world), 8, "that of another agent is none");
}

#[test]
fn an_agent_that_hangs_is_noticed_after_the_interval_and_its_watches_ask_again_once() {
    for (interval, silence) in [(1, SHORTEST_SILENCE), (6, SHORTEST_SILENCE), (9, secs(9))] {
        let mut world = watching(vec![main_job()], &[interval, interval]);
        world.catalog = Catalog::Silent;
        world.run(silence.as_millis() as u64 - 1);
        assert_eq!(world.calls.len(), 0, "it is not asked earlier");
        world.run(1);
        let [call] = world.open_calls()[..] else { panic!("one question for both: {:?}", world.calls) };
        // The shell's deadline for a request has passed.
        world.run(2_000);
        world.answer(call, CallOutcome::Unreachable { refused: false, reason: "no answer".into() });
        assert_eq!((world.count("ask again w0"), world.count("ask again w1")), (1, 1));
        world.run(600_000);
        assert_eq!(world.calls.len(), 1, "until the watch has found something, nothing more is asked");
        world.event(Event::ViewFailed { watch: "w0".into(), reason: "nobody answers".into() });
        world.run(600_000);
        assert_eq!(world.calls.len(), 1, "a watch that fails asks by itself");
        world.view("w0", &["a"]);
        world.run(silence.as_millis() as u64);
        assert_eq!(world.calls.len(), 2);
    }
}

/// A supervisor of a template whose questions `a` and `b` have answers.
fn templating(jobs: Vec<Job>, watches: Vec<Watch>) -> World {
    let mut world = World::new(Spec { templates: vec![template("conf")], watches, ..spec(jobs) });
    world.desk.asks.insert("conf".into(), (vec!["a", "b"], None));
    world.desk.answers.extend([("a".into(), 1), ("b".into(), 1)]);
    world.event(Event::Booted);
    world.run(10);
    assert!(world.desk.files.contains_key("/etc/conf"), "{:?}", world.desk.files);
    world
}

fn unreachable() -> CallOutcome {
    CallOutcome::Unreachable { refused: false, reason: "no answer".into() }
}

#[test]
fn the_agent_of_a_template_is_asked_once_for_all_questions_and_watches() {
    let mut world = templating(vec![main_job()], vec![]);
    world.run(60_000);
    assert_eq!((pings(&world), world.count("ask again a")), (5, 0));
    // A watch bears less, and what it has asked is proof for the template.
    let mut world = templating(vec![main_job()], vec![Watch { interval: secs(1), ..watch("w") }]);
    world.view("w", &["a"]);
    world.run(60_000);
    assert_eq!(pings(&world), 9);
    // As is an answer to any of them.
    let mut world = templating(vec![main_job()], vec![]);
    for version in 2..12 {
        world.run(9_000);
        world.fact("b", version);
    }
    assert_eq!(pings(&world), 0);
}

#[test]
fn a_template_costs_nothing_where_heartbeats_are_proof_enough() {
    let mut world = templating(vec![Job { main: true, ..advertised("main") }], vec![]);
    world.run(600_000);
    assert!(world.count("beat main Passing") > 100);
    assert_eq!(pings(&world), 0);
}

#[test]
fn an_agent_that_hangs_has_the_questions_of_templates_asked_again_once() {
    let mut world = templating(vec![main_job()], vec![]);
    world.catalog = Catalog::Silent;
    // The answer to `b` came 8 ms ago at most.
    world.run(FACT_SILENCE.as_millis() as u64 - 20);
    assert_eq!(world.calls.len(), 0, "it is not asked earlier");
    world.run(20);
    let [call] = world.open_calls()[..] else { panic!("one question for both: {:?}", world.calls) };
    world.run(2_000);
    world.answer(call, unreachable());
    assert_eq!((world.count("ask again a"), world.count("ask again b")), (1, 1));
    world.run(600_000);
    assert_eq!(world.calls.len(), 1, "until one has an answer, nothing more is asked");
    world.event(Event::FactFailed { fact: "a".into(), reason: "nobody answers".into() });
    world.run(600_000);
    assert_eq!(world.calls.len(), 1, "what fails is asked again by itself");
    // Another agent has answered one of them; the other one still waits for whoever it was told to ask.
    world.desk.agent = "10.0.0.2:8500";
    world.fact("a", 2);
    world.run(FACT_SILENCE.as_millis() as u64);
    let pinged = |home: &str| {
        world.calls.iter().filter(|(.., request)| matches!(request, Request::Ping { home: at } if at == home)).count()
    };
    assert_eq!((pinged(HOME), pinged("10.0.0.2:8500")), (1, 1));
}

#[test]
fn a_template_whose_agent_hangs_is_rendered_from_another() {
    let mut world = templating(vec![main_job()], vec![]);
    world.catalog = Catalog::Silent;
    world.run(FACT_SILENCE.as_millis() as u64);
    let [call] = world.open_calls()[..] else { panic!("{:?}", world.calls) };
    world.catalog = Catalog::Up;
    world.desk.agent = "10.0.0.2:8500";
    world.desk.answers.insert("a".into(), 5);
    world.answer(call, unreachable());
    world.run(10);
    assert_eq!(world.desk.files["/etc/conf"], "text of conf:a=5,b=1");
}

#[test]
fn a_heartbeat_that_fails_makes_templates_ask_at_once() {
    let mut world = templating(vec![Job { main: true, ..advertised("main") }], vec![]);
    world.run(7_000);
    world.catalog = Catalog::Away { refused: false };
    world.run(5_000);
    assert_eq!((pings(&world), world.count("ask again a"), world.count("ask again b")), (0, 1, 1));
}

#[test]
fn what_is_in_a_file_has_no_agent() {
    let mut world = templating(vec![main_job()], vec![]);
    for fact in ["a", "b"] {
        world.event(Event::FactAnswered { fact: fact.into(), agent: None, news: FactNews::default() });
    }
    assert_eq!(world.supervisor.deadline(), None);
    world.run(60_000);
    assert_eq!(world.calls.len(), 0);
}

#[test]
fn a_query_that_is_held_for_less_than_the_interval_is_proof_enough() {
    let mut world = watching(vec![main_job()], &[10, 600]);
    world.catalog = Catalog::Silent;
    world.run(3_600_000);
    assert_eq!(world.calls.len(), 0);
}

#[test]
fn a_heartbeat_that_fails_makes_watches_ask_at_once() {
    let mut world = watching(vec![Job { main: true, ..advertised("main") }], &[30]);
    world.run(7_000);
    world.catalog = Catalog::Away { refused: false };
    world.run(5_000);
    assert_eq!((pings(&world), world.count("ask again w0")), (0, 1));
    world.run(60_000);
    assert_eq!(world.count("ask again w0"), 1, "one question is enough");
}

#[test]
fn a_service_that_moves_to_another_agent_takes_watches_along() {
    let mut world = watching(vec![Job { main: true, ..advertised("main") }], &[30]);
    world.run(7_000);
    world.agent = "10.0.0.2:8500";
    world.run(6_000);
    assert_eq!(world.count("ask again w0"), 1);
    // It has found the other agent: what the first one does is of no interest any more.
    world.view("w0", &["a"]);
    world.run(60_000);
    assert_eq!((pings(&world), world.count("ask again w0")), (0, 1));
}

/// Whom a service without a home asked is not known: neither while it looks for others nor while it is registered.
#[test]
fn a_service_that_finds_no_agent_makes_all_watches_ask_at_once() {
    for answers in [0, 1] {
        let mut world = World::new(Spec { watches: vec![watch("w")], ..spec(vec![main_job(), advertised("late")]) });
        world.catalog = Catalog::Silent;
        world.event(Event::Booted);
        world.view("w", &["a"]);
        world.run(10_000);
        for _ in 0..answers {
            let [look] = world.open_calls()[..] else { panic!("{:?}", world.calls) };
            world.answer(look, CallOutcome::Seen { ours: false, others: vec![] });
        }
        let [call] = world.open_calls()[..] else { panic!("{:?}", world.calls) };
        let (_, _, asked) = world.calls.last().expect("it has asked");
        assert_eq!(matches!(asked, Request::Register { .. }), answers == 1, "{asked:?}");
        assert_eq!(world.count("ask again w"), 0);
        world.answer(call, unreachable());
        assert_eq!(world.count("ask again w"), 1);
    }
}

/// Nor is it known where the registration of one that has a home was tried; and who fails while others do is noticed at the end.
#[test]
fn the_beginning_and_the_end_of_a_trouble_make_all_watches_ask() {
    let mut world = watching(vec![Job { main: true, ..advertised("main") }], &[30]);
    world.run(7_000);
    world.agent = "10.0.0.2:8500";
    world.view("w0", &["a"]);
    world.agent = HOME;
    world.catalog = Catalog::Away { refused: false };
    world.run(5_000);
    assert_eq!(world.count("ask again w0"), 1, "it is followed at another agent than the service's");
    world.agent = "10.0.0.2:8500";
    world.view("w0", &["a"]);
    world.agent = HOME;
    world.run(60_000);
    assert_eq!(world.count("ask again w0"), 1, "not at each failure");
    world.catalog = Catalog::Up;
    world.run(60_000);
    assert_eq!(world.count("ask again w0"), 2);
}

#[test]
fn heartbeats_of_another_agent_prove_nothing() {
    let mut world = watching(vec![Job { main: true, ..advertised("main") }], &[3]);
    world.agent = "10.0.0.2:8500";
    world.run(60_000);
    assert!(world.count("beat main Passing") > 5);
    assert_eq!(pings(&world), 9);
}
