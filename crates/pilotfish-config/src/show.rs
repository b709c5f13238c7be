//! The config as a v3 document: rendered, translated, with all defaults. Loading it again gives the same `Spec`.

use std::collections::BTreeMap;
use std::time::Duration;

use pilotfish_supervisor::{
    Check, HangupMeaning, Health, Job, Notify, Occurrence, OnFailure, Output, Process, Quantifier, Reaction, Restarts,
    Service, ServiceStatus, Start, Template, Times, User1Meaning, Wait, Watch, WatchTarget,
};

use crate::catalog::{CatalogSettings, Scheme};
use crate::config::{Config, Format, Level, LogOutput, MetricKind, TELEMETRY_JOB, Telemetry};
use crate::print::Node;
use crate::reader::UNLIMITED;
use crate::secret::{MASK, is_secret_name, mask};
use crate::templates::signal_name;
use crate::when::{GLOBAL_EVENTS, JOB_EVENTS, SIGNALS, WATCH_EVENTS};
use crate::{duration, mysql};

type Members = Vec<(&'static str, Node)>;

/// Prints the config as a v3 document, with secrets masked: tokens, variables with a secret's name, and wherever else the values of the
/// secret variables of `env` appear.
pub fn show(config: &Config, env: &BTreeMap<String, String>) -> String {
    let mut document: Members = Vec::new();
    document.extend(config.catalog.as_ref().map(|catalog| ("consul", catalog_node(catalog, true))));
    document.push(("logging", logging_node(config)));
    document.push(("control", Node::map([("socket", Node::text(&config.control.socket))])));
    let stop_timeout = config.spec.stop_timeout;
    document.push(("stopTimeout", if stop_timeout.is_zero() { Node::Number(-1) } else { time(stop_timeout) }));
    document.push(("reloadTimeout", time(config.spec.reload_timeout)));
    document.push(("signals", signals_node(config)));
    let is_telemetry = |job: &&Job| config.telemetry.is_some() && job.name == TELEMETRY_JOB;
    let is_member = |job: &&Job| mysql::is_job(job, config.mysql.as_ref());
    let jobs = config.spec.jobs.iter().filter(|job| !is_telemetry(job) && !is_member(job));
    document.push(("jobs", Node::List(jobs.map(job_node).collect())));
    if let Some(member) = &config.mysql {
        let job = config.spec.jobs.iter().find(is_member);
        let job = job.map(|job| (when_node(job), limit(job.stopping_timeout)));
        document.push(("mysql", mysql::node(member, job)));
    }
    document.push(("templates", Node::List(config.spec.templates.iter().map(template_node).collect())));
    document.push(("watches", Node::List(config.spec.watches.iter().map(watch_node).collect())));
    if let Some(telemetry) = &config.telemetry {
        document.push(("telemetry", telemetry_node(telemetry, config.spec.jobs.iter().find(is_telemetry))));
    }
    let mut document = Node::map(document);
    mask_texts(&mut document, env);
    document.print()
}

fn mask_texts(node: &mut Node, env: &BTreeMap<String, String>) {
    match node {
        Node::Text(text) => *text = mask(text, env),
        Node::List(items) => items.iter_mut().for_each(|item| mask_texts(item, env)),
        Node::Map(members) => members.iter_mut().for_each(|(_, member)| mask_texts(member, env)),
        Node::Boolean(_) | Node::Number(_) => {}
    }
}

fn time(duration: Duration) -> Node {
    Node::text(duration::show(duration))
}

fn limit(limit: Option<Duration>) -> Node {
    limit.map_or_else(|| Node::text(UNLIMITED), time)
}

fn text_map(map: &[(String, String)]) -> Node {
    let value = |name: &str, value: &str| if is_secret_name(name) { MASK.to_string() } else { value.to_string() };
    Node::map(map.iter().map(|(name, text)| (name.clone(), Node::text(value(name, text)))))
}

/// The catalog; its token, of which only the mask is shown, may be left out.
pub(crate) fn catalog_node(catalog: &CatalogSettings, with_token: bool) -> Node {
    let addresses = catalog.addresses.iter().map(|address| {
        let scheme = match address.scheme {
            Scheme::Http => "http",
            Scheme::Https => "https",
            Scheme::Unix => "unix",
        };
        format!("{scheme}://{}", address.authority)
    });
    let mut node: Members = vec![("address", Node::texts(addresses))];
    let token = catalog.token.as_ref().filter(|_| with_token);
    node.extend(token.map(|token| ("token", Node::text(token.to_string()))));
    node.extend(catalog.token_file.as_ref().map(|file| ("tokenFile", Node::text(file))));
    node.extend(catalog.datacenter.as_ref().map(|datacenter| ("datacenter", Node::text(datacenter))));
    let tls = &catalog.tls;
    let texts = [
        ("cafile", &tls.ca_file),
        ("capath", &tls.ca_path),
        ("clientcert", &tls.client_cert),
        ("clientkey", &tls.client_key),
        ("servername", &tls.server_name),
    ];
    let mut tls_node: Members =
        texts.into_iter().filter_map(|(key, text)| text.as_ref().map(|text| (key, Node::text(text)))).collect();
    tls_node.push(("verify", Node::Boolean(tls.verify)));
    node.push(("tls", Node::map(tls_node)));
    Node::map(node)
}

fn logging_node(config: &Config) -> Node {
    let level = match config.logging.level {
        Level::Error => "error",
        Level::Warn => "warn",
        Level::Info => "info",
        Level::Debug => "debug",
    };
    let format = match config.logging.format {
        Format::Default => "default",
        Format::Text => "text",
        Format::Json => "json",
    };
    let output = match &config.logging.output {
        LogOutput::Stdout => "stdout",
        LogOutput::Stderr => "stderr",
        LogOutput::File(path) => path,
    };
    Node::map([("level", Node::text(level)), ("format", Node::text(format)), ("output", Node::text(output))])
}

fn signals_node(config: &Config) -> Node {
    let hangup = match config.spec.signals.hangup {
        HangupMeaning::Event => "event",
        HangupMeaning::Reload => "reload",
    };
    let user1 = match config.spec.signals.user1 {
        User1Meaning::ReopenLog => "reopenLog",
        User1Meaning::ToggleMaintenance => "maintenance",
    };
    Node::map([("hangup", Node::text(hangup)), ("user1", Node::text(user1))])
}

fn job_node(job: &Job) -> Node {
    let mut node: Members = vec![("name", Node::text(&job.name))];
    if let Some(process) = &job.process {
        node.push(("exec", Node::texts(&process.argv)));
        node.push(("logging", output_node(&process.output)));
    }
    let check = job.health.as_ref().and_then(|health| match &health.check {
        Check::Exec(process) => Some(process),
        Check::Http(_) | Check::Tcp(_) | Check::File(_) | Check::Running => None,
    });
    if let Some(process) = job.process.as_ref().or(check) {
        surroundings(&mut node, process);
    }
    node.push(("main", Node::Boolean(job.main)));
    node.push(("when", when_node(job)));
    node.push(("timeout", limit(job.timeout)));
    node.push(("stopTimeout", limit(job.stopping_timeout)));
    node.push((
        "restarts",
        match job.restarts {
            Restarts::Limited(limit) => Node::Number(limit.into()),
            Restarts::Unlimited => Node::text(UNLIMITED),
        },
    ));
    let backoff = [("initial", job.backoff.initial), ("max", job.backoff.max), ("resetAfter", job.backoff.reset_after)];
    node.push(("restartBackoff", Node::map(backoff.map(|(key, duration)| (key, time(duration))))));
    let on_failure = match job.on_failure {
        OnFailure::Ignore => "ignore",
        OnFailure::Restart => "restart",
        OnFailure::Exit => "exit",
    };
    node.push(("onFailure", Node::text(on_failure)));
    node.extend(job.health.as_ref().map(|health| ("health", health_node(health, job.service.as_ref()))));
    if let Some(service) = &job.service {
        service_members(&mut node, service);
    }
    Node::map(node)
}

fn surroundings(node: &mut Members, process: &Process) {
    let texts = [("user", &process.user), ("group", &process.group), ("cwd", &process.cwd)];
    node.extend(texts.into_iter().filter_map(|(key, text)| text.as_ref().map(|text| (key, Node::text(text)))));
    if !process.env.is_empty() {
        node.push(("env", text_map(&process.env)));
    }
}

fn output_node(output: &Output) -> Node {
    Node::map([match output {
        Output::Wrapped => ("raw", Node::Boolean(false)),
        Output::Raw => ("raw", Node::Boolean(true)),
        Output::Attached => ("attached", Node::Boolean(true)),
        Output::Measured(metric) => ("metric", Node::text(metric)),
    }])
}

fn when_node(job: &Job) -> Node {
    let mut node: Members = match &job.start {
        Start::Every(interval) => vec![("interval", time(*interval))],
        Start::At(calendar) => vec![("cron", Node::text(calendar.text()))],
        Start::On(condition) => {
            let times = match condition.times {
                Times::Once => "once",
                Times::Each => "each",
            };
            let mut node = match (&condition.triggers[..], condition.quantifier) {
                ([trigger], Quantifier::Any) => trigger_members(trigger, times),
                (triggers, quantifier) => {
                    let key = if quantifier == Quantifier::All { "all" } else { "any" };
                    let triggers = triggers.iter().map(|trigger| Node::map(trigger_members(trigger, times)));
                    vec![(key, Node::List(triggers.collect()))]
                }
            };
            node.extend(condition.timeout.map(|timeout| ("timeout", time(timeout))));
            node.extend(condition.hold_back.as_ref().map(|hold| {
                let until = hold.until.iter().map(|occurrence| Node::map(trigger_members(occurrence, "once")));
                let members = [("until", Node::List(until.collect())), ("atMost", time(hold.at_most))];
                ("holdBack", Node::map(members))
            }));
            node
        }
    };
    node.extend(job.after.as_ref().map(|after| ("after", Node::map(trigger_members(after, "once")))));
    Node::map(node)
}

fn trigger_members(occurrence: &Occurrence, times: &'static str) -> Members {
    fn name<T: PartialEq>(table: &[(&'static str, T)], event: &T) -> &'static str {
        table.iter().find(|(_, known)| known == event).map_or("", |(name, _)| name)
    }
    match occurrence {
        Occurrence::Job(job, event) => vec![("source", Node::text(job)), (times, Node::text(name(&JOB_EVENTS, event)))],
        Occurrence::Watch(watch, event) => {
            vec![("source", Node::text(format!("watch.{watch}"))), (times, Node::text(name(&WATCH_EVENTS, event)))]
        }
        Occurrence::TemplateChanged(template) => {
            vec![("source", Node::text(format!("template.{template}"))), (times, Node::text("changed"))]
        }
        Occurrence::Hangup | Occurrence::User2 => {
            let signal = name(&SIGNALS, occurrence);
            vec![("source", Node::text(signal)), (times, Node::text(signal))]
        }
        Occurrence::Startup | Occurrence::Shutdown | Occurrence::EnterMaintenance | Occurrence::ExitMaintenance => {
            vec![(times, Node::text(name(&GLOBAL_EVENTS, occurrence)))]
        }
    }
}

/// A check that is not advertised has no lifetime of its own; the document needs one, and the least that is allowed is as good as any.
fn health_node(health: &Health, service: Option<&Service>) -> Node {
    let mut node: Members = match &health.check {
        Check::Exec(process) => vec![("exec", Node::texts(&process.argv)), ("logging", output_node(&process.output))],
        Check::Http(url) => vec![("http", Node::text(url))],
        Check::Tcp(target) => vec![("tcp", Node::text(target))],
        Check::File(path) => vec![("file", Node::text(path))],
        Check::Running => Vec::new(),
    };
    let least = health.interval.saturating_mul(2).saturating_add(health.timeout);
    node.push(("interval", time(health.interval)));
    node.push(("ttl", time(service.map_or(least, |service| service.ttl))));
    node.push(("timeout", time(health.timeout)));
    node.push(("grace", time(health.grace)));
    Node::map(node)
}

fn service_members(node: &mut Members, service: &Service) {
    node.push(("port", Node::Number(service.port.into())));
    node.push(("interfaces", Node::texts([format!("static:{}", service.address)])));
    node.push(("tags", Node::texts(&service.tags)));
    node.push(("meta", text_map(&service.meta)));
    node.extend(service.initial_status.map(|status| {
        let status = match status {
            ServiceStatus::Passing => "passing",
            ServiceStatus::Warning => "warning",
            ServiceStatus::Critical => "critical",
        };
        ("initial_status", Node::text(status))
    }));
    let mut extras: Members = vec![("enableTagOverride", Node::Boolean(service.enable_tag_override))];
    extras.extend(service.deregister_critical_after.map(|after| ("deregisterCriticalServiceAfter", time(after))));
    extras.push(("exitOnConflict", Node::Boolean(service.exit_on_conflict)));
    node.push(("consul", Node::map(extras)));
}

fn watch_node(watch: &Watch) -> Node {
    let mut node: Members = vec![("name", Node::text(&watch.name))];
    match &watch.target {
        WatchTarget::Service { service, tag, definitions } => {
            node.push(("service", Node::text(service)));
            node.extend(tag.as_ref().map(|tag| ("tag", Node::text(tag))));
            node.push(("on", Node::text(if *definitions { "definitions" } else { "instances" })));
        }
        WatchTarget::Key(key) => node.push(("key", Node::text(key))),
        WatchTarget::KeyPrefix(prefix) => node.push(("keyPrefix", Node::text(prefix))),
    }
    node.extend(watch.datacenter.as_ref().map(|datacenter| ("dc", Node::text(datacenter))));
    node.push(("interval", time(watch.interval)));
    Node::map(node)
}

fn template_node(template: &Template) -> Node {
    let mut node: Members = vec![("name", Node::text(&template.name))];
    node.push(match &template.source {
        Some(source) => ("source", Node::text(source)),
        None => ("contents", Node::text(&template.text)),
    });
    node.push(("destination", Node::text(&template.destination)));
    node.extend(template.perms.map(|perms| ("perms", Node::text(format!("{perms:04o}")))));
    let texts = [("user", &template.user), ("group", &template.group)];
    node.extend(texts.into_iter().filter_map(|(key, text)| text.as_ref().map(|text| (key, Node::text(text)))));
    node.push(("backup", Node::Boolean(template.backup)));
    node.push(("strict", Node::Boolean(template.strict)));
    node.push(("required", Node::Boolean(template.required)));
    let wait = |wait: &Wait| format!("{}:{}", duration::show(wait.min), duration::show(wait.max));
    node.extend(template.wait.as_ref().map(|times| ("wait", Node::text(wait(times)))));
    node.push(("splay", time(template.splay)));
    if let Some(check) = &template.check {
        node.push(("check", Node::texts(&check.process.argv)));
        node.push(("checkTimeout", time(check.timeout)));
    }
    // The command is a job of its own by now.
    for Notify { job, reaction } in &template.notify {
        let mut notify: Members = vec![("job", Node::text(job))];
        let (signal, restart) = match reaction {
            Reaction::Signal(signal) => (Some(*signal), false),
            Reaction::Restart { signal } => (*signal, true),
        };
        notify.extend(signal.map(|signal| ("signal", Node::text(signal_name(signal)))));
        notify.push(("restart", Node::Boolean(restart)));
        node.push(("notify", Node::map(notify)));
    }
    Node::map(node)
}

fn telemetry_node(telemetry: &Telemetry, job: Option<&Job>) -> Node {
    let mut node: Members = vec![
        ("port", Node::Number(telemetry.port.into())),
        ("interfaces", Node::texts([format!("static:{}", telemetry.address)])),
    ];
    if let Some((service, health)) = job.and_then(|job| job.service.as_ref().zip(job.health.as_ref())) {
        node.push(("tags", Node::texts(&service.tags)));
        node.push(("interval", time(health.interval)));
        node.push(("ttl", time(service.ttl)));
    }
    let metrics = telemetry.metrics.iter().map(|metric| {
        let kind = match metric.kind {
            MetricKind::Counter => "counter",
            MetricKind::Gauge => "gauge",
            MetricKind::Histogram => "histogram",
            MetricKind::Summary => "summary",
        };
        Node::map([("name", Node::text(&metric.name)), ("help", Node::text(&metric.help)), ("type", Node::text(kind))])
    });
    node.push(("metrics", Node::List(metrics.collect())));
    Node::map(node)
}
