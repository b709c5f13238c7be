//! No input panics, hangs or grows without bound.

use pilotfish_template::{
    ErrorKind, Facts, Limits, MAX_SYNTAX_NESTING, MissingKey, RenderOptions, Template, Type, Value, catalog_functions,
    config_functions,
};
use proptest::prelude::*;

fn render_within(text: &str, limits: Limits) -> Result<String, (ErrorKind, String)> {
    let template = Template::parse("t", text, &config_functions());
    let data = Value::string_map([("A", "a"), ("B", "b,c"), ("N", "3"), ("L", "héllo")]);
    let options = RenderOptions { missing_key: MissingKey::Zero, limits };
    let output = template.and_then(|template| template.render(&data, &mut Facts::default(), &options));
    output.map(|output| output.text).map_err(|error| (error.kind, error.message))
}

fn render(text: &str) -> Result<String, (ErrorKind, String)> {
    render_within(text, Limits::default())
}

#[track_caller]
fn over_limit(text: &str, message: &str) {
    // Tighter than the defaults, which take a minute of an unoptimised build; the nesting is the default one.
    let limits = Limits { output_bytes: 8 << 20, working_bytes: 16 << 20, steps: 1_000_000, ..Limits::default() };
    let error = render_within(text, limits).expect_err("the text is refused");
    assert_eq!(error.0, ErrorKind::Limit, "{}", error.1);
    assert!(error.1.contains(message), "{}", error.1);
}

#[test]
fn deep_nesting_is_refused_while_parsing() {
    const DEEP: usize = 100_000;
    for open in ["{{if 1}}", "{{range 1}}", "{{with 1}}", "{{block \"x\" 1}}", "{{if 1}}{{else}}"] {
        over_limit(&open.repeat(DEEP), "max block depth exceeded");
    }
    over_limit(&format!("{{{{{}", "(".repeat(DEEP)), "max expression depth exceeded");
    over_limit(&format!("{{{{{}", "print (".repeat(DEEP)), "max expression depth exceeded");
    over_limit(&"{{if (1)}}".repeat(DEEP), "depth exceeded");
}

#[test]
fn nesting_up_to_the_limit_works() {
    let text = format!("{}x{}", "{{if 1}}".repeat(MAX_SYNTAX_NESTING), "{{end}}".repeat(MAX_SYNTAX_NESTING));
    assert_eq!(render(&text).unwrap(), "x");
    let (open, close) = ("(".repeat(MAX_SYNTAX_NESTING), ")".repeat(MAX_SYNTAX_NESTING));
    assert_eq!(render(&format!("{{{{{open}1{close}}}}}")).unwrap(), "1");
    let print = "print (".repeat(MAX_SYNTAX_NESTING);
    assert_eq!(render(&format!("{{{{{print}1{close}}}}}")).unwrap(), "1");
}

#[test]
fn long_but_flat_texts_work() {
    let chain = format!("{{{{if 0}}}}{}{{{{else}}}}z{{{{end}}}}", "{{else if 0}}y".repeat(50_000));
    assert_eq!(render(&chain).unwrap(), "z");
    assert_eq!(render(&format!("{{{{.A{}}}}}", " | print".repeat(10_000))).unwrap(), "a");
    let declarations: String = (0..20_000).map(|number| format!("{{{{$v{number} := 1}}}}")).collect();
    over_limit(&format!("{declarations}{}", "{{$v0}}".repeat(50_000)), "steps");
}

#[test]
fn endless_recursion_ends() {
    let text = "{{define \"r\"}}{{template \"r\" .}}{{end}}{{template \"r\"}}";
    over_limit(text, "exceeded maximum template depth (400)");
    let widest = format!(
        "{{{{define \"r\"}}}}{}{{{{template \"r\"}}}}{}{{{{end}}}}{{{{template \"r\"}}}}",
        "{{if 1}}".repeat(90),
        "{{end}}".repeat(90)
    );
    over_limit(&widest, "exceeded maximum template depth");
    let arguments = format!(
        "{{{{define \"r\"}}}}{{{{template \"r\" ({}1{})}}}}{{{{end}}}}{{{{template \"r\"}}}}",
        "print (".repeat(90),
        ")".repeat(90)
    );
    over_limit(&arguments, "exceeded maximum template depth");
}

#[test]
fn endless_loops_end() {
    over_limit("{{range 9223372036854775807}}{{end}}", "exceeded maximum number of steps");
    let nested = "{{range 100000}}{{range 100000}}{{end}}{{end}}";
    over_limit(nested, "exceeded maximum number of steps");
    let twice = "{{define \"r\"}}{{if lt (len .) 30}}{{template \"r\" (print . 1)}}{{template \"r\" (print . 1)}}{{end}}{{end}}{{template \"r\" \"\"}}";
    over_limit(twice, "exceeded maximum number of steps");
}

#[test]
fn output_and_working_values_are_bounded() {
    over_limit("{{range 1000000000}}0123456789012345678901234567890123456789{{end}}", "exceeded maximum");
    over_limit("{{$x := \"ab\"}}{{range 100}}{{$x = print $x $x}}{{end}}", "size of working values");
    over_limit("{{loop 1000000000000}}", "size of working values");
    over_limit("{{loop -9223372036854775808 9223372036854775807}}", "size of working values");
    over_limit(&format!("{{{{printf \"{}\" 1000000}}}}", "%[1]*[1]d".repeat(10_000)), "size of working values");
    let large = "{{$x := printf \"%01000000d\" 1}}";
    over_limit(&format!("{large}{{{{replaceAll \"\" $x $x}}}}"), "size of working values");
    over_limit(&format!("{large}{{{{regexReplaceAll \"\" $x $x}}}}"), "exceeded");
    over_limit(&format!("{large}{{{{range 1000}}}}{{{{$y := split \"\" $x}}}}{{{{end}}}}"), "size of working values");
    let small = Limits { output_bytes: 5, ..Limits::default() };
    assert_eq!(render_within("12345", small.clone()).unwrap(), "12345");
    assert_eq!(render_within("123456", small.clone()).unwrap_err().0, ErrorKind::Limit);
    assert_eq!(render_within("{{123456}}", small).unwrap_err().1, "exceeded maximum output size");
}

#[test]
fn deep_values_are_not_followed_for_ever() {
    let mut value = Value::Int(1);
    for _ in 0..1_000 {
        value = Value::list(Type::Any, vec![value]);
    }
    let template = Template::parse("t", "{{.}}", &config_functions()).unwrap();
    let error = template.render(&value, &mut Facts::default(), &RenderOptions::default()).unwrap_err();
    assert_eq!((error.kind, &*error.message), (ErrorKind::Limit, "exceeded maximum nesting of values"));
}

#[test]
fn costly_expressions_are_refused() {
    let text = "{{$x := printf \"%01000000d\" 1}}{{regexReplaceAll \"((a{50}){50}){2}b\" \"\" $x}}";
    assert!(render(text).is_err());
    assert!(render("{{regexReplaceAll \"((a{1000}){1000}){1000}\" \"\" \"x\"}}").is_err());
}

#[track_caller]
fn catalog_over_limit(text: &str, data: &str, message: &str) {
    let limits = Limits { output_bytes: 1 << 20, working_bytes: 4 << 20, steps: 200_000, ..Limits::default() };
    let template = Template::parse("t", text, &catalog_functions()).expect("the text is a template");
    let options = RenderOptions { limits, ..RenderOptions::default() };
    let error = template.render(&Value::from(data), &mut Facts::default(), &options).expect_err("it is refused");
    assert!(error.message.contains(message), "{text}: {}", error.message);
}

#[test]
fn documents_and_maps_are_bounded() {
    const DEEP: usize = 20_000;
    let nesting = "exceeded maximum nesting of values";
    for (text, message) in [("{{parseJSON .}}", nesting), ("{{parseYAML .}}", "recursion limit exceeded")] {
        catalog_over_limit(text, &"[".repeat(DEEP), message);
        catalog_over_limit(text, &"{\"a\":".repeat(DEEP), message);
    }
    catalog_over_limit("{{parseYAML .}}", &"- ".repeat(DEEP), nesting);
    let laughs: String = (1..60).map(|at| format!("a{at}: &a{at} [*a{0},*a{0}]\n", at - 1)).collect();
    let laughs = format!("a0: &a0 [x,x]\n{laughs}");
    for write in ["print", "toJSON", "toYAML", "spew_sdump"] {
        catalog_over_limit(&format!("{{{{parseYAML . | {write}}}}}"), &laughs, "exceeded maximum");
    }
    let deep_key = "{{scratch.MapSet \"m\" . 1}}{{scratch.Get \"m\" | explodeMap}}";
    catalog_over_limit(deep_key, &"a/".repeat(DEEP), nesting);
    catalog_over_limit("{{range 1000000}}{{scratch.MapSet \"m\" (print .) $}}{{end}}", "x", "exceeded maximum");
    catalog_over_limit("{{range 1000000}}{{spew_dump $}}{{end}}", &"x".repeat(1_000), "exceeded maximum");
    catalog_over_limit("{{indent 1000000000000 .}}", "x", "size of working values");
    catalog_over_limit(
        "{{define \"x\"}}{{executeTemplate \"x\"}}{{end}}{{executeTemplate \"x\"}}",
        "",
        "template depth",
    );
    let twice = "{{define \"x\"}}{{if lt (len .) 40}}{{executeTemplate \"x\" (print . 1)}}{{executeTemplate \"x\" (print . 1)}}{{end}}{{end}}{{executeTemplate \"x\" \"\"}}";
    catalog_over_limit(twice, "", "exceeded maximum");
    catalog_over_limit("{{range 1000000}}{{sockaddr \"GetPrivateIP\"}}{{end}}", "", "number of steps");
    catalog_over_limit("{{range 1000000}}{{sha256Hex $}}{{end}}", &"x".repeat(100_000), "exceeded maximum");
    catalog_over_limit("{{toYAML (loop 1000000)}}", "", "size of working values");
}

/// Pieces that are likely to be joined into something that parses.
const PIECES: &[&str] = &[
    "{{",
    "}}",
    "{{- ",
    " -}}",
    "{{if ",
    "{{else}}",
    "{{else if ",
    "{{end}}",
    "{{range ",
    "{{range $i, $e := ",
    "{{with ",
    "{{define \"x\"}}",
    "{{template \"x\" ",
    "{{block \"x\" ",
    "{{break}}",
    "{{continue}}",
    "{{/* ",
    " */}}",
    ".A",
    ".B",
    ".N",
    ".L",
    ".x.y",
    "$",
    "$i",
    "$e",
    "$x := ",
    "$x = ",
    "$x",
    "(",
    ")",
    " | ",
    " ",
    ",",
    "1",
    "0",
    "-1",
    "1.5",
    "'a'",
    "2i",
    "0x1p3",
    "\"s\"",
    "`r`",
    "\"%d%s%v\"",
    "\"%*.*f\"",
    "\"%[2]q\"",
    "nil",
    "true",
    "false",
    "and ",
    "or ",
    "not ",
    "eq ",
    "lt ",
    "index ",
    "slice ",
    "len ",
    "print ",
    "printf ",
    "html ",
    "js ",
    "urlquery ",
    "call ",
    "default ",
    "split ",
    "join ",
    "replaceAll ",
    "regexReplaceAll ",
    "loop ",
    "env ",
    "\n",
    "text",
    "é",
    "\u{301}",
    "\"\\xff\"",
    "9223372036854775807",
];

fn piece() -> impl Strategy<Value = String> {
    let fixed = prop::sample::select(PIECES).prop_map(str::to_string);
    prop_oneof![9 => fixed, 1 => any::<String>()]
}

/// Actions that parse more often than not.
fn action() -> impl Strategy<Value = String> {
    let operand = prop::sample::select(vec![
        ".",
        ".A",
        ".B",
        ".L",
        "$",
        "1",
        "-2",
        "1.5",
        "\"b\"",
        "\"%v|%5d\"",
        "nil",
        "true",
        "(len .B)",
        "(split \",\" .B)",
        "(loop 3)",
        "(index .L 1)",
        "'x'",
        "3i",
    ]);
    let function = prop::sample::select(vec![
        "print",
        "printf",
        "println",
        "index",
        "slice",
        "len",
        "eq",
        "ne",
        "lt",
        "le",
        "gt",
        "ge",
        "and",
        "or",
        "not",
        "html",
        "js",
        "urlquery",
        "call",
        "default",
        "split",
        "join",
        "replaceAll",
        "regexReplaceAll",
        "loop",
        "env",
    ]);
    let command = (function, prop::collection::vec(operand, 0..4))
        .prop_map(|(function, operands)| format!("{function} {}", operands.join(" ")));
    let pipeline = prop::collection::vec(command, 1..4).prop_map(|commands| commands.join(" | "));
    let leaf = prop_oneof![
        pipeline.clone().prop_map(|pipeline| format!("{{{{{pipeline}}}}}")),
        pipeline.clone().prop_map(|pipeline| format!("{{{{$x := {pipeline}}}}}{{{{$x}}}}")),
        "[a-z ]{0,5}",
    ];
    leaf.prop_recursive(4, 24, 4, move |inner| {
        let body = prop::collection::vec(inner, 0..3).prop_map(|parts| parts.concat());
        let keyword = prop::sample::select(vec!["if", "with", "range", "range $i, $e :="]);
        (keyword, pipeline.clone(), body.clone(), body).prop_map(|(keyword, pipeline, one, two)| {
            format!("{{{{{keyword} {pipeline}}}}}{one}{{{{else}}}}{two}{{{{end}}}}")
        })
    })
}

fn small() -> Limits {
    Limits { nesting: 50, output_bytes: 10_000, working_bytes: 100_000, steps: 10_000 }
}

fn holds(text: &str) {
    match render_within(text, small()) {
        Ok(output) => assert!(output.len() <= small().output_bytes),
        Err((_, message)) => assert!(!message.is_empty()),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn any_text_ends(text in any::<String>()) {
        holds(&text);
        holds(&format!("{{{{{text}}}}}"));
    }

    #[test]
    fn any_bytes_end(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        holds(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn any_pieces_end(pieces in prop::collection::vec(piece(), 0..40)) {
        holds(&pieces.concat());
    }

    #[test]
    fn any_actions_end(actions in prop::collection::vec(action(), 0..6)) {
        holds(&actions.concat());
    }

    #[test]
    fn any_format_ends(format in "[%#0+ *.\\[\\]0-9a-zA-Z]{0,20}") {
        holds(&format!("{{{{printf {format:?} 1 -2 3.5 \"s\" true nil .L (split \",\" .B)}}}}"));
    }
}
