//! What the catalog says of a cluster, past its members.

use serde_json::Value;

use crate::Consul;

/// The lease's term and the position of its holder among the members.
pub fn lease(catalog: &Consul) -> Option<(u64, usize)> {
    let lease: Value = serde_json::from_str(&read(catalog, "/v1/kv/mysql-primary?raw")?).ok()?;
    Some((lease["term"].as_u64()?, usize::try_from(lease["holder"].as_u64()?).ok()?.checked_sub(1)?))
}

/// A member that has voted for a term above this one.
pub fn voter(catalog: &Consul, above: u64) -> Option<usize> {
    let keys: Vec<String> = serde_json::from_str(&read(catalog, "/v1/kv/mysql/votes?keys")?).ok()?;
    keys.iter().find_map(|key| {
        let (term, seat) = key.strip_prefix("mysql/votes/")?.split_once('/')?;
        let voter: usize = seat.split('-').next()?.parse().ok()?;
        (term.parse::<u64>().ok()? > above).then_some(voter.checked_sub(1)?)
    })
}

fn read(catalog: &Consul, path: &str) -> Option<String> {
    let (status, body) = catalog.request("GET", path, "")?;
    (status == 200).then_some(body)
}
