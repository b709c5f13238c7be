//! Which address a service is advertised with: the first interface specification that matches.

use std::net::IpAddr;

/// One address of a network interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// The interface's name, such as `eth0`.
    pub name: String,
    /// The address.
    pub address: IpAddr,
}

/// One entry of `interfaces`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum InterfaceSpec {
    /// `eth0`, `eth0:inet6`, `inet`: the first address of a family, of one or of any interface (then not of loopback).
    Family { name: Option<String>, ipv6: bool },
    /// `eth0[1]`: an address by its position in the sorted list of the interface.
    Index { name: String, index: usize },
    /// `10.0.0.0/16`: the first address within a network.
    Network { network: IpAddr, prefix: u32 },
    /// `static:10.0.0.1`: this very address.
    Static(IpAddr),
}

impl InterfaceSpec {
    pub(crate) fn parse(text: &str) -> Result<InterfaceSpec, String> {
        let error = || {
            format!(
                "unable to parse interface spec `{text}`; write eth0, eth0:inet6, eth0[1], inet, inet6, 10.0.0.0/16 or static:10.0.0.1"
            )
        };
        match text {
            "inet" => return Ok(InterfaceSpec::Family { name: None, ipv6: false }),
            "inet6" => return Ok(InterfaceSpec::Family { name: None, ipv6: true }),
            _ => {}
        }
        if let Some(address) = text.strip_prefix("static:") {
            return address.parse().map(InterfaceSpec::Static).map_err(|_| error());
        }
        if let Some((network, prefix)) = text.split_once('/') {
            let network: IpAddr = network.parse().map_err(|_| error())?;
            let prefix: u32 = prefix.parse().map_err(|_| error())?;
            let bits = if network.is_ipv4() { 32 } else { 128 };
            return if prefix <= bits { Ok(InterfaceSpec::Network { network, prefix }) } else { Err(error()) };
        }
        let named = |name: &str| if is_interface_name(name) { Ok(name.to_string()) } else { Err(error()) };
        if let Some((name, index)) = text.strip_suffix(']').and_then(|text| text.split_once('[')) {
            let digits = !index.is_empty() && index.bytes().all(|byte| byte.is_ascii_digit());
            let index = if digits { index.parse().map_err(|_| error())? } else { return Err(error()) };
            return Ok(InterfaceSpec::Index { name: named(name)?, index });
        }
        let (name, ipv6) = match text.split_once(':') {
            Some((name, "inet")) => (name, false),
            Some((name, "inet6")) => (name, true),
            Some(_) => return Err(error()),
            None => (text, false),
        };
        Ok(InterfaceSpec::Family { name: Some(named(name)?), ipv6 })
    }

    /// `index` is the position of the address within its interface.
    fn matches(&self, interface: &Interface, index: usize) -> bool {
        match self {
            InterfaceSpec::Family { name: Some(name), ipv6 } => {
                *name == interface.name && interface.address.is_ipv6() == *ipv6
            }
            InterfaceSpec::Family { name: None, ipv6 } => {
                !interface.address.is_loopback() && interface.address.is_ipv6() == *ipv6
            }
            InterfaceSpec::Index { name, index: wanted } => *name == interface.name && *wanted == index,
            InterfaceSpec::Network { network, prefix } => within(*network, *prefix, interface.address),
            InterfaceSpec::Static(_) => false,
        }
    }
}

/// Linux allows more, but a name that is an address is a mistake.
fn is_interface_name(name: &str) -> bool {
    !name.is_empty()
        && name.parse::<IpAddr>().is_err()
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'@'))
}

fn within(network: IpAddr, prefix: u32, address: IpAddr) -> bool {
    match (network, address) {
        (IpAddr::V4(network), IpAddr::V4(address)) => {
            let mask = u32::MAX.checked_shl(32 - prefix).unwrap_or(0);
            u32::from(network) & mask == u32::from(address) & mask
        }
        (IpAddr::V6(network), IpAddr::V6(address)) => {
            let mask = u128::MAX.checked_shl(128 - prefix).unwrap_or(0);
            u128::from(network) & mask == u128::from(address) & mask
        }
        _ => false,
    }
}

/// By name, then by the bytes of the address in its 16-byte form, as ContainerPilot sorts them.
pub(crate) fn sort(interfaces: &mut [Interface]) {
    interfaces.sort_unstable_by_key(|interface| {
        let bytes = match interface.address {
            IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
            IpAddr::V6(address) => address.octets(),
        };
        (interface.name.clone(), bytes)
    });
}

/// The address that the first matching specification gives; `interfaces` are sorted.
pub(crate) fn find(specs: &[InterfaceSpec], interfaces: &[Interface]) -> Option<IpAddr> {
    specs.iter().find_map(|spec| {
        if let InterfaceSpec::Static(address) = spec {
            return Some(*address);
        }
        interfaces.iter().enumerate().find_map(|(position, interface)| {
            let first = interfaces.iter().position(|other| other.name == interface.name).unwrap_or(0);
            spec.matches(interface, position - first).then_some(interface.address)
        })
    })
}

/// Where nothing is asked for: `eth0`, else the first IPv4 and then IPv6 address that is not loopback; `None` if there is only loopback.
pub(crate) fn find_default(interfaces: &[Interface]) -> Option<IpAddr> {
    let specs = [
        InterfaceSpec::Family { name: Some("eth0".into()), ipv6: false },
        InterfaceSpec::Family { name: None, ipv6: false },
        InterfaceSpec::Family { name: None, ipv6: true },
    ];
    find(&specs, interfaces)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    /// Sorted as [`sort`] sorts.
    fn interfaces() -> Vec<Interface> {
        [
            ("bond0", "172.16.4.9"),
            ("bond0", "198.51.100.20"),
            ("lo", "::1"),
            ("lo", "127.0.0.1"),
            ("vpn2", "10.77.0.3"),
            ("vpn2", "fd00:12::5"),
            ("wlan1", "10.9.8.7"),
            ("wlan1", "10.9.8.70"),
        ]
        .map(|(name, text)| Interface { name: name.into(), address: address(text) })
        .to_vec()
    }

    #[test]
    fn specifications_are_families_positions_networks_or_addresses() {
        let check = |text: &str, expect: InterfaceSpec| assert_eq!(InterfaceSpec::parse(text), Ok(expect), "{text}");
        let family = |name: Option<&str>, ipv6| InterfaceSpec::Family { name: name.map(str::to_string), ipv6 };
        check("wlan1", family(Some("wlan1"), false));
        check("wlan1:inet", family(Some("wlan1"), false));
        check("br-lan.20:inet6", family(Some("br-lan.20"), true));
        check("inet", family(None, false));
        check("inet6", family(None, true));
        check("wlan1[0]", InterfaceSpec::Index { name: "wlan1".into(), index: 0 });
        check("wlan1[3]", InterfaceSpec::Index { name: "wlan1".into(), index: 3 });
        check("static:203.0.113.7", InterfaceSpec::Static(address("203.0.113.7")));
        check("static:fd00::7", InterfaceSpec::Static(address("fd00::7")));
        check("172.16.0.0/12", InterfaceSpec::Network { network: address("172.16.0.0"), prefix: 12 });
        check("fd00:12::/32", InterfaceSpec::Network { network: address("fd00:12::"), prefix: 32 });
    }

    #[test]
    fn what_is_no_specification_is_refused() {
        for text in [
            "",
            "?",
            "a b",
            "203.0.113.7",
            "fd00::7",
            "wlan1:inet4",
            "wlan1[-2]",
            "wlan1[]",
            "wlan1[x]",
            "[1]",
            "static:",
            "static:host",
            "172.16.0.0/33",
            "fd00::/129",
            "wlan/8",
        ] {
            let message = InterfaceSpec::parse(text).expect_err(text);
            assert!(message.contains(&format!("`{text}`")), "{message}");
        }
    }

    #[test]
    fn the_first_specification_that_matches_chooses() {
        let check = |specs: &[&str], expect: Option<&str>| {
            let specs: Vec<_> = specs.iter().map(|text| InterfaceSpec::parse(text).expect(text)).collect();
            assert_eq!(find(&specs, &interfaces()), expect.map(address), "{specs:?}");
        };
        check(&["bond0"], Some("172.16.4.9"));
        check(&["bond0:inet"], Some("172.16.4.9"));
        check(&["bond0:inet6"], None);
        check(&["bond0[1]"], Some("198.51.100.20"));
        check(&["bond0[2]"], None);
        check(&["vpn2:inet6"], Some("fd00:12::5"));
        check(&["vpn2[1]"], Some("fd00:12::5"));
        check(&["lo"], Some("127.0.0.1"));
        check(&["lo:inet6"], Some("::1"));
        check(&["static:203.0.113.7"], Some("203.0.113.7"));
        check(&["10.9.0.0/16"], Some("10.9.8.7"));
        check(&["10.0.0.0/8"], Some("10.77.0.3"));
        check(&["0.0.0.0/0"], Some("172.16.4.9"));
        check(&["192.0.2.0/24"], None);
        check(&["inet"], Some("172.16.4.9"));
        check(&["inet6"], Some("fd00:12::5"));
        check(&["eth9", "10.9.8.64/26", "inet"], Some("10.9.8.70"));
        check(&["eth9", "fd00:12::/32", "inet"], Some("fd00:12::5"));
        check(&[], None);
    }

    #[test]
    fn a_family_of_any_interface_leaves_loopback_out() {
        let only_loopback: Vec<_> = interfaces().into_iter().filter(|interface| interface.name == "lo").collect();
        for text in ["inet", "inet6"] {
            let spec = InterfaceSpec::parse(text).expect(text);
            assert_eq!(find(&[spec], &only_loopback), None, "{text}");
        }
        assert_eq!(find_default(&only_loopback), None);
        assert_eq!(find_default(&interfaces()), Some(address("172.16.4.9")));
    }

    #[test]
    fn interfaces_are_sorted_by_name_and_bytes() {
        for rotation in 0..interfaces().len() {
            let mut shuffled = interfaces();
            shuffled.rotate_left(rotation);
            shuffled.reverse();
            sort(&mut shuffled);
            assert_eq!(shuffled, interfaces());
        }
    }
}
