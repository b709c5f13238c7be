//! Logging and output: supervisor.md section 9.

use serde_json::Value;

use crate::stage::{End, Pilot, Signal, Stage, Stdout};

fn logging(settings: &str, jobs: &str) -> String {
    format!("{{logging: {{{settings}}}, jobs: [{jobs}]}}")
}

const SPEAKER: &str = "{name: 'speaker', exec: ['sh', '-c', 'echo out; echo err >&2']}";

#[test]
fn lines_of_jobs_are_wrapped_with_name_and_pid() {
    let pilot = Pilot::start(&logging("", SPEAKER));
    assert_eq!(pilot.wait_for_end(), End::Code(0));
    for part in ["out", "err"] {
        let line =
            pilot.stdout.text().lines().find(|line| line.ends_with(&format!(" {part}"))).map(str::to_owned).unwrap();
        let words: Vec<&str> = line.split(' ').collect();
        assert!(words[0].ends_with('Z') && words[1] == "speaker" && words[2].parse::<u32>().is_ok(), "{line}");
    }
}

#[test]
fn the_three_formats_and_levels() {
    let pilot = Pilot::start(&logging("format: 'json', level: 'debug'", SPEAKER));
    assert_eq!(pilot.wait_for_end(), End::Code(0));
    let text = pilot.stdout.text();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of_job = lines.iter().find(|line| line["msg"] == "out").unwrap();
    assert_eq!((of_job["job"].as_str(), of_job["level"].as_str()), (Some("speaker"), Some("info")));
    assert!(of_job["pid"].is_u64() && of_job["time"].is_string());
    assert!(lines.iter().any(|line| line["level"] == "debug"));

    let pilot = Pilot::start(&logging("format: 'text'", SPEAKER));
    assert_eq!(pilot.wait_for_end(), End::Code(0));
    let line = pilot.wait_for("a line", || pilot.stdout.find("msg=out"));
    assert!(line.starts_with("time=\"") && line.contains("level=info") && line.contains("job=speaker pid="), "{line}");

    let pilot = Pilot::start(&logging("level: 'error'", SPEAKER));
    assert_eq!(pilot.wait_for_end(), End::Code(0));
    assert!(pilot.stdout.find("started").is_none(), "{}", pilot.story());
}

#[test]
fn output_to_stderr_or_a_file_that_sigusr1_opens_again() {
    let pilot = Pilot::start(&logging("output: 'stderr'", SPEAKER));
    assert_eq!(pilot.wait_for_end(), End::Code(0));
    assert!(pilot.stdout.text().is_empty() && pilot.stderr.find("speaker").is_some(), "{}", pilot.story());

    let jobs =
        "{name: 'main', exec: 'sleep 1000', main: true}, {name: 'tick', exec: 'echo tick', when: {interval: '50ms'}}";
    let pilot = Pilot::start(&logging("output: '@DIR@/log'", jobs));
    pilot.wait_for_file("log", |text| text.contains("tick"));
    std::fs::rename(pilot.file("log"), pilot.file("log.1")).unwrap();
    pilot.signal(Signal::USR1);
    pilot.wait_for_file("log", |text| text.contains("tick"));
    assert!(pilot.stdout.text().is_empty());
}

#[test]
fn raw_output_is_passed_on_as_it_is() {
    let pilot = Pilot::start(&logging(
        "",
        "{name: 'speaker', exec: ['sh', '-c', 'echo out; echo err >&2'], logging: {raw: true}}",
    ));
    assert_eq!(pilot.wait_for_end(), End::Code(0));
    assert!(pilot.stdout.text().lines().any(|line| line == "out"), "{}", pilot.story());
    assert!(pilot.stderr.text().lines().any(|line| line == "err"), "{}", pilot.story());
}

#[test]
fn secrets_of_the_environment_reach_no_log() {
    let names = ["DB_PASSWORD", "API_SECRET", "ACCESS_TOKEN", "MANTA_PRIVATE_KEY"];
    let script =
        "echo $DB_PASSWORD-$API_SECRET-$ACCESS_TOKEN; printf '%s\\n' \"$MANTA_PRIVATE_KEY\" >&2; echo $PLAIN; exit 1";
    let mut stage = Stage::with_config(
        "{logging: {level: 'debug'}, jobs: [{name: 'leaky', exec: 'leaky',
            health: {exec: 'leaky', interval: 1, ttl: 10}}]}",
    );
    stage.script("leaky", script).variable("PLAIN", "visible-value");
    for name in names {
        stage.variable(name, &format!("hidden-{name}-value"));
    }
    let pilot = stage.start();
    assert!(matches!(pilot.wait_for_end(), End::Code(_)));
    let story = pilot.stdout.text() + &pilot.stderr.text();
    assert!(story.contains("visible-value"));
    for name in names {
        assert!(!story.contains(&format!("hidden-{name}-value")), "{story}");
    }
}

#[test]
fn a_closed_standard_output_stops_nothing() {
    let jobs = "{name: 'main', exec: 'sleep 1000', main: true}, {name: 'talker', exec: 'talker',
        restarts: 'unlimited', restartBackoff: {initial: '1ms', max: '1ms'}}";
    let mut stage = Stage::with_config(&logging("", jobs));
    let pilot = stage.script("talker", "seq 1000").stdout(Stdout::Closed).start();
    pilot.wait_for_job("talker", |job| job["runs"].as_u64() > Some(20));
    pilot.signal(Signal::TERM);
    pilot.wait_for("its end", || pilot.ended().filter(|end| *end == End::Code(143)));
}

#[test]
fn a_standard_output_that_nobody_reads_slows_only_the_talker_down() {
    let jobs = "{name: 'main', exec: 'sleep 1000', main: true}, {name: 'talker', exec: 'yes talk'},
                {name: 'app', exec: 'sleep 2000',
                    health: {exec: 'note', interval: '300ms', timeout: '290ms', ttl: 10}}";
    let mut stage = Stage::with_config(&logging("", jobs));
    let pilot = stage.script("note", "echo >> @DIR@/checks; echo checked").stdout(Stdout::Full).start();
    pilot.wait_for_file("checks", |text| text.lines().count() >= 8);
    assert_eq!(pilot.control("GET", "/v3/ping", "").unwrap().status, 200);
    assert!(crate::hooks::rss_kib(&pilot) < 64 * 1024);
    pilot.signal(Signal::TERM);
    pilot.wait_for("its end", || pilot.ended().filter(|end| *end == End::Code(143)));
}

#[test]
fn the_last_words_of_a_job_are_never_lost() {
    for _ in 0..15 {
        let pilot = Pilot::start(
            "{jobs: [{name: 'main', exec: ['printf', 'the last words'], main: true, logging: {attached: false}}]}",
        );
        assert_eq!(pilot.wait_for_end(), End::Code(0));
        assert!(pilot.stdout.find("the last words").is_some(), "{}", pilot.story());
    }
}
