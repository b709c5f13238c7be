//! Settings from flags and files.

use super::*;
use crate::consul_template::files::apply;

fn read(text: &str) -> Result<Settings, String> {
    let mut settings = Settings::default();
    apply(text, &mut settings).map(|()| settings)
}

#[test]
fn every_key_of_a_config_file() {
    let settings = read(
        r#"{
        "consul": {"address": "consul:8501", "token": "t", "token_file": "/t", "auth": {"enabled": true, "username": "u", "password": "p"},
            "retry": {"enabled": true, "attempts": 5, "backoff": "250ms", "max_backoff": "1m"}, "transport": {"max_idle_conns": 5},
            "ssl": [{"enabled": true, "verify": false, "cert": "/c", "key": "/k", "ca_cert": "/ca", "ca_path": "/cas", "server_name": "s"}]},
        "kill_signal": "SIGQUIT", "reload_signal": "", "log_level": "debug", "max_stale": "10m", "pid_file": "/p",
        "wait": {"min": "5s", "max": "10s"}, "block_query_wait": "60s", "vault": {}, "deduplicate": {"enabled": false},
        "syslog": {"enabled": false, "facility": "LOCAL5"},
        "exec": {"command": "app", "splay": "5s", "reload_signal": "SIGUSR1", "kill_signal": "SIGINT", "kill_timeout": "2s",
            "env": {"pristine": false, "custom": ["A=1"], "allowlist": ["CONSUL_*"], "denylist": ["VAULT_*"]}},
        "template": [
            {"source": "/a.ctmpl", "destination": "/a", "create_dest_dirs": true, "command": ["sh", "-c", "true"], "command_timeout": "60s",
             "error_on_missing_key": true, "perms": "0600", "user": "www-data", "gid": 33, "backup": true, "wait": {"min": "2s", "max": "4s"}, "function_denylist": ["plugin"]},
            {"contents": "x", "destination": "/b", "exec": {"command": "reload", "timeout": "1s", "env": {"pristine": true}}}
        ]}"#,
    )
    .unwrap();
    assert_eq!(settings.consul.address.as_deref(), Some("consul:8501"));
    assert_eq!((settings.consul.ssl, settings.consul.verify), (Some(true), Some(false)));
    assert_eq!(settings.consul.username.as_deref(), Some("u"));
    assert_eq!((settings.kill_signal, settings.reload_signal), (Some(Some(libc::SIGQUIT)), Some(None)));
    assert_eq!(settings.log_level, Some(Level::Debug));
    assert_eq!(settings.wait.max, Some(Duration::from_secs(10)));
    assert_eq!(settings.exec.environment.custom, [("A".to_owned(), "1".to_owned())]);
    assert_eq!((settings.exec.reload_signal, settings.exec.splay), (Some(libc::SIGUSR1), Duration::from_secs(5)));
    let [one, two] = &settings.templates[..] else { panic!("{:?}", settings.templates) };
    assert_eq!((one.perms, one.user.as_deref(), one.group.as_deref()), (Some(0o600), Some("www-data"), Some("33")));
    assert_eq!(one.exec.command, Some(Command::Words(["sh", "-c", "true"].map(str::to_owned).into())));
    assert_eq!((one.exec.timeout, one.backup, one.error_on_missing_key), (Some(Duration::from_secs(60)), true, true));
    assert_eq!(one.wait.min, Some(Duration::from_secs(2)));
    assert_eq!((two.contents.as_deref(), two.exec.environment.pristine), (Some("x"), true));
    let idle: Vec<&str> = settings.idle.iter().map(|(path, _)| path.as_str()).collect();
    assert!(idle.contains(&"max_stale") && idle.contains(&"consul.retry.attempts"), "{idle:?}");
}

#[test]
fn the_short_forms_of_config_files() {
    let settings =
        read(r#"{"consul": "127.0.0.1:8500", "wait": "1s:2s", "template": {"source": "a", "command": ["reload"]}}"#)
            .unwrap();
    assert_eq!(
        (settings.consul.address.as_deref(), settings.wait.min),
        (Some("127.0.0.1:8500"), Some(Duration::from_secs(1)))
    );
    assert_eq!(settings.templates[0].exec.command, Some(Command::Line("reload".into())));
}

#[test]
fn mistakes_say_where_they_are() {
    for (text, words) in [
        ("template { source = \"a\" }", "HCL is not supported"),
        ("[]", "expected an object"),
        (r#"{"templte": []}"#, "templte: there is no such setting"),
        (r#"{"template": [{"source": "a"}, {"destnation": "b"}]}"#, "template[1].destnation: there is no such setting"),
        (r#"{"template": [{"wait": {"min": 5}}]}"#, "template[0].wait.min: '5' is not a duration"),
        (r#"{"template": [{"perms": 420}]}"#, "template[0].perms: expected octal digits in quotes"),
        (r#"{"template": ["a:b"]}"#, "template: expected an object"),
        (r#"{"template": [{"left_delimiter": "<<"}]}"#, "template[0].left_delimiter: other delimiters"),
        (r#"{"template": [{"sandbox_path": "/x"}]}"#, "template[0].sandbox_path: a sandbox"),
        (r#"{"template": [{"function_denylist": ["env"]}]}"#, "functions cannot be denied"),
        (r#"{"consul": {"ssl": {"verify": "maybe"}}}"#, "consul.ssl.verify: 'maybe' is neither true nor false"),
        (r#"{"consul": {"namespace": "x"}}"#, "consul.namespace: namespaces are not supported"),
        (r#"{"consul": {"adress": "x"}}"#, "consul.adress: there is no such setting"),
        (r#"{"vault": {"address": "x"}}"#, "vault: secrets of Vault"),
        (r#"{"deduplicate": {"enabled": true}}"#, "deduplicate: de-duplication"),
        (r#"{"exec": {"kill_signal": "SIGNOPE"}}"#, "exec.kill_signal: 'SIGNOPE' is not a signal"),
        (r#"{"exec": {"env": {"custom": ["X"]}}}"#, "exec.env.custom: 'X' is not of the form NAME=VALUE"),
        (r#"{"log_level": "loud"}"#, "log_level: 'loud' is not a level"),
    ] {
        let problem = read(text).unwrap_err();
        assert!(problem.contains(words), "{text}: {problem}");
    }
}

#[test]
fn templates_of_flags() {
    let parsed = |text: &str| TemplateSettings::parse(text).unwrap();
    let command = |text: &str| (parsed(text).exec.command, parsed(text).exec.timeout);
    let line = |text: &str| Some(Command::Line(text.to_owned()));
    assert_eq!((parsed("/a").source.as_deref(), parsed("/a").destination), (Some("/a"), None));
    assert_eq!(parsed("/a:/b").destination.as_deref(), Some("/b"));
    assert_eq!(command("/a:/b:nginx -s reload"), (line("nginx -s reload"), None));
    assert_eq!(command("/a:/b:curl http://x:80/"), (line("curl http://x:80/"), None));
    assert_eq!(command("/a:/b:reload:1m30s"), (line("reload"), Some(Duration::from_secs(90))));
    assert_eq!(command("/a:/b:"), (None, None));
    assert!(TemplateSettings::parse(":/b").is_err());
}
