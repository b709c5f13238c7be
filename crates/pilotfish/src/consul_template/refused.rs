//! What consul-template has and this program has not, each with what to do instead. Nothing is ignored that somebody may rely on.

/// Why a setting is refused, by its path in a config file (`vault.address`) or its flag with dots for dashes.
pub(crate) fn refused(path: &str) -> Option<&'static str> {
    let section = path.split('.').next().unwrap_or_default();
    Some(match section {
        "vault" => {
            "secrets of Vault are not supported; let an agent of Vault write them to a file, and read that with {{ file }}"
        }
        "nomad" => "Nomad is not supported; register its services in Consul, and read them with {{ service }}",
        "dedup" | "deduplicate" => {
            "de-duplication is not supported; each instance asks by blocking queries, which cost Consul little"
        }
        "syslog" => {
            "syslog is not supported; the log goes to standard error, or to a file (log_file), and from there to syslog"
        }
        "telemetry" => {
            "telemetry of templates is not supported on this command line; use a config of pilotfish (telemetry)"
        }
        "err_on_failed_lookup" => {
            "not supported: a question without an answer keeps the file as it is, and is told in the log"
        }
        "left_delimiter"
        | "right_delimiter"
        | "default_left_delimiter"
        | "default_right_delimiter"
        | "left"
        | "right"
        | "default" => "other delimiters are not supported; write {{ and }}",
        "sandbox_path" => {
            "a sandbox for {{ file }} is not supported; run as a user that may read only what templates may see"
        }
        "map_to_env_var" => "not supported; write the variable with a template and source the file",
        _ if path == "consul.namespace" => "namespaces are not supported; they need Consul Enterprise",
        _ => return None,
    })
}
