//! Expressions, with the answers and errors that Consul 1.8.7 gave to the same.

use serde_json::json;

use super::{Filter, HEALTH_SERVICE, SERVICE_NODE};

fn service() -> serde_json::Value {
    json!({
        "Node": {"Node": "ext", "Meta": {"k": "v"}},
        "Service": {"Service": "db", "Port": 3306, "Tags": ["m", "s"], "Meta": {"x": "y"}, "EnableTagOverride": false,
                    "Weights": {"Passing": 1, "Warning": 1}},
        "Checks": [{"CheckID": "c", "Status": "passing"}],
    })
}

#[test]
fn expressions_admit_what_they_say() {
    let check = |text: &str, expect: bool| {
        let filter = Filter::parse(text, &HEALTH_SERVICE).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(filter.admits(&service()), expect, "{text}");
    };
    check("", true);
    check("Service.Port == 3306", true);
    check("Service.Port!=3306", false);
    check("Node.Meta.k == v", true);
    check("Checks.Status == passing", true);
    check("Checks.Status != critical", true);
    check("Service.Tags contains m", true);
    check("m in Service.Tags", true);
    check("q not in Service.Tags", true);
    check("Checks is empty", false);
    check("Service.TaggedAddresses is empty", true);
    check("Service.Meta is not empty", true);
    check("Service.Meta.zz == 1", false);
    check("Service.Meta[\"x\"] == `y`", true);
    check("\"x\" in Service.Meta", true);
    check("Service.EnableTagOverride == true", false);
    check("Service.Service matches \"^d\"", true);
    check("Service.Service contains \"d\"", true);
    check("not Service.Service == db", false);
    check("Service.Service == db and Node.Node != zz", true);
    check("(Service.Service == q or Service.Service == db) and not (Node.Node == zz)", true);
}

#[test]
fn mistakes_are_told_in_the_words_of_consul() {
    let check = |text: &str, expect: &str| {
        let error = Filter::parse(text, &HEALTH_SERVICE).expect_err(text);
        let begin = "Failed to create boolean expression evaluator: ";
        assert_eq!(error, format!("{begin}{expect}"), "{text}");
    };
    check("Node.Bogus == 1", "Selector \"Node.Bogus\" is not valid");
    check("Checks contains x", "Invalid match operator \"In\" for selector \"Checks\"");
    check("Service.Meta.zz is empty", "Invalid match operator \"Is Empty\" for selector \"Service.Meta.zz\"");
    check("Service.Service in db", "Selector \"db\" is not valid");
    check("Service.Port in 3306", "1:17 (16): rule \"match\": Invalid selector");
    check(
        "Service.Port == x",
        "Failed to coerce value \"x\" for selector \"Service.Port\": strconv.ParseInt: parsing \"x\": invalid syntax",
    );
    check(
        "((",
        "1:3 (2): no match found, expected: \"(\", \"-\", \"0\", \"\\\"\", \"`\", \"not\", [ \\t\\r\\n], [1-9] or [a-zA-Z]",
    );
    check(
        "Service.Port > 1",
        "1:14 (13): no match found, expected: \"!=\", \"==\", \"contains\", \"in\", \"is\", \"matches\", \"not\" or [ \\t\\r\\n]",
    );
    check("Service.ID==s1 and", "1:19 (18): no match found, expected: [ \\t\\r\\n]");
    check("(Service.ID==s1", "1:16 (15): rule \"grouping\": Unmatched parentheses");
    check("Service.ID==s1)", "1:15 (14): no match found, expected: \".\", \"[\", [ \\t\\r\\n], [a-zA-Z0-9_] or EOF");
    check("Service.ID==\"s1", "1:16 (15): rule \"string\": Unterminated string literal");
    check(
        "Service.ID matches \"(\"",
        "Failed to compile regular expression \"(\": error parsing regexp: missing closing ): `(`",
    );
    check("Service.Service == \"d\\\"b\"", "1:20 (19): rule \"string\": invalid syntax");
    let error = Filter::parse("ServicePort", &SERVICE_NODE).expect_err("no comparison");
    assert!(
        error.ends_with(
            "1:12 (11): no match found, expected: \"!=\", \".\", \"==\", \"[\", [ \\t\\r\\n] or [a-zA-Z0-9_]"
        ),
        "{error}"
    );
    assert!(Filter::parse(&"(".repeat(10_000), &HEALTH_SERVICE).is_err());
}
