//! The functions of consul-template, over answers as whoever fetches would give them.
#![allow(clippy::unwrap_used)]

use pilotfish_template::catalog::{Answers, HealthService, Interface, KeyPair, Node, NodeService, Question, Status};
use pilotfish_template::{Error, Facts, MissingKey, Query, RenderOptions, Template, Value, catalog_functions};

/// Renders as whoever speaks consul-template's command line does.
fn render(text: &str, facts: &mut Facts) -> Result<String, Error> {
    let template = Template::parse("", text, &catalog_functions())?;
    let options = RenderOptions { missing_key: MissingKey::Zero, ..RenderOptions::default() };
    template.render(&Value::Nil, facts, &options).map(|output| output.text)
}

fn query(source: &str, name: &str) -> Query {
    Query { source: source.into(), name: name.into() }
}

/// Puts the answer to a question of the given text among the facts.
fn insert(facts: &mut Facts, question: Question, value: Value) {
    facts.answer(&question.to_query(), value);
}

fn instance(answers: &mut Answers, id: &str, port: i64, tags: &[&str], meta: &[(&str, &str)]) -> HealthService {
    HealthService {
        node: answers.text("n1"),
        address: answers.text("10.0.0.1"),
        id: answers.text(id),
        name: answers.text("web"),
        tags: tags.iter().map(|tag| answers.text(tag)).collect(),
        service_meta: answers.string_map(meta.iter().copied()),
        status: Some(if id == "web-9" { Status::Critical } else { Status::Passing }),
        port,
        ..HealthService::default()
    }
}

fn pair(answers: &mut Answers, path: &str, value: &str) -> KeyPair {
    KeyPair { path: answers.text(path), value: answers.text(value), ..KeyPair::default() }
}

/// A small world: a service of three instances, keys, a node, a file.
fn world() -> Facts {
    let mut facts = Facts::default();
    let mut answers = Answers::new();
    for text in ["web", "web|any", "a.web@dc2~_agent|passing,warning"] {
        let question = Question::service(text).unwrap();
        let Question::Service(service) = &question else { panic!("a service") };
        let instances = vec![
            instance(&mut answers, "web-2", 81, &["b"], &[("version", "v2"), ("shard", "2")]),
            instance(&mut answers, "web-1", 80, &["b", "a"], &[("version", "v1.0"), ("shard", "11")]),
            instance(&mut answers, "web-9", 89, &[], &[]),
        ];
        let value = answers.health_services(service, instances);
        insert(&mut facts, question, value);
    }
    let pairs = [("cfg/", ""), ("cfg/a", "1"), ("cfg/b/c", "2"), ("cfg/b/", ""), ("cfg/j", "{\"x\":1}")];
    let pairs = pairs.map(|(path, value)| pair(&mut answers, path, value));
    let pairs = answers.pairs("cfg", pairs.to_vec());
    insert(&mut facts, Question::tree("cfg").unwrap(), pairs);
    insert(&mut facts, Question::tree("empty").unwrap(), answers.pairs("empty", vec![]));
    insert(&mut facts, Question::key("cfg/a").unwrap(), Answers::key(Some("1")));
    insert(&mut facts, Question::key("blank").unwrap(), Answers::key(Some("")));
    insert(&mut facts, Question::key("none").unwrap(), Answers::key(None));
    let services = [("web", vec![answers.text("b"), answers.text("a")]), ("consul", vec![])];
    let services = answers.services(services.map(|(name, tags)| (name.into(), tags)));
    insert(&mut facts, Question::services("").unwrap(), services);
    let node = |name: &str, answers: &mut Answers| Node {
        node: answers.text(name),
        address: answers.text("10.0.0.1"),
        meta: answers.string_map([("rack", "r1")]),
        ..Node::default()
    };
    let nodes = vec![node("n2", &mut answers), node("n1", &mut answers)];
    insert(&mut facts, Question::nodes("").unwrap(), answers.nodes(nodes, false));
    let service = NodeService { service: answers.text("web"), port: 80, ..NodeService::default() };
    let detail = Some((node("n1", &mut answers), vec![service]));
    insert(&mut facts, Question::node("n1").unwrap(), answers.catalog_node(detail));
    insert(&mut facts, Question::node("nobody").unwrap(), answers.catalog_node(None));
    insert(&mut facts, query_of("datacenters"), Answers::datacenters(vec!["dc2".into(), "dc1".into()]));
    insert(&mut facts, Question::File("/etc/motd".into()), Answers::file("hello\n"));
    facts.insert("env", "HOME", Value::from("/root"));
    facts.insert("env", "BLANK", Value::from(""));
    facts
}

fn query_of(source: &str) -> Question {
    Question::from_query(&query(source, "")).unwrap()
}

#[track_caller]
fn check(cases: &[(&str, &str)]) {
    for (text, expected) in cases {
        let result = render(text, &mut world()).unwrap_or_else(|error| error.to_string());
        assert_eq!(result, *expected, "{text}");
    }
}

#[test]
fn answers_have_the_fields_of_consul_template() {
    check(&[
        ("{{range service \"web\"}}{{.ID}}={{.Address}}:{{.Port}} {{end}}", "web-1=10.0.0.1:80 web-2=10.0.0.1:81 "),
        ("{{range service \"web|any\"}}{{.Status}} {{end}}", "passing passing critical "),
        ("{{range service \"web\" \"any\"}}{{.Tags}}{{.ServiceMeta.version}} {{end}}", "[a b]v1.0 [b]v2 [] "),
        ("{{range service \"a.web@dc2~_agent|warning,passing\"}}{{.ID}} {{end}}", "web-2 web-1 "),
        ("{{len (service \"\")}}{{len (service)}}", "00"),
        ("{{range service \"web\"}}{{if .Tags.Contains \"a\"}}{{.ID}}{{end}}{{end}}", "web-1"),
        ("{{range service \"web\"}}{{.Tags | join \",\"}};{{end}}", "a,b;b;"),
        (
            "{{range service \"web\"}}{{.Adress}}{{end}}",
            "template: :1:25: executing \"\" at <.Adress>: can't evaluate field Adress in type *dependency.HealthService",
        ),
        ("{{range services}}{{.Name}}{{.Tags}} {{end}}", "consul[] web[a b] "),
        ("{{range nodes}}{{.Node}}{{.Meta.rack}} {{end}}", "n1r1 n2r1 "),
        ("{{with node \"n1\"}}{{.Node.Node}}{{range .Services}} {{.Service}}:{{.Port}}{{end}}{{end}}", "n1 web:80"),
        ("{{with node \"nobody\"}}{{if .Node}}yes{{else}}no{{end}}{{len .Services}}{{end}}", "no0"),
        ("{{datacenters}}", "[dc1 dc2]"),
        ("{{file \"/etc/motd\"}}{{file \"\"}}", "hello\n"),
        ("{{env \"HOME\"}}{{env \"NONE\"}}{{envOrDefault \"BLANK\" \"x\"}}{{envOrDefault \"NONE\" \"x\"}}", "/rootx"),
        ("{{mustEnv \"HOME\"}}", "/root"),
        (
            "{{mustEnv \"BLANK\"}}",
            "template: :1:2: executing \"\" at <mustEnv \"BLANK\">: error calling mustEnv: required environment variable BLANK is empty",
        ),
    ]);
}

#[test]
fn keys() {
    check(&[
        ("{{key \"cfg/a\"}}{{key \"/cfg/a\"}}{{key \"\"}}", "11"),
        (
            "{{keyExists \"cfg/a\"}} {{keyExists \"blank\"}} {{keyExists \"none\"}} {{keyExists \"\"}}",
            "true true false false",
        ),
        ("{{keyOrDefault \"cfg/a\" \"d\"}}{{keyOrDefault \"blank\" \"d\"}}{{keyOrDefault \"none\" \"d\"}}", "1dd"),
        ("{{range ls \"cfg\"}}{{.Key}}={{.Value}} {{end}}", "a=1 j={\"x\":1} "),
        ("{{range tree \"cfg\"}}{{.Path}}>{{.Key}}={{.Value}} {{end}}", "cfg/a>a=1 cfg/b/c>b/c=2 cfg/j>j={\"x\":1} "),
        ("{{range safeLs \"cfg\"}}{{.Key}} {{end}}{{range safeTree \"cfg\"}}{{.Key}} {{end}}", "a j a b/c j "),
        (
            "{{range $top, $pairs := tree \"cfg\" | byKey}}{{$top}}:{{range $key, $pair := $pairs}}{{$key}}={{$pair.Value}}{{end}}{{end}}",
            "b:c=2",
        ),
        ("{{tree \"cfg\" | explode}}", "map[a:1 b:map[c:2] j:{\"x\":1}]"),
        ("{{ls \"\"}}{{len (tree \"empty\")}}", "[]0"),
    ]);
}

/// What a rendering recorded: missing and blocking.
fn waits(text: &str, facts: &mut Facts) -> (Vec<String>, Vec<String>, bool) {
    facts.forget_questions();
    render(text, facts).unwrap();
    let names = |queries: &std::collections::BTreeSet<Query>| {
        queries.iter().map(|query| format!("{} {}", query.source, query.name)).collect()
    };
    (names(facts.missing()), names(facts.blocking()), facts.is_complete())
}

#[test]
fn what_has_no_answer_is_missing() {
    let none = Vec::<String>::new;
    for (text, asked) in [
        ("{{service \"db\"}}", "service db|passing"),
        ("{{service \"x.db@dc1~n|warning,any\"}}", "service x.db@dc1~n|any,warning"),
        ("{{services \"@dc1\"}}", "services @dc1"),
        ("{{node}}", "node "),
        ("{{nodes \"@dc1~n\"}}", "nodes @dc1~n"),
        ("{{datacenters true}}", "datacenters reachable"),
        ("{{key \"x@dc1\"}}", "key x@dc1"),
        ("{{keyExists \"x\"}}", "key x"),
        ("{{keyOrDefault \"//x\" \"d\"}}", "key //x"),
        ("{{ls \"x\"}}", "tree x"),
        ("{{safeTree \"x\"}}", "tree x"),
        ("{{file \" /x \"}}", "file /x"),
    ] {
        assert_eq!(waits(text, &mut world()), (vec![asked.to_string()], none(), false), "{text}");
    }
    let variable = waits("{{env \"NONE\"}}", &mut world());
    assert_eq!(variable, (vec!["env NONE".to_string()], none(), true));
}

#[test]
fn what_demands_something_blocks_on_nothing() {
    let mut facts = world();
    let none = Vec::<String>::new;
    let complete = (none(), none(), true);
    for text in [
        "{{keyExists \"none\"}}{{keyOrDefault \"none\" \"\"}}",
        "{{ls \"empty\"}}{{tree \"empty\"}}",
        "{{key \"blank\"}}{{safeLs \"cfg\"}}",
        "{{node \"nobody\"}}",
    ] {
        assert_eq!(waits(text, &mut facts), complete, "{text}");
    }
    for (text, asked) in [
        ("{{key \"none\"}}", "key none"),
        ("{{safeLs \"empty\"}}", "tree empty"),
        ("{{safeTree \"empty\"}}{{tree \"empty\"}}", "tree empty"),
    ] {
        assert_eq!(waits(text, &mut facts), (none(), vec![asked.to_string()], false), "{text}");
    }
    facts.remove(&query("key", "none"));
    assert_eq!(waits("{{key \"none\"}}", &mut facts).0, ["key none"]);
}

#[test]
fn queries_survive_being_written_and_read() {
    for (question, name) in [
        (Question::service("web"), "web|passing"),
        (
            Question::service("a:b.c=d.web-1@dc.1~node_2|passing,warning,passing"),
            "a:b.c=d.web-1@dc.1~node_2|passing,warning",
        ),
        (Question::services("@dc1"), "@dc1"),
        (Question::node("n.1@dc1"), "n.1@dc1"),
        (Question::node(""), ""),
        (Question::nodes("~_agent"), "~_agent"),
        (Question::key("/a/b@dc1"), "a/b@dc1"),
        (Question::key("//a"), "//a"),
        (Question::key("/"), "//"),
        (Question::tree("a|b~c.d "), "a|b~c.d "),
        (Ok(query_of("time")), ""),
        (Ok(query_of("interfaces")), ""),
        (Ok(Question::Environment("A".into())), "A"),
    ] {
        let question = question.unwrap();
        assert_eq!(question.to_query().name, name);
        assert_eq!(Question::from_query(&question.to_query()), Ok(question));
    }
}

#[test]
fn queries_that_cannot_be_understood_are_errors() {
    for (text, expected) in [
        ("{{service \"a b\"}}", "error calling service: health.service: invalid format: \"a b\""),
        ("{{service \".web\"}}", "error calling service: health.service: invalid format: \".web\""),
        ("{{service \"web@\"}}", "error calling service: health.service: invalid format: \"web@\""),
        ("{{service \"web|passing@dc1\"}}", "health.service: invalid format: \"web|passing@dc1\""),
        ("{{service \"web|nope\"}}", "health.service: invalid filter: \"nope\" in \"web|nope\""),
        (
            "{{service \"web?ns=x@dc1\"}}",
            "health.service: query options are not supported: \"web?ns=x@dc1\"; remove what",
        ),
        ("{{services \"x\"}}", "catalog.services: invalid format: \"x\""),
        ("{{node \"a/b\"}}", "catalog.node: invalid format: \"a/b\""),
        ("{{nodes \"x\"}}", "catalog.nodes: invalid format: \"x\""),
        ("{{key \"a@b@c\"}}", "error calling key: kv.get: invalid format: \"a@b@c\""),
        ("{{tree \"a?partition=b\"}}", "error calling tree: kv.list: query options are not supported: "),
        ("{{datacenters true true}}", "datacenters: wrong number of arguments, expected 0 or 1, but got 2"),
        ("{{secret \"x\"}}", "template: :1: function \"secret\" is not supported: Vault is not spoken here; "),
        ("{{if false}}{{sprig_upper \"x\"}}{{end}}", "function \"sprig_upper\" is not supported: Sprig's functions"),
        ("{{nomadVarExists \"x\"}}", "function \"nomadVarExists\" is not supported: Nomad"),
        ("{{plugin \"x\"}}", "function \"plugin\" is not supported: a rendering runs no programs; "),
        ("{{writeToFile \"x\"}}", "function \"writeToFile\" is not supported: "),
        ("{{sprigUpper \"x\"}}", "function \"sprigUpper\" not defined"),
    ] {
        let error = render(text, &mut world()).unwrap_err().to_string();
        assert!(error.contains(expected), "{text}: {error}");
    }
    assert!(Question::from_query(&query("nope", "")).is_err());
}

#[test]
fn instances_share_what_repeats() {
    let mut answers = Answers::new();
    let (one, two) = (answers.text("a"), answers.text("a"));
    assert!(std::sync::Arc::ptr_eq(&one, &two));
    let maps = [answers.string_map([("k", "v"), ("l", "w")]), answers.string_map([("l", "w"), ("k", "v")])];
    let [Value::Map(first), Value::Map(second)] = &maps else { panic!("maps") };
    assert!(std::sync::Arc::ptr_eq(first, second));
    drop((one, two));
    answers.forget_unused();
    let again = answers.string_map([("k", "v"), ("l", "w")]);
    assert!(matches!(&again, Value::Map(again) if std::sync::Arc::ptr_eq(again, first)));
}

#[test]
fn statuses_are_the_worst_of_the_checks() {
    let status = |checks: &[(&str, &str)]| Answers::aggregated_status(checks.iter().copied());
    assert_eq!(status(&[]), Status::Passing);
    assert_eq!(status(&[("a", "warning"), ("b", "passing")]), Status::Warning);
    assert_eq!(status(&[("a", "critical"), ("b", "warning")]), Status::Critical);
    assert_eq!(status(&[("a", "critical"), ("_node_maintenance", "critical")]), Status::Maintenance);
    assert_eq!(status(&[("_service_maintenance:web", "critical")]), Status::Maintenance);
}

#[test]
fn services_are_grouped() {
    check(&[
        (
            "{{range $tag, $list := service \"web\" | byTag}}{{$tag}}:{{range $list}}{{.ID}} {{end}}{{end}}",
            "a:web-1 b:web-1 web-2 ",
        ),
        ("{{range $tag, $list := services | byTag}}{{$tag}}:{{range $list}}{{.Name}} {{end}}{{end}}", "a:web b:web "),
        ("{{byTag nil}}", "map[]"),
        (
            "{{byTag 1}}",
            "template: :1:2: executing \"\" at <byTag 1>: error calling byTag: byTag: wrong argument type int",
        ),
        (
            "{{range $key, $list := service \"web|any\" | byMeta \"shard|int,version,none\"}}{{$key}}:{{len $list}} {{end}}",
            "00000__no_version___no_none_:1 00002_v2__no_none_:1 00011_v1_0__no_none_:1 ",
        ),
        (
            "{{service \"web\" | byMeta \"version|int\"}}",
            "template: :1:18: executing \"\" at <byMeta \"version|int\">: error calling byMeta: \
             cannot parse v1.0 as number : strconv.Atoi: parsing \"v1.0\": invalid syntax",
        ),
        ("{{range service \"web\"}}{{if .Tags | contains \"a\"}}{{.ID}}{{end}}{{end}}", "web-1"),
        (
            "{{range service \"web\"}}{{.Tags.Contains}}{{end}}",
            "template: :1:30: executing \"\" at <.Tags.Contains>: wrong number of args for Contains: want 1 got 0",
        ),
        (
            "{{with key \"cfg/j\" | parseJSON}}{{end}}{{range ls \"cfg\"}}{{with .Value | parseJSON}}{{.}} {{end}}{{end}}",
            "1 map[x:1] ",
        ),
        ("{{tree \"cfg\" | explode | toJSON}}", "{\"a\":\"1\",\"b\":{\"c\":\"2\"},\"j\":\"{\\\"x\\\":1}\"}"),
        (
            "{{range nodes}}{{toJSON .}}{{break}}{{end}}",
            "{\"ID\":\"\",\"Node\":\"n1\",\"Address\":\"10.0.0.1\",\"Datacenter\":\"\",\"TaggedAddresses\":null,\"Meta\":{\"rack\":\"r1\"}}",
        ),
    ]);
}

#[test]
fn scratch_keeps_values_within_a_rendering() {
    check(&[
        ("{{scratch.Key \"a\"}}{{scratch.Set \"a\" 1}}{{scratch.Key \"a\"}}{{scratch.Get \"a\"}}", "falsetrue1"),
        ("{{scratch.Get \"a\"}}", "<no value>"),
        ("{{scratch.SetX \"a\" 1}}{{scratch.SetX \"a\" 2}}{{scratch.Get \"a\"}}", "1"),
        (
            "{{scratch.MapSet \"m\" \"b\" 1}}{{scratch.MapSet \"m\" \"a\" 2}}{{scratch.MapSetX \"m\" \"a\" 3}}{{scratch.MapValues \"m\"}}{{scratch.Get \"m\"}}",
            "[2 1]map[a:2 b:1]",
        ),
        (
            "{{scratch.MapSet \"m\" \"a\" 1}}{{$m := scratch.Get \"m\"}}{{scratch.MapSet \"m\" \"a\" 2}}{{$m.a}}{{(scratch.Get \"m\").a}}",
            "12",
        ),
        (
            "{{scratch.Set \"a\" 1}}{{scratch.MapSet \"a\" \"b\" 2}}",
            "template: :1:30: executing \"\" at <scratch.MapSet>: error calling MapSet: \"a\" is not a map",
        ),
        ("{{scratch.Set \"a\" 1}}{{scratch.MapValues \"a\"}}{{scratch.MapValues \"none\"}}", "[][]"),
        (
            "{{scratch.Gte \"a\"}}",
            "template: :1:2: executing \"\" at <scratch>: can't evaluate field Gte in type *template.Scratch",
        ),
    ]);
}

#[test]
fn what_spew_prints_is_beside_the_text() {
    let mut facts = world();
    assert_eq!(render("a{{spew_dump 1 \"x\"}}b{{spew_printf \"%d;\" 2}}c", &mut facts).unwrap(), "abc");
    assert_eq!(facts.printed(), "(int) 1\n(string) (len=1) \"x\"\n2;");
    facts.forget_questions();
    assert_eq!(facts.printed(), "");
}

#[test]
fn addresses_of_the_machine() {
    let interface = |name: &str, address: &str, prefix_bits, is_default| Interface {
        name: name.into(),
        address: address.parse().unwrap(),
        prefix_bits,
        is_up: true,
        is_default,
    };
    let value = Answers::interfaces(&[
        interface("lo", "127.0.0.1", 8, false),
        interface("lo", "::1", 128, false),
        interface("eth1", "192.168.1.5", 24, false),
        interface("eth0", "172.17.0.2", 16, true),
        interface("eth0", "fe80::1", 64, true),
        interface("eth2", "8.8.8.8", 24, false),
    ]);
    let mut facts = Facts::default();
    assert_eq!(render("{{sockaddr \"GetPrivateIP\"}}", &mut facts).unwrap(), "");
    assert_eq!(facts.missing().iter().next(), Some(&query("interfaces", "")));
    insert(&mut facts, query_of("interfaces"), value);
    for (text, expected) in [
        ("GetPrivateIP", "172.17.0.2"),
        ("GetPrivateIPs", "172.17.0.2 192.168.1.5"),
        ("GetPublicIP", "8.8.8.8"),
        ("GetInterfaceIP \\\"eth1\\\"", "192.168.1.5"),
        ("GetInterfaceIPs \\\"lo\\\"", "127.0.0.1 ::1"),
        (
            "GetAllInterfaces | exclude \\\"name\\\" \\\"lo|eth0\\\" | join \\\"address\\\" \\\",\\\"",
            "192.168.1.5,8.8.8.8",
        ),
        ("GetPrivateInterfaces | include \\\"rfc\\\" \\\"1918\\\" | attr \\\"network\\\"", "172.17.0.0/16"),
        ("GetDefaultInterfaces | include \\\"type\\\" \\\"ipv6\\\" | limit 1 | attr \\\"name\\\"", "eth0"),
        ("GetAllInterfaces | include \\\"flags\\\" \\\"loopback\\\" | limit 0 | attr \\\"address\\\"", ""),
    ] {
        assert_eq!(render(&format!("{{{{sockaddr \"{text}\"}}}}"), &mut facts).unwrap(), expected, "{text}");
    }
    for (text, expected) in [
        ("GetAllInterfaces | attr \\\"mac\\\"", "sockaddr: attribute \"mac\" is not supported; there are: address"),
        ("GetAllInterfaces | include \\\"flags\\\" \\\"x\\\"", "sockaddr: flag \"x\" is not supported; there are: up"),
        ("GetRoute", "function \"GetRoute\" is not supported: sockaddr knows Get{All,"),
    ] {
        let error = render(&format!("{{{{sockaddr \"{text}\"}}}}"), &mut facts).unwrap_err().to_string();
        assert!(error.contains(expected), "{text}: {error}");
    }
}
