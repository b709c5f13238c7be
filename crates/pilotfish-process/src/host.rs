//! What the system is called and how it is reached: facts for the config, read once.

use std::ffi::{CStr, OsStr};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::unix::ffi::OsStrExt;
use std::ptr;

/// The longest host name that Linux allows, in bytes, and its terminator (`HOST_NAME_MAX`, gethostname(2)).
const HOST_NAME_BYTES: usize = 65;

/// The system's host name; empty when it cannot be had.
pub fn hostname() -> String {
    let mut name = [0u8; HOST_NAME_BYTES];
    // SAFETY: the pointer and the length describe `name`, whose last byte is left for the terminator.
    let asked = unsafe { libc::gethostname(name.as_mut_ptr().cast(), name.len() - 1) };
    if asked != 0 {
        return String::new();
    }
    let end = name.iter().position(|&byte| byte == 0).unwrap_or(name.len());
    String::from_utf8_lossy(&name[..end]).into_owned()
}

/// Whether a process with this pid is there, also one that we may not signal (kill(2)); `/proc` may hide those of others.
pub fn exists(pid: i32) -> bool {
    // Zero and less name groups of processes.
    // SAFETY: signal 0 is not delivered to anybody.
    pid > 0
        && (unsafe { libc::kill(pid, 0) } == 0 || std::io::Error::last_os_error().raw_os_error() == Some(libc::EPERM))
}

/// An address of a network interface that is up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InterfaceAddress {
    /// Name of the interface.
    pub interface: String,
    /// The address.
    pub address: IpAddr,
    /// Bits of the address that are its network's.
    pub prefix_bits: u8,
}

/// Names of the interfaces through which default routes leave; none when that cannot be told.
pub fn default_interfaces() -> Vec<String> {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    default_routes(&read("/proc/net/route"), &read("/proc/net/ipv6_route"))
}

/// Both files have a route a line: the first destination, gateway, flags, three numbers and mask after the interface's name; the second
/// destination and prefix length first and the name last (the kernel's `fib_route_seq_show` and `rt6_info_route`).
fn default_routes(ipv4: &str, ipv6: &str) -> Vec<String> {
    let mut names = Vec::new();
    for line in ipv4.lines() {
        let fields: Vec<&str> = line.split_whitespace().collect();
        if let [name, "00000000", _, _, _, _, _, "00000000", ..] = fields[..] {
            names.push(name.to_owned());
        }
    }
    for line in ipv6.lines() {
        let fields: Vec<&str> = line.split_whitespace().collect();
        // Unreachable defaults are routes through the loopback.
        if let [destination, "00", .., name] = fields[..]
            && destination.bytes().all(|digit| digit == b'0')
            && name != "lo"
        {
            names.push(name.to_owned());
        }
    }
    names.sort_unstable();
    names.dedup();
    names
}

/// The addresses of all network interfaces that are up, with the interfaces' names; empty when they cannot be had.
pub fn interfaces() -> Vec<(String, IpAddr)> {
    interface_addresses().into_iter().map(|found| (found.interface, found.address)).collect()
}

/// The same, each with the size of its network.
pub fn interface_addresses() -> Vec<InterfaceAddress> {
    let mut list: *mut libc::ifaddrs = ptr::null_mut();
    // SAFETY: `list` is a valid place for the head of the list, which is freed below.
    if unsafe { libc::getifaddrs(&mut list) } != 0 {
        return Vec::new();
    }
    let mut found = Vec::new();
    let mut entry = list;
    while !entry.is_null() {
        // SAFETY: the list's entries stay valid until it is freed.
        let current = unsafe { &*entry };
        entry = current.ifa_next;
        if current.ifa_flags & libc::IFF_UP as u32 == 0 {
            continue;
        }
        // SAFETY: an entry's name is a terminated string, and its address and mask are null or of the family that they say.
        let (name, address, mask) = unsafe {
            (CStr::from_ptr(current.ifa_name), address_of(current.ifa_addr), address_of(current.ifa_netmask))
        };
        if let Some(address) = address {
            let interface = OsStr::from_bytes(name.to_bytes()).to_string_lossy().into_owned();
            found.push(InterfaceAddress { interface, address, prefix_bits: mask.map_or(0, prefix_bits) });
        }
    }
    // SAFETY: the list comes from `getifaddrs` and is not used any more.
    unsafe { libc::freeifaddrs(list) };
    found
}

/// How many bits of a mask are set; they are its first.
fn prefix_bits(mask: IpAddr) -> u8 {
    let bits = match mask {
        IpAddr::V4(mask) => u32::from(mask).leading_ones(),
        IpAddr::V6(mask) => u128::from(mask).leading_ones(),
    };
    bits as u8
}

/// # Safety
/// `address` is null, or points to a socket address of the family that it says.
unsafe fn address_of(address: *const libc::sockaddr) -> Option<IpAddr> {
    if address.is_null() {
        return None;
    }
    // SAFETY: it is not null, and the caller vouches for the rest; the address may lie unaligned.
    unsafe {
        match i32::from((*address).sa_family) {
            libc::AF_INET => {
                let v4: libc::sockaddr_in = ptr::read_unaligned(address.cast());
                Some(Ipv4Addr::from(u32::from_be(v4.sin_addr.s_addr)).into())
            }
            libc::AF_INET6 => {
                let v6: libc::sockaddr_in6 = ptr::read_unaligned(address.cast());
                Some(Ipv6Addr::from(v6.sin6_addr.s6_addr).into())
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_has_a_name_and_a_loopback() {
        assert!(!hostname().is_empty());
        assert!(interfaces().iter().any(|(name, address)| name == "lo" && address.is_loopback()));
        let loopback = |found: &&InterfaceAddress| found.interface == "lo" && found.address == Ipv4Addr::LOCALHOST;
        assert_eq!(interface_addresses().iter().find(loopback).map(|found| found.prefix_bits), Some(8));
    }

    #[test]
    fn default_routes_name_their_interfaces() {
        let ipv4 = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n\
                    eth1\t00000000\t010011AC\t0003\t0\t0\t0\t00000000\t0\t0\t0\n\
                    eth0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n";
        let zero = "0".repeat(32);
        let ipv6 = format!(
            "{zero} 00 {zero} 00 fe80000000000000 00000400 00000001 00000000 00000003 eth2\n\
             {zero} 00 {zero} 00 {zero} ffffffff 00000001 00000000 00200200 lo\n\
             fe80{} 40 {zero} 00 {zero} 00000100 00000001 00000000 00000001 eth0\n",
            "0".repeat(28)
        );
        assert_eq!(default_routes(ipv4, &ipv6), ["eth1", "eth2"]);
        assert!(default_routes("", "garbage\n00 00").is_empty());
    }
}
