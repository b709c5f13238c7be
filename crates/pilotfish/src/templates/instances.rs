//! Instances of a service, made into a template's values one by one while they arrive.

use std::sync::Arc;

use pilotfish_consul::{EntryCheck, EntryNode, EntryService, ServiceEntry, Text};
use pilotfish_template::{
    Value,
    catalog::{Answers, HealthCheck, HealthService, ServiceQuery},
};

/// The instances so far.
pub(super) struct Instances {
    answers: Answers,
    instances: Vec<HealthService>,
}

impl Default for Instances {
    fn default() -> Instances {
        Instances { answers: Answers::new(), instances: Vec::new() }
    }
}

impl Instances {
    /// Adds one.
    pub(super) fn add(&mut self, entry: ServiceEntry<'_>) {
        let instance = self.instance(&entry);
        self.instances.push(instance);
    }

    /// The answer to a query: those that it wants, in its order.
    pub(super) fn finish(mut self, query: &ServiceQuery) -> Value {
        self.answers.health_services(query, self.instances)
    }

    fn instance(&mut self, entry: &ServiceEntry<'_>) -> HealthService {
        let ServiceEntry { node, service, checks } = entry;
        let EntryNode { id, node, address: node_address, datacenter: _, tagged_addresses, meta } = node;
        let answers = &mut self.answers;
        let status = Answers::aggregated_status(checks.iter().map(|check| (&*check.id, &*check.status)));
        let checks = checks.iter().map(|check| check_of(answers, check)).collect();
        let EntryService { id: service_id, service: name, tags, address, port, weights, .. } = service;
        HealthService {
            node: answers.text(node),
            node_id: answers.text(id),
            node_address: answers.text(node_address),
            node_tagged_addresses: answers.string_map(texts(tagged_addresses)),
            node_meta: answers.string_map(texts(meta)),
            service_meta: answers.string_map(texts(&service.meta)),
            address: answers.text(if address.is_empty() { node_address } else { address }),
            service_tagged_addresses: answers.service_addresses(
                service.tagged_addresses.iter().map(|(tag, at)| (&**tag, &*at.address, i64::from(at.port))),
            ),
            id: answers.text(service_id),
            name: answers.text(name),
            tags: shared(answers, tags),
            checks: answers.checks(checks),
            status: Some(status),
            port: i64::from(*port),
            weight_passing: weights.passing,
            weight_warning: weights.warning,
        }
    }
}

fn check_of(answers: &mut Answers, check: &EntryCheck<'_>) -> HealthCheck {
    HealthCheck {
        node: answers.text(&check.node),
        check_id: answers.text(&check.id),
        name: answers.text(&check.name),
        status: answers.text(&check.status),
        notes: answers.text(&check.notes),
        output: answers.text(&check.output),
        service_id: answers.text(&check.service_id),
        service_name: answers.text(&check.service_name),
        service_tags: shared(answers, &check.service_tags),
        kind: answers.text(&check.kind),
        create_index: check.create_index,
        modify_index: check.modify_index,
    }
}

fn texts<'t>(pairs: &'t [(Text<'_>, Text<'_>)]) -> impl Iterator<Item = (&'t str, &'t str)> {
    pairs.iter().map(|(name, value)| (&**name, &**value))
}

fn shared(answers: &mut Answers, texts: &[Text<'_>]) -> Vec<Arc<str>> {
    texts.iter().map(|text| answers.text(text)).collect()
}
