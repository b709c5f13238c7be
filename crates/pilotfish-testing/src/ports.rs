//! Ports that nothing listens on.

use std::net::{IpAddr, TcpListener, UdpSocket};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::SystemTime;

/// Below the kernel's range for outgoing connections (`net.ipv4.ip_local_port_range`, from 32768), so that no connection of
/// another test can take a port between its choice and its use, or while a server is restarted.
const RANGE: std::ops::Range<u32> = 10_000..32_000;

static NEXT: AtomicU32 = AtomicU32::new(0);

/// A port that is free for TCP and UDP on this address. Each call gives another one.
///
/// # Panics
/// When there is none.
pub fn free_port(ip: IpAddr) -> u16 {
    let clock = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.subsec_nanos());
    let span = RANGE.end - RANGE.start;
    // The start differs between test processes, which run side by side.
    let _ = NEXT.compare_exchange(0, 1 + clock / 1000 % span, Ordering::Relaxed, Ordering::Relaxed);
    for _ in 0..span {
        let port = (RANGE.start + NEXT.fetch_add(1, Ordering::Relaxed) % span) as u16;
        if TcpListener::bind((ip, port)).is_ok() && UdpSocket::bind((ip, port)).is_ok() {
            return port;
        }
    }
    panic!("no free port on {ip}");
}
