//! What a question is answered with: a pure function of the state. Names and rules are Consul's (documentation, DNS interface).

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::message::{A, AAAA, ANY, Code, Data, NS, Query, Record, Response, SOA, SRV};
use crate::state::{CRITICAL, Check, Host, Service, State, WARNING};

/// The domain that is answered for.
const DOMAIN: &str = "consul";

/// What a name means.
#[derive(Debug, PartialEq, Eq)]
enum Meaning {
    /// The domain itself.
    Domain,
    /// The instances of a service, with a tag if there is one.
    Service { name: String, tag: String },
    /// A node.
    Node(String),
    /// An address that is written in the name.
    Address(IpAddr),
}

/// Answers a question. `seed` decides over the order of instances, `seconds` since 1970 is the serial number of the zone.
pub(super) fn answer(state: &State, query: &Query, seed: u64, seconds: u32) -> Response {
    let zone = Zone { state, seed, seconds };
    let labels: Vec<String> = query.labels.iter().map(|label| String::from_utf8_lossy(label).to_lowercase()).collect();
    let Some((domain, labels)) = labels.split_last().filter(|(last, _)| *last == DOMAIN) else {
        return Response { code: Code::Refused, answers: Vec::new(), authority: Vec::new(), additional: Vec::new() };
    };
    debug_assert_eq!(domain, DOMAIN, "it was looked at above");
    match meaning(labels, query.kind, &state.identity().datacenter) {
        Some(Meaning::Domain) => zone.domain(query.kind),
        Some(Meaning::Service { name, tag }) => zone.service(&name, &tag, query.kind),
        Some(Meaning::Node(name)) => match state.host(&name) {
            Some(host) => {
                let answers = vec![record(None, &host.node.address)];
                found(answers.into_iter().filter(|record| is_asked(record, query.kind)).collect())
            }
            None => zone.nothing(Code::NoSuchName),
        },
        Some(Meaning::Address(address)) => {
            let answers = vec![Record { name: None, data: data(address) }];
            found(answers.into_iter().filter(|record| is_asked(record, query.kind)).collect())
        }
        None => zone.nothing(Code::NoSuchName),
    }
}

/// What the labels in front of the domain mean, if anything.
fn meaning(labels: &[String], kind: u16, datacenter: &str) -> Option<Meaning> {
    if labels.is_empty() {
        return Some(Meaning::Domain);
    }
    let word = labels.iter().rposition(|label| matches!(label.as_str(), "service" | "node" | "addr"));
    let (what, parts, rest) = match word {
        Some(at) => (labels[at].as_str(), &labels[..at], &labels[at + 1..]),
        // `_name._tag` may stand without `service` where SRV records are asked for.
        None if kind == SRV => {
            let at = labels.iter().rposition(|label| label.starts_with('_'))?;
            ("service", &labels[..=at], &labels[at + 1..])
        }
        None => return None,
    };
    if !rest.is_empty() && rest != [datacenter.to_lowercase()] {
        return None;
    }
    let (last, before) = parts.split_last()?;
    match what {
        "service" => Some(match before {
            [name] if name.starts_with('_') && last.starts_with('_') => {
                let tag = if last == "_tcp" { "" } else { &last[1..] };
                Meaning::Service { name: name[1..].to_owned(), tag: tag.to_owned() }
            }
            tag => Meaning::Service { name: last.clone(), tag: tag.join(".") },
        }),
        "node" => Some(Meaning::Node(parts.join("."))),
        _ => before.is_empty().then(|| address(last)).flatten().map(Meaning::Address),
    }
}

/// An address in hexadecimal, as it stands in names.
fn address(text: &str) -> Option<IpAddr> {
    if !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    match text.len() {
        8 => u32::from_str_radix(text, 16).ok().map(|bits| Ipv4Addr::from(bits).into()),
        32 => u128::from_str_radix(text, 16).ok().map(|bits| Ipv6Addr::from(bits).into()),
        _ => None,
    }
}

struct Zone<'a> {
    state: &'a State,
    seed: u64,
    seconds: u32,
}

impl Zone<'_> {
    fn soa(&self) -> Record {
        let (server, mailbox) = (format!("ns.{DOMAIN}."), format!("hostmaster.{DOMAIN}."));
        Record { name: Some(format!("{DOMAIN}.")), data: Data::Soa { server, mailbox, serial: self.seconds } }
    }

    /// No such name, or nothing of that kind under it.
    fn nothing(&self, code: Code) -> Response {
        Response { code, answers: Vec::new(), authority: vec![self.soa()], additional: Vec::new() }
    }

    fn node_name(&self, host: &Host) -> String {
        format!("{}.node.{}.{DOMAIN}.", host.node.name, self.state.identity().datacenter)
    }

    fn domain(&self, kind: u16) -> Response {
        let Some(own) = self.state.host(&self.state.identity().node) else { return self.nothing(Code::NoSuchName) };
        let server = self.node_name(own);
        let name = Some(format!("{DOMAIN}."));
        let servers = vec![Record { name, data: Data::Ns(server.clone()) }];
        let additional = vec![record(Some(server), &own.node.address)];
        match kind {
            SOA => Response { answers: vec![self.soa()], authority: servers, additional, ..found(Vec::new()) },
            NS => Response { additional, ..found(servers) },
            _ => self.nothing(Code::NoSuchName),
        }
    }

    fn service(&self, name: &str, tag: &str, kind: u16) -> Response {
        let mut instances: Vec<(&Host, &Service)> = self.state.instances(name).collect();
        instances.retain(|(host, service)| {
            let tags = service.tags.as_deref().unwrap_or(&[]);
            let tagged = tag.is_empty() || tags.iter().any(|own| own.to_lowercase() == tag);
            tagged && self.checks(host, service).all(|check| check.status != CRITICAL)
        });
        if instances.is_empty() {
            return self.nothing(Code::NoSuchName);
        }
        shuffle(&mut instances, self.seed);
        if kind == SRV {
            return self.srv(&instances);
        }
        let mut seen = BTreeSet::new();
        let records = instances.iter().map(|(host, service)| record(None, reached_at(host, service)));
        let records: Vec<Record> = records.filter(|record| seen.insert(record.clone())).collect();
        // A host's name can be told only alone: it stands for everything that there is under the name that was asked for.
        let (aliases, mut answers): (Vec<_>, Vec<_>) =
            records.into_iter().partition(|record| matches!(record.data, Data::Cname(_)));
        answers.retain(|record| is_asked(record, kind));
        if answers.is_empty() {
            answers.extend(aliases.into_iter().take(1));
        }
        if answers.is_empty() { self.nothing(Code::NoError) } else { found(answers) }
    }

    fn srv(&self, instances: &[(&Host, &Service)]) -> Response {
        let (mut answers, mut additional) = (Vec::new(), Vec::new());
        let (mut seen, mut told) = (BTreeSet::new(), BTreeSet::new());
        for (host, service) in instances {
            if !seen.insert((&host.node.name, &service.address, service.port)) {
                continue;
            }
            let target = self.target(host, service);
            let warns = self.checks(host, service).any(|check| check.status == WARNING);
            let weight = if warns { service.weights.warning } else { service.weights.passing };
            let number = |number: i64| u16::try_from(number.clamp(0, 65_535)).unwrap_or(0);
            let data = Data::Srv { weight: number(weight), port: number(service.port), target: target.clone() };
            answers.push(Record { name: None, data });
            let address = record(Some(target.clone()), reached_at(host, service));
            if !matches!(address.data, Data::Cname(_)) && told.insert(target) {
                additional.push(address);
            }
        }
        Response { additional, ..found(answers) }
    }

    /// The name of where an instance is reached.
    fn target(&self, host: &Host, service: &Service) -> String {
        let datacenter = &self.state.identity().datacenter;
        if service.address.is_empty() {
            return self.node_name(host);
        }
        match service.address.parse() {
            Ok(IpAddr::V4(address)) => format!("{:08x}.addr.{datacenter}.{DOMAIN}.", u32::from(address)),
            Ok(IpAddr::V6(address)) => format!("{:032x}.addr.{datacenter}.{DOMAIN}.", u128::from(address)),
            Err(_) => absolute(&service.address),
        }
    }

    fn checks<'a>(&'a self, host: &'a Host, service: &'a Service) -> impl Iterator<Item = &'a Check> {
        host.checks_of("").chain(host.checks_of(&service.id))
    }
}

fn reached_at<'a>(host: &'a Host, service: &'a Service) -> &'a str {
    if service.address.is_empty() { &host.node.address } else { &service.address }
}

fn absolute(name: &str) -> String {
    format!("{}.", name.trim_end_matches('.'))
}

fn data(address: IpAddr) -> Data {
    match address {
        IpAddr::V4(address) => Data::A(address),
        IpAddr::V6(address) => Data::Aaaa(address),
    }
}

/// The record of an address, or of the host that it names.
fn record(name: Option<String>, address: &str) -> Record {
    Record { name, data: address.parse().map_or_else(|_| Data::Cname(absolute(address)), data) }
}

/// Whether a record is of the kind that is asked for.
fn is_asked(record: &Record, kind: u16) -> bool {
    match record.data {
        Data::A(_) => kind == A || kind == ANY,
        Data::Aaaa(_) => kind == AAAA || kind == ANY,
        Data::Cname(_) | Data::Ns(_) | Data::Srv { .. } | Data::Soa { .. } => true,
    }
}

fn found(answers: Vec<Record>) -> Response {
    Response { code: Code::NoError, answers, authority: Vec::new(), additional: Vec::new() }
}

/// Puts instances in an order that the seed decides over (Fisher and Yates, with Marsaglia's xorshift64).
fn shuffle<T>(items: &mut [T], seed: u64) {
    let mut dice = seed | 1;
    for end in (1..items.len()).rev() {
        dice ^= dice << 13;
        dice ^= dice >> 7;
        dice ^= dice << 17;
        items.swap(end, ((dice >> 11) % (end as u64 + 1)) as usize);
    }
}
