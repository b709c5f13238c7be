//! What all tests need.
#![allow(dead_code, reason = "every test file uses its own part")]

use std::collections::BTreeMap;

use pilotfish_config::{Config, Errors, Interface, Loaded, MASK, Problem, Secret, Surroundings, load, show};

/// Two networks, two variables.
pub(crate) fn surroundings() -> Surroundings {
    let interface =
        |name: &str, address: &str| Interface { name: name.into(), address: address.parse().expect("an address") };
    Surroundings {
        env: [("CONSUL", "consul.example"), ("MYSQL_REPL_PASSWORD", "replicate")]
            .map(|(name, value)| (name.to_string(), value.to_string()))
            .into(),
        interfaces: vec![interface("lo", "127.0.0.1"), interface("eth1", "10.0.1.5"), interface("eth0", "10.0.0.5")],
        hostname: "host".into(),
        command: None,
        program: "/sbin/pilotfish".into(),
    }
}

pub(crate) fn load_with(text: &str, surroundings: &Surroundings) -> Result<Loaded, Errors> {
    load(text, "test.json5", surroundings, &source)
}

/// The files that templates may come from.
pub(crate) fn source(path: &str) -> Result<String, String> {
    match path {
        "/etc/nginx/nginx.conf.ctmpl" => {
            Ok("{{ range service \"sales\" }}server {{ .Address }};\n{{ end }}".to_owned())
        }
        "/run/secrets/password" => Ok("from a file\n".to_owned()),
        "/run/secrets/empty" => Ok("\n".to_owned()),
        "/etc/broken.ctmpl" => Ok("first\n{{ range service \"sales\" }}".to_owned()),
        _ => Err(format!("cannot read {path}: No such file or directory")),
    }
}

/// Loads or panics with the message.
pub(crate) fn loaded(text: &str) -> Loaded {
    load_with(text, &surroundings()).unwrap_or_else(|errors| panic!("{errors}"))
}

/// The message of a text that must not load.
pub(crate) fn error(text: &str) -> String {
    match load_with(text, &surroundings()) {
        Ok(loaded) => panic!("{text} loads: {loaded:#?}"),
        Err(errors) => errors.to_string(),
    }
}

/// What `show` prints must load again, as the same config but for the masked token, without a warning.
pub(crate) fn round_trip(config: &Config, surroundings: &Surroundings) {
    let shown = show(config, &BTreeMap::new());
    let again = Surroundings { command: None, ..surroundings.clone() };
    let loaded = load(&shown, "shown", &again, &source).unwrap_or_else(|errors| panic!("{errors}\n{shown}"));
    let mut expect = config.clone();
    if let Some(token) = expect.catalog.as_mut().and_then(|catalog| catalog.token.as_mut()) {
        *token = Secret::new(MASK);
    }
    assert_eq!(loaded.config, expect, "{shown}");
    // A stop that is too short for a database is doubtful whoever writes it down.
    let warned = loaded.warnings.iter().filter(|warning| warning.path != "stopTimeout" || config.mysql.is_none());
    assert_eq!(warned.collect::<Vec<_>>(), Vec::<&Problem>::new(), "{shown}");
    assert_eq!(show(&loaded.config, &BTreeMap::new()), shown);
}
