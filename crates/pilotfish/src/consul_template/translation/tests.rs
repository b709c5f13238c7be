//! Settings, translated.

use super::*;
use crate::consul_template::Given;

fn line(given: &[(&'static str, &str)]) -> TemplateLine {
    let given = given.iter().map(|(path, text)| (*path, Given::Text((*text).to_owned()))).collect();
    TemplateLine { given, ..TemplateLine::default() }
}

fn source() -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), "{{ key \"a\" }}").unwrap();
    file
}

fn config(line: &TemplateLine, env: &[(&str, &str)]) -> Config {
    let env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    load(line, &env).unwrap().config
}

#[test]
fn templates_commands_and_the_child() {
    let file = source();
    let path = file.path().display();
    let (one, two) = (format!("{path}:/one:reload now:5s"), format!("{path}:/two:reload now:5s"));
    let mut line = line(&[
        ("template", &one),
        ("template", &two),
        ("wait", "1s:3s"),
        ("exec", "app --flag"),
        ("exec.reload_signal", "SIGHUP"),
        ("exec.kill_signal", "SIGQUIT"),
        ("exec.kill_timeout", "7s"),
        ("exec.splay", "2s"),
    ]);
    let spec = config(&line, &[]).spec;
    let [command, child] = &spec.jobs[..] else { panic!("{:?}", spec.jobs) };
    assert_eq!(command.process.as_ref().unwrap().argv, ["reload", "now"]);
    assert_eq!((command.timeout, command.on_failure), (Some(Duration::from_secs(5)), OnFailure::Restart));
    let Start::On(condition) = &command.start else { panic!("{command:?}") };
    assert_eq!(
        condition.triggers,
        ["/one", "/two"].map(|name| Occurrence::TemplateChanged(name.into())),
        "one job for both"
    );
    let process = child.process.as_ref().unwrap();
    assert_eq!((process.argv.len(), child.main, process.stop_signal), (2, true, Some(libc::SIGQUIT)));
    assert_eq!((spec.stop_timeout, spec.signals.hangup), (Duration::from_secs(7), HangupMeaning::Reload));
    for template in &spec.templates {
        assert_eq!(template.notify, [Notify { job: "exec".into(), reaction: Reaction::Signal(libc::SIGHUP) }]);
        assert_eq!(template.wait, Some(Wait { min: Duration::from_secs(1), max: Duration::from_secs(3) }));
        assert_eq!((template.text.as_str(), template.splay), ("{{ key \"a\" }}", Duration::from_secs(2)));
        assert!(template.required && template.announced && template.create_directories);
    }
    line.once = true;
    let once = config(&line, &[]).spec;
    assert!(once.once && once.templates[0].wait.is_none() && once.jobs[0].on_failure == OnFailure::Exit);
    line.dry = true;
    assert!(config(&line, &[]).spec.jobs.is_empty());
}

#[test]
fn a_child_without_a_reload_signal_is_restarted() {
    let file = source();
    let spec =
        config(&line(&[("template", &format!("{}:/x", file.path().display())), ("exec", "app | cat")]), &[]).spec;
    assert_eq!(spec.templates[0].notify[0].reaction, Reaction::Restart { signal: Some(libc::SIGINT) });
    assert_eq!(spec.jobs[0].process.as_ref().unwrap().argv, ["/bin/sh", "-c", "app | cat"]);
}

#[test]
fn what_a_child_sees_of_our_environment() {
    let file = source();
    let template = format!("{}:/x", file.path().display());
    let env = [("CONSUL_A", "1"), ("CONSUL_TOKEN", "2"), ("OTHER", "3")];
    let unset = |more: &[(&'static str, &str)]| {
        let given: Vec<_> =
            [("template", template.as_str()), ("exec", "app")].into_iter().chain(more.iter().copied()).collect();
        config(&line(&given), &env).spec.jobs[0].process.clone().unwrap().unset
    };
    assert!(unset(&[]).is_empty());
    assert_eq!(unset(&[("exec.env.pristine", "true")]), ["CONSUL_A", "CONSUL_TOKEN", "OTHER"]);
    assert_eq!(unset(&[("exec.env.allowlist", "CONSUL_*")]), ["OTHER"]);
    assert_eq!(
        unset(&[("exec.env.allowlist", "CONSUL_*"), ("exec.env.denylist", "*TOKEN")]),
        ["CONSUL_TOKEN", "OTHER"]
    );
    for (pattern, name, matches) in [
        ("*", "", true),
        ("a*c", "abbc", true),
        ("a?c", "abc", true),
        ("a?c", "ac", false),
        ("", "a", false),
        ("é*", "éa", true),
    ] {
        assert_eq!(matches_glob(pattern, name), matches, "{pattern} {name}");
    }
}

#[test]
fn where_consul_is() {
    let file = source();
    let template = format!("{}:/x", file.path().display());
    let catalog = |more: &[(&'static str, &str)], env: &[(&str, &str)]| {
        let given: Vec<_> = [("template", template.as_str())].into_iter().chain(more.iter().copied()).collect();
        config(&line(&given), env).catalog.unwrap()
    };
    let authority = |catalog: &CatalogSettings| catalog.addresses[0].authority.clone();
    assert_eq!(authority(&catalog(&[], &[])), "127.0.0.1:8500");
    let environment = [("CONSUL_HTTP_ADDR", "env:1"), ("CONSUL_HTTP_TOKEN", "t"), ("CONSUL_HTTP_AUTH", "a:b")];
    let found = catalog(&[], &environment);
    assert_eq!((authority(&found).as_str(), found.credentials.as_ref().map(Secret::reveal)), ("env:1", Some("a:b")));
    let found = catalog(
        &[("consul.address", "one:1,https://two"), ("consul.ssl.enabled", "true"), ("consul.auth", "u:p:q")],
        &environment,
    );
    assert_eq!((authority(&found).as_str(), found.addresses[1].authority.as_str()), ("one:1", "two:8500"));
    assert!(found.addresses.iter().all(|address| address.scheme == Scheme::Https));
    assert_eq!(found.credentials.as_ref().map(Secret::reveal), Some("u:p:q"));
    assert_eq!(found.token.as_ref().map(Secret::reveal), Some("t"));
}

#[test]
fn what_cannot_be_translated_says_so() {
    let file = source();
    let path = file.path().display().to_string();
    for (given, words) in [
        (vec![], "nothing to render"),
        (vec![("template", path.clone())], "has no destination"),
        (vec![("template", "/no/such.ctmpl:/x".to_owned())], "cannot read template /no/such.ctmpl"),
        (
            vec![("template", format!("{path}:/x")), ("template", format!("{path}:/x"))],
            "two templates have the destination /x",
        ),
        (
            vec![("template", format!("{path}:/x/y")), ("template", format!("{path}:/x/.//y"))],
            "two templates have the destination /x/.//y",
        ),
        (vec![("template", format!("{path}:/{path}"))], "would be overwritten"),
        (vec![("template", format!("{path}:/x")), ("consul.address", "a b".to_owned())], "not a host and a port"),
    ] {
        let given: Vec<_> = given.iter().map(|(path, text)| (*path, text.as_str())).collect();
        let error = load(&line(&given), &BTreeMap::new()).unwrap_err();
        assert!(error.is::<UsageError>() && error.to_string().contains(words), "{error}");
    }
}
