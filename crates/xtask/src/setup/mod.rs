//! `cargo xtask setup`: brings what tests, demo and bench run against. It may be called at any time: what is there is left alone,
//! and when nothing is missing it takes milliseconds.
//!
//! Two sources, in this order: programs on PATH; packages of the Debian mirror that this machine's apt is set up with. Servers
//! that run unpacked (Consul, promtool) go into the target directory; the rest is installed. Libraries of other languages come
//! from pip and npm as they are set up on this machine, into the target directory too.

mod archive;
mod clients;
mod mysql;
mod packages;

use std::path::PathBuf;

use anyhow::Result;

pub(crate) use archive::Archived;
pub(crate) use clients::{Clients, clients};

/// The programs that tests and demo are given by path.
pub(crate) struct Tools {
    pub(crate) consul: PathBuf,
    pub(crate) promtool: PathBuf,
    /// The words that start MySQL's server.
    pub(crate) mysqld: Vec<String>,
}

/// Brings everything, prints what it does, and says where the tools are.
pub(crate) fn setup() -> Result<Tools> {
    packages::install_missing(|_| true)?;
    let mut found = archive::bring(&[Archived::CONSUL, Archived::PROMTOOL])?.into_iter();
    let mut next = || found.next().expect("`bring` returns one path for each program it was asked for");
    let (consul, promtool) = (next(), next());
    Ok(Tools { consul, promtool, mysqld: mysql::mysqld()? })
}

/// Brings what the demo needs, and no more: a Consul if it is wanted. Also says where promtool is, if it is there.
pub(crate) fn demo(consul: bool) -> Result<(Option<PathBuf>, Option<PathBuf>)> {
    packages::install_missing(|program| packages::DEMO.contains(&program))?;
    let consul = if consul { archive::bring(&[Archived::CONSUL])?.pop() } else { None };
    Ok((consul, Archived::PROMTOOL.find()))
}

/// Brings what the demo of databases needs, and no more.
pub(crate) fn databases() -> Result<()> {
    packages::install_missing(|program| packages::DATABASES.contains(&program))
}

/// Other supervisors for containers, to be measured beside ours: name and path.
pub(crate) fn inits() -> Result<Vec<(&'static str, PathBuf)>> {
    let paths = archive::bring(&[Archived::TINI, Archived::DUMB_INIT])?;
    Ok(["tini", "dumb-init"].into_iter().zip(paths).collect())
}

/// Prints where everything is, for `cargo xtask setup` itself.
pub(crate) fn report(tools: &Tools, clients: &Clients) {
    println!("consul:   {}", tools.consul.display());
    println!("promtool: {}", tools.promtool.display());
    println!("mysqld:   {}", tools.mysqld.join(" "));
    println!("clients:  {}, {}", clients.python.display(), clients.node.display());
    for (program, path) in packages::present() {
        println!("{:<9} {}", format!("{program}:"), path.display());
    }
}
