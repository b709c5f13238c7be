//! A check as it is registered with the agent, alone or with a service.

use std::time::Duration;

use super::duration;
use super::fields::{Fields, Read};
use crate::state::{AgentCheck, CRITICAL, Check, Definition, Means, PASSING, Probe, Refusal, WARNING};

/// The shortest time between two probes, as Consul has it.
const INTERVAL_MIN: Duration = Duration::from_secs(1);

/// The longest probe where the check does not say (Consul documentation, checks).
const PROBE_TIMEOUT: Duration = Duration::from_secs(10);

/// What a request says of a check.
#[derive(Debug, Default)]
pub(crate) struct CheckRequest {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) status: String,
    pub(crate) notes: String,
    pub(crate) service_id: String,
    script: bool,
    target: Definition,
    grpc: String,
    alias_node: String,
    alias_service: String,
    docker: String,
    interval: duration::Nanos,
    timeout: duration::Nanos,
    ttl: duration::Nanos,
    deregister_after: duration::Nanos,
    successes: i64,
    failures: i64,
    output_limit: i64,
}

/// Takes the fields of a check; an unknown one is an error.
pub(crate) fn read(mut fields: Fields) -> Read<CheckRequest> {
    let mut check = CheckRequest { id: fields.text("CheckID")?, name: fields.text("Name")?, ..CheckRequest::default() };
    for name in ["ID", "id"] {
        let id = fields.text(name)?;
        if check.id.is_empty() {
            check.id = id;
        }
    }
    check.status = fields.text("Status")?;
    check.notes = fields.text("Notes")?;
    for name in ["ServiceID", "service_id"] {
        let id = fields.text(name)?;
        if !id.is_empty() {
            check.service_id = id;
        }
    }
    for name in ["Args", "ScriptArgs", "script_args"] {
        check.script |= fields.texts(name)?.is_some_and(|args| !args.is_empty());
    }
    check.target = Definition {
        http: fields.text("HTTP")?,
        header: fields.headers("Header")?,
        method: fields.text("Method")?,
        body: fields.text("Body")?,
        tcp: fields.text("TCP")?,
        tls_skip_verify: fields.truth("TLSSkipVerify")? | fields.truth("tls_skip_verify")?,
        ..Definition::default()
    };
    check.grpc = fields.text("GRPC")?;
    fields.truth("GRPCUseTLS")?;
    check.alias_node = fields.text("AliasNode")?;
    check.alias_service = fields.text("AliasService")?;
    for name in ["DockerContainerID", "docker_container_id"] {
        let id = fields.text(name)?;
        if !id.is_empty() {
            check.docker = id;
        }
    }
    for name in ["Shell", "ProxyHTTP", "ProxyGRPC", "Token", "Namespace"] {
        fields.text(name)?;
    }
    check.interval = fields.duration("Interval")?;
    check.timeout = fields.duration("Timeout")?;
    check.ttl = fields.duration("TTL")?;
    check.successes = fields.integer("SuccessBeforePassing")?;
    check.failures = fields.integer("FailuresBeforeCritical")?;
    check.output_limit = fields.integer("OutputMaxSize")?;
    for name in ["DeregisterCriticalServiceAfter", "deregister_critical_service_after"] {
        let after = fields.duration(name)?;
        if after != 0 {
            check.deregister_after = after;
        }
    }
    fields.finish()?;
    Ok(check)
}

/// Whether a status is one that a check can be registered with.
pub(crate) fn is_status(status: &str) -> bool {
    matches!(status, PASSING | WARNING | CRITICAL)
}

impl CheckRequest {
    /// Whether it says nothing at all.
    pub(crate) fn is_empty(&self) -> bool {
        !self.is_asked()
            && !self.is_alias()
            && self.ttl == 0
            && self.interval == 0
            && self.name.is_empty()
            && self.id.is_empty()
    }

    fn is_asked(&self) -> bool {
        let target = &self.target;
        self.script
            || !target.http.is_empty()
            || !target.tcp.is_empty()
            || !self.grpc.is_empty()
            || !self.docker.is_empty()
    }

    fn is_alias(&self) -> bool {
        !self.alias_node.is_empty() || !self.alias_service.is_empty()
    }

    fn validate(&self) -> Result<(), &'static str> {
        if self.interval > 0 && self.ttl > 0 {
            return Err("Interval and TTL cannot both be specified");
        }
        if self.is_asked() && self.interval <= 0 {
            return Err("Interval must be > 0 for Script, HTTP, or TCP checks");
        }
        if self.is_asked() && self.is_alias() {
            return Err("Interval cannot be set for Alias checks");
        }
        if self.is_alias() && self.ttl > 0 {
            return Err("TTL must be not be set for Alias checks");
        }
        if !self.is_asked() && !self.is_alias() && self.ttl <= 0 {
            return Err("TTL must be > 0 for TTL checks");
        }
        if self.output_limit < 0 {
            return Err("MaxOutputMaxSize must be positive");
        }
        Ok(())
    }

    /// The check as the state takes it.
    ///
    /// # Errors
    /// As Consul refuses it; and kinds of checks that this catalog does not run.
    pub(crate) fn accept(self) -> Result<AgentCheck, Refusal> {
        self.validate().map_err(|text| Refusal::bad(format!("Invalid check: {text}")))?;
        if self.script {
            return Err(Refusal::internal(
                "Scripts are disabled on this agent from remote calls; to enable, configure 'enable_script_checks' to true",
            ));
        }
        if !self.grpc.is_empty() || !self.docker.is_empty() {
            return Err(Refusal::bad("Invalid check: the embedded catalog runs HTTP, TCP and TTL checks only"));
        }
        if self.target.http.starts_with("https:") {
            return Err(Refusal::bad(
                "Invalid check: the embedded catalog does not speak TLS; use http://, TCP or TTL",
            ));
        }
        let (kind, means) = if self.is_alias() {
            ("alias", Means::Alias { service: self.alias_service })
        } else if self.is_asked() {
            let kind = if self.target.http.is_empty() { "tcp" } else { "http" };
            let timeout = duration::positive(self.timeout);
            let times = |count: i64| u32::try_from(count.clamp(0, 1000)).unwrap_or(0) + 1;
            let probe = Probe {
                interval: duration::positive(self.interval).max(INTERVAL_MIN),
                timeout: if timeout.is_zero() { PROBE_TIMEOUT } else { timeout },
                successes: times(self.successes),
                failures: times(self.failures),
                target: self.target,
            };
            (kind, Means::Probe(Box::new(probe)))
        } else {
            ("ttl", Means::Ttl(duration::positive(self.ttl)))
        };
        let check = Check {
            id: self.id,
            name: self.name,
            status: if self.status.is_empty() { CRITICAL.to_owned() } else { self.status },
            notes: self.notes,
            service_id: self.service_id,
            kind: kind.to_owned(),
            ..Check::default()
        };
        let deregister_after = (self.deregister_after > 0).then(|| duration::positive(self.deregister_after));
        let output_limit = usize::try_from(self.output_limit).ok().filter(|limit| *limit > 0);
        Ok(AgentCheck { check, means, deregister_after, output_limit })
    }
}
