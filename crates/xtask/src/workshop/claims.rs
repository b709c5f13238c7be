//! What must be true of the workshop, each claim waited for.

use anyhow::{Context, Result, ensure};
use pilotfish_testing::{healthy_addresses, upstream_addresses};
use serde_json::Value;

use super::{SERVICES, Workshop};
use crate::stage::get_json;

/// Requests that must be answered in a row by the instances that should answer.
pub(crate) const REQUESTS: usize = 20;

impl Workshop<'_> {
    /// Exactly the instances that run are healthy in the catalog, and nginx's upstream blocks name exactly these: the number of
    /// each service's.
    pub(crate) fn expect_upstreams(&mut self) -> Result<Vec<(&'static str, usize)>> {
        let mut found = Vec::new();
        for service in SERVICES {
            let addresses = self.expect_upstream(service)?;
            found.push((service, addresses.len()));
        }
        Ok(found)
    }

    fn expect_upstream(&mut self, service: &str) -> Result<Vec<String>> {
        let (catalog, path) = (self.catalog, format!("/v1/health/service/{service}?passing"));
        let mut expected: Vec<_> = self.names(service).iter().map(|name| format!("{service}-{name}")).collect();
        expected.sort();
        let conf = self.directory().join("nginx/nginx.conf");
        self.until(&format!("nginx.conf to name the healthy instances of {service}"), || {
            let entries = get_json(catalog, &path)?;
            let ids = healthy_ids(&entries);
            ensure!(ids == expected, "healthy in the catalog: {ids:?}, running: {expected:?}");
            let healthy = healthy_addresses(&entries);
            let upstream = upstream_addresses(&std::fs::read_to_string(&conf).context("no nginx.conf")?, service);
            ensure!(upstream == healthy, "in nginx.conf: {upstream:?}, healthy in the catalog: {healthy:?}");
            Ok(healthy)
        })
    }

    /// In a row of requests through nginx each is answered, by the instances that run and all of them.
    pub(crate) fn expect_answers(&mut self, service: &str) -> Result<Vec<String>> {
        let (nginx, path) = (self.nginx, format!("/{service}/data"));
        let mut expected = self.names(service);
        expected.sort();
        self.until(&format!("nginx to use {}", expected.join(", ")), || {
            let mut seen: Vec<String> = Vec::new();
            for _ in 0..REQUESTS {
                let body = get_json(nginx, &path)?;
                seen.push(body["instance"].as_str().context("the answer names no instance")?.to_owned());
            }
            seen.sort();
            seen.dedup();
            ensure!(seen == expected, "answered by {seen:?}");
            Ok(())
        })?;
        Ok(expected)
    }

    /// `service`, asked through nginx, shows its own rows and those of an instance of `peer`; its answer.
    pub(crate) fn expect_merged(&mut self, service: &str, peer: &str) -> Result<Value> {
        let (nginx, path) = (self.nginx, format!("/{service}/"));
        self.until(&format!("{service} to show rows of {peer}"), || {
            let body = get_json(nginx, &path)?;
            ensure!(body["rows"].is_array() && body[peer]["rows"].is_array(), "{service} answered {body}");
            Ok(body)
        })
    }
}

/// The ids in an answer of `/v1/health/service`, sorted.
pub(crate) fn healthy_ids(entries: &Value) -> Vec<String> {
    let entries = entries.as_array().map_or(&[][..], Vec::as_slice);
    let mut ids: Vec<_> =
        entries.iter().filter_map(|entry| entry["Service"]["ID"].as_str()).map(String::from).collect();
    ids.sort();
    ids
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_from_the_catalogs_answers() {
        let entries = serde_json::json!([{ "Service": { "ID": "b" } }, { "Service": { "ID": "a" } }]);
        assert_eq!(healthy_ids(&entries), ["a", "b"]);
        assert_eq!(healthy_ids(&serde_json::json!({})), Vec::<String>::new());
    }
}
