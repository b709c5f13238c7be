//! The HTTP shell: connections, routes, options, answers. It decides nothing about the catalog.

mod agent;
mod agent_health;
mod agent_self;
mod body;
mod catalog;
mod connection;
mod event;
mod health;
mod kv;
mod options;
mod paths;
mod reply;
mod routes;
mod session;
mod snapshot;
mod status;
mod txn;
mod ui;

pub(crate) use connection::{Serving, serve};
