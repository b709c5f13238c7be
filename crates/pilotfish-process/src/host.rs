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

/// The addresses of all network interfaces that are up, with the interfaces' names; empty when they cannot be had.
pub fn interfaces() -> Vec<(String, IpAddr)> {
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
        // SAFETY: an entry's name is a terminated string, and its address is null or of the family that it says.
        let (name, address) = unsafe { (CStr::from_ptr(current.ifa_name), address_of(current.ifa_addr)) };
        if let Some(address) = address {
            found.push((OsStr::from_bytes(name.to_bytes()).to_string_lossy().into_owned(), address));
        }
    }
    // SAFETY: the list comes from `getifaddrs` and is not used any more.
    unsafe { libc::freeifaddrs(list) };
    found
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
    }
}
