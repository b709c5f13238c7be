//! A JSON Schema (draft 2020-12) of both vocabularies, made of the table of keys that the reader uses.

use crate::keys::{self, Section, Shape};
use crate::print::Node;

/// The schema, for editors. Texts that hold templates or environment are not its business: it describes the rendered document.
pub fn schema() -> String {
    Node::map([
        ("$schema", Node::text("https://json-schema.org/draft/2020-12/schema")),
        ("title", Node::text("pilotfish config")),
        ("oneOf", Node::List(vec![exclusive(&keys::V3, &[]), exclusive(&keys::V2, &keys::V2_ONLY)])),
    ])
    .print()
}

/// A vocabulary's document. Both take one without a telling key, so v2 must have one, or sensors, to be told apart.
fn exclusive(section: &'static Section, telling: &[&str]) -> Node {
    let Node::Map(mut members) = object(section) else { unreachable!("`object` makes a map") };
    if !telling.is_empty() {
        let mut any: Vec<Node> = telling.iter().map(|key| Node::map([("required", Node::texts([*key]))])).collect();
        for key in ["sensors", "poll"] {
            let telemetry = Node::map([("required", Node::texts([key]))]);
            any.push(Node::map([
                ("required", Node::texts(["telemetry"])),
                ("properties", Node::map([("telemetry", telemetry)])),
            ]));
        }
        members.push(("anyOf".into(), Node::List(any)));
    }
    Node::Map(members)
}

fn object(section: &'static Section) -> Node {
    let properties = section.keys.iter().map(|key| {
        let Node::Map(mut property) = shape(key.shape) else { unreachable!("`shape` makes a map") };
        property.insert(0, ("description".into(), Node::text(key.about)));
        (key.name, Node::Map(property))
    });
    Node::map([
        ("type", Node::text("object")),
        ("properties", Node::map(properties)),
        ("additionalProperties", Node::Boolean(false)),
    ])
}

fn types(names: &[&str]) -> Node {
    Node::map([("type", Node::texts(names.iter().copied()))])
}

fn shape(shape: Shape) -> Node {
    let scalar = || types(&["string", "number", "boolean"]);
    let scalars = || Node::map([("type", Node::text("array")), ("items", scalar())]);
    let any_of = |shapes: Vec<Node>| Node::map([("anyOf", Node::List(shapes))]);
    match shape {
        Shape::Text => types(&["string", "number", "boolean", "null"]),
        Shape::Word(words) => Node::map([("enum", Node::texts(words.iter().copied()))]),
        Shape::Integer { min, max } => any_of(vec![
            Node::map([
                ("type", Node::text("integer")),
                ("minimum", Node::Number(min)),
                ("maximum", Node::Number(max)),
            ]),
            Node::map([("type", Node::text("string")), ("pattern", Node::text("^[0-9]+$"))]),
        ]),
        Shape::Boolean => {
            any_of(vec![types(&["boolean"]), Node::map([("enum", Node::texts(["true", "false", "1", "0"]))])])
        }
        Shape::Duration | Shape::Limit => types(&["integer", "string", "null"]),
        Shape::Command => any_of(vec![types(&["string", "null"]), scalars()]),
        Shape::Texts => any_of(vec![types(&["string", "null"]), scalars()]),
        Shape::TextMap => Node::map([("type", Node::text("object")), ("additionalProperties", scalar())]),
        Shape::Restarts => types(&["number", "string", "null"]),
        Shape::Address(section) => any_of(vec![types(&["string", "null"]), scalars(), object(section)]),
        Shape::Object(section) => object(section),
        Shape::List(section) => Node::map([("type", Node::text("array")), ("items", object(section))]),
    }
}
