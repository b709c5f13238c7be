//! What tests of the other crates stand on: real servers, a server with scripted faults, and a proxy that can be made to fail.
//!
//! Everything listens on loopback only, on ports outside the kernel's ephemeral range, has its own temporary directory, and is
//! stopped when its value is dropped, also when a test panics. When the tests are killed, so is what they started. Nothing here is part of the
//! product.

mod browser;
mod catalog_kill;
mod catalog_load;
mod certificates;
mod children;
mod cluster;
mod consul;
mod database;
mod faulty;
mod http;
mod load;
pub mod mysql;
mod nginx;
mod ports;
mod proxy;
mod wait;

pub use browser::Browser;
pub use catalog_kill::{CatalogKill, CatalogKillReport};
pub use catalog_load::{CatalogLoad, CatalogLoadReport};
pub use certificates::Certificates;
pub use children::{mortal, spawn};
pub use cluster::ConsulCluster;
pub use consul::{Consul, ConsulOptions, Kind, OnlyConsul, embedded_is_asked_for};
pub use database::{Database, DatabaseServer};
pub use faulty::{FaultyServer, Reply, Request};
pub use load::{Load, Tally};
pub use nginx::{healthy_addresses, upstream_addresses};
pub use ports::free_port;
pub use proxy::{Mode, Proxy};
pub use wait::{PATIENCE, wait_until};
