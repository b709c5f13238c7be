//! What nginx was told, beside what the catalog says.

use serde_json::Value;

/// The servers of the block `upstream SERVICE { ... }` of an nginx.conf, as `address:port`, sorted; none without such a block.
pub fn upstream_addresses(conf: &str, service: &str) -> Vec<String> {
    let begin = format!("upstream {service} {{");
    let block = conf.lines().map(str::trim).skip_while(|line| *line != begin).take_while(|line| *line != "}");
    let mut servers: Vec<String> =
        block.filter_map(|line| line.strip_prefix("server ")?.strip_suffix(';')).map(str::to_owned).collect();
    servers.sort();
    servers
}

/// The instances in an answer of `/v1/health/service/NAME?passing`, as `address:port`, sorted.
pub fn healthy_addresses(entries: &Value) -> Vec<String> {
    let entries = entries.as_array().map_or(&[][..], Vec::as_slice);
    let address = |entry: &Value| {
        let service = &entry["Service"];
        Some(format!("{}:{}", service["Address"].as_str()?, service["Port"].as_u64()?))
    };
    let mut addresses: Vec<String> = entries.iter().filter_map(address).collect();
    addresses.sort();
    addresses
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn upstreams_and_instances_can_be_compared() {
        let conf = "http {\n  upstream a {\n    # a\n    server h:2;\n    server h:1;\n    least_conn;\n  }\n\n  upstream b {\n    server h:3;\n  }\n  server {\n    listen 1;\n  }\n}";
        assert_eq!(upstream_addresses(conf, "a"), ["h:1", "h:2"]);
        assert_eq!(upstream_addresses(conf, "b"), ["h:3"]);
        assert_eq!(upstream_addresses(conf, "c"), [""; 0]);
        let entry = |port: u16| json!({ "Service": { "Address": "h", "Port": port } });
        assert_eq!(healthy_addresses(&json!([entry(2), entry(1)])), ["h:1", "h:2"]);
        assert_eq!(healthy_addresses(&json!({})), [""; 0]);
    }
}
