//! How it is started: supervisor.md section 1, and the subcommands that need no supervisor.

use std::process::Output;

use crate::stage::{End, Stage};

/// Runs the program outside of any namespace: what ends by itself needs none.
fn run(words: &[&str]) -> Output {
    std::process::Command::new(env!("CARGO_BIN_EXE_pilotfish"))
        .args(words)
        .env_remove("CONTAINERPILOT")
        .env_remove("PILOTFISH_CONFIG")
        .output()
        .expect("the program can be executed")
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// An application that prints its arguments.
const SAY: &str = "echo said: \"$@\"";

#[test]
fn all_forms_of_a_start_run_the_application() {
    let forms: [&[&str]; 7] = [
        &["say", "it"],
        &["run", "say", "it"],
        &["run", "--", "say", "it"],
        &["-c", "@DIR@/config.json5", "say", "it"],
        &["run", "-c", "file://@DIR@/config.json5", "--", "say", "it"],
        &["--config=@DIR@/config.json5", "say", "it"],
        &["-c", "{stopTimeout: 3}", "say", "it"],
    ];
    for form in forms {
        let mut stage = Stage::new();
        let pilot = stage.config("{}").script("say", SAY).arguments(form).start();
        assert_eq!(pilot.wait_for_end(), End::Code(0), "{form:?} {}", pilot.story());
        assert!(pilot.stdout.text().lines().any(|line| line == "said: it"), "{form:?} {}", pilot.story());
    }
}

#[test]
fn slide_24_started_by_an_image_as_containerpilot_with_its_config_in_the_environment() {
    for (name, location) in [
        ("CONTAINERPILOT", "file:///etc/containerpilot.json"),
        ("CONTAINERPILOT", "{preStart: 'true'}"),
        ("PILOTFISH_CONFIG", "/etc/containerpilot.json"),
    ] {
        let mut stage = Stage::new();
        stage
            .prologue("mkdir -p @DIR@/etc; mount -t overlay overlay -o lowerdir=@DIR@/etc:/etc /etc")
            .file("etc/containerpilot.json", "{\"preStart\": \"true\"}");
        let pilot = stage
            .variable(name, location)
            .script("node", SAY)
            .program("containerpilot")
            .arguments(&["node", "/opt/customers/customers.js"])
            .start();
        assert_eq!(pilot.wait_for_end(), End::Code(0), "{}", pilot.story());
        pilot.wait_for_line("said: /opt/customers/customers.js");
        pilot.wait_for_line("preStart exited with code 0");
    }
}

#[test]
fn containerpilot_s_command_lines() {
    let forms: [&[&str]; 5] = [
        &["-config", "file://@DIR@/config.json5", "say", "-g", "daemon off;"],
        &["--config", "@DIR@/config.json5", "say", "-g", "daemon off;"],
        &["-config={stopTimeout: 3}", "say", "-g", "daemon off;"],
        &["-config", "{\"consul\": \"localhost:8500\"}", "say", "-g", "daemon off;"],
        &["say", "-g", "daemon off;"],
    ];
    for form in forms {
        let mut stage = Stage::new();
        let pilot = stage.config("{}").script("say", SAY).program("containerpilot").arguments(form).start();
        assert_eq!(pilot.wait_for_end(), End::Code(0), "{form:?} {}", pilot.story());
        pilot.wait_for_line("said: -g daemon off;");
    }
}

#[test]
fn arguments_of_the_application_are_templates() {
    let mut stage = Stage::new();
    let pilot = stage
        .variable("APP_PORT", "8081")
        .script("say", SAY)
        .arguments(&["say", "--port={{ .APP_PORT }}", "{{ .NONE | default \"x\" }}"])
        .start();
    assert_eq!(pilot.wait_for_end(), End::Code(0));
    pilot.wait_for_line("said: --port=8081 x");
}

#[test]
fn containerpilot_s_flags_that_ask_a_running_supervisor() {
    let mut stage = Stage::with_config(
        "{telemetry: {port: 9090, interfaces: ['static:127.0.0.1'],
            metrics: [{name: 'm', help: 'h', type: 'gauge'}]}, jobs: [{name: 'main', exec: 'sleep 1000', main: true}]}",
    );
    let pilot = stage.start();
    pilot.pid_of("main");
    pilot.output_of(&["containerpilot", "-ping"]);
    pilot.output_of(&["containerpilot", "-config", "@DIR@/config.json5", "-maintenance", "enable"]);
    assert_eq!(pilot.status()["maintenance"], true);
    pilot.output_of(&["containerpilot", "--maintenance", "disable"]);
    assert_eq!(pilot.status()["maintenance"], false);
    pilot.output_of(&["containerpilot", "-putmetric", "m=5"]);
    pilot.output_of(&["containerpilot", "-putenv", "A=b"]);
    pilot.output_of(&["containerpilot", "-reload"]);
    assert_eq!(pilot.status()["config"]["reloads"], 1);
    let rendered =
        pilot.output_of(&["containerpilot", "-config", "{stopTimeout: {{ .N | default \"4\" }}}", "-template"]);
    assert_eq!(rendered, "{stopTimeout: 4}");
    pilot.output_of(&["containerpilot", "-config", "{stopTimeout: 3}", "-template", "-out", "@DIR@/out"]);
    assert_eq!(pilot.read("out"), "{stopTimeout: 3}");
    assert!(pilot.output_of(&["containerpilot", "-version"]).contains(env!("CARGO_PKG_VERSION")));
    assert!(pilot.output_of(&["containerpilot", "-help"]).contains("-putmetric"));
    assert_eq!(pilot.inside(&["containerpilot", "-nonsense"]).status.code(), Some(2));
    assert_eq!(pilot.inside(&["containerpilot"]).status.code(), Some(2));
}

#[test]
fn mistakes_in_the_command_line_are_exit_code_2() {
    for (words, part) in [
        (&[][..], "nothing to run"),
        (&["--nonsense"][..], "--nonsense"),
        (&["maintenance", "maybe"][..], "maybe"),
        (&["putenv", "NOEQUALS"][..], "NOEQUALS"),
        (&["probe", "http", "https://x/"][..], "http://"),
        (&["probe", "tcp", "nohost"][..], "nohost"),
        (&["run"][..], "nothing to run"),
        (&["config", "check"][..], "no config"),
        (&["completion", "csh"][..], "csh"),
    ] {
        let output = run(words);
        assert_eq!(output.status.code(), Some(2), "{words:?}: {}", stderr(&output));
        assert!(stderr(&output).contains(part) && stdout(&output).is_empty(), "{words:?}: {}", stderr(&output));
    }
}

#[test]
fn help_version_man_page_and_completions() {
    let version = env!("CARGO_PKG_VERSION");
    for (words, part) in [
        (&["--help"][..], "Exit codes"),
        (&["help"][..], "status"),
        (&["run", "--help"][..], "CMD"),
        (&["--version"][..], version),
        (&["version"][..], version),
        (&["version", "--json"][..], "{\"version\""),
        (&["man"][..], ".TH"),
        (&["completion", "bash"][..], "complete"),
        (&["completion", "zsh"][..], "#compdef pilotfish"),
        (&["completion", "fish"][..], "complete -c pilotfish"),
    ] {
        let output = run(words);
        assert!(
            output.status.success() && stdout(&output).contains(part),
            "{words:?}: {} {}",
            stdout(&output),
            stderr(&output)
        );
    }
    let bash = run(&["completion", "bash"]).stdout;
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("completion"), bash).unwrap();
    let checked = std::process::Command::new("bash").arg("-n").arg(directory.path().join("completion")).status();
    assert!(checked.is_ok_and(|status| status.success()), "bash understands it");
}

#[test]
fn config_check_show_and_schema() {
    let good = "{services: [{name: 'app', port: 80,
        health: 'true', poll: 1, ttl: 10, interfaces: ['static:192.0.2.1']}], consul: {address: 'c:8500', token: 'hush-hush'}}";
    let checked = run(&["config", "check", good]);
    assert!(checked.status.success() && stdout(&checked) == "ok\n", "{}", stderr(&checked));
    let json: serde_json::Value = serde_json::from_str(&stdout(&run(&["config", "check", "--json", good]))).unwrap();
    assert_eq!(json["ok"], true);
    let shown = stdout(&run(&["config", "show", good]));
    assert!(
        shown.contains("\"jobs\"") && shown.contains("\"interval\": \"1s\"") && !shown.contains("hush-hush"),
        "{shown}"
    );
    let bad = run(&["config", "check", "{stopTimout: 1}"]);
    assert!(bad.status.code() == Some(2) && stderr(&bad).contains("stopTimeout"), "{}", stderr(&bad));
    let schema: serde_json::Value = serde_json::from_slice(&run(&["config", "schema"]).stdout).unwrap();
    assert!(schema["oneOf"].is_array());
    assert_eq!(stdout(&run(&["config", "render", "{stopTimeout: {{ .N | default \"4\" }}}"])), "{stopTimeout: 4}");
}

#[test]
fn what_is_shown_is_a_config_again() {
    let shown = stdout(&run(&["config", "show", "{preStart: 'true', tasks: [{command: 'true', frequency: '1s'}]}"]));
    let again = run(&["config", "show", &shown]);
    assert!(again.status.success(), "{}", stderr(&again));
    assert_eq!(stdout(&again), shown);
}

#[test]
fn a_closed_standard_output_of_a_subcommand_is_no_panic() {
    let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_pilotfish"))
        .args(["config", "schema"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert!(!stderr(&output).contains("panicked"), "{}", stderr(&output));
}

#[test]
fn asking_a_supervisor_that_is_not_there_says_so() {
    for words in [&["status"][..], &["reload"], &["ping"], &["putenv", "A=b"], &["events"], &["maintenance", "enable"]]
    {
        let mut words = words.to_vec();
        words.extend(["--socket", "/no/such/socket"]);
        let output = run(&words);
        assert_eq!(output.status.code(), Some(1), "{words:?}");
        assert!(stderr(&output).contains("/no/such/socket"), "{words:?}: {}", stderr(&output));
    }
}

#[test]
fn a_subcommand_s_name_after_run_is_an_application() {
    let mut stage = Stage::new();
    let pilot = stage.script("status", SAY).arguments(&["run", "--", "status", "x"]).start();
    assert_eq!(pilot.wait_for_end(), End::Code(0));
    pilot.wait_for_line("said: x");
}

#[test]
fn a_database_without_a_config_needs_the_password_of_replication_and_nothing_else() {
    let output = run(&["mysqld", "--max-connections=50"]);
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    assert!(stderr(&output).contains("MYSQL_REPL_PASSWORD is not set"), "{}", stderr(&output));
}

#[test]
fn a_server_that_is_only_asked_something_and_one_of_a_config_without_a_section_run_as_they_are() {
    let forms: [&[&str]; 2] = [&["mysqld", "--version"], &["-c", "@DIR@/config.json5", "mysqld", "--port=1"]];
    for form in forms {
        let mut stage = Stage::new();
        let pilot = stage.config("{}").script("mysqld", SAY).arguments(form).start();
        assert_eq!(pilot.wait_for_end(), End::Code(0), "{form:?} {}", pilot.story());
        let said = format!("said: {}", form.last().expect("a form has words"));
        assert!(pilot.stdout.text().lines().any(|line| line == said), "{form:?} {}", pilot.story());
    }
}

#[test]
fn commands_for_databases_say_what_is_wrong() {
    let absent = ["--socket", "/nowhere/pilotfish.sock"];
    for words in [&["mysql", "status"][..], &["mysql", "why"], &["mysql", "switchover"], &["mysql", "pause"]] {
        let output = run(&[words, &absent[..]].concat());
        assert_eq!(output.status.code(), Some(1), "{words:?}");
        assert!(stderr(&output).contains("no operator of a database runs here"), "{words:?} {}", stderr(&output));
    }
    let output = run(&["mysql", "failover"]);
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    let output = run(&["mysql", "run"]);
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    let output = run(&["mysql", "plan", "-c", "{ mysql: { lease: '10s' } }"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(stdout(&output).contains("a lease of 10.0 s"), "{}", stdout(&output));
    let output = run(&["mysql", "plan", "-c", "{ mysql: { lease: '100s' } }"]);
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
}
