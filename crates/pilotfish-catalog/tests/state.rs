//! The state as a value: random histories, of which every step keeps the promises that blocking queries rest on; and cases.

use std::collections::BTreeMap;
use std::time::Duration;

use pilotfish_catalog::state::{
    AgentCheck, Answer, Behavior, CRITICAL, Check, Command, Entry, Identity, Interest, Key, KvVerb, KvWrite, Means,
    Node, Operation, PASSING, Registration, Service, Session, State, Time, UserEvent, Weight,
};
use proptest::prelude::*;

const SERVICES: [&str; 3] = ["db", "web", "web2"];
const NODES: [&str; 3] = ["self", "ext", "other"];
const KEYS: [&str; 4] = ["a", "a/b", "a/c", "b"];
const PREFIXES: [&str; 4] = ["", "a", "a/", "z"];
const SESSIONS: [&str; 2] = ["11111111-1111-1111-1111-111111111111", "22222222-2222-2222-2222-222222222222"];

fn state() -> State {
    State::new(
        Identity {
            node: "self".to_owned(),
            node_id: "33333333-3333-3333-3333-333333333333".to_owned(),
            address: "127.0.0.1".to_owned(),
            datacenter: "dc1".to_owned(),
            server_port: 8300,
        },
        Time::ZERO,
    )
}

/// Everything that a client can block on: its answer as text, its index, and what it waits for.
fn queries(state: &State) -> BTreeMap<String, (String, u64, Interest)> {
    let mut found = BTreeMap::new();
    let mut add = |name: String, answer: String, index: u64, interest: Interest| {
        found.insert(name, (answer, index, interest));
    };
    for name in SERVICES {
        let instances: Vec<_> = state.service_instances(name).collect();
        let key = Interest::Key(Key::Service(name.to_owned()));
        add(format!("catalog {name}"), format!("{instances:?}"), state.service_index(name, false), key.clone());
        let checked: Vec<_> = instances
            .iter()
            .map(|(node, service)| (node, service, state.instance_checks(&node.name, &service.id).collect::<Vec<_>>()))
            .collect();
        add(format!("health {name}"), format!("{checked:?}"), state.service_index(name, true), key);
    }
    for key in KEYS {
        let answer = format!("{:?}", state.kv(key.as_bytes()));
        add(format!("key {key}"), answer, state.kv_index(key.as_bytes()), Interest::Key(Key::Kv(key.into())));
    }
    for prefix in PREFIXES {
        let answer = format!("{:?}", state.kv_list(prefix.as_bytes()).collect::<Vec<_>>());
        let index = state.kv_list_index(prefix.as_bytes());
        add(format!("prefix {prefix}"), answer, index, Interest::Prefix(prefix.into()));
    }
    let names: Vec<_> = state.service_names().collect();
    add("services".into(), format!("{names:?}"), state.services_index(), Interest::Key(Key::Services));
    let nodes: Vec<_> = state.nodes().collect();
    add("nodes".into(), format!("{nodes:?}"), state.nodes_index(), Interest::Key(Key::Nodes));
    let checks: Vec<_> = state.checks().collect();
    add("checks".into(), format!("{checks:?}"), state.checks_index(), Interest::Key(Key::Checks));
    for node in NODES {
        let own: Vec<_> = state.checks().filter(|(on, _)| *on == node).collect();
        let key = Key::NodeChecks(node.to_owned());
        add(format!("checks of {node}"), format!("{own:?}"), state.checks_index(), Interest::Key(key));
    }
    let sessions: Vec<_> = state.sessions().collect();
    add("sessions".into(), format!("{sessions:?}"), state.sessions_index(), Interest::Key(Key::Sessions));
    found
}

fn any_of(words: &'static [&'static str]) -> impl Strategy<Value = String> {
    proptest::sample::select(words).prop_map(str::to_owned)
}

fn service() -> impl Strategy<Value = Service> {
    (any_of(&["i1", "i2"]), any_of(&SERVICES), 0..3i64, proptest::option::of(any_of(&["t", "u"]))).prop_map(
        |(id, name, port, tag)| Service { id, name, port, tags: tag.map(|tag| vec![tag]), ..Service::default() },
    )
}

fn status() -> impl Strategy<Value = String> {
    any_of(&[PASSING, "warning", CRITICAL])
}

fn check() -> impl Strategy<Value = Check> {
    (any_of(&["c1", "c2"]), status(), any_of(&["", "i1", "i2"]), any_of(&["", "said"])).prop_map(
        |(id, status, service_id, output)| Check {
            name: id.clone(),
            id,
            status,
            service_id,
            output,
            ..Check::default()
        },
    )
}

fn agent_check() -> impl Strategy<Value = AgentCheck> {
    (check(), proptest::option::of(Just(Duration::from_secs(90)))).prop_map(|(check, deregister_after)| AgentCheck {
        check,
        means: Means::Ttl(Duration::from_secs(10)),
        deregister_after,
        output_limit: None,
    })
}

fn write() -> impl Strategy<Value = KvWrite> {
    prop_oneof![
        4 => Just(KvWrite::Set),
        1 => (0..40u64).prop_map(KvWrite::Cas),
        2 => any_of(&SESSIONS).prop_map(KvWrite::Lock),
        1 => any_of(&SESSIONS).prop_map(KvWrite::Unlock),
        1 => Just(KvWrite::Delete),
        1 => Just(KvWrite::DeleteTree),
    ]
}

fn entry() -> impl Strategy<Value = Entry> {
    (0..3u8).prop_map(|value| Entry { value: vec![value], ..Entry::default() })
}

fn session() -> impl Strategy<Value = Command> {
    (any_of(&SESSIONS), any::<bool>(), proptest::option::of(Just(Duration::from_secs(10))), any::<bool>()).prop_map(
        |(id, delete, ttl_time, on_a_check)| {
            let checks = if on_a_check { vec!["c1".to_owned()] } else { Vec::new() };
            Command::CreateSession(Box::new(Session {
                id,
                node: "self".to_owned(),
                lock_delay: Duration::from_secs(15),
                behavior: if delete { Behavior::Delete } else { Behavior::Release },
                ttl_time,
                node_checks: Some(checks),
                ..Session::default()
            }))
        },
    )
}

fn registration() -> impl Strategy<Value = Command> {
    let node = (any_of(&["ext", "other"]), any_of(&["10.0.0.1", "10.0.0.2"]));
    (node, proptest::option::of(service()), proptest::collection::vec(check(), 0..2)).prop_map(
        |((name, address), service, checks)| {
            let checks = checks.into_iter().map(|check| (String::new(), check)).collect();
            let node = Node { name, address, ..Node::default() };
            Command::Register(Box::new(Registration { node, skip_node_update: false, service, checks }))
        },
    )
}

fn transaction() -> impl Strategy<Value = Command> {
    let verb = prop_oneof![
        write().prop_map(KvVerb::Write),
        Just(KvVerb::Get),
        (0..40u64).prop_map(KvVerb::CheckIndex),
        Just(KvVerb::CheckNotExists),
    ];
    let operation =
        (verb, any_of(&KEYS), entry()).prop_map(|(verb, key, entry)| Operation::Kv { verb, key: key.into(), entry });
    proptest::collection::vec(operation, 1..4).prop_map(Command::Transaction)
}

fn command() -> impl Strategy<Value = Command> {
    prop_oneof![
        3 => (service(), proptest::collection::vec(agent_check(), 0..2), any::<bool>()).prop_map(
            |(service, mut checks, replace_checks)| {
                for check in &mut checks {
                    check.check.service_id.clone_from(&service.id);
                }
                Command::RegisterService { service: Box::new(service), checks, replace_checks }
            }
        ),
        1 => any_of(&["i1", "i2"]).prop_map(|id| Command::DeregisterService { id }),
        2 => agent_check().prop_map(|check| Command::RegisterCheck(Box::new(check))),
        1 => any_of(&["c1", "c2"]).prop_map(|id| Command::DeregisterCheck { id }),
        4 => (any_of(&["c1", "c2"]), status(), any_of(&["", "said"]))
            .prop_map(|(id, status, output)| Command::Beat { id, status, output }),
        1 => (any_of(&["i1", "i2"]), any::<bool>())
            .prop_map(|(id, enable)| Command::ServiceMaintenance { id, enable, reason: String::new() }),
        1 => any::<bool>().prop_map(|enable| Command::NodeMaintenance { enable, reason: "why".to_owned() }),
        3 => registration(),
        2 => (any_of(&["ext", "other", "self"]), any_of(&["", "i1"]), any_of(&["", "c1"]))
            .prop_filter("the agent's node stays", |(node, service, check)| {
                node != "self" || !(service.is_empty() && check.is_empty())
            })
            .prop_map(|(node, service, check)| Command::Deregister { node, service, check }),
        6 => (any_of(&KEYS), entry(), write()).prop_map(|(key, entry, write)| Command::Kv { key: key.into(), entry, write }),
        3 => session(),
        1 => any_of(&SESSIONS).prop_map(|id| Command::DestroySession { id }),
        1 => any_of(&SESSIONS).prop_map(|id| Command::RenewSession { id }),
        3 => transaction(),
        1 => Just(Command::Fire(UserEvent { id: SESSIONS[0].to_owned(), name: "e".to_owned(), ..UserEvent::default() })),
        1 => Just(Command::SyncAgent),
    ]
}

/// Applies what is due and then a command, as the writer does; calls `step` after each.
fn drive(state: &mut State, history: &[(u64, Command)], mut step: impl FnMut(&mut State, &Command)) {
    let mut now = Time::ZERO;
    for (pause, command) in history {
        now += Duration::from_secs(*pause);
        let due = state.due(now);
        for command in due.into_iter().chain([command.clone()]) {
            // A refusal is an outcome as good as any.
            let _ = state.apply(command.clone(), now);
            step(state, &command);
        }
    }
}

fn history() -> impl Strategy<Value = Vec<(u64, Command)>> {
    proptest::collection::vec((prop_oneof![4 => Just(0u64), 1 => 1..40u64], command()), 1..60)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn whoever_waits_is_woken_and_finds_a_greater_index(history in history()) {
        let mut state = state();
        let mut before = queries(&state);
        drive(&mut state, &history, |state, command| {
            let after = queries(state);
            for (name, (answer, index, interest)) in &after {
                let (old, old_index, _) = &before[name];
                let woken = state.changes().iter().any(|key| interest.covers(key));
                assert!(answer == old || woken, "{name} changed by {command:?} without waking anybody");
                assert!(answer == old || index > old_index, "{name}: {old_index} to {index} by {command:?}");
                assert!(*index > 0 || answer == old, "{name} has no index after {command:?}");
                // A transaction can set what it deletes.
                if matches!(interest, Interest::Key(Key::Kv(_))) && !matches!(command, Command::Transaction(_)) {
                    assert!(answer != old || !woken, "{name} was woken for nothing by {command:?}");
                }
            }
            assert!(state.index() >= before.values().map(|(_, index, _)| *index).max().unwrap_or(0));
            before = after;
        });
    }

    #[test]
    fn the_same_commands_at_the_same_times_give_the_same_state(history in history()) {
        let mut first = state();
        let mut log = Vec::new();
        let mut now = Time::ZERO;
        for (pause, command) in &history {
            now += Duration::from_secs(*pause);
            for command in first.due(now).into_iter().chain([command.clone()]) {
                log.push((now, command.clone()));
                let _ = first.apply(command, now);
            }
        }
        let mut second = state();
        for (now, command) in log {
            let _ = second.apply(command, now);
        }
        prop_assert_eq!(first.snapshot(), second.snapshot());
        prop_assert_eq!(first.deadline(), second.deadline());
    }

    #[test]
    fn what_is_kept_and_a_log_of_what_followed_give_the_same_state(history in history(), cut in 0usize..1000) {
        let mut whole = state();
        let (mut now, mut kept, mut log) = (Time::ZERO, None, Vec::new());
        let cut = cut % (history.len() + 1);
        for (position, (pause, command)) in history.iter().enumerate() {
            if position == cut {
                // As it is written and read.
                let text = serde_json::to_string(&whole.keep()).expect("it can be written");
                kept = Some(serde_json::from_str(&text).expect("it can be read"));
            }
            now += Duration::from_secs(*pause);
            for command in whole.due(now).into_iter().chain([command.clone()]) {
                if kept.is_some() && whole.weight(&command) != Weight::None {
                    log.push((now, command.clone()));
                }
                let _ = whole.apply(command, now);
            }
        }
        let before_end = whole.keep();
        // What is not kept moves the clock as well.
        log.push((now, Command::SyncAgent));
        let _ = whole.apply(Command::SyncAgent, now);
        let mut again = State::resume(whole.identity().clone(), kept.unwrap_or_else(|| before_end.clone()));
        for (now, command) in log {
            let text = serde_json::to_string(&command).expect("it can be written");
            let _ = again.apply(serde_json::from_str(&text).expect("it can be read"), now);
        }
        let indexes = |state: &State| {
            queries(state).into_iter().map(|(name, (answer, index, _))| (name, answer, index)).collect::<Vec<_>>()
        };
        prop_assert_eq!(indexes(&whole), indexes(&again));
        prop_assert_eq!(whole.snapshot(), again.snapshot());
        let before = indexes(&again);
        let identity = again.identity().clone();
        let later = again.restarted(identity, Duration::ZERO);
        for ((name, answer, index), (_, then, again)) in before.into_iter().zip(indexes(&later)) {
            prop_assert!(then != answer || again >= index, "{name}: {index} to {again}");
            prop_assert!(then == answer || again > index, "{name} is another one at {index} to {again}");
        }
    }

    #[test]
    fn a_snapshot_brings_everything_back(history in history()) {
        let mut first = state();
        drive(&mut first, &history, |_, _| {});
        let mut second = state();
        second.apply(Command::Restore(Box::new(first.snapshot())), Time::ZERO).expect("nothing refuses a snapshot");
        let answers = |state: &State| {
            queries(state).into_iter().map(|(name, (answer, ..))| (name, answer)).collect::<BTreeMap<_, _>>()
        };
        prop_assert_eq!(answers(&first), answers(&second));
        prop_assert!(second.index() > first.index());
    }

    /// A check-and-set that names an index of before the restore must find nothing that it was not meant for.
    #[test]
    fn after_a_restore_no_index_is_given_twice(before in history(), lost in history(), after in history()) {
        let mut state = state();
        drive(&mut state, &before, |_, _| {});
        let old = state.snapshot();
        drive(&mut state, &lost, |_, _| {});
        let highest = state.index();
        state.apply(Command::Restore(Box::new(old)), Time::ZERO).expect("nothing refuses a snapshot");
        prop_assert!(state.index() > highest);
        let indexes = |state: &State| {
            state.kv_list(b"").map(|(key, entry)| (key.clone(), entry.stamp.modified)).collect::<BTreeMap<_, _>>()
        };
        let restored = indexes(&state);
        drive(&mut state, &after, |state, command| {
            for (key, index) in indexes(state) {
                assert!(restored.get(&key) == Some(&index) || index > highest, "{command:?} gave {index} again");
            }
        });
    }
}

fn apply(state: &mut State, command: Command, seconds: u64) -> Answer {
    state.apply(command, Duration::from_secs(seconds)).expect("it is not refused")
}

fn registered(state: &mut State, ttl: u64, deregister_after: Option<u64>) {
    let check = AgentCheck {
        check: Check { id: "c".into(), status: PASSING.into(), service_id: "web".into(), ..Check::default() },
        means: Means::Ttl(Duration::from_secs(ttl)),
        deregister_after: deregister_after.map(Duration::from_secs),
        output_limit: None,
    };
    let service = Box::new(Service { id: "web".into(), name: "web".into(), ..Service::default() });
    apply(state, Command::RegisterService { service, checks: vec![check], replace_checks: false }, 0);
}

fn run_until(state: &mut State, seconds: u64) {
    let end = Duration::from_secs(seconds);
    while let Some(at) = state.deadline().filter(|at| *at <= end) {
        for command in state.due(at) {
            state.apply(command, at).expect("what is due is not refused");
        }
    }
}

fn beat(state: &mut State, status: &str, seconds: u64) {
    apply(state, Command::Beat { id: "c".into(), status: status.into(), output: String::new() }, seconds);
}

#[test]
fn a_heartbeat_that_changes_nothing_changes_no_index() {
    let mut state = state();
    registered(&mut state, 10, None);
    let index = state.index();
    for second in 1..100 {
        beat(&mut state, PASSING, second);
        assert!(state.changes().is_empty());
    }
    assert_eq!(state.index(), index);
    run_until(&mut state, 108);
    let status = |state: &State| state.agent_checks().next().map(|check| check.status.clone());
    assert_eq!(status(&state).as_deref(), Some(PASSING));
    run_until(&mut state, 109);
    assert_eq!(status(&state).as_deref(), Some(CRITICAL), "ten seconds after the last heartbeat");
}

#[test]
fn a_service_that_stays_critical_is_removed() {
    let mut state = state();
    registered(&mut state, 10, Some(1));
    beat(&mut state, CRITICAL, 5);
    run_until(&mut state, 64);
    assert!(state.agent_service("web").is_some(), "a minute is the least");
    run_until(&mut state, 100);
    assert!(state.agent_service("web").is_none() && state.service_instances("web").next().is_none());
    registered(&mut state, 1000, Some(1));
    beat(&mut state, CRITICAL, 110);
    beat(&mut state, PASSING, 160);
    run_until(&mut state, 500);
    assert!(state.agent_service("web").is_some(), "it recovered");
}

fn lock(state: &mut State, session: usize, seconds: u64) -> bool {
    let write = KvWrite::Lock(SESSIONS[session].to_owned());
    apply(state, Command::Kv { key: "l".into(), entry: Entry::default(), write }, seconds) == Answer::Flag(true)
}

fn session_of(id: usize, check: &str, ttl: Option<u64>) -> Command {
    Command::CreateSession(Box::new(Session {
        id: SESSIONS[id].to_owned(),
        node: "self".to_owned(),
        lock_delay: Duration::from_secs(15),
        ttl_time: ttl.map(Duration::from_secs),
        node_checks: Some(vec![check.to_owned()]),
        ..Session::default()
    }))
}

#[test]
fn a_lock_outlives_its_session_by_the_lock_delay() {
    let mut state = state();
    registered(&mut state, 10, None);
    apply(&mut state, session_of(0, "c", None), 0);
    apply(&mut state, session_of(1, "serfHealth", None), 0);
    assert!(lock(&mut state, 0, 1) && lock(&mut state, 0, 1) && !lock(&mut state, 1, 1));
    beat(&mut state, CRITICAL, 2);
    assert_eq!(state.sessions().count(), 1, "the check ended the first");
    assert_eq!(state.kv(b"l").map(|entry| entry.session.as_str()), Some(""), "and released its key");
    assert!(!lock(&mut state, 1, 16) && lock(&mut state, 1, 17));
}

#[test]
fn a_session_ends_after_twice_its_ttl() {
    let mut state = state();
    apply(&mut state, session_of(0, "serfHealth", Some(10)), 0);
    apply(&mut state, Command::RenewSession { id: SESSIONS[0].to_owned() }, 15);
    run_until(&mut state, 34);
    assert_eq!(state.sessions().count(), 1);
    run_until(&mut state, 35);
    assert_eq!(state.sessions().count(), 0);
}

#[test]
fn a_failed_transaction_leaves_nothing_behind() {
    let mut state = state();
    let write = |key: &str, write| Command::Kv { key: key.into(), entry: Entry::default(), write };
    apply(&mut state, write("a", KvWrite::Set), 0);
    let before = state.kv_list_index(b"");
    let operation =
        |key: &str, verb| Operation::Kv { verb, key: key.into(), entry: Entry { flags: 7, ..Entry::default() } };
    let failing = vec![
        operation("a", KvVerb::Write(KvWrite::Set)),
        operation("b", KvVerb::Write(KvWrite::Set)),
        operation("a", KvVerb::Write(KvWrite::Delete)),
        operation("nope", KvVerb::Get),
    ];
    let Answer::Transaction(outcomes) = apply(&mut state, Command::Transaction(failing), 0) else {
        panic!("no outcome")
    };
    assert_eq!(outcomes.errors, [(3, "key \"nope\" doesn't exist".to_owned())]);
    assert!(state.changes().is_empty());
    assert_eq!(state.kv(b"a").map(|entry| entry.flags), Some(0));
    assert_eq!((state.kv(b"b"), state.kv_list_index(b"")), (None, before));
}

#[test]
fn a_heartbeat_counts_after_a_restart_as_long_as_it_would_have_without() {
    let status = |away: u64| {
        let mut state = state();
        registered(&mut state, 10, None);
        let beat = Command::Beat { id: "c".into(), status: PASSING.into(), output: String::new() };
        apply(&mut state, beat, 2);
        let identity = state.identity().clone();
        let state = state.restarted(identity, Duration::from_secs(away));
        state.checks().find(|(_, check)| check.id == "c").map(|(_, check)| check.status.clone()).expect("it is kept")
    };
    assert_eq!([status(0), status(9), status(11)], [PASSING, PASSING, CRITICAL]);
}
