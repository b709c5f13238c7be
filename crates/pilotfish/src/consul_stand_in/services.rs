//! `services register` and `services deregister`: of files in JSON, or of flags.

use serde_json::{Map, Value, json};

use super::{Failure, Output, client::Client, client::encoded, flags::Flags};

/// The services of a file.
fn read(path: &str) -> Result<Vec<Value>, Failure> {
    let failed = |reason: String| Failure::new(format!("Error: config: {reason}"));
    let text = match path {
        "-" => std::io::read_to_string(std::io::stdin()),
        path => std::fs::read_to_string(path),
    };
    let text = text.map_err(|error| {
        let missing = error.kind() == std::io::ErrorKind::NotFound;
        let reason = if missing { "no such file or directory".to_owned() } else { error.to_string() };
        failed(format!("Open failed on {path}. open {path}: {reason}"))
    })?;
    let mut document: Value = serde_json::from_str(&text).map_err(|error| {
        failed(format!("{path} is no JSON: {error}; pilotfish's stand-in for consul does not read HCL"))
    })?;
    let mut found = match document.get_mut("services").map(Value::take) {
        Some(Value::Array(services)) => services,
        Some(_) | None => Vec::new(),
    };
    found.extend(document.get_mut("service").map(Value::take).filter(|service| !service.is_null()));
    if found.is_empty() {
        return Err(failed(format!("{path} has neither \"service\" nor \"services\"")));
    }
    Ok(found)
}

fn field<'a>(service: &'a Value, name: &str) -> &'a str {
    let fields = service.as_object().into_iter().flatten();
    let found = fields.filter(|(key, _)| key.eq_ignore_ascii_case(name)).find_map(|(_, value)| value.as_str());
    found.unwrap_or("")
}

/// `services register FILE...`, or with flags.
pub(crate) fn register(client: &Client, flags: &Flags) -> Output {
    let mut services = Vec::new();
    for path in &flags.words {
        services.extend(read(path)?);
    }
    if flags.words.is_empty() {
        let Some(name) = flags.get("name") else {
            return Err(Failure::new("Service registration requires at least one argument or flags."));
        };
        services.push(from_flags(name, flags)?);
    }
    let mut text = String::new();
    for service in services {
        let name = field(&service, "name");
        let doing = format!("Error registering service {name:?}");
        client.ask("PUT", "/v1/agent/service/register", service.to_string().into_bytes(), &doing)?.good(&doing)?;
        text += &format!("Registered service: {name}\n");
    }
    Ok(text)
}

fn from_flags(name: &str, flags: &Flags) -> Result<Value, Failure> {
    let port: u16 = match flags.get("port").unwrap_or("0").parse() {
        Ok(port) => port,
        Err(error) => return Err(Failure::new(format!("invalid value for flag -port: {error}"))),
    };
    let mut meta = Map::new();
    let pairs = flags.all("meta").filter_map(|pair| pair.split_once('='));
    meta.extend(pairs.map(|(key, value)| (key.to_owned(), Value::from(value))));
    let tags: Vec<&str> = flags.all("tag").collect();
    let mut service = json!({ "Name": name, "Port": port, "Tags": tags, "Meta": meta });
    for (field, flag) in [("ID", "id"), ("Address", "address")] {
        if let Some(value) = flags.get(flag) {
            service[field] = value.into();
        }
    }
    Ok(service)
}

/// `services deregister FILE...`, or with `-id`.
pub(crate) fn deregister(client: &Client, flags: &Flags) -> Output {
    let mut ids = Vec::new();
    for path in &flags.words {
        for service in read(path)? {
            let id = field(&service, "id");
            ids.push(if id.is_empty() { field(&service, "name").to_owned() } else { id.to_owned() });
        }
    }
    ids.extend(flags.get("id").map(str::to_owned));
    if ids.is_empty() {
        return Err(Failure::new("Service deregistration requires at least one argument or -id."));
    }
    let mut text = String::new();
    for id in ids {
        let doing = format!("Error deregistering service {id:?}");
        let path = format!("/v1/agent/service/deregister/{}", encoded(&id));
        client.ask("PUT", &path, Vec::new(), &doing)?.good(&doing)?;
        text += &format!("Deregistered service: {id}\n");
    }
    Ok(text)
}
