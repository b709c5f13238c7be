//! Command lines and what they mean, as tables.

use super::*;

fn parsed_with(env: &[(&str, &str)], line: &[&str]) -> Result<Invocation, Answer> {
    parse(line.iter().map(OsString::from), |name| {
        env.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
    })
}

fn parsed(line: &[&str]) -> Result<Invocation, Answer> {
    parsed_with(&[], line)
}

fn file(path: &str) -> ConfigLocation {
    ConfigLocation::File(path.into())
}

fn run(config: Option<ConfigLocation>, command: &[&str]) -> Invocation {
    Invocation::Run(Run { config, command: command.iter().map(|&word| word.to_owned()).collect() })
}

fn control(socket: ControlSocket, request: ControlRequest, json: bool) -> Invocation {
    Invocation::Control(Control { socket, request, json })
}

fn pair(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

#[test]
fn runs() {
    let inline = || Some(ConfigLocation::Inline(" {\"jobs\": []}".to_owned()));
    for (line, expected) in [
        (&["nginx", "-g", "daemon off;"][..], run(None, &["nginx", "-g", "daemon off;"])),
        (&["node", "-c", "x", "--", "y", "--version"], run(None, &["node", "-c", "x", "--", "y", "--version"])),
        (&["run", "nginx", "-c", "x"], run(None, &["nginx", "-c", "x"])),
        (&["run", "--", "status"], run(None, &["status"])),
        (&["--", "status"], run(None, &["status"])),
        (&["run", "--", "--", "x"], run(None, &["--", "x"])),
        (&["run", "-c", "/a.json5"], run(Some(file("/a.json5")), &[])),
        (&["-c", "/a.json5"], run(Some(file("/a.json5")), &[])),
        (&["-c", "file:///a.json5", "app", "run"], run(Some(file("/a.json5")), &["app", "run"])),
        (&["--config=/a", "--", "app"], run(Some(file("/a")), &["app"])),
        (&["-c/a", "app", "-x"], run(Some(file("/a")), &["app", "-x"])),
        (&["run", "-c", " {\"jobs\": []}", "app"], run(inline(), &["app"])),
        (&["/bin/sh", "-c", "echo"], run(None, &["/bin/sh", "-c", "echo"])),
        (&["./run"], run(None, &["./run"])),
    ] {
        let line: Vec<&str> = std::iter::once("/usr/bin/pilotfish").chain(line.iter().copied()).collect();
        assert_eq!(parsed(&line), Ok(expected), "{line:?}");
    }
}

#[test]
fn the_direct_and_the_full_parser_agree() {
    let words = ["run", "-c", "/a", "--config=/b", "--config", "--", "app", "-x", "status", "--version", "{}"];
    let mut lines: Vec<Vec<String>> = vec![Vec::new()];
    let mut start = 0;
    for _ in 0..4 {
        let end = lines.len();
        for index in start..end {
            for word in words {
                let mut line = lines[index].clone();
                line.push(word.to_owned());
                lines.push(line);
            }
        }
        start = end;
    }
    let mut direct_ones = 0;
    for line in lines {
        let Some(direct) = direct::parse(&line) else { continue };
        direct_ones += 1;
        // Clap prints the version by itself where we answer with a value.
        if direct == (Invocation::Version { json: false }) {
            continue;
        }
        assert_eq!(Ok(direct), native::parse("pilotfish".to_owned(), line.clone(), None), "{line:?}");
    }
    assert!(direct_ones > 1000, "{direct_ones}");
}

#[test]
fn subcommands_are_those_of_the_tree() {
    let mut tree: Vec<String> = native::command().get_subcommands().map(|sub| sub.get_name().to_owned()).collect();
    tree.push("help".to_owned());
    assert_eq!(tree, direct::SUBCOMMANDS);
}

#[test]
fn the_environment_says_where_the_config_is() {
    for (env, line, expected) in [
        (
            &[("CONTAINERPILOT", "file:///cp"), ("PILOTFISH_CONFIG", "/pf")][..],
            &["pilotfish"][..],
            run(Some(file("/cp")), &[]),
        ),
        (
            &[("CONTAINERPILOT", ""), ("PILOTFISH_CONFIG", "/pf")],
            &["pilotfish", "app"],
            run(Some(file("/pf")), &["app"]),
        ),
        (&[("PILOTFISH_CONFIG", "/pf")], &["pilotfish", "-c", "/flag"], run(Some(file("/flag")), &[])),
        (&[("CONTAINERPILOT", "/cp")], &["containerpilot", "app"], run(Some(file("/cp")), &["app"])),
        (&[("CONTAINERPILOT", "/cp")], &["containerpilot", "-config", "", "app"], run(Some(file("/cp")), &["app"])),
        (
            &[("CONTAINERPILOT", "/cp")],
            &["pilotfish", "ping"],
            control(ControlSocket::OfConfig(file("/cp")), ControlRequest::Ping, false),
        ),
        (
            &[("CONTAINERPILOT", "/cp")],
            &["pilotfish", "config", "show"],
            Invocation::Config(ConfigCommand::Show(file("/cp"))),
        ),
    ] {
        assert_eq!(parsed_with(env, line), Ok(expected), "{env:?} {line:?}");
    }
}

#[test]
fn control_commands() {
    use ControlRequest::{Events, Maintenance, Ping, PutEnv, PutMetric, Reload, Status};
    let path = || ControlSocket::Path("/s".into());
    for (line, expected) in [
        (&["status"][..], control(ControlSocket::Default, Status, false)),
        (&["status", "--json", "--socket", "/s"], control(path(), Status, true)),
        (&["events", "--socket=/s"], control(path(), Events, false)),
        (&["-c", "/c", "reload"], control(ControlSocket::OfConfig(file("/c")), Reload, false)),
        (&["reload", "-c", "/c", "--socket", "/s"], control(path(), Reload, false)),
        (&["maintenance", "enable"], control(ControlSocket::Default, Maintenance(true), false)),
        (&["maintenance", "disable", "--json"], control(ControlSocket::Default, Maintenance(false), true)),
        (
            &["putenv", "A=1", "B=x=y", "C="],
            control(ControlSocket::Default, PutEnv(vec![pair("A", "1"), pair("B", "x=y"), pair("C", "")]), false),
        ),
        (&["putmetric", "m=1.5"], control(ControlSocket::Default, PutMetric(vec![pair("m", "1.5")]), false)),
        (&["ping"], control(ControlSocket::Default, Ping, false)),
    ] {
        let line: Vec<&str> = std::iter::once("pilotfish").chain(line.iter().copied()).collect();
        assert_eq!(parsed(&line), Ok(expected), "{line:?}");
    }
}

#[test]
fn other_commands() {
    use crate::probe::Target;
    let seconds = std::time::Duration::from_secs;
    let probe = |target, timeout| Invocation::Probe(Probe { target, timeout });
    for (line, expected) in [
        (
            &["config", "check", "/a", "--json"][..],
            Invocation::Config(ConfigCommand::Check { config: file("/a"), json: true }),
        ),
        (&["config", "show", "{}"], Invocation::Config(ConfigCommand::Show(ConfigLocation::Inline("{}".into())))),
        (&["config", "schema"], Invocation::Config(ConfigCommand::Schema)),
        (
            &["config", "render", "-c", "/a"],
            Invocation::Config(ConfigCommand::Render { config: file("/a"), out: None }),
        ),
        (&["probe", "http", "http://h/"], probe(Target::http("http://h/").unwrap(), seconds(2))),
        (&["probe", "tcp", "h:1", "--timeout", "3"], probe(Target::tcp("h:1").unwrap(), seconds(3))),
        (&["probe", "file", "/x", "--timeout=1m"], probe(Target::file("/x").unwrap(), seconds(60))),
        (&["completion", "powershell"], Invocation::Completion(Shell::Powershell)),
        (&["man"], Invocation::Man),
        (&["version"], Invocation::Version { json: false }),
        (&["version", "--json"], Invocation::Version { json: true }),
        (&["--version"], Invocation::Version { json: false }),
        (&["-V"], Invocation::Version { json: false }),
    ] {
        let line: Vec<&str> = std::iter::once("pilotfish").chain(line.iter().copied()).collect();
        assert_eq!(parsed(&line), Ok(expected), "{line:?}");
    }
}

#[test]
fn database_commands() {
    let seconds = std::time::Duration::from_secs;
    let default = || OperatorSocket::OfConfig(None);
    let ask = |socket, request, json| Invocation::Mysql(MysqlCommand::Ask { socket, request, json });
    let order = |order, follow| ask(default(), MysqlRequest::Order { order, follow }, false);
    let name = || Some("db-2".to_owned());
    let usual = Follow::Until(seconds(60));
    for (line, expected) in [
        (&["mysql", "run"][..], Invocation::Mysql(MysqlCommand::Run { config: None })),
        (&["-c", "/c", "mysql", "run"], Invocation::Mysql(MysqlCommand::Run { config: Some(file("/c")) })),
        (&["mysql", "plan", "--json"], Invocation::Mysql(MysqlCommand::Plan { config: None, json: true })),
        (&["mysql", "status"], ask(default(), MysqlRequest::Status, false)),
        (&["mysql", "why", "-c", "/c"], ask(OperatorSocket::OfConfig(Some(file("/c"))), MysqlRequest::Why, false)),
        (
            &["mysql", "status", "--json", "--socket", "/s"],
            ask(OperatorSocket::Path("/s".into()), MysqlRequest::Status, true),
        ),
        (&["mysql", "switchover"], order(MysqlOrder::Switchover(None), usual)),
        (
            &["mysql", "switchover", "--to", "db-2", "--timeout", "5s"],
            order(MysqlOrder::Switchover(name()), Follow::Until(seconds(5))),
        ),
        (&["mysql", "switchover", "--no-wait"], order(MysqlOrder::Switchover(None), Follow::No)),
        (&["mysql", "failover", "--force"], order(MysqlOrder::Force { member: None, yes: false }, usual)),
        (
            &["mysql", "failover", "--force", "--to", "db-2", "--yes"],
            order(MysqlOrder::Force { member: name(), yes: true }, usual),
        ),
        (&["mysql", "adopt", "db-2"], order(MysqlOrder::Adopt(name()), usual)),
        (&["mysql", "rebuild"], order(MysqlOrder::Rebuild(None), Follow::Until(seconds(3600)))),
        (&["mysql", "pause"], order(MysqlOrder::Pause, Follow::No)),
        (&["mysql", "resume"], order(MysqlOrder::Resume, Follow::No)),
        (&["mysqld", "--port=1"], run(None, &["mysqld", "--port=1"])),
        (&["run", "--", "mysql", "-uroot"], run(None, &["mysql", "-uroot"])),
    ] {
        let line: Vec<&str> = std::iter::once("pilotfish").chain(line.iter().copied()).collect();
        assert_eq!(parsed(&line), Ok(expected), "{line:?}");
    }
}

#[test]
fn containerpilot_command_lines() {
    use ControlRequest::{Maintenance, Ping, PutEnv, PutMetric, Reload};
    let of_config = || ControlSocket::OfConfig(file("/c"));
    let render = |out: Option<&str>| {
        Invocation::Config(ConfigCommand::Render { config: file("/c"), out: out.map(std::path::PathBuf::from) })
    };
    for (line, expected) in [
        (
            &["-config", "file:///c", "nginx", "-g", "daemon off;"][..],
            run(Some(file("/c")), &["nginx", "-g", "daemon off;"]),
        ),
        (&["--config=/c", "app", "-version"], run(Some(file("/c")), &["app", "-version"])),
        (&["-config=/c", "--", "-app"], run(Some(file("/c")), &["-app"])),
        (&["-config", "/c"], run(Some(file("/c")), &[])),
        (
            &["-config", "{\"consul\": \"consul:8500\"}", "app"],
            run(Some(ConfigLocation::Inline("{\"consul\": \"consul:8500\"}".into())), &["app"]),
        ),
        (&["status"], run(None, &["status"])),
        (&["-version"], Invocation::Version { json: false }),
        (&["--version=true", "-reload"], Invocation::Version { json: false }),
        (&["-template", "-config", "/c"], render(None)),
        (&["-config", "/c", "-template", "-out", "-"], render(None)),
        (&["-config", "/c", "-template", "-out", "file:///o"], render(Some("/o"))),
        (&["-config", "/c", "-reload"], control(of_config(), Reload, false)),
        (&["-reload"], control(ControlSocket::Default, Reload, false)),
        (&["-maintenance", "enable"], control(ControlSocket::Default, Maintenance(true), false)),
        (&["--maintenance=disable"], control(ControlSocket::Default, Maintenance(false), false)),
        (
            &["-putenv", "A=1", "-putenv=B=2", "-config", "/c"],
            control(of_config(), PutEnv(vec![pair("A", "1"), pair("B", "2")]), false),
        ),
        (&["-putmetric", "m=1"], control(ControlSocket::Default, PutMetric(vec![pair("m", "1")]), false)),
        (&["-ping"], control(ControlSocket::Default, Ping, false)),
        (&["-reload=false", "app"], run(None, &["app"])),
    ] {
        let line: Vec<&str> = std::iter::once("/bin/containerpilot").chain(line.iter().copied()).collect();
        assert_eq!(parsed(&line), Ok(expected.clone()), "{line:?}");
        // The same flags work under our own name where they are first.
        if line[1].starts_with('-') && !line[1].starts_with("--") {
            let line: Vec<&str> = std::iter::once("pilotfish").chain(line[1..].iter().copied()).collect();
            assert_eq!(parsed(&line), Ok(expected), "{line:?}");
        }
    }
}

#[test]
fn consul_template_command_lines() {
    use crate::consul_template::{Given, TemplateLine};
    let line = |given: &[(&'static str, &str)]| TemplateLine {
        given: given.iter().map(|(path, text)| (*path, Given::Text((*text).to_owned()))).collect(),
        ..TemplateLine::default()
    };
    for (flags, expected) in [
        (&["-template", "a:b:c d"][..], line(&[("template", "a:b:c d")])),
        (
            &["-once", "-consul", "consul:8500"],
            TemplateLine { once: true, ..line(&[("consul.address", "consul:8500")]) },
        ),
        (&["--template=a", "-template=b:c"], line(&[("template", "a"), ("template", "b:c")])),
        (
            &["-once", "-dry=true", "--parse-only"],
            TemplateLine { once: true, dry: true, parse_only: true, ..line(&[]) },
        ),
        (
            &["-once=false", "-consul-ssl", "-consul-ssl-verify=0"],
            line(&[("consul.ssl.enabled", "true"), ("consul.ssl.verify", "0")]),
        ),
        (&["-config", "/a", "-config=/b"], TemplateLine { config: vec!["/a".into(), "/b".into()], ..line(&[]) }),
        (
            &["-wait", "5s:10s", "-exec", "app -x", "-exec-kill-timeout", "2s"],
            line(&[("wait", "5s:10s"), ("exec", "app -x"), ("exec.kill_timeout", "2s")]),
        ),
    ] {
        for program in [&["/usr/bin/consul-template"][..], &["pilotfish", "template"]] {
            let line: Vec<&str> = program.iter().chain(flags).copied().collect();
            assert_eq!(parsed(&line), Ok(Invocation::Template(expected.clone())), "{line:?}");
        }
    }
    assert_eq!(parsed(&["consul-template", "-v"]), Ok(Invocation::Version { json: false }));
    assert_eq!(parsed(&["pilotfish", "run", "template"]), Ok(run(None, &["template"])));
}

#[test]
fn usage_errors_exit_with_2_and_say_what_was_expected() {
    for (line, words) in [
        (&["pilotfish"][..], "nothing to run"),
        (&["pilotfish", "run"], "nothing to run"),
        (&["pilotfish", "-c"], "value is required"),
        (&["pilotfish", "-c", "", "x"], "is empty"),
        (&["pilotfish", "-c", "/a", "-c", "/b"], "cannot be used multiple times"),
        (&["pilotfish", "--wrong"], "--wrong"),
        (&["pilotfish", "status", "--jsn"], "--json"),
        (&["pilotfish", "maintenance"], "enable"),
        (&["pilotfish", "maintenance", "on"], "enable"),
        (&["pilotfish", "putenv"], "NAME=VALUE"),
        (&["pilotfish", "putenv", "x"], "not of the form NAME=VALUE"),
        (&["pilotfish", "config", "check"], "no config"),
        (&["pilotfish", "probe", "http", "https://x/"], "http:// only"),
        (&["pilotfish", "probe", "tcp", "x"], "HOST:PORT"),
        (&["pilotfish", "probe", "tcp", "x:1", "--timeout", "0"], "more than zero"),
        (&["pilotfish", "completion", "ksh"], "bash"),
        (&["pilotfish", "mysql", "failover"], "--force"),
        (&["pilotfish", "mysql", "switchover", "db-2"], "unexpected argument 'db-2'"),
        (&["pilotfish", "mysql", "stauts"], "status"),
        (&["containerpilot"], "no config"),
        (&["containerpilot", "-template"], "no config"),
        (&["containerpilot", "-config"], "needs an argument"),
        (&["containerpilot", "-nope"], "unknown flag: -nope"),
        (&["containerpilot", "-maintenance", "on"], "expected enable or disable"),
        (&["containerpilot", "-putenv", "x"], "not of the form NAME=VALUE"),
        (&["containerpilot", "-reload=x"], "takes no value"),
        (&["consul-template", "-nope"], "unknown flag: -nope"),
        (&["consul-template", "-template"], "flag needs an argument: -template SPEC"),
        (&["consul-template", "-once=maybe"], "neither true nor false"),
        (&["consul-template", "-wait", "5"], "'5' is not a duration"),
        (&["consul-template", "-dedup"], "de-duplication is not supported"),
        (&["consul-template", "-vault-addr", "x"], "Vault"),
        (&["consul-template", "-nomad-addr=x"], "Nomad is not supported"),
        (&["consul-template", "-syslog"], "syslog is not supported"),
        (&["consul-template", "-consul-namespace", "x"], "Enterprise"),
        (&["pilotfish", "template", "a:b"], "unexpected argument 'a:b'"),
        (&["pilotfish", "-c", "/x", "template", "--once"], "'template' comes first"),
    ] {
        let answer = parsed(line).unwrap_err();
        assert_eq!(answer.exit_code, 2, "{line:?}: {}", answer.text);
        assert!(answer.text.starts_with("error: ") && answer.text.contains(words), "{line:?}: {}", answer.text);
    }
}

#[test]
fn bytes_that_are_not_text_are_refused() {
    use std::os::unix::ffi::OsStringExt as _;
    let line = [OsString::from("pilotfish"), OsString::from("app"), OsString::from_vec(vec![b'a', 0xff])];
    assert_eq!(parse(line, |_| None).unwrap_err().text, "error: argument 2 is not valid UTF-8: a\u{fffd}");
}

#[test]
fn help_is_no_failure() {
    for line in [
        &["pilotfish", "--help"][..],
        &["pilotfish", "help", "run"],
        &["pilotfish", "probe", "tcp", "-h"],
        &["containerpilot", "-help"],
        &["consul-template", "-help"],
        &["pilotfish", "template", "--help"],
        &["pilotfish", "help", "template"],
    ] {
        let answer = parsed(line).unwrap_err();
        assert_eq!(answer.exit_code, 0, "{line:?}");
        assert!(answer.text.contains("Usage:"), "{line:?}: {}", answer.text);
    }
    let help = parsed(&["pilotfish", "--help"]).unwrap_err().text;
    assert!(help.contains("Examples:") && help.contains("CONTAINERPILOT"), "{help}");
}

#[test]
fn completion_and_manual_cover_every_subcommand() {
    for shell in [Shell::Bash, Shell::Elvish, Shell::Fish, Shell::Powershell, Shell::Zsh] {
        let script = String::from_utf8(completion(shell)).unwrap();
        for name in direct::SUBCOMMANDS {
            assert!(script.contains(name), "{shell:?} {name}");
        }
    }
    let page = String::from_utf8(man_page()).unwrap();
    assert!(page.contains(".TH pilotfish 1") || page.contains(".TH PILOTFISH 1"), "{page}");
    for name in ["RUN", "STATUS", "MAINTENANCE", "CONFIG CHECK", "PROBE HTTP", "TEMPLATE", "MYSQL STATUS", "COMPLETION"]
    {
        assert!(page.contains(&format!(".SH \"PILOTFISH {name}\"")), "{name}\n{page}");
    }
    assert!(page.contains("putmetric app_queue_length=12"));
}
