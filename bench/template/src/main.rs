//! Our template engine beside gtmpl-ng, on the same templates and data, in turns: `cargo run --release` in this folder.

use std::collections::HashMap;
use std::hint::black_box;
use std::time::Instant;

use gtmpl_ng as peer;
use pilotfish_template::catalog::{Answers, HealthService, Question, Status};
use pilotfish_template::{Facts, RenderOptions, Template, Value, catalog_functions};

/// The memory that this process holds, in bytes.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux tells about a process");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("the memory is told");
    let kilobytes = line.split_whitespace().nth(1).and_then(|number| number.parse::<usize>().ok());
    kilobytes.expect("it is a number") * 1_024
}

/// nginx's upstreams.
const UPSTREAMS: &str = "{{ range .services }}upstream {{ .Name }} {
{{- range .Instances }}
    # {{ .ID }}
    server {{ .Address }}:{{ .Port }}{{ if eq .Status \"warning\" }} backup{{ end }};
{{- else }}
    server 127.0.0.1:65535;
{{- end }}
}
{{ end }}";

/// A configuration over the environment.
const CONFIG: &str = "{
    consul: \"{{ if .CONSUL }}{{ .CONSUL }}{{ else }}localhost{{ end }}:8500\",
    logging: { level: \"{{ or .LOG_LEVEL \"INFO\" }}\", format: \"default\" },
    jobs: [
{{- range $i, $name := .JOBS }}
        { name: \"{{ $name }}\", port: {{ $.PORT }}, {{ if eq $i 0 }}main: true, {{ end }}tags: [{{ printf \"%q\" $.REGION }}] },
{{- end }}
    ],
{{- with .TELEMETRY }}
    telemetry: { port: {{ . }} },
{{- end }}
}
";

fn address(number: usize) -> String {
    format!("10.{}.{}.{}", number >> 16 & 255, number >> 8 & 255, number & 255)
}

fn our_instances(count: usize) -> Value {
    let mut answers = Answers::new();
    let question = Question::service("web").expect("the text is a query");
    let Question::Service(query) = &question else { unreachable!("it is a service") };
    let tags = vec![answers.text("v1"), answers.text("eu")];
    let instances = (0..count).map(|number| HealthService {
        node: answers.text(&format!("node-{:03}", number / 50)),
        node_address: answers.text(&address(number / 50)),
        node_meta: answers.string_map([("rack", "r1"), ("consul-version", "1.20")]),
        service_meta: answers.string_map([("version", "1.2.3")]),
        address: address(number).into(),
        id: format!("web-{number:05}").into(),
        name: answers.text("web"),
        tags: tags.clone(),
        status: Some(Status::Passing),
        port: 8_000,
        ..HealthService::default()
    });
    let instances = instances.collect();
    answers.health_services(query, instances)
}

fn our_data(count: usize) -> Value {
    let service = |name: &str| {
        let entries = [("Name".into(), Value::from(name)), ("Instances".into(), our_instances(count))];
        Value::map(pilotfish_template::Type::Any, entries.into_iter().collect())
    };
    let services = Value::list(pilotfish_template::Type::Any, vec![service("sales"), service("customers")]);
    Value::map(pilotfish_template::Type::Any, [("services".into(), services)].into_iter().collect())
}

fn peer_map<const N: usize>(entries: [(&str, peer::Value); N]) -> peer::Value {
    peer::Value::Map(entries.into_iter().map(|(key, value)| (key.to_string(), value)).collect::<HashMap<_, _>>())
}

fn peer_data(count: usize) -> peer::Value {
    let instance = |number: usize| {
        peer_map([
            ("ID", format!("web-{number:05}").into()),
            ("Address", address(number).into()),
            ("Port", 8_000.into()),
            ("Status", "passing".into()),
        ])
    };
    let service = |name: &str| {
        let instances = (0..count).map(instance).collect();
        peer_map([("Name", name.into()), ("Instances", peer::Value::Array(instances))])
    };
    peer_map([("services", peer::Value::Array(vec![service("sales"), service("customers")]))])
}

/// Seconds that `work` takes: the fastest of many tries, which a busy machine disturbs least.
struct Race {
    ours: f64,
    theirs: f64,
}

fn race(mut ours: impl FnMut(), mut theirs: impl FnMut()) -> Race {
    let timed = |work: &mut dyn FnMut()| {
        let start = Instant::now();
        work();
        start.elapsed().as_secs_f64()
    };
    let mut race = Race { ours: f64::MAX, theirs: f64::MAX };
    let begin = Instant::now();
    let mut rounds = 0;
    while rounds < 20 || begin.elapsed().as_secs_f64() < 3.0 {
        race.ours = race.ours.min(timed(&mut ours));
        race.theirs = race.theirs.min(timed(&mut theirs));
        rounds += 1;
    }
    race
}

fn show(name: &str, race: &Race) {
    let (ours, theirs, ratio) = (race.ours * 1e6, race.theirs * 1e6, race.theirs / race.ours);
    println!("{name:<44} {ours:>10.1} us {theirs:>10.1} us {ratio:>7.2} x");
}

fn compare(name: &str, text: &str, our_data: &Value, peer_data: &peer::Value) {
    let functions = catalog_functions();
    let context = peer::Context::from(peer_data.clone());
    let parse_peer = || {
        let mut template = peer::Template::default();
        template.parse(text).expect("the peer parses the template");
        template
    };
    let (ours, theirs) = (Template::parse("t", text, &functions).expect("it parses"), parse_peer());
    let options = RenderOptions::default();
    let render = || ours.render(our_data, &mut Facts::default(), &options).expect("it renders").text;
    assert!(render() == theirs.render(&context).expect("the peer renders"), "{name}: not the same text");
    let parse = race(|| drop(black_box(Template::parse("t", text, &functions))), || drop(black_box(parse_peer())));
    let render = race(|| drop(black_box(render())), || drop(black_box(theirs.render(&context))));
    let both = Race { ours: parse.ours + render.ours, theirs: parse.theirs + render.theirs };
    for (what, race) in [("parse", parse), ("render", render), ("both", both)] {
        show(&format!("{name}: {what}"), &race);
    }
}

fn grow() {
    let functions = catalog_functions();
    let template = Template::parse("t", UPSTREAMS, &functions).expect("it parses");
    for count in [1_000, 10_000] {
        let before = resident();
        let data = our_data(count);
        let held = resident().saturating_sub(before);
        let options = RenderOptions::default();
        let mut fastest = f64::MAX;
        for _ in 0..20 {
            let start = Instant::now();
            let output = template.render(&data, &mut Facts::default(), &options).expect("it renders");
            fastest = fastest.min(start.elapsed().as_secs_f64());
            black_box(output.text.len());
        }
        println!(
            "2 x {count:>6} instances: render {:>8.2} ms, answers {:>6.2} MB ({} bytes an instance)",
            fastest * 1e3,
            held as f64 / 1e6,
            held / (2 * count),
        );
    }
}

fn main() {
    grow();
    println!("{:<44} {:>13} {:>13} {:>9}", "", "ours", "gtmpl-ng", "faster");
    compare("nginx upstreams of 2 x 1,000 instances", UPSTREAMS, &our_data(1_000), &peer_data(1_000));
    let variables =
        [("CONSUL", "consul"), ("LOG_LEVEL", ""), ("PORT", "8080"), ("REGION", "eu"), ("TELEMETRY", "9090")];
    let jobs = ["app", "setup", "backup", "watch"];
    let mut ours: std::collections::BTreeMap<_, _> =
        variables.iter().map(|&(key, value)| (key.into(), Value::from(value))).collect();
    ours.insert("JOBS".into(), Value::strings(jobs));
    let mut theirs: HashMap<_, peer::Value> =
        variables.iter().map(|&(key, value)| (key.to_string(), value.into())).collect();
    theirs.insert("JOBS".into(), peer::Value::Array(jobs.map(Into::into).to_vec()));
    compare("small config", CONFIG, &Value::map(pilotfish_template::Type::Any, ours), &peer::Value::Map(theirs));
}
