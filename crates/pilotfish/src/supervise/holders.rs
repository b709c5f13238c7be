//! Looks who has registered a service, in the whole cluster.

use pilotfish_consul::{CheckStatus, Client, Error, HealthQuery, Read, ServiceInstance};
use pilotfish_supervisor::Other;

use super::{catalog::check_id, owner::Owner};

/// Id of the check by which the cluster knows that a node's agent lives (Consul documentation, "Anti-Entropy"; `structs.SerfCheckID`).
const NODE_LIVES: &str = "serfHealth";

/// Whether we have registered a service, and which other supervisors have. A registration that names no owner is nobody's.
pub(super) async fn look(client: &Client, own: &Owner, service: &str, name: &str) -> Result<(bool, Vec<Other>), Error> {
    let query = HealthQuery { service: name.to_owned(), read: Read::default(), ..HealthQuery::default() };
    let instances = match client.local().health_service(&query).await {
        Ok(answer) => answer.value,
        // While its servers cannot answer an agent takes registrations all the same, and knows its own. Whoever is elsewhere is found when
        // the registration is looked at again.
        Err(Error::NoLeader { .. } | Error::Unavailable { .. }) => return look_at_agent(client, own, service).await,
        Err(error) => return Err(error),
    };
    let of_service = || instances.iter().filter(|instance| instance.id == service);
    let ours = of_service().any(|instance| instance.meta.get(super::owner::KEY).is_some_and(|it| it == own.text()));
    let others = of_service().filter_map(|instance| {
        let owner = own.other(&instance.meta)?;
        Some(other(own, owner, lives(instance)))
    });
    Ok((ours, others.collect()))
}

async fn look_at_agent(client: &Client, own: &Owner, service: &str) -> Result<(bool, Vec<Other>), Error> {
    match client.agent_service(service).await {
        // Nobody can say whether it lives; soon somebody will.
        Ok(answer) => Ok(match own.other(&answer.value.meta) {
            Some(owner) => (false, vec![other(own, owner, true)]),
            None => (answer.value.meta.contains_key(super::owner::KEY), Vec::new()),
        }),
        Err(Error::NotFound { .. }) => Ok((false, Vec::new())),
        Err(error) => Err(error),
    }
}

fn other(own: &Owner, owner: &str, lives: bool) -> Other {
    Other { owner: owner.to_owned(), alive: lives && !own.outlives(owner), senior: own.yields_to(owner) }
}

/// Its heartbeats are believed: nobody speaks for an instance whose agent has gone, or whose TTL has passed. What operators say of it, by
/// maintenance or by checks of their own, says nothing of its supervisor.
fn lives(instance: &ServiceInstance) -> bool {
    let status = |id: &str| instance.checks.iter().find(|check| check.id == id).map(|check| check.status);
    status(&check_id(&instance.id)).is_some_and(|status| status != CheckStatus::Critical)
        && status(NODE_LIVES) != Some(CheckStatus::Critical)
}

#[cfg(test)]
mod tests {
    use pilotfish_consul::HealthCheck;

    use super::*;

    #[test]
    fn one_lives_while_its_ttl_and_its_agent_do() {
        use CheckStatus::{Critical, Passing, Warning};
        for (checks, expected) in [
            (&[("service:web-1", Passing)][..], true),
            (&[("service:web-1", Warning), ("serfHealth", Passing)], true),
            (&[("service:web-1", Critical), ("serfHealth", Passing)], false),
            (&[("service:web-1", Passing), ("serfHealth", Critical)], false),
            (
                &[
                    ("service:web-1", Passing),
                    ("_service_maintenance:web-1", Critical),
                    ("_node_maintenance", Critical),
                ],
                true,
            ),
            (&[("serfHealth", Passing)], false),
            (&[], false),
        ] {
            let checks = checks.iter().map(|(id, status)| check(id, *status)).collect();
            assert_eq!(lives(&instance(checks)), expected);
        }
    }

    fn check(id: &str, status: CheckStatus) -> HealthCheck {
        let text = String::new;
        HealthCheck {
            node: text(),
            id: id.into(),
            name: text(),
            status,
            notes: text(),
            output: text(),
            service_id: text(),
            service_name: text(),
        }
    }

    fn instance(checks: Vec<HealthCheck>) -> ServiceInstance {
        let text = String::new;
        ServiceInstance {
            node: text(),
            node_address: text(),
            node_meta: Default::default(),
            datacenter: text(),
            id: "web-1".into(),
            name: text(),
            address: text(),
            port: 0,
            tags: vec![],
            meta: Default::default(),
            checks,
        }
    }
}
