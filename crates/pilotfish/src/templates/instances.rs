//! Instances of a service, made into a template's values one by one while they arrive.

use std::sync::Arc;

use pilotfish_consul::{EntryCheck, ServiceEntry, Text};
use pilotfish_template::{
    Value,
    catalog::{Answers, HealthCheck, HealthService, ServiceQuery, Status},
};

/// Texts that are remembered to be shared, in texts. What repeats in an answer (node, service, state, tags) is few or comes in a row.
const TEXTS: usize = 512;

/// The instances so far.
pub(super) struct Instances {
    answers: Answers,
    texts: Texts,
    node_addresses: Pairs,
    node_meta: Pairs,
    service_meta: Pairs,
    no_addresses: Value,
    /// Each with its status.
    instances: Vec<(Status, Value)>,
}

/// Texts by their hash; one that meets another in its place takes it. A tree of all texts would cost more than the answer's JSON.
struct Texts(Vec<Arc<str>>);

/// The last pairs, and the map that was made of them: instances that follow each other have the same, mostly.
#[derive(Default)]
struct Pairs {
    pairs: Vec<(Arc<str>, Arc<str>)>,
    map: Option<Value>,
}

impl Texts {
    fn get(&mut self, text: &str) -> Arc<str> {
        // FNV-1a (http://www.isthe.com/chongo/tech/comp/fnv/); whoever chooses texts to meet only makes them be stored twice.
        let hash = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        let at = text.bytes().fold(0xcbf2_9ce4_8422_2325, hash) as usize % TEXTS;
        if *self.0[at] != *text {
            self.0[at] = Arc::from(text);
        }
        Arc::clone(&self.0[at])
    }
}

impl Pairs {
    fn map(&mut self, answers: &mut Answers, texts: &mut Texts, pairs: &[(Text<'_>, Text<'_>)]) -> Value {
        let last = self.pairs.iter().map(|(name, value)| (&**name, &**value));
        let is_last = pairs.iter().map(|(name, value)| (&**name, &**value)).eq(last);
        match &self.map {
            Some(map) if is_last => map.clone(),
            Some(_) | None => {
                self.pairs = pairs.iter().map(|(name, value)| (texts.get(name), texts.get(value))).collect();
                let map = answers.string_map(self.pairs.iter().map(|(name, value)| (&**name, &**value)));
                self.map.insert(map).clone()
            }
        }
    }
}

impl Default for Instances {
    fn default() -> Instances {
        let mut answers = Answers::new();
        let no_addresses = answers.service_addresses([]);
        let empty: Arc<str> = Arc::from("");
        Instances {
            answers,
            texts: Texts(vec![empty; TEXTS]),
            node_addresses: Pairs::default(),
            node_meta: Pairs::default(),
            service_meta: Pairs::default(),
            no_addresses,
            instances: Vec::new(),
        }
    }
}

impl Instances {
    /// Adds one.
    pub(super) fn add(&mut self, entry: ServiceEntry<'_>) {
        let ServiceEntry { node, service, checks } = entry;
        let (answers, texts) = (&mut self.answers, &mut self.texts);
        let status = Answers::aggregated_status(checks.iter().map(|check| (&*check.id, &*check.status)));
        let checks = checks.iter().map(|check| check_of(texts, check)).collect();
        let service_tagged_addresses = if service.tagged_addresses.is_empty() {
            self.no_addresses.clone()
        } else {
            let addresses = service.tagged_addresses.iter();
            answers.service_addresses(addresses.map(|(tag, at)| (&**tag, &*at.address, i64::from(at.port))))
        };
        let instance = HealthService {
            node: texts.get(&node.node),
            node_id: texts.get(&node.id),
            node_address: texts.get(&node.address),
            node_tagged_addresses: self.node_addresses.map(answers, texts, &node.tagged_addresses),
            node_meta: self.node_meta.map(answers, texts, &node.meta),
            service_meta: self.service_meta.map(answers, texts, &service.meta),
            address: texts.get(if service.address.is_empty() { &node.address } else { &service.address }),
            service_tagged_addresses,
            id: texts.get(&service.id),
            name: texts.get(&service.service),
            tags: service.tags.iter().map(|tag| texts.get(tag)).collect(),
            checks: answers.checks(checks),
            status: Some(status),
            port: i64::from(service.port),
            weight_passing: service.weights.passing,
            weight_warning: service.weights.warning,
        };
        self.instances.push((status, answers.health_service(instance)));
    }

    /// The answer to a query: those that it wants, in its order.
    pub(super) fn finish(self, query: &ServiceQuery) -> Value {
        let wanted = self.instances.into_iter().filter(|(status, _)| query.accepts(*status));
        Answers::health_service_list(query, wanted.map(|(_, instance)| instance).collect())
    }
}

fn check_of(texts: &mut Texts, check: &EntryCheck<'_>) -> HealthCheck {
    HealthCheck {
        node: texts.get(&check.node),
        check_id: texts.get(&check.id),
        name: texts.get(&check.name),
        status: texts.get(&check.status),
        notes: texts.get(&check.notes),
        output: texts.get(&check.output),
        service_id: texts.get(&check.service_id),
        service_name: texts.get(&check.service_name),
        service_tags: check.service_tags.iter().map(|tag| texts.get(tag)).collect(),
        kind: texts.get(&check.kind),
        create_index: check.create_index,
        modify_index: check.modify_index,
    }
}
