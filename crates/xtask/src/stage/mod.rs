//! What demo, bench and soak have in common: servers that are started for a while and always stopped again, waiting for a
//! condition with a deadline, and telling the person in front of the terminal what happens.

mod http;
mod interrupt;
mod narrate;
mod scratch;
mod servers;
mod wait;

pub(crate) use http::{Answer, get, get_json};
pub(crate) use interrupt::Interrupt;
pub(crate) use narrate::Narrator;
pub(crate) use scratch::Scratch;
pub(crate) use servers::{Server, free_ports};
pub(crate) use wait::until;
