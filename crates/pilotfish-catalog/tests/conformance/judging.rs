//! The judge judged: answers that mean the same are the same text, and others are not.

use crate::normal::Normaliser;
use crate::run::Outcome;
use crate::script::{Compare, parse};
use crate::wire::Answer;

fn told(answers: &[(&str, &str)]) -> Vec<String> {
    let mut normaliser = Normaliser::new();
    let tell = |(index, body): &(&str, &str)| {
        let headers =
            vec![("X-Consul-Index".to_owned(), (*index).to_owned()), ("Date".to_owned(), (*index).to_owned())];
        let answer = Answer { status: 200, headers, body: body.as_bytes().to_vec(), ..Answer::default() };
        let compare = Compare::default();
        normaliser.answer(&Outcome { answer, held: None }, "/v1/kv/a", &compare, &[(8500, "<http>")])
    };
    answers.iter().map(tell).collect()
}

#[test]
fn indexes_are_compared_by_their_order() {
    let one = told(&[("7", "{\"ModifyIndex\":7}"), ("9", "{\"ModifyIndex\":8}")]);
    assert_eq!(one, told(&[("70", "{\"ModifyIndex\":70}"), ("72", "{\"ModifyIndex\":71}")]));
    assert_ne!(one, told(&[("70", "{\"ModifyIndex\":70}"), ("72", "{\"ModifyIndex\":72}")]), "equal, and was greater");
    assert_ne!(one, told(&[("70", "{\"ModifyIndex\":69}"), ("72", "{\"ModifyIndex\":71}")]), "less, and was equal");
    assert_ne!(one, told(&[("70", "{\"ModifyIndex\":70}"), ("60", "{\"ModifyIndex\":71}")]), "it went back");
    assert_ne!(told(&[("0", "")]), told(&[("1", "")]), "0 is special");
}

#[test]
fn identities_and_ports_are_compared_by_where_they_were_seen() {
    let [a, b] = ["11111111-2222-3333-4444-555555555555", "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee"];
    let pair = |one: &str, other: &str| told(&[("1", &format!("{one} at :8500")), ("1", other)]);
    assert_eq!(pair(a, a), pair(b, b));
    assert_eq!(pair(a, b), pair(b, a));
    assert_ne!(pair(a, a), pair(a, b));
    assert!(pair(a, a)[0].ends_with(" at :<http>"), "{:?}", pair(a, a));
}

#[test]
fn everything_else_is_compared_as_it_is() {
    assert_ne!(told(&[("1", "{\"A\":1}")]), told(&[("1", "{\"A\":2}")]));
    assert_ne!(told(&[("1", "[]")]), told(&[("1", "[]\n")]), "white space too");
}

#[test]
fn a_script_that_cannot_be_read_says_where() {
    for (text, words) in [
        ("GET /", "line 1: a request before"),
        ("== a\nGET /\n  unti status 1", "line 3: there is no `unti`"),
        ("== a\n  unordered", "line 2: nothing above"),
        ("== a\nGET", "line 2: a method, but no target"),
    ] {
        let error = parse(text).unwrap_err();
        assert!(error.starts_with(words), "{error}");
    }
}
