//! `members` and `catalog`.

use std::fmt::Write as _;

use serde_json::Value;

use super::{Output, client::Client, client::encoded, flags::Flags, table};

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// `members [-detailed]`.
pub(crate) fn members(client: &Client, flags: &Flags) -> Output {
    let path = if flags.is_on("wan") { "/v1/agent/members?wan=1" } else { "/v1/agent/members?segment=_all" };
    let doing = "Error retrieving members";
    let members = client.ask("GET", path, Vec::new(), doing)?.good(doing)?.json();
    let detailed = flags.is_on("detailed");
    let head: &[&str] = match detailed {
        true => &["Node", "Address", "Status", "Tags"],
        false => &["Node", "Address", "Status", "Type", "Build", "Protocol", "DC", "Segment"],
    };
    let mut rows = vec![head.iter().map(|cell| (*cell).to_owned()).collect::<Vec<_>>()];
    for member in members.as_array().into_iter().flatten() {
        let tags = &member["Tags"];
        let status = match member["Status"].as_u64() {
            Some(1) => "alive",
            Some(2) => "leaving",
            Some(3) => "left",
            Some(4) => "failed",
            Some(_) | None => "none",
        };
        let segment = |segment: &Value| if segment == "" { "<all>".to_owned() } else { text(segment) };
        let mut row =
            vec![text(&member["Name"]), format!("{}:{}", text(&member["Addr"]), member["Port"]), status.to_owned()];
        if detailed {
            let pairs = tags.as_object().into_iter().flatten().map(|(key, value)| match key.as_str() {
                "segment" => format!("{key}={}", segment(value)),
                _ => format!("{key}={}", text(value)),
            });
            row.push(pairs.collect::<Vec<_>>().join(","));
        } else {
            let kind = if tags["role"] == "consul" { "server" } else { "client" };
            let build = text(&tags["build"]);
            let build = build.split(':').next().unwrap_or("").to_owned();
            row.extend([kind.to_owned(), build, text(&tags["vsn"]), text(&tags["dc"]), segment(&tags["segment"])]);
        }
        rows.push(row);
    }
    Ok(table(&rows, 2))
}

/// `catalog services [-tags] [-node NAME] [-node-meta KEY=VALUE]`.
pub(crate) fn services(client: &Client, flags: &Flags) -> Output {
    let doing = "Error listing services";
    let mut found: Vec<(String, Vec<String>)> = Vec::new();
    let tags = |value: &Value| {
        let mut tags: Vec<String> = value.as_array().into_iter().flatten().map(text).collect();
        tags.sort_unstable();
        tags
    };
    if let Some(node) = flags.get("node") {
        let path = format!("/v1/catalog/node/{}", encoded(node));
        let answer = client.ask("GET", &path, Vec::new(), doing)?.good(doing)?.json();
        for service in answer["Services"].as_object().into_iter().flat_map(|services| services.values()) {
            let (name, mut own) = (text(&service["Service"]), tags(&service["Tags"]));
            match found.iter_mut().find(|(known, _)| *known == name) {
                Some((_, known)) => known.append(&mut own),
                None => found.push((name, own)),
            }
        }
    } else {
        let metas: Vec<String> =
            flags.all("node-meta").map(|pair| format!("node-meta={}", encoded(&pair.replacen('=', ":", 1)))).collect();
        let path = format!("/v1/catalog/services?{}", metas.join("&"));
        let answer = client.ask("GET", path.trim_end_matches('?'), Vec::new(), doing)?.good(doing)?.json();
        found.extend(answer.as_object().into_iter().flatten().map(|(name, own)| (name.clone(), tags(own))));
    }
    found.sort_unstable();
    if flags.is_on("tags") {
        let rows: Vec<Vec<String>> = found.into_iter().map(|(name, tags)| vec![name, tags.join(",")]).collect();
        // The last line has nothing behind it where there are no tags.
        let text = table(&rows, 6);
        return Ok(text.trim_end().to_owned() + "\n");
    }
    Ok(found.into_iter().fold(String::new(), |mut text, (name, _)| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{name}");
        text
    }))
}

/// `catalog nodes [-service NAME] [-near NODE]`.
pub(crate) fn nodes(client: &Client, flags: &Flags) -> Output {
    let doing = "Error listing nodes";
    let near = flags.get("near").map(|node| format!("?near={}", encoded(node))).unwrap_or_default();
    let path = match flags.get("service") {
        Some(service) => format!("/v1/catalog/service/{}{near}", encoded(service)),
        None => format!("/v1/catalog/nodes{near}"),
    };
    let answer = client.ask("GET", &path, Vec::new(), doing)?.good(doing)?.json();
    let detailed = flags.is_on("detailed");
    let mut head = vec!["Node", "ID", "Address", "DC"];
    if detailed {
        head.extend(["TaggedAddresses", "Meta"]);
    }
    let mut rows = vec![head.into_iter().map(str::to_owned).collect::<Vec<_>>()];
    for node in answer.as_array().into_iter().flatten() {
        let id = text(&node["ID"]);
        let id = if detailed { id } else { id.split('-').next().unwrap_or("").to_owned() };
        let mut row = vec![text(&node["Node"]), id, text(&node["Address"]), text(&node["Datacenter"])];
        if detailed {
            let pairs = |value: &Value| {
                let pairs = value.as_object().into_iter().flatten();
                pairs.map(|(key, value)| format!("{key}={}", text(value))).collect::<Vec<_>>().join(", ")
            };
            row.extend([pairs(&node["TaggedAddresses"]), pairs(&node["Meta"])]);
        }
        rows.push(row);
    }
    Ok(table(&rows, 2))
}

/// `catalog datacenters`.
pub(crate) fn datacenters(client: &Client, _flags: &Flags) -> Output {
    let doing = "Error listing datacenters";
    let answer = client.ask("GET", "/v1/catalog/datacenters", Vec::new(), doing)?.good(doing)?.json();
    Ok(answer.as_array().into_iter().flatten().map(|name| text(name) + "\n").collect())
}
