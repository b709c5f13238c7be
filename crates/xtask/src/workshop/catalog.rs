//! The catalog that the workshop is told of: ours by default, or a real Consul.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};

use super::{LIMIT, loopback};
use crate::stage::{Interrupt, Server, get_json, until};

/// Which catalog.
pub(crate) enum Catalog {
    /// `pilotfish catalog`: nothing else to install.
    Embedded,
    /// This Consul.
    Consul(PathBuf),
}

impl Catalog {
    /// Starts it on ports of its own and waits until it has a leader.
    pub(super) fn start(&self, pilotfish: &Path, logs: &Path, interrupt: &Interrupt) -> Result<(Server, SocketAddr)> {
        let http = loopback();
        let mut servers = [match self {
            Catalog::Embedded => Server::start("catalog", pilotfish, logs, |command| {
                command.args(["catalog", "--listen"]).arg(http.to_string());
            })?,
            Catalog::Consul(consul) => Server::start("consul", consul, logs, |command| {
                let [server, lan, wan] = [loopback(), loopback(), loopback()].map(|address| address.port());
                command.args([
                    "agent",
                    "-dev",
                    "-bind=127.0.0.1",
                    "-client=127.0.0.1",
                    "-dns-port=-1",
                    "-grpc-port=-1",
                ]);
                command.arg(format!("-http-port={}", http.port())).arg(format!("-server-port={server}"));
                command.arg(format!("-serf-lan-port={lan}")).arg(format!("-serf-wan-port={wan}"));
                command.args(["-hcl", "limits { http_max_conns_per_client = 8192 }"]);
            })?,
        }];
        until("the catalog to have a leader", LIMIT, interrupt, &mut servers, || {
            let leader = get_json(http, "/v1/status/leader")?;
            ensure!(leader.as_str().is_some_and(|leader| !leader.is_empty()), "there is no leader yet");
            Ok(())
        })?;
        let [server] = servers;
        Ok((server, http))
    }
}
