//! The parser against two others: `serde_json` for JSON, `json5` for the rest.

use proptest::prelude::*;

use super::{Data, Value, parse};

/// As `serde_json` would hold it; numbers as floats, because the others differ in integers.
fn plain(value: &Value) -> serde_json::Value {
    match &value.data {
        Data::Null => serde_json::Value::Null,
        Data::Boolean(value) => (*value).into(),
        Data::Integer(value) => (*value as f64).into(),
        Data::Float(value) => (*value).into(),
        Data::Text(text) => text.clone().into(),
        Data::Array(items) => items.iter().map(plain).collect::<Vec<_>>().into(),
        Data::Object(members) => members
            .iter()
            .map(|member| (member.key.clone(), plain(&member.value)))
            .collect::<serde_json::Map<_, _>>()
            .into(),
    }
}

fn floats(value: serde_json::Value) -> serde_json::Value {
    match value {
        serde_json::Value::Number(number) => number.as_f64().expect("a number is a float").into(),
        serde_json::Value::Array(items) => items.into_iter().map(floats).collect::<Vec<_>>().into(),
        serde_json::Value::Object(members) => {
            members.into_iter().map(|(key, value)| (key, floats(value))).collect::<serde_json::Map<_, _>>().into()
        }
        other @ (serde_json::Value::Null | serde_json::Value::Bool(_) | serde_json::Value::String(_)) => other,
    }
}

fn any_json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        (-1e9..1e9f64).prop_map(Into::into),
        any::<String>().prop_map(Into::into),
    ];
    leaf.prop_recursive(5, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
            prop::collection::btree_map(any::<String>(), inner, 0..6)
                .prop_map(|map| map.into_iter().collect::<serde_json::Map<_, _>>().into()),
        ]
    })
}

/// Text that is often JSON5 and often nearly so.
fn nearly_json5() -> impl Strategy<Value = String> {
    let token = prop_oneof![
        prop::sample::select(vec![
            "{",
            "}",
            "[",
            "]",
            ":",
            ",",
            " ",
            "\n",
            "true",
            "false",
            "null",
            "Infinity",
            "-Infinity",
            "NaN",
            "+1",
            "-.5",
            "5.",
            "0x1F",
            "-0xff",
            "1e3",
            "1E-2",
            "01",
            "'a'",
            "\"b\"",
            "'\\x41\\u0042'",
            "'a\\\nb'",
            "'\\''",
            "key",
            "$k",
            "// c\n",
            "/* c */",
            "/*",
            "'",
            "\\",
            "\u{2028}",
            "\u{a0}",
            "0",
            "-",
            "a-b",
            "'\\0'",
            "'\\1'",
        ])
        .prop_map(str::to_string),
        "[a-z0-9 ]{0,3}",
    ];
    prop::collection::vec(token, 0..14).prop_map(|tokens| tokens.concat())
}

proptest! {
    #[test]
    fn json_means_the_same_as_to_serde_json(value in any_json()) {
        for text in [value.to_string(), serde_json::to_string_pretty(&value).expect("JSON prints")] {
            let ours = parse(&text).map(|value| plain(&value));
            prop_assert_eq!(ours, Ok(floats(value.clone())), "{}", text);
        }
    }

    #[test]
    fn what_both_accept_means_the_same_as_to_json5(text in nearly_json5()) {
        let ours = parse(&text).map(|value| plain(&value));
        if let (Ok(ours), Ok(theirs)) = (&ours, json5::from_str::<serde_json::Value>(&text)) {
            prop_assert_eq!(ours, &floats(theirs), "{}", text);
        }
    }

    #[test]
    fn anything_is_a_value_or_an_error_with_a_place(text in any::<String>()) {
        if let Err(error) = parse(&text) {
            prop_assert!(error.at.line <= text.matches('\n').count() + 1);
        }
    }
}

#[test]
fn the_specification_s_kitchen_sink_parses_alike() {
    let text = r#"{
  // comments
  unquoted: 'and you can quote me on that',
  singleQuotes: 'I can use "double quotes" here',
  lineBreaks: "Look, Mom! \
No \\n's!",
  hexadecimal: 0xdecaf,
  leadingDecimalPoint: .8675309, andTrailing: 8675309.,
  positiveSign: +1,
  trailingComma: 'in objects', andIn: ['arrays',],
  "backwardsCompatible": "with JSON", $dollar_: [null, true, -0x10, 1e3], \u0061b: '\x41\u00e9\ud83d\ude00',
}"#;
    let theirs: serde_json::Value = json5::from_str(text).expect("it is JSON5");
    assert_eq!(parse(text).map(|value| plain(&value)), Ok(floats(theirs)));
}

#[test]
fn errors_have_places() {
    for (text, line, column, part) in [
        ("", 1, 1, "the document ends here"),
        ("<>", 1, 1, "expected a value, found '<'"),
        ("{a: 1,\n  a: 2}", 2, 3, "the key `a` is given twice (first in line 1)"),
        ("{a: 1} x", 1, 8, "the document is complete"),
        ("{a: yes}", 1, 5, "`yes` is not a value; text needs quotes"),
        ("{a: 01}", 1, 7, "may not begin with 0"),
        ("{a 1}", 1, 4, "expected ':' after the key `a`"),
        ("[1 2]", 1, 4, "expected ',' or ']'"),
        ("['a\nb']", 1, 4, "may not go over the end of a line"),
        ("['a", 1, 2, "never closed"),
        ("/* a", 1, 1, "never closed"),
        ("['\\ud800']", 1, 5, "surrogate"),
        ("{a: {{b}", 1, 6, "expected a key or '}'"),
    ] {
        let error = parse(text).expect_err(text);
        assert_eq!((error.at.line, error.at.column), (line, column), "{text}: {}", error.message);
        assert!(error.message.contains(part), "{text}: {}", error.message);
    }
}
