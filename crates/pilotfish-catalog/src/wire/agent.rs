//! Requests to the agent: services and checks.

use std::collections::BTreeMap;

use super::check::{self, CheckRequest, is_status};
use super::fields::{Fields, Read};
use super::json;
use super::undecodable;
use crate::state::{AgentCheck, Refusal, Service, ServiceAddress, Texts, Weights};

/// How Go calls the struct of a service definition.
const SERVICE_STRUCT: &str = "struct { EnableTagOverrideSnake bool \"json:\\\"enable_tag_override\\\"\"; \
    TaggedAddressesSnake map[string]structs.ServiceAddress \"json:\\\"tagged_addresses\\\"\"; *structs.Alias }";

/// How Go calls the struct of a check.
const CHECK_STRUCT: &str = "struct { Interval interface {}; Timeout interface {}; TTL interface {}; \
    DeregisterCriticalServiceAfter interface {}; Args []string \"json:\\\"args\\\"\"; \
    ScriptArgsSnake []string \"json:\\\"script_args\\\"\"; \
    DeregisterCriticalServiceAfterSnake interface {} \"json:\\\"deregister_critical_service_after\\\"\"; \
    DockerContainerIDSnake string \"json:\\\"docker_container_id\\\"\"; TLSSkipVerifySnake bool \"json:\\\"tls_skip_verify\\\"\"; \
    ServiceID string \"json:\\\"ServiceID\\\"\"; ServiceIDSnake string \"json:\\\"service_id\\\"\"; *structs.Alias }";

/// Most pairs of metadata, longest name and longest value (Consul documentation, service metadata).
const META: (usize, usize, usize) = (64, 128, 512);

/// What may be a weight.
const WEIGHT_MAX: i64 = 65_535;

/// Reads the body of `agent/service/register`.
///
/// # Errors
/// As Consul refuses it.
pub(crate) fn service(body: &[u8]) -> Result<(Service, Vec<AgentCheck>), Refusal> {
    let (service, checks) = read_service(body).map_err(undecodable)?;
    if service.name.is_empty() {
        return Err(Refusal::bad("Missing service name"));
    }
    if matches!(service.address.as_str(), "0.0.0.0" | "::" | "[::]") {
        return Err(Refusal::bad("Invalid service address"));
    }
    if let Some(meta) = &service.meta {
        validate_meta(meta).map_err(|text| Refusal::bad(format!("Invalid Service Meta: {text}")))?;
    }
    validate_weights(service.weights).map_err(|text| Refusal::bad(format!("Invalid Weights: {text}")))?;
    let count = checks.len();
    let mut accepted = Vec::with_capacity(count);
    for (position, mut check) in checks.into_iter().enumerate() {
        if !check.status.is_empty() && !is_status(&check.status) {
            return Err(Refusal::bad("Status for checks must 'passing', 'warning', 'critical'"));
        }
        if check.id.is_empty() {
            let number = if count > 1 { format!(":{}", position + 1) } else { String::new() };
            check.id = format!("service:{}{number}", service.id);
        }
        if check.name.is_empty() {
            check.name = format!("Service '{}' check", service.name);
        }
        check.service_id.clone_from(&service.id);
        accepted.push(check.accept()?);
    }
    Ok((service, accepted))
}

fn read_service(body: &[u8]) -> Read<(Service, Vec<CheckRequest>)> {
    let mut fields = Fields::new(json::parse(body)?, "", SERVICE_STRUCT)?;
    let mut service = Service { kind: fields.text("Kind")?, id: fields.text("ID")?, ..Service::default() };
    service.name = fields.text("Name")?;
    service.tags = fields.texts("Tags")?;
    service.address = fields.text("Address")?;
    for name in ["TaggedAddresses", "tagged_addresses"] {
        if let Some(addresses) = tagged_addresses(&mut fields, name)? {
            service.tagged_addresses = Some(addresses);
        }
    }
    service.meta = fields.map("Meta")?;
    service.port = fields.integer("Port")?;
    let mut checks = Vec::new();
    if let Some(fields) = fields.object("Check", "", CHECK_STRUCT)? {
        let check = check::read(fields.all_called("Check"))?;
        if !check.is_empty() {
            checks.push(check);
        }
    }
    for item in fields.list("Checks", "structs.CheckTypes")? {
        checks.push(check::read(Fields::new(item, "", CHECK_STRUCT)?.all_called("Checks"))?);
    }
    if let Some(weights) = fields.object("Weights", "Weights", "structs.Weights")? {
        service.weights = read_weights(weights.under("Weights."))?;
    }
    service.enable_tag_override = fields.truth("EnableTagOverride")? | fields.truth("enable_tag_override")?;
    for ignored in ["Token", "Namespace", "Proxy", "Connect"] {
        fields.take(ignored);
    }
    fields.finish()?;
    if service.id.is_empty() {
        service.id.clone_from(&service.name);
    }
    add_families(&mut service);
    Ok((service, checks))
}

fn read_weights(mut fields: Fields) -> Read<Weights> {
    let weights = Weights { passing: fields.integer("Passing")?, warning: fields.integer("Warning")? };
    fields.finish()?;
    Ok(weights)
}

/// Reads addresses by name.
pub(crate) fn tagged_addresses(fields: &mut Fields, name: &str) -> Read<Option<BTreeMap<String, ServiceAddress>>> {
    let Some(items) = fields.objects(name, "map[string]structs.ServiceAddress")? else { return Ok(None) };
    let mut addresses = BTreeMap::new();
    for (key, item) in items {
        let mut fields = Fields::new(item, "ServiceAddress", "structs.ServiceAddress")?;
        let address = ServiceAddress { address: fields.text("Address")?, port: fields.integer("Port")? };
        fields.finish()?;
        addresses.insert(key, address);
    }
    Ok(Some(addresses))
}

/// A service with an IP address has it under the names of its family as well.
fn add_families(service: &mut Service) {
    let family = match service.address.parse::<std::net::IpAddr>() {
        Ok(std::net::IpAddr::V4(_)) => "ipv4",
        Ok(std::net::IpAddr::V6(_)) => "ipv6",
        Err(_) => return,
    };
    let own = ServiceAddress { address: service.address.clone(), port: service.port };
    let addresses = service.tagged_addresses.get_or_insert_default();
    for net in ["lan", "wan"] {
        addresses.entry(format!("{net}_{family}")).or_insert_with(|| own.clone());
    }
}

fn validate_meta(meta: &Texts) -> Result<(), String> {
    let (pairs, longest_name, longest_value) = META;
    if meta.len() > pairs {
        return Err(format!("Node metadata cannot contain more than {pairs} key/value pairs"));
    }
    for (key, value) in meta {
        let fail = |text: &str| Err(format!("Couldn't load metadata pair ('{key}', '{value}'): {text}"));
        if key.is_empty() {
            return fail("Key cannot be blank");
        }
        if !key.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')) {
            return fail("Key contains invalid characters");
        }
        if key.len() > longest_name {
            return fail(&format!("Key is too long (limit: {longest_name} characters)"));
        }
        if key.starts_with("consul-") {
            return fail("Key prefix 'consul-' is reserved for internal use");
        }
        if value.len() > longest_value {
            return fail(&format!("Value is too long (limit: {longest_value} characters)"));
        }
    }
    Ok(())
}

fn validate_weights(weights: Weights) -> Result<(), &'static str> {
    match weights {
        Weights { passing, .. } if passing < 1 => Err("Passing must be greater than 0"),
        Weights { warning, .. } if warning < 0 => Err("Warning must be greater or equal than 0"),
        Weights { passing, warning } if passing > WEIGHT_MAX || warning > WEIGHT_MAX => {
            Err("DNS Weight must be between 0 and 65535")
        }
        Weights { .. } => Ok(()),
    }
}

/// Reads the body of `agent/check/register`.
///
/// # Errors
/// As Consul refuses it.
pub(crate) fn check(body: &[u8]) -> Result<AgentCheck, Refusal> {
    // The struct of a check without a service has one field less.
    let own = CHECK_STRUCT.replace(" ServiceID string \"json:\\\"ServiceID\\\"\";", "");
    let read = || check::read(Fields::new(json::parse(body)?, "", &own)?);
    let mut request = read().map_err(undecodable)?;
    if request.name.is_empty() {
        return Err(Refusal::bad("Missing check name"));
    }
    if !request.status.is_empty() && !is_status(&request.status) {
        return Err(Refusal::bad("Bad check status"));
    }
    if request.id.is_empty() {
        request.id.clone_from(&request.name);
    }
    request.accept()
}

/// Reads the body of `agent/check/update`: status and output.
///
/// # Errors
/// As Consul refuses it.
pub(crate) fn update(body: &[u8]) -> Result<(String, String), Refusal> {
    let read = || -> Read<(String, String)> {
        let mut fields = Fields::new(json::parse(body)?, "checkUpdate", "agent.checkUpdate")?;
        let update = (fields.text("Status")?, fields.text("Output")?);
        fields.finish()?;
        Ok(update)
    };
    let (status, output) = read().map_err(undecodable)?;
    if !is_status(&status) {
        return Err(Refusal::bad(format!("Invalid check status: '{status}'")));
    }
    Ok((status, output))
}
