//! examples/workshop, running: a catalog, nginx and instances of the two Node services, each as PID 1 under pilotfish. The demo
//! shows it, the soak puts it under load; both scale it, and both wait for what nginx must know then.

mod catalog;
mod claims;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use pilotfish_testing::free_port;

pub(crate) use catalog::Catalog;
pub(crate) use claims::REQUESTS;

use crate::stage::{Interrupt, Scratch, Server, until};
use crate::workspace;

/// For anything that takes a moment; generous, because a loaded machine is no failure.
const LIMIT: Duration = Duration::from_secs(60);

/// The Node services. Each asks the other.
pub(crate) const SERVICES: [&str; 2] = ["sales", "customers"];

/// Whose vocabulary the configs are in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Vocabulary {
    /// The talk's own files: scripts that call `consul-template`, the application on the command line.
    V2,
    /// Ours: templates and applications in the config.
    V3,
}

/// The running workshop. Everything ends when it is dropped.
pub(crate) struct Workshop<'a> {
    interrupt: &'a Interrupt,
    pilotfish: PathBuf,
    vocabulary: Vocabulary,
    /// Instances of each service so far, also those that are gone: a name is given once.
    started: BTreeMap<String, usize>,
    // Dropped in this order: what asks before whom it asks, the files last.
    instances: Vec<Server>,
    _server: Server,
    /// The catalog's HTTP API.
    pub(crate) catalog: SocketAddr,
    /// Where nginx listens.
    pub(crate) nginx: SocketAddr,
    /// Where nginx's supervisor tells its metrics.
    pub(crate) telemetry: SocketAddr,
    scratch: Scratch,
}

impl<'a> Workshop<'a> {
    /// Starts a catalog, and nothing else yet.
    pub(crate) fn open(
        name: &str,
        interrupt: &'a Interrupt,
        pilotfish: PathBuf,
        catalog: &Catalog,
        vocabulary: Vocabulary,
    ) -> Result<Self> {
        let scratch = Scratch::new(name)?;
        let bin = scratch.directory("bin")?;
        // The configs' own calls: `pilotfish putmetric` in v3, the talk's `consul-template` in v2.
        for name in ["pilotfish", "consul-template"] {
            symlink(&pilotfish, bin.join(name)).with_context(|| format!("cannot link {name}"))?;
        }
        let (server, address) = catalog.start(&pilotfish, scratch.path(), interrupt)?;
        let [nginx, telemetry] = [loopback(), loopback()];
        let (started, instances) = (BTreeMap::new(), Vec::new());
        Ok(Self {
            interrupt,
            pilotfish,
            vocabulary,
            started,
            instances,
            _server: server,
            catalog: address,
            nginx,
            telemetry,
            scratch,
        })
    }

    /// Where the instances' output is.
    pub(crate) fn directory(&self) -> &Path {
        self.scratch.path()
    }

    /// The instances of a service that were started and not stopped.
    pub(crate) fn names(&self, service: &str) -> Vec<String> {
        let prefix = format!("{service}-");
        self.instances.iter().map(Server::name).filter(|name| name.starts_with(&prefix)).map(str::to_owned).collect()
    }

    /// Starts or stops instances, the newest first, until there are so many. The services' new state is not waited for.
    pub(crate) fn scale(&mut self, service: &str, count: usize) -> Result<()> {
        while self.names(service).len() < count {
            self.start_node(service)?;
        }
        while let Some(newest) = self.names(service).get(count..).and_then(<[String]>::last) {
            let name = newest.clone();
            let status = self.stop(&name)?;
            ensure!(status.success(), "{name} was asked to stop and ended with {status}");
        }
        Ok(())
    }

    fn start_node(&mut self, service: &str) -> Result<()> {
        let number = self.started.entry(service.to_owned()).or_default();
        *number += 1;
        let name = format!("{service}-{number}");
        let variable = format!("{}_PORT", service.to_uppercase());
        let application = ["node".into(), workshop().join(format!("{service}/{service}.js")).into()];
        self.start(&name, service, &application, |command| {
            command.env(variable, loopback().port().to_string());
        })
    }

    /// Starts the one nginx.
    pub(crate) fn start_nginx(&mut self) -> Result<()> {
        let directory = self.scratch.directory("nginx")?;
        let conf = directory.join("nginx.conf");
        let application: [OsString; 7] =
            ["nginx".into(), "-e".into(), "stderr".into(), "-c".into(), conf.into(), "-g".into(), "daemon off;".into()];
        let (port, telemetry) = (self.nginx.port().to_string(), self.telemetry.port().to_string());
        self.start("nginx", "nginx", &application, |command| {
            command.env("NGINX_DIR", &directory).env("NGINX_USER", "root root").env("NGINX_PORT", port);
            command.env("TELEMETRY_PORT", telemetry);
        })
    }

    /// Starts `pilotfish run` with the config of a service. A config of the talk has the application on the command line.
    fn start(
        &mut self,
        name: &str,
        service: &str,
        application: &[OsString],
        configure: impl FnOnce(&mut Command),
    ) -> Result<()> {
        let mut path = vec![self.scratch.path().join("bin")];
        path.extend(std::env::split_paths(&workspace::path_with_root_programs()));
        let path = std::env::join_paths(path).context("a directory of the demo has a colon in its name")?;
        let server = Server::start_contained(name, &self.pilotfish, self.scratch.path(), |command| {
            command.arg("run").arg("-c").arg(self.config(service));
            if self.vocabulary == Vocabulary::V2 {
                command.arg("--").args(application);
            }
            command.env("CONSUL", self.catalog.to_string()).env("INTERFACE", "lo").env("LISTEN", "127.0.0.1");
            command.env("WORKSHOP", workshop()).env("PATH", path).env_remove("CONTAINERPILOT");
            configure(command);
        })?;
        self.instances.push(server);
        Ok(())
    }

    fn config(&self, service: &str) -> PathBuf {
        let file = match self.vocabulary {
            Vocabulary::V2 => "containerpilot.json",
            Vocabulary::V3 => "pilotfish.json5",
        };
        workshop().join(service).join(file)
    }

    /// SIGKILL, supervisor and all, as when its host is lost.
    pub(crate) fn kill(&mut self, name: &str) -> Result<()> {
        self.take(name)?.kill()
    }

    /// SIGTERM, as `docker stop` would, and its end.
    pub(crate) fn stop(&mut self, name: &str) -> Result<ExitStatus> {
        self.take(name)?.stop()
    }

    fn take(&mut self, name: &str) -> Result<Server> {
        let index = self.instances.iter().position(|server| server.name() == name);
        Ok(self.instances.remove(index.with_context(|| format!("{name} does not run"))?))
    }

    /// SIGTERM to all at once; name and status of each, when all have ended.
    pub(crate) fn stop_all(&mut self) -> Result<Vec<(String, ExitStatus)>> {
        self.instances.iter_mut().for_each(Server::ask_to_stop);
        let instances = std::mem::take(&mut self.instances);
        instances.into_iter().map(|server| Ok((server.name().to_owned(), server.stop()?))).collect()
    }

    /// What nginx complained about so far: instances that did not answer it, even if another one did.
    pub(crate) fn nginx_errors(&self) -> Result<Vec<String>> {
        let path = self.scratch.path().join("nginx.log");
        let text = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let text = String::from_utf8_lossy(&text);
        Ok(text.lines().filter(|line| line.contains("[error]")).map(str::to_owned).collect())
    }

    /// The end of each instance's output, for a failure.
    pub(crate) fn tell_logs(&self) {
        for server in &self.instances {
            eprintln!("--- the end of {}'s output (pid {})\n{}", server.name(), server.pid(), server.tail());
        }
    }

    /// Looks until `condition` holds.
    pub(crate) fn until<T>(&mut self, what: &str, condition: impl FnMut() -> Result<T>) -> Result<T> {
        until(what, LIMIT, self.interrupt, &mut self.instances, condition)
    }
}

impl Drop for Workshop<'_> {
    fn drop(&mut self) {
        // Each of the values waits for its own end; asking all of them first makes that one wait.
        self.instances.iter_mut().for_each(Server::ask_to_stop);
    }
}

/// The directory of the example.
pub(crate) fn workshop() -> PathBuf {
    workspace::root().join("examples/workshop")
}

/// A free port, outside the range of the kernel's own: a connection of the load must not take it before its server does.
fn loopback() -> SocketAddr {
    let ip = Ipv4Addr::LOCALHOST.into();
    (ip, free_port(ip)).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_workshop_is_where_it_is_looked_for() {
        let file = |name: &str| workshop().join(name).is_file();
        assert!(file("page/index.html") && file("nginx/reload-nginx.sh") && file("nginx/nginx.conf.ctmpl"));
        for service in ["nginx", "sales", "customers"] {
            assert!(file(&format!("{service}/containerpilot.json")) && file(&format!("{service}/pilotfish.json5")));
        }
        for service in SERVICES {
            assert!(file(&format!("{service}/{service}.js")));
        }
    }
}
