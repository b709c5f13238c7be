//! Files that are rendered: before the startup, on change, judged, retried, and across reloads.

use pilotfish_supervisor::*;

use crate::{desk::Disk, model::*, specs::*};

/// One template `conf` that asks `a`, a command that its changes start, and a main application.
fn conf(change: impl FnOnce(Template) -> Template) -> Spec {
    let templates = vec![change(template("conf"))];
    Spec { templates, ..spec(vec![main_job(), each("command", rendered("conf"))]) }
}

/// A booted world in which `conf` asks `a`, and `a` has no answer yet.
fn waiting(spec: Spec) -> World {
    let mut world = World::new(spec);
    world.desk.asks.insert("conf".into(), (vec!["a"], None));
    world.scripts.insert("command".into(), Script::task(50, 0));
    world.event(Event::Booted);
    world
}

fn running(spec: Spec) -> World {
    let mut world = waiting(spec);
    world.fact("a", 1);
    world.run(100);
    world.order(&["written conf", "Startup", "start main"]);
    world
}

fn file(world: &World) -> &str {
    &world.desk.files["/etc/conf"]
}

fn status(world: &World) -> TemplateStatus {
    world.supervisor.status(world.now).templates.remove(0)
}

#[test]
fn nothing_starts_before_required_files_are_there_however_long_that_takes() {
    let mut world = waiting(conf(|conf| conf));
    world.run(70_000);
    assert_eq!(world.count("start main"), 0);
    assert_eq!(world.at("held back by conf: no answer yet to a"), 5_000);
    assert_eq!(world.count("held back by conf: no answer yet to a"), 2, "{}", world.told());
    assert!(world.supervisor.status(world.now).startup_held);
    world.event(Event::FactFailed { fact: "a".into(), reason: "no leader".into() });
    assert_eq!(status(&world).obstacle.as_deref(), Some("no answer yet to a (no leader)"));
    world.fact("a", 1);
    world.run(100);
    world.order(&["written conf", "Startup", "start main"]);
    assert_eq!(world.count("start command"), 0, "nobody has seen another file");
    assert_eq!((status(&world).state, status(&world).obstacle), (TemplateState::InPlace, None));
}

#[test]
fn a_stop_does_not_wait_for_a_file() {
    let bye = once("bye", Occurrence::Shutdown);
    let mut world = waiting(Spec { jobs: vec![main_job(), bye], ..conf(|conf| conf) });
    world.run(1_000);
    world.term();
    assert_eq!(world.finished, Some(0), "{}", world.told());
    assert!(world.desk.followed.is_empty());
}

#[test]
fn a_stop_kills_a_check_and_removes_what_it_judges() {
    let mut world = waiting(conf(judged));
    world.checks.insert("conf".into(), Script::STUBBORN);
    world.fact("a", 1);
    world.run(100);
    world.term();
    assert_eq!(world.finished, Some(0));
    world.order(&["kill conf", "finish 0"]);
    assert!(world.effects.iter().any(|effect| matches!(effect, Effect::Discard { .. })));
}

#[test]
fn conditions_count_their_time_from_the_startup_and_early_signals_are_kept() {
    let condition = Condition {
        triggers: vec![Occurrence::User2],
        quantifier: Quantifier::Any,
        times: Times::Once,
        timeout: Some(secs(2)),
        hold_back: None,
    };
    let late = Job { start: Start::On(condition), ..job("late") };
    let hook = each("hook", Occurrence::Hangup);
    let mut world = waiting(Spec { jobs: vec![main_job(), late, hook], ..conf(|conf| conf) });
    world.event(Event::Signalled(Signal::Hangup));
    world.event(Event::Signalled(Signal::Hangup));
    world.run(10_000);
    world.fact("a", 1);
    world.run(3_000);
    assert_eq!(world.count("start hook"), 1, "{}", world.told());
    assert!((12_000..12_100).contains(&world.at("late TimedOut")), "{}", world.told());
}

#[test]
fn watches_begin_with_the_startup() {
    let mut world = waiting(Spec { watches: vec![watch("db")], ..conf(|conf| conf) });
    assert_eq!(world.count("watch db"), 0);
    world.fact("a", 1);
    world.run(100);
    assert_eq!(world.count("watch db"), 1);
}

#[test]
fn a_change_is_rendered_and_its_command_runs_once() {
    let mut world = running(conf(|conf| conf));
    world.fact("a", 2);
    world.run(100);
    assert_eq!(file(&world), "text of conf:a=2");
    world.order(&["written conf", "template.conf changed", "start command"]);
    assert_eq!(world.count("start command"), 1);
    world.fact("a", 2);
    world.run(1_000);
    assert_eq!((world.count("start command"), status(&world).renders), (1, 3), "the same answer is no change");
}

#[test]
fn a_file_that_is_the_same_tells_nobody() {
    let mut world = running(conf(|conf| conf));
    world.desk.files.insert("/etc/conf".into(), "text of conf:a=2".into());
    world.fact("a", 2);
    world.run(100);
    assert_eq!((world.count("written conf"), world.count("start command")), (1, 0), "{}", world.told());
}

#[test]
fn a_burst_of_changes_runs_the_command_for_the_last_state() {
    let mut world = running(conf(|conf| conf));
    world.scripts.insert("command".into(), Script::task(5_000, 0));
    for version in 2..1_000 {
        world.fact("a", version);
        world.run(1);
    }
    world.run(20_000);
    assert_eq!(file(&world), "text of conf:a=999");
    assert_eq!(world.count("start command"), 2, "one during the burst, one for what came meanwhile");
}

#[test]
fn a_command_that_fails_is_tried_again() {
    let mut spec = conf(|conf| conf);
    spec.jobs[1].on_failure = OnFailure::Restart;
    let mut world = running(spec);
    world.scripts.insert("command".into(), Script::task(10, 1));
    world.fact("a", 2);
    world.run(10_000);
    let failed = world.count("start command");
    assert!((3..8).contains(&failed), "{}", world.told());
    world.scripts.insert("command".into(), Script::task(10, 0));
    world.run(60_000);
    assert_eq!(world.count("start command"), failed + 1);
    // Successful runs, however quick, are no reason to back off.
    for version in 3..20 {
        world.fact("a", version);
        world.run(100);
    }
    world.scripts.insert("command".into(), Script::task(10, 1));
    let before = world.count("start command");
    world.fact("a", 20);
    world.run(1_500);
    assert_eq!(world.count("start command"), before + 3, "{}", world.told());
}

#[test]
fn changes_are_collected_until_it_is_quiet_or_long_enough() {
    let wait = Some(Wait { min: secs(2), max: secs(5) });
    let mut world = running(conf(|conf| Template { wait, ..conf }));
    assert!(world.at("start main") < 50, "the first rendering does not wait");
    let begun = world.now.since_start().as_millis() as u64;
    world.fact("a", 2);
    world.run(1_900);
    world.fact("a", 3);
    world.run(1_900);
    world.fact("a", 4);
    world.run(1_000);
    assert_eq!(file(&world), "text of conf:a=1");
    world.fact("a", 5);
    world.run(1_000);
    assert_eq!(file(&world), "text of conf:a=5", "five seconds after the first change");
    assert!((begun + 5_000..begun + 5_100).contains(&world.at("start command")), "{}", world.told());
    world.fact("a", 6);
    world.run(2_100);
    assert_eq!(file(&world), "text of conf:a=6", "two quiet seconds");
}

#[test]
fn a_splay_is_thrown_once_for_each_change() {
    let mut world = running(conf(|conf| Template { splay: secs(10), ..conf }));
    let begun = world.now;
    world.fact("a", 2);
    let due = world.supervisor.deadline().unwrap();
    assert!(due.since(begun) < secs(10) && due > begun, "{due:?}");
    world.fact("a", 3);
    assert_eq!(world.supervisor.deadline(), Some(due));
    world.run(10_000);
    assert_eq!(file(&world), "text of conf:a=3");
}

#[test]
fn a_check_must_pass_before_the_file_is_replaced() {
    let mut world = running(conf(judged));
    let check = |effect: &Effect| {
        let Effect::Spawn { label, process, .. } = effect else { return None };
        (label.kind == RunKind::TemplateCheck).then(|| process.argv.clone())
    };
    assert_eq!(world.effects.iter().find_map(check), Some(vec!["judge".into(), "/beside/conf".into()]));
    world.checks.insert("conf".into(), Script::task(10, 1));
    world.fact("a", 2);
    world.run(5_000);
    assert_eq!(file(&world), "text of conf:a=1");
    assert_eq!(world.count("failed conf: its check refuses the new file: it exited with code 1"), 1, "told once");
    assert_eq!((status(&world).state, world.count("start command")), (TemplateState::Failing, 0));
    let tried = status(&world).renders;
    assert!(tried > 3, "it is tried again by itself");
    world.fact("a", 3);
    world.run(100);
    assert_eq!(status(&world).renders, tried + 1, "and at once with the next change");
    world.checks.clear();
    world.run(70_000);
    assert_eq!(file(&world), "text of conf:a=3");
    assert_eq!((status(&world).obstacle, world.count("start command")), (None, 1));
}

#[test]
fn a_check_that_hangs_or_cannot_start_has_failed() {
    let mut world = running(conf(judged));
    world.checks.insert("conf".into(), Script::STUBBORN);
    world.fact("a", 2);
    world.run(2_500);
    world.at("failed conf: its check refuses the new file: it was killed by signal 9");
    world.checks.insert("conf".into(), Script { unspawnable: Some(127), ..Script::DAEMON });
    world.run(2_000);
    world.at("failed conf: its check refuses the new file: it no such file");
    assert_eq!(file(&world), "text of conf:a=1");
}

#[test]
fn a_full_disk_keeps_the_file_and_heals_by_itself() {
    let mut world = running(conf(|conf| conf));
    world.desk.disk = Disk::Full;
    world.fact("a", 2);
    world.run(30_000);
    assert_eq!((file(&world), world.count("failed conf: no space left")), ("text of conf:a=1", 1));
    world.desk.disk = Disk::Good;
    world.run(61_000);
    assert_eq!((file(&world), world.count("start command")), ("text of conf:a=2", 1));
}

#[test]
fn a_template_that_cannot_be_rendered_waits_for_another_answer() {
    let mut world = running(conf(|conf| conf));
    world.desk.broken.insert("conf".into());
    world.fact("a", 2);
    world.run(100_000);
    assert_eq!((status(&world).renders, world.count("failed conf: broken")), (3, 1));
    world.desk.broken.clear();
    world.fact("a", 3);
    world.run(100);
    assert_eq!(file(&world), "text of conf:a=3");
}

#[test]
fn what_changes_while_the_disk_hangs_is_rendered_afterwards() {
    let mut world = running(conf(|conf| conf));
    world.desk.disk = Disk::Hangs;
    for version in 2..10 {
        world.fact("a", version);
        world.run(1_000);
    }
    assert_eq!(status(&world).state, TemplateState::Rendering);
    for event in world.desk.heal() {
        world.later(ms(0), event);
    }
    world.run(100);
    assert_eq!(file(&world), "text of conf:a=9");
    world.term();
    world.run_to_end();
}

#[test]
fn one_question_is_followed_once_and_forgotten_when_nobody_asks_it() {
    let templates = vec![template("conf"), Template { required: false, ..template("other") }];
    let mut world = World::new(Spec { templates, ..spec(vec![main_job()]) });
    world.desk.asks.insert("conf".into(), (vec!["a"], Some("b")));
    world.desk.asks.insert("other".into(), (vec!["a"], None));
    world.event(Event::Booted);
    world.fact("b", 1);
    world.fact("a", 2);
    world.run(100);
    assert_eq!(world.desk.followed.keys().collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(file(&world), "text of conf:a=2,b=1");
    world.fact("a", 3);
    world.run(100);
    assert_eq!((world.desk.followed.len(), file(&world)), (1, "text of conf:a=3"));
}

#[test]
fn too_many_questions_are_refused_and_the_limit_is_named() {
    let names: Vec<&'static str> =
        (0..=TEMPLATE_FACTS).map(|number| &*Box::leak(format!("f{number}").into_boxed_str())).collect();
    let mut world = World::new(conf(|conf| conf));
    world.desk.asks.insert("conf".into(), (names, None));
    world.event(Event::Booted);
    world.run(100);
    assert!(world.desk.followed.is_empty());
    world.at("failed conf: the templates ask 129 questions; all together may ask 128, because each holds a connection");
}

#[test]
fn a_restarted_catalog_that_answers_less_is_believed_after_a_while_only() {
    let mut world = running(conf(|conf| conf));
    world.fact_of("a", 2, true, true);
    world.run(9_000);
    assert_eq!((file(&world), world.count("held a")), ("text of conf:a=1", 1));
    world.fact("a", 1);
    world.run(20_000);
    assert_eq!(world.count("start command"), 0, "everybody came back: nothing has changed");
    world.fact_of("a", 4, true, true);
    world.run(9_900);
    assert_eq!(file(&world), "text of conf:a=1");
    world.run(200);
    assert_eq!(file(&world), "text of conf:a=4");
    world.fact_of("a", 6, true, true);
    world.event(Event::FactFailed { fact: "a".into(), reason: "no leader".into() });
    world.run(60_000);
    assert_eq!(file(&world), "text of conf:a=4", "a catalog that fails now cannot confirm what it said before");
    let facts = world.supervisor.status(world.now).facts;
    assert_eq!(facts[0].failing.as_deref(), Some("no leader"));
}

#[test]
fn processes_that_read_the_file_are_told_when_they_can_hear_it() {
    let notify = vec![Notify { job: "main".into(), reaction: Reaction::Signal(1) }];
    let jobs = vec![Job { main: true, ..advertised("main") }];
    let mut world = running(Spec { jobs, ..conf(|conf| Template { notify: notify.clone(), ..conf }) });
    world.fact("a", 2);
    world.run(100);
    assert_eq!(world.count("signal 1 main"), 0, "its check has not passed yet");
    world.run(2_000);
    assert_eq!(world.count("signal 1 main"), 1);
    assert!(world.at("main Healthy") <= world.at("signal 1 main"));
    world.fact("a", 3);
    world.run(100);
    assert_eq!(world.count("signal 1 main"), 2, "{}", world.told());
    // Without a check it is given a second.
    let mut world = running(conf(|conf| Template { notify, ..conf }));
    world.fact("a", 2);
    world.run(100);
    assert_eq!(world.count("signal 1 main"), 0);
    world.run(1_000);
    assert_eq!(world.count("signal 1 main"), 1);
}

#[test]
fn a_process_that_cannot_be_told_is_started_again() {
    let notify = vec![Notify { job: "main".into(), reaction: Reaction::Restart { signal: Some(2) } }];
    let mut world = running(conf(|conf| Template { notify, ..conf }));
    world.fact("a", 2);
    world.fact("a", 3);
    world.run(10_000);
    assert_eq!((world.count("signal 2 main"), world.count("kill main")), (1, 1), "{}", world.told());
    assert_eq!((world.count("start main"), world.finished), (2, None));
    world.term();
    world.run_to_end();
}

#[test]
fn once_is_over_when_everything_was_rendered_and_told() {
    let once = |jobs| Spec { once: true, jobs, ..conf(|conf| Template { required: false, ..conf }) };
    let mut world = waiting(once(vec![each("command", rendered("conf"))]));
    world.run(60_000);
    assert_eq!(world.finished, None);
    world.fact("a", 1);
    world.run_to_end();
    world.order(&["written conf", "start command", "end command 0", "finish 0"]);
    let mut world = waiting(once(vec![]));
    world.desk.broken.insert("conf".into());
    world.fact("a", 1);
    world.run_to_end();
    assert_eq!(world.finished, Some(1), "{}", world.told());
}

#[test]
fn a_reload_touches_only_templates_that_changed() {
    let mut spec = conf(|conf| conf);
    spec.templates.push(template("other"));
    let mut world = running(spec.clone());
    let renders = |world: &World, index: usize| world.supervisor.status(world.now).templates[index].renders;
    let before = renders(&world, 1);
    spec.templates[0].text = "new".into();
    world.reload(1, spec.clone());
    world.run(1_000);
    assert_eq!((world.settled[&1].clone(), renders(&world, 1)), (Ok(()), before));
    assert_eq!(file(&world), "new:a=1");
    assert_eq!(world.count("start command"), 1);
    world.reload(2, spec.clone());
    world.run(1_000);
    assert_eq!(world.count("start command"), 1);
    spec.templates.remove(0);
    spec.jobs.remove(1);
    world.reload(3, spec);
    world.run(1_000);
    assert_eq!((world.settled[&3].clone(), file(&world)), (Ok(()), "new:a=1"), "its file is left alone");
    assert!(world.desk.followed.is_empty());
}

#[test]
fn a_reload_whose_file_cannot_be_put_in_place_is_rolled_back() {
    let old = conf(judged);
    let mut world = running(old.clone());
    let mut new = old.clone();
    new.templates[0].text = "bad".into();
    world.checks.insert("conf".into(), Script::task(10, 1));
    world.reload(1, new.clone());
    world.run(100);
    world.checks.clear();
    world.run(100);
    let refused = world.settled[&1].clone().unwrap_err();
    assert_eq!(refused, "rolled back: template conf: its check refuses the new file: it exited with code 1");
    assert_eq!((world.supervisor.spec(), file(&world)), (&old, "text of conf:a=1"));
    new.templates[0].text = "unanswered".into();
    world.desk.asks.insert("conf".into(), (vec!["b"], None));
    world.reload(2, new);
    world.run(29_000);
    assert!(!world.settled.contains_key(&2));
    world.desk.asks.insert("conf".into(), (vec!["a"], None));
    world.run(2_000);
    assert_eq!(world.settled[&2].clone().unwrap_err(), "rolled back: template conf: no answer yet to b");
    assert_eq!(world.supervisor.spec(), &old);
}

#[test]
fn a_reload_before_the_startup_can_mend_what_holds_it_back() {
    let mut spec = conf(|conf| conf);
    let mut world = waiting(spec.clone());
    world.desk.asks.insert("mended".into(), (vec![], None));
    world.run(10_000);
    spec.templates[0] = Template { destination: "/etc/conf".into(), ..template("mended") };
    spec.jobs.truncate(1);
    world.reload(1, spec);
    world.run(100);
    assert_eq!(world.settled[&1], Ok(()));
    world.order(&["written mended", "Startup", "start main"]);
}

#[test]
fn a_file_is_not_rendered_anew_while_it_is_being_replaced() {
    let mut spec = conf(|conf| conf);
    let mut world = running(spec.clone());
    world.fact("a", 2);
    // The first millisecond renders, the second replaces; the model looks out for two at a time.
    for wait in 0..4 {
        world.run(wait);
        spec.templates[0].text = format!("text {wait}");
        world.reload(u64::from(wait as u32), spec.clone());
        world.fact("a", 3 + wait);
    }
    world.run(1_000);
    assert_eq!(file(&world), "text 3:a=6");
    // Nor under another name.
    world.fact("a", 7);
    world.desk.disk = Disk::Hangs;
    world.run(1);
    world.desk.asks.insert("renamed".into(), (vec!["a"], None));
    spec.templates[0].name = "renamed".into();
    spec.jobs.truncate(1);
    world.reload(10, spec);
    world.run(100);
    world.heal_desk();
    world.fact("a", 6);
    world.run(1_000);
    assert_eq!(file(&world), "text 3:a=6");
}

/// A reload comes while the file is being replaced, and finds it as it is to be.
#[test]
fn a_file_that_an_earlier_definition_has_put_in_place_is_told() {
    let mut spec = conf(|conf| conf);
    let mut world = running(spec.clone());
    world.fact("a", 2);
    world.desk.disk = Disk::Hangs;
    world.run(1);
    spec.templates[0].splay = secs(1);
    world.reload(1, spec);
    world.run(100);
    assert_eq!(file(&world), "text of conf:a=1", "it is still being replaced");
    world.heal_desk();
    world.run(1_000);
    assert_eq!((file(&world), world.count("start command")), ("text of conf:a=2", 1), "{}", world.told());
}
