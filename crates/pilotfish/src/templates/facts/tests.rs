//! Answers, compared.

use pilotfish_template::catalog::HealthService;

use super::*;

fn query(text: &str) -> ServiceQuery {
    match Question::service(text) {
        Ok(Question::Service(query)) => query,
        other => panic!("{other:?}"),
    }
}

fn instances(ids: &[(&str, i64)]) -> Value {
    let mut answers = Answers::new();
    let list = ids
        .iter()
        .map(|(id, port)| HealthService {
            id: answers.text(id),
            node: answers.text("n"),
            port: *port,
            ..HealthService::default()
        })
        .collect();
    answers.health_services(&query("web|any"), list)
}

fn keys(pairs: &[(&str, &str)]) -> Value {
    let pair =
        |(path, value): &(&str, &str)| KeyPair { path: (*path).into(), value: (*value).into(), ..KeyPair::default() };
    Answers::new().pairs("", pairs.iter().map(pair).collect())
}

fn node_with(services: &[&str]) -> Value {
    let mut answers = Answers::new();
    let service = |id: &&str| NodeService { id: (*id).into(), service: "web".into(), ..NodeService::default() };
    let services = services.iter().map(service).collect();
    answers.catalog_node(Some((Node { node: "n".into(), ..Node::default() }, services)))
}

#[test]
fn what_is_gone_is_lost_and_what_is_new_or_other_is_not() {
    let texts = |names: &[&str]| Value::strings(names.iter().copied());
    let node = || Answers::new().catalog_node(None);
    for (old, new, lost) in [
        (instances(&[("a", 1), ("b", 2)]), instances(&[("b", 2), ("a", 1), ("c", 3)]), false),
        (instances(&[("a", 1)]), instances(&[("a", 2)]), false),
        (instances(&[("a", 1), ("b", 2)]), instances(&[("a", 1), ("c", 2)]), true),
        (instances(&[("a", 1)]), instances(&[]), true),
        (instances(&[]), instances(&[("a", 1)]), false),
        (keys(&[("x/a", "1")]), keys(&[("x/a", "2")]), false),
        (keys(&[("x/a", "1")]), keys(&[("x/b", "1")]), true),
        (texts(&["dc1", "dc2"]), texts(&["dc1"]), true),
        (texts(&["dc1"]), texts(&["dc1", "dc2"]), false),
        (Value::from("text"), Value::Nil, true),
        (Value::from("text"), Value::from("other"), false),
        (Value::Nil, Value::from("text"), false),
        (Value::Nil, Value::Nil, false),
        (node_with(&["a"]), node_with(&["a", "b"]), false),
        (node_with(&["a", "b"]), node_with(&["a"]), true),
        (node_with(&[]), node(), true),
        (node(), node_with(&["a"]), false),
    ] {
        assert_eq!(loses(&old, &new), lost, "{old:?}\n{new:?}");
        assert!(is_same(&old, &old.clone()) && !loses(&old, &old));
    }
}

#[test]
fn the_same_is_the_same_however_deep() {
    for (one, other) in [
        (instances(&[("a", 1)]), instances(&[("a", 2)])),
        (instances(&[("a", 1)]), instances(&[("a", 1), ("b", 1)])),
        (keys(&[("x", "1")]), keys(&[("x", "2")])),
        (node_with(&["a"]), node_with(&["b"])),
        (Value::Nil, Value::from("")),
        (Value::from("a"), Value::from("b")),
        (Value::string_map([("a", "1")]), Value::string_map([("a", "2")])),
        (Value::string_map([("a", "1")]), Value::string_map([("b", "1")])),
        (Value::Int(1), Value::Uint(1)),
    ] {
        assert!(!is_same(&one, &other), "{one:?}");
        assert!(is_same(&one, &one.clone()) && is_same(&other, &other.clone()));
    }
    assert!(is_same(&instances(&[("a", 1), ("b", 2)]), &instances(&[("b", 2), ("a", 1)])), "they are sorted");
}

#[test]
fn what_is_known_here_is_not_followed() {
    let query = |source: &str| Query { source: source.into(), name: "x".into() };
    for source in ["service", "services", "node", "nodes", "datacenters", "key", "tree", "file"] {
        assert!(is_followed(&query(source)) && local(&query(source)).is_none(), "{source}");
    }
    for source in ["env", "time"] {
        assert!(!is_followed(&query(source)), "{source}");
    }
    assert!(matches!(local(&query("time")), Some(Value::Int(nanoseconds)) if nanoseconds > 1_700_000_000_000_000_000));
}
