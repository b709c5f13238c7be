//! Each function that reads Consul, against a real one.

use serde_json::{Value, json};

use super::{set, shared, stage};
use crate::catalog::view::put;
use crate::stage::End;

/// Renders a text once and gives what was printed.
#[track_caller]
fn printed(text: &str) -> String {
    let (_consul, address) = shared();
    let mut stage = stage(&["-consul-addr", &address, "-once", "-dry", "-template", "@DIR@/source"]);
    let pilot = stage.file("source", text).start();
    assert_eq!(pilot.wait_for_end(), End::Code(0), "{}", pilot.story());
    let text = pilot.stdout.text();
    let (_, text) = text.split_once('\n').expect("the first line names the template");
    text.trim_end().to_owned()
}

/// Puts an instance into the catalog, past any agent.
fn register(consul: &pilotfish_testing::Consul, node: &str, id: &str, tags: &[&str], checks: &[(&str, &str)]) {
    let checks: Vec<Value> = checks
        .iter()
        .map(|(check, status)| json!({ "Node": node, "CheckID": check, "Name": check, "Status": status, "ServiceID": id }))
        .collect();
    let body = json!({
        "Node": node, "Address": "192.0.2.7", "NodeMeta": { "rack": "r1" }, "TaggedAddresses": { "wan": "198.51.100.7" },
        "SkipNodeUpdate": false,
        "Service": { "ID": id, "Service": "fn-web", "Port": 80, "Tags": tags, "Meta": { "version": "3" },
                     "Weights": { "Passing": 5, "Warning": 2 } },
        "Checks": checks,
    });
    put(consul, "/v1/catalog/register", &body.to_string());
}

/// All instances and nodes, put there by each test that asks for some: one must not see another's come.
fn populate(consul: &pilotfish_testing::Consul) {
    register(consul, "fn-a", "web-1", &["primary", "v2"], &[("c1", "passing")]);
    register(consul, "fn-b", "web-2", &["v1"], &[("c2", "passing"), ("c3", "warning")]);
    register(consul, "fn-b", "web-3", &[], &[("c4", "critical")]);
    register(consul, "fn-c", "web-4", &["v1"], &[("_service_maintenance:web-4", "critical")]);
}

#[test]
fn services_by_tag_state_and_distance() {
    let (consul, _) = shared();
    populate(&consul);
    let queries = [
        ("fn-web", "web-1"),
        ("fn-web|passing", "web-1"),
        ("fn-web|any", "web-1 web-2 web-3 web-4"),
        ("fn-web|warning", "web-2"),
        ("fn-web|passing,warning", "web-1 web-2"),
        ("fn-web|critical", "web-3"),
        ("fn-web|maintenance", "web-4"),
        ("v1.fn-web|any", "web-2 web-4"),
        ("primary.fn-web", "web-1"),
        ("fn-web@dc1", "web-1"),
        ("primary.fn-web@dc1~_agent|any", "web-1"),
        ("fn-none", ""),
    ];
    let text: String = queries
        .iter()
        .map(|(query, _)| {
            format!(
                "{{{{ range $i, $s := service \"{query}\" }}}}{{{{ if $i }}}} {{{{ end }}}}{{{{ .ID }}}}{{{{ end }}}}\n"
            )
        })
        .collect();
    let found = printed(&format!("{text}end"));
    let expected: String = queries.iter().map(|(_, ids)| format!("{ids}\n")).collect();
    assert_eq!(found, format!("{expected}end"));
    // What is nearest comes first, and nothing is left out.
    let near = printed("{{ range service \"fn-web~_agent|any\" }}{{ .ID }}\n{{ end }}");
    let mut ids: Vec<&str> = near.lines().collect();
    ids.sort_unstable();
    assert_eq!(ids, ["web-1", "web-2", "web-3", "web-4"]);
    // Every field.
    let fields = "{{ with index (service \"primary.fn-web\") 0 }}{{ .Node }} {{ .NodeAddress }} {{ .NodeTaggedAddresses.wan }} \
        {{ .NodeMeta.rack }} {{ .Address }} {{ .Port }} {{ .ID }} {{ .Name }} {{ .Tags }} {{ .ServiceMeta.version }} {{ .Status }} \
        {{ .Weights.Passing }} {{ .Weights.Warning }} {{ range .Checks }}{{ .CheckID }}={{ .Status }}{{ end }}{{ end }}";
    let expected = "fn-a 192.0.2.7 198.51.100.7 r1 192.0.2.7 80 web-1 fn-web [primary v2] 3 passing 5 2 c1=passing";
    assert_eq!(printed(fields), expected);
}

#[test]
fn the_catalog_as_a_whole() {
    let (consul, _) = shared();
    populate(&consul);
    let services = printed("{{ range services }}{{ .Name }}:{{ .Tags }}\n{{ end }}");
    assert!(services.lines().any(|line| line == "consul:[]"), "{services}");
    assert!(services.lines().any(|line| line.starts_with("fn-web:[") && line.contains("primary")), "{services}");
    let nodes = printed("{{ range nodes }}{{ .Node }} {{ .Address }} {{ .Datacenter }} {{ .Meta.rack }}\n{{ end }}");
    assert!(nodes.lines().any(|line| line == "fn-a 192.0.2.7 dc1 r1"), "{nodes}");
    assert_eq!(
        nodes,
        printed("{{ range nodes \"@dc1\" }}{{ .Node }} {{ .Address }} {{ .Datacenter }} {{ .Meta.rack }}\n{{ end }}")
    );
    let one = "{{ with node \"fn-a@dc1\" }}{{ .Node.Node }} {{ .Node.Address }}{{ range .Services }} {{ .ID }}:{{ .Service }}:{{ .Port }}{{ end }}{{ end }}";
    assert_eq!(printed(one), "fn-a 192.0.2.7 web-1:fn-web:80");
    assert_eq!(printed("{{ with node }}{{ .Node.Node }}{{ end }}"), consul.node());
    assert_eq!(printed("{{ with node \"fn-none\" }}{{ if .Node }}there{{ else }}nowhere{{ end }}{{ end }}"), "nowhere");
    assert_eq!(
        printed("{{ range datacenters }}{{ . }}{{ end }} {{ range datacenters true }}{{ . }}{{ end }}"),
        "dc1 dc1"
    );
}

#[test]
fn keys() {
    let (consul, _) = shared();
    for (key, value) in
        [("fn/a", "1"), ("fn/b", "two words"), ("fn/deep/c", "3"), ("fn/deep/er/d", ""), ("fn/json", "{\"x\": [1, 2]}")]
    {
        set(&consul, key, value);
    }
    for (text, expected) in [
        ("{{ key \"fn/b\" }} {{ key \"fn/a@dc1\" }}", "two words 1"),
        ("{{ keyExists \"fn/a\" }} {{ keyExists \"fn/none\" }}", "true false"),
        ("{{ keyOrDefault \"fn/a\" \"x\" }} {{ keyOrDefault \"fn/none\" \"x\" }}", "1 x"),
        ("{{ range ls \"fn\" }}{{ .Key }}={{ .Value }};{{ end }}", "a=1;b=two words;json={\"x\": [1, 2]};"),
        ("{{ range safeLs \"fn/deep\" }}{{ .Key }}={{ .Value }};{{ end }}", "c=3;"),
        ("{{ range tree \"fn/deep\" }}{{ .Key }}={{ .Value }};{{ end }}", "c=3;er/d=;"),
        ("{{ range safeTree \"fn/deep@dc1\" }}{{ .Path }};{{ end }}", "fn/deep/c;fn/deep/er/d;"),
        ("{{ range ls \"fn-none\" }}x{{ else }}nothing{{ end }}", "nothing"),
        (
            "{{ range $key, $pairs := tree \"fn/deep\" | byKey }}{{ $key }}:{{ range $pairs }}{{ .Key }};{{ end }}{{ end }}",
            "er:d;",
        ),
        ("{{ (key \"fn/json\" | parseJSON).x }}", "[1 2]"),
    ] {
        assert_eq!(printed(text), expected, "{text}");
    }
}

#[test]
fn files_and_the_environment() {
    let (_consul, address) = shared();
    let text = "{{ file \"@DIR@/other\" }} {{ env \"ANSWER\" }} {{ env \"NO_SUCH\" }}{{ sockaddr \"GetAllInterfaces | include \\\"name\\\" \\\"lo\\\" | include \\\"type\\\" \\\"IPv4\\\" | attr \\\"address\\\"\" }} {{ if gt (timestamp \"unix\" | parseInt) 1600000000 }}now{{ end }}";
    let mut stage = stage(&["-consul-addr", &address, "-once", "-dry", "-template", "@DIR@/source"]);
    let pilot = stage.file("source", text).file("other", "text").variable("ANSWER", "42").start();
    assert_eq!(pilot.wait_for_end(), End::Code(0), "{}", pilot.story());
    assert!(pilot.stdout.text().contains("text 42 127.0.0.1 now"), "{}", pilot.story());
}
