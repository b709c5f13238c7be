//! Requests to the catalog itself: nodes, services and checks that no agent stands behind.

use super::agent::tagged_addresses;
use super::fields::{Fields, Read};
use super::json::{self, Value};
use super::{duration, undecodable};
use crate::state::{Check, Command, Definition, Node, Refusal, Registration, Service, Stamp, Weights};

/// What a request to register says.
#[derive(Debug, Default)]
pub(crate) struct RegisterRequest {
    pub(crate) datacenter: String,
    pub(crate) registration: Registration,
}

/// Reads the body of `catalog/register`.
///
/// # Errors
/// As Consul refuses it.
pub(crate) fn register(body: &[u8]) -> Result<RegisterRequest, Refusal> {
    let mut request = read_register(body).map_err(undecodable)?;
    let registration = &mut request.registration;
    if registration.node.name.is_empty() {
        return Err(Refusal::internal("Must provide node"));
    }
    if registration.node.address.is_empty() && !registration.skip_node_update {
        return Err(Refusal::internal("Must provide address if SkipNodeUpdate is not set"));
    }
    uuid(&registration.node.id).map_err(|text| Refusal::internal(format!("Bad node ID: {text}")))?;
    if let Some(service) = &mut registration.service {
        if service.id.is_empty() {
            service.id.clone_from(&service.name);
        }
        if service.name.is_empty() && !service.id.is_empty() {
            return Err(Refusal::internal("Must provide service name with ID"));
        }
    }
    for (_, check) in &mut registration.checks {
        if check.id.is_empty() {
            check.id.clone_from(&check.name);
        }
    }
    Ok(request)
}

/// Refuses a text that is no UUID; empty is none.
fn uuid(text: &str) -> Result<(), &'static str> {
    if text.is_empty() {
        return Ok(());
    }
    if text.len() != 36 {
        return Err("uuid string is wrong length");
    }
    let fits = text.bytes().enumerate().all(|(position, byte)| match position {
        8 | 13 | 18 | 23 => byte == b'-',
        _ => byte.is_ascii_hexdigit(),
    });
    if fits { Ok(()) } else { Err("uuid is improperly formatted") }
}

fn read_register(body: &[u8]) -> Read<RegisterRequest> {
    let mut fields = Fields::new(json::parse(body)?, "RegisterRequest", "structs.RegisterRequest")?;
    let mut request = RegisterRequest { datacenter: fields.text("Datacenter")?, ..RegisterRequest::default() };
    let registration = &mut request.registration;
    registration.node = Node {
        id: fields.text("ID")?,
        name: fields.text("Node")?,
        address: fields.text("Address")?,
        tagged_addresses: fields.map("TaggedAddresses")?,
        meta: fields.map("NodeMeta")?,
        stamp: Stamp::default(),
    };
    registration.skip_node_update = fields.truth("SkipNodeUpdate")?;
    if let Some(service) = fields.object("Service", "NodeService", "structs.NodeService")? {
        registration.service = Some(read_service(service.under("Service."))?);
    }
    if let Some(check) = fields.object("Check", "HealthCheck", "structs.HealthCheck")? {
        registration.checks.push(read_check(check.under("Check."))?);
    }
    for item in fields.list("Checks", "structs.HealthChecks")? {
        let check = Fields::new(item, "HealthCheck", "structs.HealthCheck")?;
        registration.checks.push(read_check(check.under("Checks."))?);
    }
    ignore(&mut fields, &["Token", "WriteRequest", "Namespace"]);
    fields.finish()?;
    Ok(request)
}

fn ignore(fields: &mut Fields, names: &[&str]) {
    for name in names {
        fields.take(name);
    }
}

/// Reads a service as the catalog has it.
pub(crate) fn read_service(mut fields: Fields) -> Read<Service> {
    let mut service = Service {
        kind: fields.text("Kind")?,
        id: fields.text("ID")?,
        name: fields.text("Service")?,
        tags: fields.texts("Tags")?,
        address: fields.text("Address")?,
        tagged_addresses: tagged_addresses(&mut fields, "TaggedAddresses")?,
        meta: fields.map("Meta")?,
        port: fields.integer("Port")?,
        weights: Weights::default(),
        enable_tag_override: fields.truth("EnableTagOverride")?,
        stamp: read_stamp(&mut fields)?,
    };
    if let Some(mut weights) = fields.object("Weights", "Weights", "structs.Weights")? {
        service.weights = Weights { passing: weights.integer("Passing")?, warning: weights.integer("Warning")? };
    }
    ignore(&mut fields, &["Proxy", "Connect", "Namespace", "LocallyRegisteredAsSidecar"]);
    fields.finish()?;
    Ok(service)
}

fn read_stamp(fields: &mut Fields) -> Read<Stamp> {
    Ok(Stamp { created: fields.unsigned("CreateIndex")?, modified: fields.unsigned("ModifyIndex")? })
}

/// Reads a check as the catalog has it, with the node that it names.
pub(crate) fn read_check(mut fields: Fields) -> Read<(String, Check)> {
    let node = fields.text("Node")?;
    let mut check = Check {
        id: fields.text("CheckID")?,
        name: fields.text("Name")?,
        status: fields.text("Status")?,
        notes: fields.text("Notes")?,
        output: fields.text("Output")?,
        service_id: fields.text("ServiceID")?,
        service_name: fields.text("ServiceName")?,
        service_tags: fields.texts("ServiceTags")?,
        kind: fields.text("Type")?,
        definition: Definition::default(),
        stamp: read_stamp(&mut fields)?,
    };
    if let Some(definition) = fields.object("Definition", "HealthCheckDefinition", "structs.HealthCheckDefinition")? {
        check.definition = read_definition(definition)?;
    }
    if check.kind.is_empty() {
        if !check.definition.http.is_empty() {
            "http".clone_into(&mut check.kind);
        } else if !check.definition.tcp.is_empty() {
            "tcp".clone_into(&mut check.kind);
        }
    }
    ignore(&mut fields, &["Namespace"]);
    fields.finish()?;
    Ok((node, check))
}

fn read_definition(mut fields: Fields) -> Read<Definition> {
    let mut time = |name: &str| -> Read<String> {
        let nanos = fields.duration(name)?;
        Ok(if nanos == 0 { String::new() } else { duration::format(duration::positive(nanos)) })
    };
    let (interval, timeout) = (time("Interval")?, time("Timeout")?);
    let deregister_critical_service_after = time("DeregisterCriticalServiceAfter")?;
    let definition = Definition {
        interval,
        timeout,
        deregister_critical_service_after,
        http: fields.text("HTTP")?,
        header: fields.headers("Header")?,
        method: fields.text("Method")?,
        body: fields.text("Body")?,
        tls_skip_verify: fields.truth("TLSSkipVerify")?,
        tcp: fields.text("TCP")?,
    };
    ignore(&mut fields, &["IntervalDuration", "TimeoutDuration", "DeregisterCriticalServiceAfterDuration"]);
    fields.finish()?;
    Ok(definition)
}

/// Reads the body of `catalog/deregister`: the datacenter, and what to do.
///
/// # Errors
/// As Consul refuses it.
pub(crate) fn deregister(body: &[u8]) -> Result<(String, Command), Refusal> {
    let read = || -> Read<(String, String, String, String)> {
        let mut fields = Fields::new(json::parse(body)?, "", "struct { Address string; *structs.Alias }")?;
        let read =
            (fields.text("Datacenter")?, fields.text("Node")?, fields.text("ServiceID")?, fields.text("CheckID")?);
        ignore(&mut fields, &["Token", "WriteRequest", "Namespace", "Address"]);
        fields.finish()?;
        Ok(read)
    };
    let (datacenter, node, service, check) = read().map_err(undecodable)?;
    if node.is_empty() {
        return Err(Refusal::internal("Must provide node"));
    }
    Ok((datacenter, Command::Deregister { node, service, check }))
}

/// Reads a node as the catalog has it.
pub(crate) fn read_node(value: Value) -> Read<Node> {
    let mut fields = Fields::new(value, "Node", "structs.Node")?;
    let node = Node {
        id: fields.text("ID")?,
        name: fields.text("Node")?,
        address: fields.text("Address")?,
        tagged_addresses: fields.map("TaggedAddresses")?,
        meta: fields.map("Meta")?,
        stamp: read_stamp(&mut fields)?,
    };
    ignore(&mut fields, &["Datacenter"]);
    fields.finish()?;
    Ok(node)
}
