//! Parts of the language that are younger than the recorded cases, struct values, methods, and formats.

use std::collections::BTreeMap;
use std::sync::Arc;

use pilotfish_template::{
    ErrorKind, Facts, Function, Functions, MissingKey, RenderOptions, StructType, Template, Type, Value,
};

fn data() -> Value {
    let mut kind = StructType {
        name: Arc::from("*dep.Node"),
        fields: vec!["Name".into(), "Port".into()],
        methods: BTreeMap::new(),
    };
    let upper = Function::new([Type::String], |_, arguments| match arguments {
        [Value::Struct(node), Value::String(suffix)] => {
            Ok(Value::from(format!("{:?}{suffix}", node.field("Port").is_some())))
        }
        other => panic!("a method gets its receiver first: {other:?}"),
    });
    kind.methods.insert("Has".into(), upper);
    let node = Value::structure(&Arc::new(kind), vec!["n1".into(), Value::Int(80)]);
    let double = Function::new([Type::Int], |_, arguments| match arguments {
        [Value::Int(number)] => Ok(Value::Int(number * 2)),
        other => panic!("the engine checks the types: {other:?}"),
    });
    let entries = [
        ("node", node),
        ("double", Value::Function(Arc::new(double))),
        ("list", Value::list(Type::Any, vec![Value::Int(1), "two".into(), Value::Nil])),
        ("names", Value::strings(["a", "b"])),
        ("env", Value::string_map([("A", "1")])),
        ("pi", Value::Float(2.75)),
        ("nil", Value::Nil),
    ];
    Value::map(Type::Any, entries.into_iter().map(|(key, value)| (Arc::from(key), value)).collect())
}

fn render(text: &str, options: &RenderOptions) -> Result<String, String> {
    let template = Template::parse("t", text, &Functions::new()).map_err(|error| error.to_string())?;
    let output = template.render(&data(), &mut Facts::default(), options);
    output.map(|output| output.text).map_err(|error| error.to_string())
}

#[track_caller]
fn check(cases: &[(&str, &str)]) {
    for (text, expected) in cases {
        let result = render(text, &RenderOptions::default());
        let result = result.unwrap_or_else(|error| error);
        assert_eq!(result, *expected, "{text}");
    }
}

#[test]
fn younger_parts_of_the_language() {
    check(&[
        ("{{range 3}}{{.}}{{end}}", "012"),
        ("{{range $i := 3}}{{$i}}{{end}}", "012"),
        ("{{range 0}}x{{else}}none{{end}}", "none"),
        (
            "{{range $i, $j := 3}}{{end}}",
            "template: t:1:18: executing \"t\" at <3>: can't use 3 to iterate over more than one variable",
        ),
        ("{{with .nil}}a{{else with .pi}}{{.}}{{else}}c{{end}}", "2.75"),
        ("{{with .nil}}a{{else with .nil}}b{{else}}c{{end}}", "c"),
        ("{{with .pi}}{{else if true}}{{end}}", "template: t:1: unexpected <if> in input"),
        ("{{$x := 1}}{{range $x = .names}}{{end}}{{$x}}", "b"),
        ("{{range $i, $x := .names}}{{if eq $x \"a\"}}{{continue}}{{end}}{{$i}}{{break}}{{end}}", "1"),
        ("{{- /* a */ -}}  b", "b"),
        ("{{/* a */ x}}", "template: t:1: comment ends before closing delimiter"),
        ("a{{if\ntrue}}\n{{printf\n\"x\n", "template: t:4: unterminated quoted string in action started at t:3"),
        ("{{block \"b\" 1}}{{.}}{{end}}{{template \"b\" 2}}", "12"),
        ("{{define \"t\"}}x{{end}}", "x"),
        ("{{range .names}}{{block \"b\" .}}{{break}}{{end}}{{end}}", "template: t:1: {{break}} outside {{range}}"),
        ("{{(1 | printf \"%d%d\" 2) | len}}", "2"),
    ]);
}

#[test]
fn structs_methods_and_function_values() {
    check(&[
        ("{{.node.Name}}:{{.node.Port}}", "n1:80"),
        (
            "{{.node.Nmae}}",
            "template: t:1:7: executing \"t\" at <.node.Nmae>: can't evaluate field Nmae in type interface {}",
        ),
        (
            "{{with .node}}{{.Nmae}}{{end}}",
            "template: t:1:16: executing \"t\" at <.Nmae>: can't evaluate field Nmae in type *dep.Node",
        ),
        (
            "{{.node.Name 1}}",
            "template: t:1:7: executing \"t\" at <.node.Name>: Name has arguments but cannot be invoked as function",
        ),
        ("{{.node.Has \"!\"}}", "true!"),
        ("{{\"?\" | .node.Has}}", "true?"),
        (
            "{{.node.Has}}",
            "template: t:1:7: executing \"t\" at <.node.Has>: wrong number of args for Has: want 1 got 0",
        ),
        ("{{.node}} {{printf \"%+v\" .node}}", "{n1 80} {Name:n1 Port:80}"),
        ("{{eq .node .node}}", "true"),
        ("{{call .double 21}}", "42"),
        (
            "{{call .pi 1}}",
            "template: t:1:2: executing \"t\" at <call .pi 1>: error calling call: non-function .pi of type float64",
        ),
        (
            "{{call .double}}",
            "template: t:1:2: executing \"t\" at <call .double>: error calling call: wrong number of args for .double: got 0 want 1",
        ),
        (
            "{{call .double \"x\"}}",
            "template: t:1:2: executing \"t\" at <call .double \"x\">: error calling call: arg 0: value has type string; should be int",
        ),
        ("{{.double}}", "template: t:1:2: executing \"t\" at <{{.double}}>: can't print {{.double}} of type func()"),
    ]);
}

#[test]
fn other_delimiters() {
    for (delimiters, text, expected) in [
        (("<<", ">>"), "a  <<- .pi ->>  b{{.pi}}<</* c */>>", "a2.75b{{.pi}}"),
        (("[", "]"), "[if .nil]a[else][(len .names)][end]", "2"),
        (("", "%"), "{{.pi%}}", "2.75}}"),
    ] {
        let template = Template::parse_between("t", text, delimiters, &Functions::new()).unwrap();
        let output = template.render(&data(), &mut Facts::default(), &RenderOptions::default()).unwrap();
        assert_eq!(output.text, expected, "{text}");
    }
    let error = Template::parse_between("t", "<<.pi", ("<<", ">>"), &Functions::new()).unwrap_err();
    assert_eq!(error.to_string(), "template: t:1: unclosed action");
}

#[test]
fn missing_keys_as_the_option_says() {
    let text = "{{.nope}}|{{.env.B}}";
    let with = |missing_key| render(text, &RenderOptions { missing_key, ..RenderOptions::default() });
    assert_eq!(with(MissingKey::Invalid).unwrap(), "<no value>|<no value>");
    assert_eq!(with(MissingKey::Zero).unwrap(), "<no value>|");
    let error = with(MissingKey::Error).unwrap_err();
    assert_eq!(error, "template: t:1:2: executing \"t\" at <.nope>: map has no entry for key \"nope\"");
}

#[test]
fn formats() {
    let cases = [
        ("%v", "1e6", "1e+06"),
        ("%v", "123456789.0", "1.23456789e+08"),
        ("%v", "100000.0", "100000"),
        ("%v", "1e-5", "1e-05"),
        ("%g", "0.00012", "0.00012"),
        ("%.3g", "1234.5678", "1.23e+03"),
        ("%.6g", "1234.5", "1234.5"),
        ("%.10g", "100.0", "100"),
        ("%#g", "1.0", "1.00000"),
        ("%#.3g", "1.0", "1.00"),
        ("%.0f", "2.5", "2"),
        ("%G", "1e-10", "1E-10"),
        ("%b", "1.0", "4503599627370496p-52"),
        ("%x", "1.0", "0x1p+00"),
        ("%x", "3.14", "0x1.91eb851eb851fp+01"),
        ("%.2x", "3.14", "0x1.92p+01"),
        ("%+d|", "-0", "+0|"),
        ("% d", "5", " 5"),
        ("%08b", "5", "00000101"),
        ("%-08d|", "5", "5       |"),
        ("%+06d", "42", "+00042"),
        ("%.5d", "42", "00042"),
        ("%O", "8", "0o10"),
        ("%q", "'x'", "'x'"),
        ("%#U", "'x'", "U+0078 'x'"),
        ("%#q", "`a\"b`", "`a\"b`"),
        ("%x", "`é`", "c3a9"),
        ("%# x", "`ab`", "0x61 0x62"),
        ("%5.1f|", "3.14", "  3.1|"),
        ("%v", "1i", "(0+1i)"),
        ("%.1f", "1+2i", "(1.0+2.0i)"),
        ("%!", "1", "%!!(int=1)"),
        ("%", "1", "%!(NOVERB)%!(EXTRA int=1)"),
        ("%[3]d", "1", "%!d(BADINDEX)"),
        ("%[1]d %[1]v", "1", "1 1"),
        ("%9999999d", "1", "%!(NOVERB)%!(EXTRA int=1)"),
        ("%-10q|", "`a`", "\"a\"       |"),
        ("%d", ".list", "[1 %!d(string=two) <nil>]"),
        ("%#v", ".list", "[]interface {}{1, \"two\", interface {}(nil)}"),
        ("%#v", ".env", "map[string]string{\"A\":\"1\"}"),
        ("%#v", ".names", "[]string{\"a\", \"b\"}"),
        ("%T", ".env", "map[string]string"),
        ("%T", ".nil", "<nil>"),
        ("%#v", ".node", "dep.Node{Name:\"n1\", Port:80}"),
        ("%q", "`\\x00é世`", "\"\\\\x00é世\""),
    ];
    for (format, argument, expected) in cases {
        let text = format!("{{{{printf {format:?} {argument}}}}}");
        assert_eq!(render(&text, &RenderOptions::default()).as_deref(), Ok(expected), "{text}");
    }
}

#[test]
fn literals() {
    check(&[
        ("{{0x1p-2}} {{0X_1F}} {{0b1_0}} {{017}} {{1_000.5}}", "0.25 31 2 15 1000.5"),
        ("{{'\\x41'}} {{'\\''}} {{'世'}}", "65 39 19990"),
        ("{{\"\\u4e16\\x41\\101\\\"\"}}", "世AA\""),
        ("{{\"\\q\"}}", "template: t:1: invalid syntax"),
        (
            "{{18446744073709551615}}",
            "template: t:1:2: executing \"t\" at <18446744073709551615>: 18446744073709551615 overflows int",
        ),
        ("{{1e999}}", "template: t:1: illegal number syntax: \"1e999\""),
        ("{{'ab'}}", "template: t:1: malformed character constant: 'ab'"),
        ("{{1.x}}", "template: t:1: bad number syntax: \"1.x\""),
        ("{{true.x}}", "template: t:1: unexpected . after term \"true\""),
        ("{{1__0}}", "template: t:1: illegal number syntax: \"1__0\""),
    ]);
}

#[test]
fn errors_have_kinds() {
    let parse = Template::parse("t", "{{", &Functions::new()).unwrap_err();
    assert_eq!((parse.kind, parse.line, parse.column), (ErrorKind::Syntax, 1, None));
    let template = Template::parse("t", "\n {{index .nil 1}}", &Functions::new()).unwrap();
    let error = template.render(&data(), &mut Facts::default(), &RenderOptions::default()).unwrap_err();
    assert_eq!((error.kind, error.line, error.column), (ErrorKind::Execution, 2, Some(3)));
}
