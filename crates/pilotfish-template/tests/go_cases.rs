//! Templates with the output and the errors that Go 1.19.8 gave for them, catalog functions included.

use std::collections::BTreeMap;
use std::sync::Arc;

use pilotfish_template::{Facts, Function, FunctionError, Functions, RenderOptions, StructType, Template, Type, Value};
use serde_json::Value as Json;

/// Inputs whose result differs from Go 1.19's on purpose, and why. The test fails when one of them agrees.
const DIFFERENT_SINCE: [(&str, &str); 1] = [("{{range .port}}x{{end}}", "since Go 1.24, range also takes a number")];

fn value(json: &Json) -> Value {
    match json {
        Json::Null => Value::Nil,
        Json::Bool(truth) => Value::Bool(*truth),
        Json::Number(number) => match number.as_i64() {
            Some(integer) => Value::Int(integer),
            None => Value::Float(number.as_f64().expect("a JSON number is an integer or a float")),
        },
        Json::String(text) => Value::from(text.as_str()),
        Json::Array(items) => Value::list(Type::Any, items.iter().map(value).collect()),
        Json::Object(entries) => {
            let entries = entries.iter().map(|(key, entry)| (Arc::from(key.as_str()), value(entry)));
            Value::map(Type::Any, entries.collect())
        }
    }
}

fn text(value: &Value) -> String {
    let Value::String(text) = value else { panic!("not a string: {value:?}") };
    text.to_string()
}

/// The functions of the generator of the cases, in the form in which a caller adds its own.
fn functions() -> Functions {
    let mut functions = Functions::new();
    let string = || [Type::String];
    functions
        .insert("echo", Function::new([Type::Any], |_, arguments| Ok(arguments[0].clone())))
        .insert("fail", Function::new(string(), |_, arguments| Err(FunctionError::Failed(text(&arguments[0])))))
        .insert("toUpper", Function::new(string(), |_, arguments| Ok(text(&arguments[0]).to_uppercase().into())))
        .insert(
            "parseJSON",
            Function::new(string(), |_, arguments| {
                serde_json::from_str(&text(&arguments[0]))
                    .map(|json| value(&json))
                    .map_err(|error| error.to_string().into())
            }),
        )
        .insert(
            "add",
            Function::new([Type::Int, Type::Int], |_, arguments| match arguments {
                [Value::Int(one), Value::Int(two)] => Ok(Value::Int(one + two)),
                other => panic!("the engine checks the types: {other:?}"),
            }),
        )
        .insert(
            "scratch",
            Function::new(string(), |call, arguments| {
                let key = text(&arguments[0]);
                if let Some(value) = arguments.get(1) {
                    call.scratch().insert(key, value.clone());
                    return Ok(Value::from(""));
                }
                Ok(call.scratch().get(&key).cloned().unwrap_or_default())
            })
            .variadic(Type::Any),
        );
    add_catalog_functions(&mut functions);
    functions
}

fn add_catalog_functions(functions: &mut Functions) {
    let string = || [Type::String];
    let list = || Value::list(Type::Any, Vec::new());
    let empty = || Value::from("");
    functions
        .insert(
            "service",
            Function::new(string(), move |call, arguments| {
                Ok(call.fact("service", &text(&arguments[0])).unwrap_or_else(list))
            }),
        )
        .insert(
            "key",
            Function::new(string(), move |call, arguments| {
                Ok(call.fact("key", &text(&arguments[0])).unwrap_or_else(empty))
            }),
        )
        .insert(
            "keyExists",
            Function::new(string(), |call, arguments| {
                Ok(Value::Bool(call.fact("key", &text(&arguments[0])).is_some()))
            }),
        )
        .insert(
            "keyOrDefault",
            Function::new([Type::String, Type::String], |call, arguments| {
                Ok(call.fact("key", &text(&arguments[0])).unwrap_or_else(|| arguments[1].clone()))
            }),
        )
        .insert(
            "ls",
            Function::new(string(), move |call, arguments| {
                Ok(call.fact("ls", &text(&arguments[0])).unwrap_or_else(list))
            }),
        )
        .insert(
            "env",
            Function::new(string(), move |call, arguments| {
                Ok(call.fact("env", &text(&arguments[0])).unwrap_or_else(empty))
            }),
        )
        .insert(
            "byTag",
            Function::new([Type::list(Type::Any)], |_, arguments| {
                let mut tags: BTreeMap<Arc<str>, Vec<Value>> = BTreeMap::new();
                let Value::List(services) = &arguments[0] else { panic!("the engine checks the types") };
                for service in &services.items {
                    let Value::Struct(fields) = service else { panic!("services are structs") };
                    let Some(Value::List(names)) = fields.field("Tags") else { panic!("services have tags") };
                    for name in &names.items {
                        tags.entry(Arc::from(text(name))).or_default().push(service.clone());
                    }
                }
                let tags = tags.into_iter().map(|(tag, services)| (tag, Value::list(Type::Any, services))).collect();
                Ok(Value::map(Type::list(Type::Any), tags))
            }),
        );
}

fn facts() -> Facts {
    let service = StructType::new("*dep.HealthService", &["Name", "Address", "Port", "Tags"]);
    let instance = |address: &str, port: i64, tags: &[&str]| {
        let tags = Value::strings(tags.iter().copied());
        Value::structure(&service, vec!["web".into(), address.into(), port.into(), tags])
    };
    let pair = StructType::new("*dep.KeyPair", &["Key", "Value"]);
    let json = r#"{"user":{"name":"bob","role":"admin"}}"#;
    let mut facts = Facts::default();
    let web = vec![instance("10.0.0.1", 80, &["a", "b"]), instance("10.0.0.2", 81, &["b"])];
    facts.insert("service", "web", Value::list(Type::Any, web));
    facts.insert("key", "cfg/x", Value::from("val"));
    facts.insert("key", "cfg/json", Value::from(json));
    let pairs = [("json", json), ("x", "val")];
    let pairs = pairs.map(|(key, text)| Value::structure(&pair, vec![key.into(), text.into()]));
    facts.insert("ls", "cfg", Value::list(Type::Any, pairs.to_vec()));
    facts
}

#[test]
fn every_case_gives_what_go_gave() {
    let file: Json = serde_json::from_str(include_str!("data/go-cases.json")).unwrap();
    let functions = functions();
    let mut wrong = Vec::new();
    let cases = file["cases"].as_array().unwrap();
    for case in cases {
        let input = case["input"].as_str().unwrap();
        let data = value(&file["data"][case["data"].as_u64().unwrap() as usize]);
        let result = Template::parse("t", input, &functions)
            .and_then(|template| template.render(&data, &mut facts(), &RenderOptions::default()));
        let result = result.map(|output| output.text).map_err(|error| error.to_string());
        let expected = match case["error"].as_str() {
            Some(error) => Err(error.to_string()),
            None => Ok(case["output"].as_str().unwrap().to_string()),
        };
        if result != expected {
            wrong.push((input, expected, result));
        }
    }
    let known: Vec<&str> = DIFFERENT_SINCE.iter().map(|(input, _)| *input).collect();
    let inputs: Vec<&str> = wrong.iter().map(|(input, ..)| *input).collect();
    assert_eq!(cases.len(), 315);
    assert_eq!(inputs, known, "{wrong:#?}");
}
