//! ContainerPilot's configuration functions, over an environment.

use std::collections::BTreeMap;

use pilotfish_template::{Facts, Template, Value, config_functions, render_config};

fn environment() -> BTreeMap<String, String> {
    let pairs = [("CONSUL", "consul.internal"), ("HOSTS", " a,b,c "), ("EMPTY", ""), ("COUNT", "4"), ("URL", "k=v")];
    pairs.into_iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()
}

fn render(text: &str) -> Result<String, String> {
    render_config("config", text, &environment()).map(|output| output.text).map_err(|error| error.to_string())
}

#[test]
fn functions_give_what_containerpilot_gives() {
    let cases = [
        ("{ consul: '{{ .CONSUL }}:8500' }", "{ consul: 'consul.internal:8500' }"),
        ("[{{ .UNSET }}]", "[]"),
        ("{{ if .UNSET }}set{{ else }}unset{{ end }}", "unset"),
        ("{{ .UNSET | default \"localhost\" }}", "localhost"),
        ("{{ .EMPTY | default \"localhost\" }}", "localhost"),
        ("{{ .CONSUL | default \"localhost\" }}", "consul.internal"),
        ("{{ .UNSET | default 8500 }}", "8500"),
        ("{{ .UNSET | default 1.5 }}", "1.5"),
        ("{{ .UNSET | default true }}", "true"),
        ("{{ 7 | default 3 }}", "3"),
        ("{{ .HOSTS | split \",\" }}", "[a b c]"),
        ("{{ .HOSTS | split \",\" | join \"; \" }}", "a; b; c"),
        ("{{ split \"\" \"aé\" | len }}", "2"),
        ("{{ .EMPTY | split \",\" | len }}", "0"),
        ("{{ .EMPTY | split \",\" | join \"-\" }}", ""),
        ("{{ range $i, $h := .HOSTS | split \",\" }}{{ if $i }},{{ end }}{{ $h }}{{ end }}", "a,b,c"),
        ("{{ .CONSUL | replaceAll \".\" \"-\" }}", "consul-internal"),
        ("{{ replaceAll \"\" \"-\" \"ab\" }}", "-a-b-"),
        ("{{ .CONSUL | regexReplaceAll \"[aeiou]+\" \"_\" }}", "c_ns_l._nt_rn_l"),
        ("{{ regexReplaceAll \"(?P<x>.)b\" \"${x}$1$$$y$1z!\" \"ab\" }}", "aa$!"),
        ("{{ loop 3 }}", "[0 1 2]"),
        ("{{ loop 2 5 }}", "[2 3 4]"),
        ("{{ loop 5 2 }}", "[5 4 3]"),
        ("{{ loop 1 .COUNT }}", "[1 2 3]"),
        ("{{ range loop 2 }}x{{ end }}", "xx"),
        ("{{ env \"CONSUL\" }}{{ env \"UNSET\" }}", "consul.internal"),
        ("{{ env (printf \"CON%s\" \"SUL\") }}", "consul.internal"),
        ("{{ .URL }}", "k=v"),
    ];
    for (text, expected) in cases {
        assert_eq!(render(text), Ok(expected.to_string()), "{text}");
    }
}

#[test]
fn mistakes_are_told_in_gos_words() {
    let place = |column: usize, at: &str| format!("template: config:1:{column}: executing \"config\" at <{at}>: ");
    let cases = [
        (
            "{{ loop }}",
            place(3, "loop") + "error calling loop: loop: wrong number of arguments, expected 1 or 2, but got 0",
        ),
        (
            "{{ loop 1.5 }}",
            place(3, "loop 1.5") + "error calling loop: interface conversion: interface {} is float64, not int",
        ),
        (
            "{{ loop \"x\" }}",
            place(3, "loop \"x\"") + "error calling loop: strconv.Atoi: parsing \"x\": invalid syntax",
        ),
        ("{{ join \",\" .CONSUL }}", place(12, ".CONSUL") + "wrong type for value; expected []string; got string"),
        ("{{ split 1 .CONSUL }}", place(9, "1") + "expected string; found 1"),
        ("{{ split \",\" }}", place(3, "split") + "wrong number of args for split: want 2 got 1"),
        ("{{ .CONSUL.x }}", place(10, ".CONSUL.x") + "can't evaluate field x in type string"),
        ("{{ service \"x\" }}", "template: config:1: function \"service\" not defined".to_string()),
    ];
    for (text, expected) in cases {
        assert_eq!(render(text), Err(expected), "{text}");
    }
    let error = render("{{ regexReplaceAll \"(\" \"\" \"x\" }}").unwrap_err();
    assert!(error.contains("error calling regexReplaceAll: error parsing regexp: "), "{error}");
}

#[test]
fn facts_record_what_was_asked() {
    let template = Template::parse("t", "{{ env \"CONSUL\" }}{{ env \"OTHER\" }}{{ fail }}", &config_functions());
    assert_eq!(template.unwrap_err().to_string(), "template: t:1: function \"fail\" not defined");
    let text = "{{ env \"CONSUL\" }}{{ env \"OTHER\" }}{{ index .x 1 }}";
    let template = Template::parse("t", text, &config_functions()).unwrap();
    let mut facts = Facts::from_environment(&environment());
    template.render(&Value::Nil, &mut facts, &Default::default()).unwrap_err();
    let names = |queries: &std::collections::BTreeSet<pilotfish_template::Query>| {
        queries.iter().map(|query| format!("{} {}", query.source, query.name)).collect::<Vec<_>>()
    };
    assert_eq!(names(facts.used()), ["env CONSUL"]);
    assert_eq!(names(facts.missing()), ["env OTHER"]);
    facts.forget_questions();
    assert!(facts.used().is_empty() && facts.missing().is_empty());
}
