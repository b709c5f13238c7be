//! `sockaddr`: the addresses of this machine.

use alloc::string::String;

/// An address of a network interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// The interface's name, such as `eth0`.
    pub name: String,
    /// The address.
    pub address: core::net::IpAddr,
    /// Bits of the address that are its network's.
    pub prefix_bits: u8,
    /// Whether the interface is up.
    pub is_up: bool,
    /// Whether the default route leaves through it.
    pub is_default: bool,
}
