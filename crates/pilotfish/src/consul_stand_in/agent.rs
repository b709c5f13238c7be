//! `agent -dev`, and `agent -data-dir`.

use std::{
    io::Write as _,
    net::{IpAddr, SocketAddr},
};

use pilotfish_process::hostname;

use super::{Failure, Output, flags};
use crate::{catalog_command, command_line::CatalogCommand};

/// Flags that change nothing here: of clustering, logging and the page, which the catalog does not have or always has.
const WITHOUT_EFFECT: ([&str; 5], [&str; 9]) = (
    ["server", "ui", "disable-host-node-id", "disable-keyring-file", "log-json"],
    [
        "bind",
        "advertise",
        "bootstrap-expect",
        "grpc-port",
        "https-port",
        "log-level",
        "serf-lan-port",
        "serf-wan-port",
        "server-port",
    ],
);

/// Runs the catalog until a signal ends it.
pub(crate) fn run(arguments: &[&str]) -> Output {
    let switches: Vec<&str> = WITHOUT_EFFECT.0.iter().chain(&["dev"]).copied().collect();
    let own = ["client", "http-port", "node", "datacenter", "data-dir", "dns-port"];
    let values: Vec<&str> = WITHOUT_EFFECT.1.iter().chain(&own).copied().collect();
    let flags = flags::parse(arguments, &switches, &values);
    let flags = flags.map_err(|text| Failure::new(format!("==> error parsing flags: {text}")))?;
    // As with Consul, a directory is used also with -dev, where it is named.
    let data = flags.get("data-dir").map(std::path::PathBuf::from);
    if !flags.is_on("dev") && data.is_none() {
        return Err(Failure::new(
            "==> say 'consul agent -dev' (in memory) or 'consul agent -data-dir DIR': pilotfish's embedded catalog is one server, and no cluster",
        ));
    }
    let client = flags.get("client").unwrap_or("127.0.0.1");
    let ip: IpAddr = client
        .trim_matches(['[', ']'])
        .parse()
        .map_err(|_| Failure::new(format!("==> -client {client:?} is no IP address; write one, such as 127.0.0.1")))?;
    let port = flags.get("http-port").unwrap_or("8500");
    let port: u16 = port.parse().map_err(|_| Failure::new(format!("==> -http-port {port:?} is no port number")))?;
    // Scripts that start an agent do not always want its DNS: it is there only where its port is named.
    let dns = match flags.get("dns-port") {
        None | Some("-1") => None,
        Some(port) => {
            let port: u16 =
                port.parse().map_err(|_| Failure::new(format!("==> -dns-port {port:?} is no port number")))?;
            Some(SocketAddr::new(ip, port))
        }
    };
    let node = flags.get("node").map_or_else(hostname, str::to_owned);
    let command = CatalogCommand {
        listen: SocketAddr::new(ip, port),
        token_file: std::env::var_os("CONSUL_HTTP_TOKEN_FILE").map(Into::into),
        node: Some(node.clone()),
        data,
        dns,
        datacenter: flags.get("datacenter").unwrap_or("dc1").to_owned(),
        pretty: flags.is_on("dev"),
    };
    // Whoever started us may have closed the pipe.
    let _ = writeln!(
        std::io::stdout(),
        "==> Starting Consul agent...\n           Version: '{}' (pilotfish's embedded catalog)\n         Node name: '{node}'\n        \
         Datacenter: '{}' (Segment: '<all>')\n            Server: true (Bootstrap: false)\n       Client Addr: [{ip}] (HTTP: {port}, \
         HTTPS: -1, gRPC: -1, DNS: {})\n",
        pilotfish_catalog::CONSUL_VERSION,
        command.datacenter,
        dns.map_or(-1, |dns| i32::from(dns.port())),
    );
    match catalog_command::run(&command) {
        Ok(()) => Ok(String::new()),
        Err(error) => Err(Failure::new(format!("==> {error:#}"))),
    }
}
