//! The functions that ask nothing, each over the usual, the odd and the wrong. The results are those of Go.
#![allow(clippy::unwrap_used)]

use pilotfish_template::catalog::Answers;
use pilotfish_template::{Facts, MissingKey, RenderOptions, Template, Value, catalog_functions};

/// 2023-11-14 22:13:20.123456789 UTC.
const NOW: i64 = 1_700_000_000_123_456_789;

fn facts() -> Facts {
    let mut facts = Facts::default();
    facts.insert("time", "", Answers::time(NOW));
    facts
}

fn render(text: &str, facts: &mut Facts) -> String {
    let options = RenderOptions { missing_key: MissingKey::Zero, ..RenderOptions::default() };
    let template = Template::parse("", text, &catalog_functions());
    let output = template.and_then(|template| template.render(&Value::Nil, facts, &options));
    output.map_or_else(|error| error.to_string(), |output| output.text)
}

#[track_caller]
fn check(cases: &[(&str, &str)]) {
    for (text, expected) in cases {
        assert_eq!(render(text, &mut facts()), *expected, "{text}");
    }
}

const TEXTS: &[(&str, &str)] = &[
    (
        r#"{{toLower "ÀB c"}}|{{toUpper "straße é"}}|{{toTitle "a small-town inn, it's a 2nd home of m.r x_y"}}"#,
        "àb c|STRAßE É|A Small-Town Inn, It's A 2Nd Home Of M.r X_y",
    ),
    (
        r#"{{trimSpace "\t a \n"}}|{{trim "xy" "xyaxbyx"}}|{{trimPrefix "ab" "ababc"}}|{{trimSuffix "bc" "abcbc"}}|{{"ab" | trimPrefix "x"}}"#,
        "a|axb|abc|abc|ab",
    ),
    (
        r#"{{split "," " a,b,, "}}|{{split "" "aé"}}|{{len (split "," " ")}}|{{split "," "a,b" | join "+"}}"#,
        "[a b  ]|[a é]|0|a+b",
    ),
    (r#"{{splitToMap ";" "=" " a=1;b=2=3;c;=4 "}}|{{len (splitToMap ";" "=" "")}}"#, "map[:4 a:1 b:2=3]|0"),
    (r#"{{replaceAll "o" "0" "foo"}}|{{replaceAll "" "-" "ab"}}|{{"foo" | replaceAll "f" ""}}"#, "f00|-a-b-|oo"),
    (
        r#"{{regexReplaceAll "(?P<first>[a-z])([0-9])" "$2${first}" "a1 b2 c"}}|{{regexReplaceAll "x*" "-" "axb"}}"#,
        "1a 2b c|-a-b-",
    ),
    (r#"{{regexMatch "^[a-z]+$" "abc"}}|{{regexMatch "b" "abc"}}|{{"" | regexMatch "x"}}"#, "true|true|false"),
    (r#"{{indent 2 "a\n\nb\n"}}|{{indent 0 "a\nb"}}|{{"x" | indent 3}}"#, "  a\n\n  b\n|a\nb|   x"),
    (
        r#"{{indent -1 "a"}}"#,
        r#"template: :1:2: executing "" at <indent -1 "a">: error calling indent: indent value must be a positive integer"#,
    ),
    (r#"{{join "," "a"}}"#, r#"template: :1:11: executing "" at <"a">: can't handle "a" for arg of type []string"#),
    ("{{toUpper 1}}", r#"template: :1:10: executing "" at <1>: expected string; found 1"#),
];

#[test]
fn texts() {
    check(TEXTS);
}

const NUMBERS: &[(&str, &str)] = &[
    (
        "{{add 1 2}} {{add 1 2.5}} {{2 | subtract 5}} {{multiply 3 4}} {{divide 3 10}} {{divide 4 10.0}} {{modulo 3 10}} {{modulo 3 -10}}",
        "3 3.5 -3 12 3 2.5 1 -1",
    ),
    ("{{minimum 3 5}} {{5.5 | minimum 7}} {{maximum 3 5}} {{maximum -1 -1.5}}", "3 5.5 5 -1"),
    (
        r#"{{add 9223372036854775807 1}} {{add (parseUint "18446744073709551615") 1}} {{subtract (parseUint "3") 2}}"#,
        "-9223372036854775808 0 -1",
    ),
    (
        "{{divide 0 1}}",
        r#"template: :1:2: executing "" at <divide 0 1>: error calling divide: runtime error: integer divide by zero"#,
    ),
    (
        "{{modulo 0 1}}",
        r#"template: :1:2: executing "" at <modulo 0 1>: error calling modulo: runtime error: integer divide by zero"#,
    ),
    ("{{divide 0.0 1}} {{divide 0 -1.0}}", "+Inf -Inf"),
    (
        r#"{{add "a" 1}}"#,
        r#"template: :1:2: executing "" at <add "a" 1>: error calling add: add: unknown type for "a" (string)"#,
    ),
    (
        r#"{{add 1 "a"}}"#,
        r#"template: :1:2: executing "" at <add 1 "a">: error calling add: add: unknown type for "a" (string)"#,
    ),
    (
        "{{add nil 1}}",
        r#"template: :1:2: executing "" at <add nil 1>: error calling add: add: unknown type for <invalid reflect.Value> (<nil>)"#,
    ),
    (
        "{{modulo 2.0 3}}",
        r#"template: :1:2: executing "" at <modulo 2.0 3>: error calling modulo: modulo: unknown type for %!q(float64=2) (float64)"#,
    ),
    (r#"{{parseBool "true"}} {{parseBool "F"}} {{parseBool ""}}"#, "true false false"),
    (
        r#"{{parseBool "yes"}}"#,
        r#"template: :1:2: executing "" at <parseBool "yes">: error calling parseBool: parseBool: strconv.ParseBool: parsing "yes": invalid syntax"#,
    ),
    (r#"{{parseInt "-12"}} {{parseInt "+7"}} {{parseInt ""}} {{parseUint "12"}} {{parseUint ""}}"#, "-12 7 0 12 0"),
    (
        r#"{{parseInt "9223372036854775808"}}"#,
        r#"template: :1:2: executing "" at <parseInt "9223372036854775808">: error calling parseInt: parseInt: strconv.ParseInt: parsing "9223372036854775808": value out of range"#,
    ),
    (
        r#"{{parseInt "1.5"}}"#,
        r#"template: :1:2: executing "" at <parseInt "1.5">: error calling parseInt: parseInt: strconv.ParseInt: parsing "1.5": invalid syntax"#,
    ),
    (
        r#"{{parseUint "-1"}}"#,
        r#"template: :1:2: executing "" at <parseUint "-1">: error calling parseUint: parseUint: strconv.ParseUint: parsing "-1": invalid syntax"#,
    ),
    (
        r#"{{parseFloat "1e3"}} {{parseFloat "0x1p-2"}} {{parseFloat ".5"}} {{parseFloat "-inf"}} {{parseFloat ""}}"#,
        "1000 0.25 0.5 -Inf 0",
    ),
    (
        r#"{{parseFloat "1e999"}}"#,
        r#"template: :1:2: executing "" at <parseFloat "1e999">: error calling parseFloat: parseFloat: strconv.ParseFloat: parsing "1e999": value out of range"#,
    ),
    (
        r#"{{parseFloat "x"}}"#,
        r#"template: :1:2: executing "" at <parseFloat "x">: error calling parseFloat: parseFloat: strconv.ParseFloat: parsing "x": invalid syntax"#,
    ),
    (
        r#"{{range loop 3}}{{.}}{{end}}|{{range loop 2 "4"}}{{.}}{{end}}|{{range loop 3 1}}x{{else}}none{{end}}|{{range $i, $n := loop 5 7}}{{$i}}:{{$n}} {{end}}"#,
        "012|23|none|0:5 1:6 ",
    ),
    (
        "{{loop}}",
        r#"template: :1:2: executing "" at <loop>: error calling loop: loop: wrong number of arguments, expected 1 or 2, but got 0"#,
    ),
    (
        "{{loop 1 2 3}}",
        r#"template: :1:2: executing "" at <loop 1 2 3>: error calling loop: loop: wrong number of arguments, expected 1 or 2, but got 3"#,
    ),
    (
        "{{loop 1.5}}",
        r#"template: :1:2: executing "" at <loop 1.5>: error calling loop: loop: bad argument type: float64"#,
    ),
    (
        r#"{{loop "x"}}"#,
        r#"template: :1:2: executing "" at <loop "x">: error calling loop: parseInt: strconv.ParseInt: parsing "x": invalid syntax"#,
    ),
];

#[test]
fn numbers() {
    check(NUMBERS);
}

const LISTS: &[(&str, &str)] = &[
    (
        r#"{{in (split "," "a,b") "b"}} {{in (split "," "a,b") "c"}} {{in "abc" "bc"}} {{in (parseJSON "[1.5]") 1.5}} {{in (parseJSON "[1]") 1}}"#,
        "true false true true false",
    ),
    (r#"{{split "," "a,b" | contains "a"}} {{"abc" | contains "x"}} {{contains "a" nil}}"#, "true false false"),
    (
        r#"{{$l := parseJSON `["a","b"]`}}{{split "," "a,b,c" | containsAll $l}} {{split "," "a" | containsAll $l}} {{containsAll (parseJSON "[]") "x"}}"#,
        "true false true",
    ),
    (
        r#"{{$l := parseJSON `["a","b"]`}}{{split "," "b,c" | containsAny $l}} {{split "," "c" | containsAny $l}} {{split "," "c" | containsNone $l}} {{split "," "a" | containsNotAll $l}}"#,
        "true false true true",
    ),
    (
        r#"{{containsAll (split "," "a") "a"}}"#,
        r#"template: :1:25: executing "" at <"a">: wrong type for value; expected []interface {}; got []string"#,
    ),
    (
        r#"{{in (split "," "a") nil}}"#,
        r#"template: :1:2: executing "" at <in (split "," "a") nil>: error calling in: reflect: call of reflect.Value.Type on zero Value"#,
    ),
];

#[test]
fn lists() {
    check(LISTS);
}

const DOCUMENTS_ARE_READ: &[(&str, &str)] = &[
    (
        r#"{{with parseJSON `{"a":{"b":[1,2.5,"x",null,true]}}`}}{{.a.b}}{{index .a.b 2}}{{end}}|{{parseJSON ""}}"#,
        "[1 2.5 x <nil> true]x|map[]",
    ),
    (r#"{{parseJSON `"\u00e9\ud83d\ude00\ud800x\/\n"`}}"#, "é😀�x/\n"),
    (
        r#"{{parseJSON `{"a":1,"a":2}`}}|{{parseJSON " [ ] "}}|{{parseJSON "1e2"}}|{{parseJSON "null"}}"#,
        "map[a:2]|[]|100|<no value>",
    ),
    (
        r#"{{parseJSON "{"}}"#,
        r#"template: :1:2: executing "" at <parseJSON "{">: error calling parseJSON: unexpected end of JSON input"#,
    ),
    (
        r#"{{parseJSON "{a}"}}"#,
        r#"template: :1:2: executing "" at <parseJSON "{a}">: error calling parseJSON: invalid character 'a' looking for beginning of object key string"#,
    ),
    (
        r#"{{parseJSON "[1,]"}}"#,
        r#"template: :1:2: executing "" at <parseJSON "[1,]">: error calling parseJSON: invalid character ']' looking for beginning of value"#,
    ),
    (
        r#"{{parseJSON `{"a" 1}`}}"#,
        r#"template: :1:2: executing "" at <parseJSON `{"a" 1}`>: error calling parseJSON: invalid character '1' after object key"#,
    ),
    (
        r#"{{parseJSON `{"a":1 "b"}`}}"#,
        r#"template: :1:2: executing "" at <parseJSON `{"a":1 "b"}`>: error calling parseJSON: invalid character '"' after object key:value pair"#,
    ),
    (
        r#"{{parseJSON "[1 2]"}}"#,
        r#"template: :1:2: executing "" at <parseJSON "[1 2]">: error calling parseJSON: invalid character '2' after array element"#,
    ),
    (
        r#"{{parseJSON "tru"}}"#,
        r#"template: :1:2: executing "" at <parseJSON "tru">: error calling parseJSON: invalid character ' ' in literal true (expecting 'e')"#,
    ),
    (
        r#"{{parseJSON "nul1"}}"#,
        r#"template: :1:2: executing "" at <parseJSON "nul1">: error calling parseJSON: invalid character '1' in literal null (expecting 'l')"#,
    ),
    (
        r#"{{parseJSON "01"}}"#,
        r#"template: :1:2: executing "" at <parseJSON "01">: error calling parseJSON: invalid character '1' after top-level value"#,
    ),
    (
        r#"{{parseJSON "1."}}"#,
        r#"template: :1:2: executing "" at <parseJSON "1.">: error calling parseJSON: invalid character ' ' after decimal point in numeric literal"#,
    ),
    (
        r#"{{parseJSON "-"}}"#,
        r#"template: :1:2: executing "" at <parseJSON "-">: error calling parseJSON: invalid character ' ' in numeric literal"#,
    ),
    (
        r#"{{parseJSON "1e999"}}"#,
        r#"template: :1:2: executing "" at <parseJSON "1e999">: error calling parseJSON: json: cannot unmarshal number 1e999 into Go value of type float64"#,
    ),
    (
        r#"{{parseJSON `"\x"`}}"#,
        r#"template: :1:2: executing "" at <parseJSON `"\x"`>: error calling parseJSON: invalid character 'x' in string escape code"#,
    ),
    (
        r#"{{parseJSON "\"a\n\""}}"#,
        r#"template: :1:2: executing "" at <parseJSON "\"a\n\"">: error calling parseJSON: invalid character '\n' in string literal"#,
    ),
    (
        r#"{{parseJSON "é"}}"#,
        r#"template: :1:2: executing "" at <parseJSON "é">: error calling parseJSON: invalid character 'Ã' looking for beginning of value"#,
    ),
    (
        r#"{{with parseYAML "a: 1\nb:\n- x\n- 2.5\n- yes\n- ~\n- '1'\n"}}{{.a}} {{.b}}{{end}}|{{parseYAML ""}}|{{parseYAML "x"}}"#,
        "1 [x 2.5 true <nil> 1]|map[]|x",
    ),
    (
        r#"{{parseYAML "- 010\n- 0o10\n- 0x1F\n- 0b11\n- 1_000\n- 08\n- +1\n- .5\n- -.inf\n- 12e3\n- 2001-01-01\n- 12:30\n- \"\\u00e9\"\n"}}"#,
        "[8 8 31 3 1000 8 1 0.5 -Inf 12000 2001-01-01 12:30 é]",
    ),
    (
        r#"{{parseYAML "base: &b {x: 1, y: 2}\nmore:\n  <<: *b\n  z: 3\nagain: *b\n"}}"#,
        "map[again:map[true:2 x:1] base:map[true:2 x:1] more:map[true:2 x:1 z:3]]",
    ),
    (r#"{{parseYAML "a: |\n  x\n   y\n\nb: >-\n  x\n  y\n"}}"#, "map[a:x\n y\n b:x y]"),
    (r#"{{parseYAML "!!str 1"}}{{parseYAML "!!float 1" | printf "%T"}}{{parseYAML "--- a\n--- b\n"}}"#, "1float64a"),
];

#[test]
fn documents_are_read() {
    check(DOCUMENTS_ARE_READ);
}

const DOCUMENTS_ARE_WRITTEN: &[(&str, &str)] = &[
    (
        r#"{{parseJSON `{"b":[1,"<a&b>",null,{}],"a":{"x":1e21,"y":1e-7,"z":-0.0}}` | toJSON}}"#,
        r#"{"a":{"x":1e+21,"y":1e-7,"z":-0},"b":[1,"\u003ca\u0026b\u003e",null,{}]}"#,
    ),
    (
        r#"{{parseJSON `{"b":[1,"<a&b>",null,{}],"a":[[]]}` | toJSONPretty}}"#,
        "{\n  \"a\": [\n    []\n  ],\n  \"b\": [\n    1,\n    \"\\u003ca\\u0026b\\u003e\",\n    null,\n    {}\n  ]\n}",
    ),
    (
        r#"{{toUnescapedJSON "<a&b>\u2028"}}|{{toUnescapedJSONPretty (split "," "a,b")}}|{{toJSON 1.5}}{{toJSON nil}}{{toJSON "é\t\"\\\u0001"}}"#,
        "\"<a&b>\\u2028\"|[\n  \"a\",\n  \"b\"\n]|1.5null\"é\\t\\\"\\\\\\u0001\"",
    ),
    (
        "{{toJSON 1i}}",
        r#"template: :1:2: executing "" at <toJSON 1i>: error calling toJSON: toJSON: json: unsupported type: complex128"#,
    ),
    (
        r#"{{parseJSON `{"name":"x","list":[1,[2,3],{"k":"v","l":[]}],"t":true,"n":null,"10":1,"9":2,"e":{}}` | toYAML}}"#,
        "\"9\": 2\n\"10\": 1\ne: {}\nlist:\n- 1\n- - 2\n  - 3\n- k: v\n  l: []\n\"n\": null\nname: x\nt: true",
    ),
    (
        r#"{{parseJSON `["yes","1","1.5","a: b","a #b","- x","","it's","x\ny","x\ny\n"," x","tab\t","é🚀","~","2001-01-01","12:30:45","{a}","a,b","@x","%"]` | toYAML}}"#,
        "- \"yes\"\n- \"1\"\n- \"1.5\"\n- 'a: b'\n- 'a #b'\n- '- x'\n- \"\"\n- it's\n- |-\n  x\n  y\n- |\n  x\n  y\n- ' x'\n- \"tab\\t\"\n- \"é\\U0001F680\"\n- \"~\"\n- \"2001-01-01\"\n- \"12:30:45\"\n- '{a}'\n- a,b\n- '@x'\n- '%'",
    ),
    (
        r#"{{toYAML "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen"}}"#,
        "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen\n  sixteen",
    ),
    (
        r#"{{parseJSON `{"a key: with colon":1,"line\nbreak":2,"":3}` | toYAML}}"#,
        "\"\": 3\n'a key: with colon': 1\n? |-\n  line\n  break\n: 2",
    ),
    (r#"{{toYAML nil}}|{{toYAML 1.0}}|{{toYAML true}}|{{parseJSON "1e20" | toYAML}}"#, "null|1|true|1e+20"),
    (
        r#"{{parseJSON `{"s":"q\"\\\n","i":1,"f":1.5,"b":true,"l":[1,2],"t":{"x":"y","deep":{"z":[]}},"ts":[{"a":1},{"a":2,"sub":{"k":"v"}}],"m":[{"a":1},2],"a b":1,"n":null}` | toTOML}}"#,
        "\"a b\" = 1.0\nb = true\nf = 1.5\ni = 1.0\nl = [1.0, 2.0]\nm = [{a = 1.0}, 2.0]\ns = \"q\\\"\\\\\\n\"\n\n[t]\n  x = \"y\"\n  [t.deep]\n    z = []\n\n[[ts]]\n  a = 1.0\n\n[[ts]]\n  a = 2.0\n  [ts.sub]\n    k = \"v\"",
    ),
    (
        r#"{{parseJSON `{"l":[null]}` | toTOML}}"#,
        r#"template: :1:29: executing "" at <toTOML>: error calling toTOML: toTOML: toml: cannot encode array with nil element"#,
    ),
    (
        r#"{{parseJSON `[{"a":1}]` | toTOML}}"#,
        r#"template: :1:26: executing "" at <toTOML>: error calling toTOML: toTOML: toml: top-level values must be Go maps or structs"#,
    ),
];

#[test]
fn documents_are_written() {
    check(DOCUMENTS_ARE_WRITTEN);
}

const ENCODINGS: &[(&str, &str)] = &[
    (
        r#"{{base64Encode "a?>~ü"}} {{base64URLEncode "a?>~ü"}} {{base64Decode "YT8+fsO8"}} {{base64URLDecode "YT8-fsO8"}} {{base64Decode "YQ==\n"}} {{base64Decode ""}}"#,
        "YT8+fsO8 YT8-fsO8 a?>~ü a?>~ü a ",
    ),
    (
        r#"{{base64Decode "YQ"}}"#,
        r#"template: :1:2: executing "" at <base64Decode "YQ">: error calling base64Decode: base64Decode: illegal base64 data at input byte 0"#,
    ),
    (
        r#"{{base64Decode "YQ=="}}{{base64Decode "YQ=x"}}"#,
        r#"template: :1:25: executing "" at <base64Decode "YQ=x">: error calling base64Decode: base64Decode: illegal base64 data at input byte 2"#,
    ),
    (
        r#"{{base64Decode "Y-=="}}"#,
        r#"template: :1:2: executing "" at <base64Decode "Y-==">: error calling base64Decode: base64Decode: illegal base64 data at input byte 1"#,
    ),
    (
        r#"{{base64Decode "YQ==YQ=="}}"#,
        r#"template: :1:2: executing "" at <base64Decode "YQ==YQ==">: error calling base64Decode: base64Decode: illegal base64 data at input byte 4"#,
    ),
    (
        r#"{{md5sum ""}} {{sha256Hex "abc"}} {{hmacSHA256Hex "message" "key"}}"#,
        "d41d8cd98f00b204e9800998ecf8427e ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad 6e9ef29b75fffc5b7abae527d58fdadb2fe42e7219011976917343065f58ed4a",
    ),
];

#[test]
fn encodings() {
    check(ENCODINGS);
}

const TEMPLATES_WITHIN_TEMPLATES: &[(&str, &str)] = &[
    (
        r#"{{define "x"}}[{{.}}]{{end}}{{executeTemplate "x"}}{{executeTemplate "x" 1}}{{2 | executeTemplate "x" | printf "%q"}}"#,
        r#"[<no value>][1]"[2]""#,
    ),
    (r#"{{define "x"}}{{$v := 1}}{{.}}{{end}}{{$v := 2}}{{executeTemplate "x" $v}}{{$v}}"#, "22"),
    (
        r#"{{executeTemplate "x"}}"#,
        r#"template: :1:2: executing "" at <executeTemplate "x">: error calling executeTemplate: template: no template "x" associated with template """#,
    ),
    (
        r#"{{define "x"}}{{.a.b}}{{end}}{{executeTemplate "x" 1}}"#,
        r#"template: :1:31: executing "" at <executeTemplate "x" 1>: error calling executeTemplate: template: :1:18: executing "x" at <.a.b>: can't evaluate field a in type int"#,
    ),
    (
        r#"{{executeTemplate "x" 1 2}}"#,
        r#"template: :1:2: executing "" at <executeTemplate "x" 1 2>: error calling executeTemplate: executeTemplate: wrong number of arguments, expected 1 or 2, but got 3"#,
    ),
    (
        "{{executeTemplate}}",
        r#"template: :1:2: executing "" at <executeTemplate>: wrong number of args for executeTemplate: want at least 1 got 0"#,
    ),
];

#[test]
fn templates_within_templates() {
    check(TEMPLATES_WITHIN_TEMPLATES);
}

const MAPS: &[(&str, &str)] = &[
    (
        r#"{{parseJSON `{"a/b":1,"a/c/d":2,"e":3,"f/":4,"/g":5}` | explodeMap}}"#,
        "map[:map[g:5] a:map[b:1 c:map[d:2]] e:3 f:map[]]",
    ),
    (
        r#"{{parseJSON `{"a":1,"a/b":2}` | explodeMap}}"#,
        r#"template: :1:32: executing "" at <explodeMap>: error calling explodeMap: explodeMap: not a map: "a/b": "a" already has value %!q(float64=1)"#,
    ),
    (
        r#"{{mergeMap (parseJSON `{"a":{"x":1},"b":"","c":1}`) (parseJSON `{"a":{"x":2,"y":3},"b":"new","c":2,"d":4}`)}}"#,
        "map[a:map[x:1 y:3] b:new c:1 d:4]",
    ),
    (
        r#"{{mergeMapWithOverride (parseJSON `{"a":{"x":1},"c":1}`) (parseJSON `{"a":{"x":2,"y":3},"c":2,"d":4}`)}}"#,
        "map[a:map[x:2 y:3] c:2 d:4]",
    ),
];

#[test]
fn maps() {
    check(MAPS);
}

const TIME: &[(&str, &str)] = &[
    (
        r#"{{timestamp}} {{timestamp "unix"}} {{timestamp "2006-01-02 15:04:05.000"}} {{timestamp "Mon Jan _2 3:04PM '06 MST -0700 Z07:00"}}"#,
        "2023-11-14T22:13:20Z 1700000000 2023-11-14 22:13:20.123 Tue Nov 14 10:13PM '23 UTC +0000 Z",
    ),
    (
        r#"{{timestamp "Monday January 002 __2 1/2 03:4:5.999999999 pm Janus"}}|{{timestamp ""}}|{{timestamp ".00,999999"}}"#,
        "Tuesday November 318 318 11/14 10:13:20.123456789 pm Janus||.12,123456",
    ),
    (
        r#"{{timestamp "a" "b"}}"#,
        r#"template: :1:2: executing "" at <timestamp "a" "b">: error calling timestamp: timestamp: wrong number of arguments, expected 0 or 1, but got 2"#,
    ),
];

#[test]
fn time() {
    check(TIME);
}

#[test]
fn spew() {
    check(&[(
        r#"{{spew_sdump "a" 1 true nil}}|{{spew_sprintf "%d-%s" 1 "x"}}|{{parseJSON `{"k":{"l":"m"}}` | spew_sdump}}"#,
        "(string) (len=1) \"a\"\n(int) 1\n(bool) true\n(interface {}) <nil>\n|1-x|(map[string]interface {}) (len=1) {\n (string) (len=1) \"k\": (map[string]interface {}) (len=1) {\n  (string) (len=1) \"l\": (string) (len=1) \"m\"\n }\n}\n",
    )]);
}
