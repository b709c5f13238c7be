//! Templates in configs: what they mean, how their commands wait, and what is wrong with them.

mod common;

use std::time::Duration;

use common::{error, loaded, round_trip, surroundings};
use pilotfish_config::{Surroundings, load};
use pilotfish_supervisor::{Job, JobOccurrence, Notify, Occurrence, OnFailure, Reaction, Start, Template, Wait};

const V2: &str = r#"{
    consul: "localhost:8500",
    preStart: "/bin/prepare",
    services: [{ name: "nginx", port: 80, health: "/bin/check", poll: 5, ttl: 20 }],
    templates: [{
        source: "/etc/nginx/nginx.conf.ctmpl", destination: "/etc/nginx/nginx.conf",
        check: "nginx -t -c {{.Path}}", command: "nginx -s reload",
    }],
}"#;

fn template(document: &str) -> Template {
    loaded(document).config.spec.templates.remove(0)
}

fn one(keys: &str) -> String {
    format!(r#"{{ jobs: [{{ name: "app", exec: "app", main: true }}], templates: [{{ {keys} }}] }}"#)
}

fn inline(keys: &str) -> String {
    one(&format!(r#"contents: "text", destination: "/run/file", {keys}"#))
}

fn held_back(job: &Job) -> (Option<Occurrence>, Vec<Occurrence>, Option<Duration>) {
    let Start::On(condition) = &job.start else { panic!("{job:?}") };
    let hold = condition.hold_back.as_ref();
    let until = hold.map(|hold| hold.until.clone()).unwrap_or_default();
    (job.after.clone(), until, hold.map(|hold| hold.at_most))
}

#[test]
fn a_v2_document_renders_before_pre_start_and_tells_the_application_when_it_is_ready() {
    let surroundings = Surroundings { command: Some(vec!["nginx".into()]), ..surroundings() };
    let loaded = load(V2, "v2", &surroundings, &common::source).unwrap();
    assert_eq!(loaded.warnings, []);
    let spec = &loaded.config.spec;
    let template = &spec.templates[0];
    assert_eq!((template.name.as_str(), template.required, template.announced), ("nginx.conf", true, false));
    assert!(template.text.contains("range service"), "{template:?}");
    let check = template.check.as_ref().unwrap();
    assert_eq!(check.process.argv, ["nginx", "-t", "-c", "{{.Path}}"]);
    assert_eq!(check.timeout, Duration::from_secs(10));
    let command = spec.jobs.iter().find(|job| job.name == "onChange.nginx.conf").unwrap();
    assert_eq!(command.on_failure, OnFailure::Restart);
    assert_eq!(command.timeout, Some(Duration::from_secs(30)));
    let main = spec.jobs.iter().find(|job| job.main).unwrap();
    let started = Occurrence::Job(main.name.clone(), JobOccurrence::Started);
    let healthy = Occurrence::Job("nginx".into(), JobOccurrence::Healthy);
    assert_eq!(held_back(command), (Some(started), vec![healthy], Some(Duration::from_secs(20))));
    round_trip(&loaded.config, &surroundings);
}

#[test]
fn a_v3_document_does_the_same_and_other_jobs_may_follow_the_template() {
    let document = r#"{
        jobs: [
            { name: "nginx", exec: "nginx", main: true, port: 80, health: { http: "http://localhost/", interval: 5, ttl: 20 } },
            { name: "log", exec: "logger changed", when: { source: "template.conf", each: "changed" } },
        ],
        templates: [{ name: "conf", contents: "x", destination: "/run/x", command: "nginx -s reload" }],
    }"#;
    let loaded = loaded(document);
    let jobs = &loaded.config.spec.jobs;
    let command = jobs.iter().find(|job| job.name == "onChange.conf").unwrap();
    let (after, until, at_most) = held_back(command);
    assert_eq!(after, Some(Occurrence::Job("nginx".into(), JobOccurrence::Started)));
    assert_eq!((until.len(), at_most), (1, Some(Duration::from_secs(20))));
    let Start::On(log) = &jobs[1].start else { panic!("{jobs:?}") };
    assert_eq!(log.triggers, [Occurrence::TemplateChanged("conf".into())]);
    round_trip(&loaded.config, &surroundings());
}

#[test]
fn names_come_from_files_and_are_unique() {
    let document = one(r#"contents: "a", destination: "/a/x.conf" }, { contents: "b", destination: "/b/x.conf" },
        { name: "x.conf-2", contents: "c", destination: "/c/y.conf", command: "true" "#);
    let templates = loaded(&document).config.spec.templates;
    let names: Vec<&str> = templates.iter().map(|template| template.name.as_str()).collect();
    assert_eq!(names, ["x.conf", "x.conf-3", "x.conf-2"]);
}

#[test]
fn values_mean_what_they_say() {
    let of = |keys: &str| template(&inline(keys));
    assert_eq!(of(r#"perms: "0600""#).perms, Some(0o600));
    assert_eq!(of("").perms, None);
    let wait = |min, max| Some(Wait { min: Duration::from_secs(min), max: Duration::from_secs(max) });
    assert_eq!(of(r#"wait: "2s:10s""#).wait, wait(2, 10));
    assert_eq!(of(r#"wait: "5s""#).wait, wait(5, 20));
    assert_eq!(of("wait: 5").wait, wait(5, 20));
    assert_eq!(of(r#"wait: "0s""#).wait, None);
    let notify = |reaction| vec![Notify { job: "app".into(), reaction }];
    assert_eq!(of(r#"notify: { job: "app", signal: "sighup" }"#).notify, notify(Reaction::Signal(1)));
    assert_eq!(of(r#"notify: { job: "app", restart: true }"#).notify, notify(Reaction::Restart { signal: None }));
}

#[test]
fn an_inline_template_keeps_its_actions() {
    let document =
        one(r#"contents: "{{`{{ range service \"sales\" }}{{ .Address }}{{ end }}`}}", destination: "/run/x""#);
    let loaded = loaded(&document);
    assert_eq!(loaded.config.spec.templates[0].text, r#"{{ range service "sales" }}{{ .Address }}{{ end }}"#);
    round_trip(&loaded.config, &surroundings());
}

#[test]
fn mistakes_are_errors_with_their_place_and_what_to_do() {
    let cases = [
        (r#"destination: "/x""#, "templates[0]: `source` (a file) or `contents` (the template itself) is needed"),
        (r#"contents: "a", source: "/b", destination: "/x""#, "contents: `source` and `contents` exclude each other"),
        (r#"contents: "a""#, "destination: the path of the file is needed"),
        (r#"contents: "a", destination: "/dir/""#, "destination: the path of the file is needed"),
        (r#"source: "/none", destination: "/x""#, "source: cannot read /none: No such file or directory"),
        (r#"source: "/etc/broken.ctmpl", destination: "/x""#, "source: template: /etc/broken.ctmpl:2: unexpected EOF"),
        (r#"contents: "{{`{{ servce \"a\" }}`}}", destination: "/x""#, r#"function "servce" not defined"#),
        (
            r#"source: "/etc/nginx/nginx.conf.ctmpl", destination: "/etc/nginx/nginx.conf.ctmpl""#,
            "it is the template's own source",
        ),
        (
            r#"contents: "a", destination: "/x", perms: 640"#,
            "perms: `640` is no mode; write its octal digits as text, such as \"0640\"",
        ),
        (r#"contents: "a", destination: "/x", perms: "0888""#, "perms: `0888` is no mode"),
        (r#"contents: "a", destination: "/x", wait: "10s:2s""#, "wait: `10s:2s` is no wait; write \"MIN:MAX\""),
        (r#"contents: "a", destination: "/x", chek: "true""#, "unknown key; did you mean `check`?"),
        (r#"contents: "a", destination: "/x", notify: { job: "app" }"#, "notify: nothing is done; give it `signal`"),
        (
            r#"contents: "a", destination: "/x", notify: { job: "ap", signal: "SIGHUP" }"#,
            "there is no job `ap`; did you mean `app`?",
        ),
        (r#"contents: "a", destination: "/x" }, { contents: "b", destination: "/x""#, "writes to /x already"),
        (
            r#"contents: "a", destination: "/x/y" }, { contents: "b", destination: "//x/./y""#,
            "writes to //x/./y already",
        ),
        (
            r#"name: "t", contents: "a", destination: "/x" }, { name: "t", contents: "b", destination: "/y""#,
            "there is already a template `t`",
        ),
    ];
    for (keys, expect) in cases {
        let message = error(&one(keys));
        assert!(message.contains(expect) && message.starts_with("test.json5: line 1, column"), "{keys}: {message}");
    }
    let unknown = error(r#"{ jobs: [{ name: "a", exec: "a", when: { source: "template.b", each: "changed" } }] }"#);
    assert!(unknown.contains("there is no template `b`"), "{unknown}");
    let event = error(r#"{ jobs: [{ name: "a", exec: "a", when: { source: "template.b", each: "healthy" } }] }"#);
    assert!(event.contains("`healthy` is not a valid event here; there are changed"), "{event}");
}
