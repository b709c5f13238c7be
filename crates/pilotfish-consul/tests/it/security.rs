//! Tokens and TLS, against a real Consul.

use pilotfish_consul::{Address, Client, Config, Error, HealthQuery, KvWrite, Read, Scheme, Secret, TlsConfig};
use pilotfish_testing::{Certificates, Consul, ConsulOptions, FaultyServer, Reply};

use crate::{client, run};

const MASTER: &str = "6a1b6e3c-0000-4000-8000-000000000001";

#[test]
fn a_proxy_gets_user_and_password() {
    let server = FaultyServer::start(vec![Reply::consul(1, "[]")]);
    run(async {
        let credentials = Some(Secret::new("user:pass:word"));
        let config = Config { credentials, ..Config::with_addresses(&server.address().to_string()).unwrap() };
        Client::new(config).unwrap().health_service(&HealthQuery::passing("web")).await.unwrap();
        client(server.address()).health_service(&HealthQuery::passing("web")).await.unwrap();
    });
    let seen: Vec<Option<String>> = server.requests().into_iter().map(|request| request.authorization).collect();
    assert_eq!(seen, [Some("Basic dXNlcjpwYXNzOndvcmQ=".to_owned()), None]);
}

#[test]
fn a_token_is_needed_and_a_token_file_is_read_again() {
    let consul = Consul::start_with(ConsulOptions { master_token: Some(MASTER.into()), ..ConsulOptions::default() });
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("token");
    let config = Config::with_addresses(&consul.http().to_string()).unwrap();
    run(async {
        let put = |client: Client| async move { client.kv_put("a", "1".into(), 0, &KvWrite::Always).await.map(|_| ()) };
        let anonymous = Client::new(config.clone()).unwrap();
        let error = put(anonymous).await.unwrap_err();
        assert!(matches!(error, Error::Denied { .. }), "{error}");
        let fixed = Client::new(Config { token: Some(Secret::new(MASTER)), ..config.clone() }).unwrap();
        put(fixed).await.unwrap();

        let rotating = Client::new(Config { token_file: Some(file.clone()), ..config.clone() }).unwrap();
        assert!(matches!(put(rotating.clone()).await, Err(Error::Config { .. })), "there is no file yet");
        std::fs::write(&file, "6a1b6e3c-0000-4000-8000-00000000000f\n").unwrap();
        let error = put(rotating.clone()).await.unwrap_err();
        assert!(matches!(error, Error::Denied { .. }) && !error.to_string().contains("6a1b6e3c"), "{error}");
        std::fs::write(&file, format!("{MASTER}\n")).unwrap();
        put(rotating.clone()).await.unwrap();
        std::fs::remove_file(&file).unwrap();
        put(rotating).await.unwrap();
    });
}

#[test]
fn a_token_that_cannot_be_sent_is_not_printed() {
    let server = FaultyServer::start(vec![Reply::consul(1, "[]")]);
    let config = Config::with_addresses(&server.address().to_string()).unwrap();
    run(async {
        let client = Client::new(Config { token: Some(Secret::new("s3cret\n")), ..config }).unwrap();
        let error = client.catalog_nodes(&Read::default()).await.unwrap_err();
        assert!(!error.to_string().contains("s3cret"), "{error}");
    });
}

#[test]
fn tls_with_a_client_certificate() {
    let tls = Some(Certificates::new());
    let consul = Consul::start_with(ConsulOptions { tls, ..ConsulOptions::default() });
    let files = consul.certificates().unwrap();
    let address = |host: &str| Address::Tcp { scheme: Scheme::Https, host: host.into(), port: consul.https().port() };
    let full = TlsConfig {
        ca_file: Some(files.file("ca.pem")),
        client_certificate: Some(files.file("client.pem")),
        client_key: Some(files.file("client-key.pem")),
        ..TlsConfig::default()
    };
    let ask = |host: &str, tls: TlsConfig| {
        let client = Client::new(Config { addresses: vec![address(host)], tls, ..Config::default() }).unwrap();
        async move { client.agent_self().await.map(|answer| answer.value.node) }
    };
    run(async {
        assert_eq!(ask("127.0.0.1", full.clone()).await, Ok(consul.node()));
        assert_eq!(ask("localhost", full.clone()).await, Ok(consul.node()));
        let named = TlsConfig { server_name: Some("server.dc1.consul".into()), ..full.clone() };
        assert_eq!(ask("127.0.0.1", named).await, Ok(consul.node()));
        let directory = tempfile::tempdir().unwrap();
        std::fs::copy(files.file("ca.pem"), directory.path().join("ca.pem")).unwrap();
        let path = TlsConfig { ca_file: None, ca_path: Some(directory.path().into()), ..full.clone() };
        assert_eq!(ask("127.0.0.1", path).await, Ok(consul.node()));
        let unverified = TlsConfig { ca_file: None, verify: false, server_name: Some("other".into()), ..full.clone() };
        assert_eq!(ask("127.0.0.1", unverified).await, Ok(consul.node()));

        let refused = [
            TlsConfig { client_certificate: None, client_key: None, ..full.clone() },
            TlsConfig { client_key: None, ..full.clone() },
            TlsConfig { server_name: Some("other".into()), ..full.clone() },
            TlsConfig { ca_file: Some(files.file("client.pem")), ..full.clone() },
            TlsConfig { ca_file: Some(files.file("none.pem")), ..full.clone() },
        ];
        for tls in refused {
            let printed = format!("{tls:?}");
            let error = ask("127.0.0.1", tls).await.unwrap_err();
            assert!(matches!(error, Error::Tls { .. }), "{error} with {printed}");
        }
    });
}

#[test]
fn tls_with_a_server_that_speaks_plainly() {
    let server = FaultyServer::start(vec![Reply::status(400, "plain")]);
    let client = Client::new(Config {
        addresses: vec![Address::Tcp {
            scheme: Scheme::Https,
            host: "127.0.0.1".into(),
            port: server.address().port(),
        }],
        tls: TlsConfig { verify: false, ..TlsConfig::default() },
        deadline: std::time::Duration::from_secs(1),
        ..Config::default()
    })
    .unwrap();
    run(async {
        let error = client.status_leader().await.unwrap_err();
        assert!(matches!(error, Error::Tls { .. } | Error::Timeout { .. } | Error::Unreachable { .. }), "{error}");
    });
}
