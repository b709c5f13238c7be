//! Ways to a Consul that does not let everybody in: TLS with a client's certificate, unix sockets, tokens.

use pilotfish_testing::{Certificates, Consul, ConsulOptions};
use serde_json::json;

use super::view::{assert_absent, assert_passing, wait_for_absence, wait_for_passing};
use super::{app, service, stage, stage_of, wait_for_heartbeats};

const TOKEN: &str = "6f1c1d7e-0f0a-4d5c-9c0e-0123456789ab";

#[test]
fn tls_with_a_client_certificate() {
    let consul = Consul::start_with(ConsulOptions { tls: Some(Certificates::new()), ..ConsulOptions::default() });
    let certificates = consul.certificates().unwrap();
    let file = |name: &str| certificates.file(name).display().to_string();
    let config = json!({
        "consul": {
            "address": consul.https().to_string(), "scheme": "https",
            "tls": {
                "cafile": file("ca.pem"), "clientcert": file("client.pem"), "clientkey": file("client-key.pem"),
                "servername": "server.dc1.consul",
            },
        },
        "jobs": [app(), service("by-file")],
    });
    let _by_file = stage_of(config).file("healthy", "").start();
    wait_for_passing(&consul, "by-file");

    let mut by_variables = stage_of(json!({ "consul": {}, "jobs": [app(), service("by-variables")] }));
    by_variables
        .file("healthy", "")
        .variable("CONSUL_HTTP_ADDR", &consul.https().to_string())
        .variable("CONSUL_HTTP_SSL", "true")
        .variable("CONSUL_CACERT", &file("ca.pem"))
        .variable("CONSUL_CLIENT_CERT", &file("client.pem"))
        .variable("CONSUL_CLIENT_KEY", &file("client-key.pem"))
        .variable("CONSUL_TLS_SERVER_NAME", "server.dc1.consul");
    let _by_variables = by_variables.start();
    wait_for_passing(&consul, "by-variables");
}

#[test]
fn who_cannot_be_trusted_is_not_spoken_to() {
    let consul = Consul::start_with(ConsulOptions { tls: Some(Certificates::new()), ..ConsulOptions::default() });
    let certificates = consul.certificates().unwrap();
    let stranger = Certificates::new();
    let ours = certificates.file("ca.pem").display().to_string();
    let theirs = stranger.file("ca.pem").display().to_string();
    // Without our certificate the server refuses us; with another authority we refuse the server.
    for (name, authority) in [("anonymous", ours), ("misled", theirs)] {
        let config = json!({
            "consul": { "address": consul.https().to_string(), "scheme": "https", "tls": { "cafile": authority } },
            "jobs": [app(), service(name)],
        });
        let pilot = stage_of(config).file("healthy", "").start();
        pilot.wait_for_line("cannot open a TLS connection");
        assert_eq!(pilot.job("app")["state"], "running");
        assert_absent(&consul, name);
    }
}

/// `CONSUL_CAPATH`, and `CONSUL_HTTP_SSL_VERIFY` for those who give verification up.
#[test]
fn other_variables_of_tls() {
    let consul = Consul::start_with(ConsulOptions { tls: Some(Certificates::new()), ..ConsulOptions::default() });
    let certificates = consul.certificates().unwrap();
    let file = |name: &str| certificates.file(name).display().to_string();
    for (name, variable, value) in
        [("by-path", "CONSUL_CAPATH", "@DIR@/authorities"), ("unverified", "CONSUL_HTTP_SSL_VERIFY", "false")]
    {
        let config = json!({ "consul": format!("https://{}", consul.https()), "jobs": [app(), service(name)] });
        let mut stage = stage_of(config);
        let authority = std::fs::read_to_string(certificates.file("ca.pem")).unwrap();
        stage
            .file("healthy", "")
            .file("authorities/ca.pem", &authority)
            .variable(variable, value)
            .variable("CONSUL_CLIENT_CERT", &file("client.pem"))
            .variable("CONSUL_CLIENT_KEY", &file("client-key.pem"));
        let _pilot = stage.start();
        wait_for_passing(&consul, name);
    }
}

#[test]
fn a_unix_socket() {
    let consul = Consul::start_with(ConsulOptions { unix_socket: true, ..ConsulOptions::default() });
    let address = format!("unix://{}", consul.socket().display());
    let pilot = stage(&address, &[service("local")]).file("healthy", "").start();
    wait_for_passing(&consul, "local");
    pilot.wait_for_job("local", |job| job["service"]["agent"] == address);
    pilot.stop();
    wait_for_absence(&consul, "local");
}

/// failure-modes.md, F-B6.
#[test]
fn a_token_that_is_refused_and_the_right_one_later() {
    let consul = Consul::start_with(ConsulOptions { master_token: Some(TOKEN.into()), ..ConsulOptions::default() });
    let config = json!({
        "consul": { "address": consul.http().to_string(), "tokenFile": "@DIR@/token" },
        "jobs": [app(), service("admitted"), {
            "name": "react", "exec": "react", "when": { "source": "watch.admitted", "each": "changed" },
        }],
        "watches": [{ "name": "admitted", "interval": "1s" }],
    });
    let wrong = TOKEN.replace('6', "7");
    let pilot =
        stage_of(config).file("healthy", "").file("token", &wrong).script("react", "echo >> @DIR@/reactions").start();
    let refused = |line: &String| line.contains("ACL not found") || line.contains("Permission denied");
    pilot.wait_for("the refusal", || pilot.stdout.all("trying again").into_iter().find(refused));
    assert_absent(&consul, "admitted");

    pilot.write("token", TOKEN);
    wait_for_passing(&consul, "admitted");
    pilot.wait_for_file("reactions", |reactions| reactions.lines().count() == 1);
    assert_eq!(pilot.job("app")["runs"], 1);
    assert!(!pilot.story().contains(TOKEN) && !pilot.story().contains(&wrong), "a token is never told");
}

/// failure-modes.md, F-B6.
#[test]
fn a_token_is_rotated_without_a_restart() {
    let consul = Consul::start_with(ConsulOptions { master_token: Some(TOKEN.into()), ..ConsulOptions::default() });
    let token = || -> (String, String) {
        let policies = json!({ "Policies": [{ "Name": "global-management" }] }).to_string();
        let (_, body) = consul.request("PUT", "/v1/acl/token", &policies).unwrap();
        let token: serde_json::Value = serde_json::from_str(&body).unwrap();
        (token["AccessorID"].as_str().unwrap().to_owned(), token["SecretID"].as_str().unwrap().to_owned())
    };
    let (old_name, old) = token();
    let mut rotated = service("rotated");
    rotated["health"]["ttl"] = "30s".into();
    let config = json!({
        "consul": { "address": consul.http().to_string(), "tokenFile": "@DIR@/token" }, "jobs": [app(), rotated],
    });
    let pilot = stage_of(config).file("healthy", "").file("token", &old).start();
    wait_for_passing(&consul, "rotated");
    let (_, new) = token();
    pilot.write("token", &new);
    let revoked = consul.request("DELETE", &format!("/v1/acl/token/{old_name}"), "");
    assert!(matches!(revoked, Some((200, _))), "{revoked:?}");
    wait_for_heartbeats(&pilot, "rotated", 5, || assert_passing(&consul, "rotated"));
    // A request that a busy Consul did not answer in time may have been sent again; none was refused.
    let refused = |line: &&String| ["ACL not found", "Permission denied"].iter().any(|reason| line.contains(reason));
    assert_eq!(pilot.stdout.all("trying again").iter().find(refused), None);
    assert_eq!(pilot.job("app")["runs"], 1);
    assert!(!pilot.story().contains(&old) && !pilot.story().contains(&new), "a token is never told");
}

#[test]
fn ways_to_give_a_token() {
    let consul = Consul::start_with(ConsulOptions { master_token: Some(TOKEN.into()), ..ConsulOptions::default() });
    let address = consul.http().to_string();
    let start = |name: &str, catalog: serde_json::Value, variable: Option<(&str, &str)>| {
        let mut stage = stage_of(json!({ "consul": catalog, "jobs": [app(), service(name)] }));
        stage.file("healthy", "").file("token", &format!("{TOKEN}\n"));
        if let Some((variable, value)) = variable {
            stage.variable(variable, value);
        }
        stage.start()
    };
    let _pilots = [
        start("in-config", json!({ "address": address, "token": TOKEN }), None),
        start("in-variable", json!(address), Some(("CONSUL_HTTP_TOKEN", TOKEN))),
        start("in-named-file", json!(address), Some(("CONSUL_HTTP_TOKEN_FILE", "@DIR@/token"))),
    ];
    for name in ["in-config", "in-variable", "in-named-file"] {
        wait_for_passing(&consul, name);
    }
}
