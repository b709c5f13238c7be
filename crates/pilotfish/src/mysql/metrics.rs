//! A report as metrics. What is not known is no sample: a zero would be an answer.

use std::fmt::Write as _;

use pilotfish_mysql::Report;

use super::advice::advice;
use crate::metrics::Exposition;

/// What operators count, its metric, and what it is; each is there from the start, so that an increase is one.
const COUNTERS: [(&str, &str, &str); 8] = [
    ("promotions", "promotions", "How often this member opened for writes."),
    ("take-overs", "take_overs", "How often this member took the lease of another or of a former run."),
    ("switchovers", "switchovers", "How often this member handed over or took over in order."),
    ("fences", "fences", "How often the server was killed because it might have been one too many."),
    ("starts", "starts", "How often the server was started."),
    ("rebuilds", "rebuilds", "How often the data was copied anew from another member."),
    ("copies", "copies_given", "How many copies were given to other members."),
    (
        "objections",
        "objections",
        "Decisions that were not carried out because they contradict themselves: a mistake of ours.",
    ),
];

/// Roles that a member can have.
const ROLES: [&str; 3] = ["primary", "replica", "none"];

/// All metrics of a report, with the end that the format wants.
pub(super) fn render(report: &Report, exposition: Exposition) -> String {
    let mut out = Writer { text: String::new(), exposition };
    about(&mut out, report);
    lease(&mut out, report);
    members(&mut out, report);
    server(&mut out, report);
    for (name, metric, help) in COUNTERS {
        out.counter(metric, help, report.counters.get(name).copied().unwrap_or_default());
    }
    out.family(
        "promotion_phase_seconds",
        "Since the beginning of the last promotion of this member, when each of its phases was done.",
    );
    for phase in &report.promotion {
        out.sample("promotion_phase_seconds", &[("phase", &phase.name)], phase.at);
    }
    if exposition == Exposition::OpenMetrics {
        out.text.push_str("# EOF\n");
    }
    out.text
}

fn about(out: &mut Writer, report: &Report) {
    let id = report.id.to_string();
    out.family("info", "This member.");
    let labels = [
        ("id", &id[..]),
        ("name", &report.name[..]),
        ("service", &report.service[..]),
        ("flavour", &report.flavour[..]),
        ("version", &report.version[..]),
        ("durability", &report.durability[..]),
    ];
    out.sample("info", &labels, 1.0);
    out.family("role", "1 for the role that this member is registered with.");
    for role in ROLES {
        out.sample("role", &[("role", role)], truth(report.role == role));
    }
    out.gauge("healthy", "Whether this member can be used for what its role promises.", Some(truth(report.healthy)));
    out.gauge("paused", "Whether an operator has paused the autopilot.", Some(truth(report.paused)));
    out.gauge("orders", "Orders of operators that are not done yet.", Some(report.orders.len() as f64));
    let silent = report.catalog_silent.unwrap_or_default();
    out.gauge("catalog_silent_seconds", "For how long the catalog has not answered; 0: it answers.", Some(silent));
    out.family("reason_info", "The rule that decided last; docs/mysql.md has them all.");
    out.sample("reason_info", &[("code", &report.why.code)], 1.0);
    let waits = advice(&report.why.code).is_some();
    out.gauge("waits_for_person", "Whether it goes on only when somebody does something.", Some(truth(waits)));
}

fn lease(out: &mut Writer, report: &Report) {
    let lease = report.lease.as_ref();
    out.gauge(
        "term",
        "The term of the lease: how often the primary's role was taken.",
        lease.map(|lease| lease.term as f64),
    );
    let age = lease.map(|lease| lease.unchanged);
    out.gauge("lease_age_seconds", "For how long of an answering catalog the lease has not changed.", age);
    let left = lease.and_then(|lease| lease.left);
    out.gauge("lease_left_seconds", "Until this member's own lease ends; negative: past it.", left);
    let forced = lease.map(|lease| truth(lease.forced));
    out.gauge("forced", "Whether a forced failover happened since all members were in sync.", forced);
    let acks = lease.map(|lease| f64::from(lease.acks));
    out.gauge("acks", "How many replicas acknowledge each write now.", acks);
    let size = lease.map(|lease| lease.in_sync.len() as f64);
    out.gauge("in_sync_members", "Replicas whose acknowledgement counts.", size);
    let own = lease.map(|lease| truth(lease.in_sync.contains(&report.id)));
    out.gauge("in_sync", "Whether this member is one of them.", own);
    let held = lease.map(|lease| truth(lease.state == "held" && lease.holder == lease.primary));
    out.gauge("has_primary", "Whether there is an established primary.", held);
    let copies = report.copies.map(f64::from);
    out.gauge("copies", "On how many members an acknowledged write is now, the primary included.", copies);
}

fn members(out: &mut Writer, report: &Report) {
    out.gauge("members", "Members that the catalog knows.", Some(report.members.len() as f64));
    let own = report.members.iter().find(|member| member.id == report.id);
    let behind = own.and_then(|member| member.behind).map(|count| count as f64);
    out.gauge(
        "behind_transactions",
        "Transactions that this member has applied fewer than the primary said last.",
        behind,
    );
    let errant = own.and_then(|member| member.errant).map(|count| count as f64);
    out.gauge("errant_transactions", "Transactions of this member that the primary does not have.", errant);
    let sick = own.map(|member| truth(member.ailment.is_some()));
    out.gauge("ailing", "Whether this member's data cannot be used as it is.", sick);
}

fn server(out: &mut Writer, report: &Report) {
    let server = report.server.as_ref();
    out.gauge("up", "Whether the server runs.", Some(truth(server.is_some_and(|server| server.state == "running"))));
    out.gauge(
        "writable",
        "Whether the server takes writes.",
        Some(truth(server.is_some_and(|server| server.writable))),
    );
    out.gauge("lag_seconds", "How far the applier is behind.", server.and_then(|server| server.lag));
    let silent = server.map(|server| server.silent.unwrap_or_default());
    out.gauge("silent_seconds", "For how long the server has not answered; 0: it answers.", silent);
    let waiting = server.map(|server| server.waiting.unwrap_or_default());
    out.gauge("commit_wait_seconds", "How long the oldest commit has been waiting for acknowledgement.", waiting);
    let error = server.map(|server| truth(server.replication_error.is_some()));
    out.gauge("replication_error", "Whether replication has stopped with an error.", error);
    let free = server.and_then(|server| server.free_bytes).map(|bytes| bytes as f64);
    out.gauge("free_bytes", "Free space where the data is.", free);
}

fn truth(value: bool) -> f64 {
    f64::from(u8::from(value))
}

struct Writer {
    text: String,
    exposition: Exposition,
}

impl Writer {
    fn head(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.text, "# HELP pilotfish_mysql_{name} {help}\n# TYPE pilotfish_mysql_{name} {kind}");
    }

    /// Begins a gauge with labels.
    fn family(&mut self, name: &str, help: &str) {
        self.head(name, "gauge", help);
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: f64) {
        let escaped = |text: &str| text.replace('\\', "\\\\").replace('\n', "\\n").replace('"', "\\\"");
        let labels: Vec<String> = labels.iter().map(|(label, text)| format!("{label}=\"{}\"", escaped(text))).collect();
        let _ = writeln!(self.text, "pilotfish_mysql_{name}{{{}}} {value}", labels.join(","));
    }

    /// A gauge without labels, if its value is known.
    fn gauge(&mut self, name: &str, help: &str, value: Option<f64>) {
        if let Some(value) = value {
            self.family(name, help);
            let _ = writeln!(self.text, "pilotfish_mysql_{name} {value}");
        }
    }

    fn counter(&mut self, name: &str, help: &str, value: u64) {
        // OpenMetrics names the family without the suffix.
        let family = match self.exposition {
            Exposition::Text => format!("{name}_total"),
            Exposition::OpenMetrics => name.to_owned(),
        };
        self.head(&family, "counter", help);
        let _ = writeln!(self.text, "pilotfish_mysql_{name}_total {value}");
    }
}

#[cfg(test)]
mod tests;
