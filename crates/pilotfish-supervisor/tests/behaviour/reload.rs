//! A new config while everything runs.

use pilotfish_supervisor::*;

use crate::{model::*, specs::*};

fn jobs() -> Vec<Job> {
    vec![Job { main: true, ..advertised("main") }, advertised("web"), each("hook", Occurrence::Hangup)]
}

fn running() -> World {
    let mut world = World::booted(spec(jobs()), &[("hook", Script::task(1, 0))]);
    world.run(7_000);
    world
}

fn recommand(job: &mut Job, program: &str) {
    job.process.as_mut().expect("it has one").argv = vec![program.into()];
}

#[test]
fn the_same_config_touches_nothing() {
    let mut world = running();
    let told = world.story.len();
    world.reload(1, spec(jobs()));
    world.run(100);
    assert_eq!((world.story.len(), world.settled.get(&1)), (told, Some(&Ok(()))));
}

#[test]
fn a_bad_config_keeps_everything() {
    let mut world = running();
    let told = world.story.len();
    world.next_config = Some(Err("line 3".into()));
    world.event(Event::ReloadRequested { ticket: Some(1) });
    world.run(100);
    assert_eq!((world.story.len(), world.settled.get(&1)), (told, Some(&Err("line 3".into()))));
}

#[test]
fn removed_jobs_end_added_jobs_start_and_others_go_on() {
    let mut world = running();
    world.reload(1, spec(vec![jobs().remove(0), advertised("new")]));
    world.run(7_000);
    world.order(&["deregister web", "term web", "web Stopped"]);
    world.order(&["start new", "register new Passing"]);
    assert_eq!((world.count("start main"), world.count("term main"), world.count("deregister main")), (1, 0, 0));
    assert_eq!(world.settled.get(&1), Some(&Ok(())));
    let names: Vec<_> = world.supervisor.status(world.now).jobs.into_iter().map(|job| job.name).collect();
    assert_eq!(names, ["main", "new"]);
}

#[test]
fn a_changed_command_replaces_the_process_and_a_changed_check_does_not() {
    let mut world = running();
    let mut changed = jobs();
    recommand(&mut changed[1], "web2");
    world.reload(1, spec(changed.clone()));
    world.run(7_000);
    world.order(&["deregister web", "term web", "end web 143"]);
    assert_eq!((world.count("start web"), world.settled.get(&1)), (2, Some(&Ok(()))));
    let pid = world.job("web").pid;
    changed[1].health.as_mut().expect("checked").interval = secs(9);
    changed[1].service.as_mut().expect("advertised").tags = vec!["blue".into()];
    world.reload(2, spec(changed));
    world.run(7_000);
    assert_eq!((world.job("web").pid, world.settled.get(&2)), (pid, Some(&Ok(()))));
    assert_eq!(world.count("register web Passing"), 3, "with its new tags");
}

#[test]
fn main_is_never_restarted() {
    let mut world = running();
    let mut changed = jobs();
    recommand(&mut changed[0], "main2");
    world.reload(1, spec(changed));
    world.run(7_000);
    world.reload(2, spec(vec![advertised("web")]));
    world.run(7_000);
    assert_eq!((world.count("start main"), world.count("term main"), world.count("main unchanged")), (1, 0, 2));
    assert!(world.settled.values().all(Result::is_ok), "{:?}", world.settled);
}

#[test]
fn a_changed_job_that_waits_has_nothing_to_prove() {
    let mut world = running();
    let mut changed = jobs();
    recommand(&mut changed[2], "hook2");
    changed.push(Job { health: Some(health()), ..once("later", Occurrence::User2) });
    world.reload(1, spec(changed));
    world.run(100);
    assert_eq!(world.settled.get(&1), Some(&Ok(())));
}

#[test]
fn a_rare_check_does_not_fail_a_reload_that_did_not_touch_it() {
    let mut jobs = vec![Job { main: true, ..advertised("main") }];
    jobs[0].health.as_mut().expect("checked").interval = secs(600);
    let mut world = World::booted(spec(jobs.clone()), &[]);
    world.run(7_000);
    jobs[0].service.as_mut().expect("advertised").tags = vec!["blue".into()];
    world.reload(1, spec(jobs));
    world.run(60_000);
    assert_eq!(world.settled.get(&1), Some(&Ok(())));
}

fn failing_reload(script: Script, check: Script, change: impl Fn(&mut Job)) -> World {
    let mut world = running();
    let mut changed = jobs();
    recommand(&mut changed[1], "web2");
    change(&mut changed[1]);
    world.reload(1, spec(changed));
    world.scripts.insert("web".into(), script);
    world.checks.insert("web".into(), check);
    world.run(30_500);
    world.scripts.remove("web");
    world.checks.remove("web");
    world.run(60_000);
    world
}

#[test]
fn what_does_not_become_healthy_in_time_is_rolled_back() {
    let world = failing_reload(Script::DAEMON, Script::task(5, 1), |_| {});
    assert_eq!(world.count("rolled back: not healthy in time: web"), 1, "{}", world.told());
    assert!(world.settled[&1].is_err());
    assert_eq!((world.count("start web"), world.job("web").health), (3, Some(HealthStatus::Healthy)));
    assert_eq!(world.supervisor.spec(), &spec(jobs()));
}

#[test]
fn what_fails_is_rolled_back_and_does_not_stop_the_container() {
    for policy in [OnFailure::Ignore, OnFailure::Exit] {
        let world = failing_reload(Script::task(100, 3), Script::task(5, 0), |job| job.on_failure = policy);
        assert!(world.settled[&1].is_err() && world.finished.is_none(), "{}", world.told());
    }
    let unspawnable = Script { unspawnable: Some(127), ..Script::DAEMON };
    let world = failing_reload(unspawnable, Script::task(5, 0), |job| job.health = None);
    assert!(world.settled[&1].is_err());
}

#[test]
fn the_same_config_again_does_not_end_its_trial() {
    let mut world = running();
    world.checks.insert("web".into(), Script::task(5, 1));
    let mut changed = jobs();
    recommand(&mut changed[1], "web2");
    for ticket in [1, 2] {
        world.reload(ticket, spec(changed.clone()));
        world.run(100);
    }
    changed.push(job("more"));
    world.reload(3, spec(changed));
    world.run(100);
    assert!(world.settled.keys().eq(&[1, 2]) && world.settled.values().all(Result::is_err), "{:?}", world.settled);
    world.run(60_000);
    assert!(world.settled[&3].is_err());
    assert_eq!(world.supervisor.spec(), &spec(jobs()), "back to what has proved itself");
}

#[test]
fn the_health_of_the_old_process_proves_nothing_about_the_new_one() {
    let mut jobs = jobs();
    jobs.push(each("drain", of("web", JobOccurrence::Stopping)));
    let mut world =
        World::booted(spec(jobs.clone()), &[("hook", Script::task(1, 0)), ("drain", Script::task(12_000, 0))]);
    world.run(7_000);
    recommand(&mut jobs[1], "web2");
    world.reload(1, spec(jobs));
    world.run(11_000);
    assert_eq!((world.settled.get(&1), world.count("start web")), (None, 1));
    world.run(10_000);
    assert_eq!((world.settled.get(&1), world.count("start web")), (Some(&Ok(())), 2));
}

#[test]
fn reloads_during_a_reload_are_one_more_and_every_ticket_is_answered() {
    let mut world = running();
    for ticket in 0..300 {
        world.event(Event::ReloadRequested { ticket: Some(ticket) });
    }
    world.run(1_000);
    assert_eq!(world.effects.iter().filter(|effect| **effect == Effect::Load).count(), 2);
    assert_eq!(world.settled.len(), 300);
}

#[test]
fn a_stop_during_a_reload_answers_its_tickets_and_starts_nothing() {
    let mut world = World::booted(spec(jobs()), &[("web", Script::STUBBORN)]);
    world.run(7_000);
    let mut changed = jobs();
    recommand(&mut changed[1], "web2");
    world.reload(1, spec(changed.clone()));
    world.run(100);
    world.reload(2, spec(changed));
    world.term();
    world.event(Event::ReloadRequested { ticket: Some(3) });
    world.run_to_end();
    assert!(world.settled.len() == 3 && world.settled.values().all(Result::is_err));
    assert_eq!(world.count("start web"), 1);
}

#[test]
fn a_job_that_is_removed_and_added_again_runs_once() {
    let mut world =
        World::booted(spec(jobs()), &[("web", Script { on_term: Some((secs(3), Exit::Code(0))), ..Script::DAEMON })]);
    world.run(7_000);
    let without: Vec<Job> = jobs().into_iter().filter(|job| job.name != "web").collect();
    world.reload(1, spec(without));
    world.run(100);
    world.reload(2, spec(jobs()));
    world.run(10_000);
    assert_eq!((world.count("end web 0"), world.count("start web")), (1, 2));
    assert_eq!(world.job("web").state, JobState::Running);
    assert!(world.settled[&2].is_ok());
}

#[test]
fn a_removed_service_is_withdrawn_for_good() {
    let mut world = running();
    let mut changed = jobs();
    changed[1].service = None;
    world.reload(1, spec(changed));
    world.run(30_000);
    assert_eq!((world.count("deregister web"), world.held["10.0.0.1:8500"].contains_key("web")), (1, false));
}

#[test]
fn a_removed_job_is_deregistered_even_if_the_catalog_is_away_for_long() {
    let mut world = running();
    world.catalog = Catalog::Away { refused: true };
    let without: Vec<Job> = jobs().into_iter().filter(|job| job.name != "web").collect();
    world.reload(1, spec(without));
    world.run(60_000);
    world.catalog = Catalog::Up;
    world.run(2_000);
    assert!(!world.held["10.0.0.1:8500"].contains_key("web"));
}

#[test]
fn another_service_id_replaces_the_old_registration() {
    let mut world = running();
    let mut changed = jobs();
    changed[1].service.as_mut().expect("advertised").id = "web-2".into();
    world.reload(1, spec(changed));
    world.run(7_000);
    let held = &world.held["10.0.0.1:8500"];
    assert!(held.contains_key("web-2") && !held.contains_key("web"), "{held:?}");
}

#[test]
fn a_definition_that_changes_while_it_is_registered_is_registered_again() {
    let mut world = World::booted(spec(jobs()), &[]);
    world.latency = secs(2);
    world.run(1_500);
    let mut changed = jobs();
    changed[1].service.as_mut().expect("advertised").port = 81;
    world.reload(1, spec(changed));
    world.run(30_000);
    let port_of = |request: &Request| {
        let Request::Register { service, .. } = request else { return None };
        (service.id == "web").then_some(service.port)
    };
    let last = world.calls.iter().rev().find_map(|(_, _, request)| port_of(request));
    assert_eq!(last, Some(81));
}

#[test]
fn an_added_job_does_not_take_the_word_of_one_that_goes_away() {
    let mut world = running();
    world.scripts.insert("web".into(), Script { on_term: Some((secs(3), Exit::Code(0))), ..Script::DAEMON });
    let mut changed = jobs();
    recommand(&mut changed[1], "web2");
    changed.push(once("client", of("web", JobOccurrence::Healthy)));
    world.reload(1, spec(changed));
    world.run(20_000);
    let second = world.story.iter().rposition(|(_, line)| line == "start web").expect("replaced");
    let client = world.story.iter().position(|(_, line)| line == "start client").expect("started");
    assert!(client > second, "{}", world.told());
}

#[test]
fn a_condition_that_changes_knows_what_is_ready() {
    let held = |trigger| {
        let Start::On(condition) = on(&[trigger], Times::Each) else { unreachable!() };
        let hold = HoldBack { until: vec![of("main", JobOccurrence::Started)], at_most: secs(10) };
        Job { start: Start::On(Condition { hold_back: Some(hold), ..condition }), ..job("held") }
    };
    let mut world = World::booted(spec(vec![main_job(), held(Occurrence::Hangup)]), &[("held", Script::task(1, 0))]);
    world.run(10);
    world.event(Event::Signalled(Signal::Hangup));
    world.run(10);
    world.reload(1, spec(vec![main_job(), held(Occurrence::User2)]));
    world.run(10);
    world.event(Event::Signalled(Signal::User2));
    world.run(10);
    assert_eq!(world.count("start held"), 2);
}

#[test]
fn beside_a_process_that_cannot_be_killed_no_second_one_is_started() {
    let mut world = World::booted(spec(jobs()), &[("web", Script { unkillable: true, ..Script::STUBBORN })]);
    world.run(7_000);
    let mut changed = jobs();
    recommand(&mut changed[1], "web2");
    world.reload(1, spec(changed));
    world.run(120_000);
    assert!(world.settled[&1].is_err());
    assert_eq!(world.count("start web"), 1);
    world.term();
    world.run_to_end();
}

#[test]
fn hooks_in_a_circle_make_room_for_a_reload() {
    let circle = [once("x", of("y", JobOccurrence::Stopped)), once("y", of("x", JobOccurrence::Stopping))];
    let mut world = World::booted(spec([vec![main_job()], circle.to_vec()].concat()), &[]);
    world.run(10);
    world.reload(1, spec(vec![main_job()]));
    world.run(10);
    assert_eq!(world.supervisor.status(world.now).jobs.len(), 1);
}
