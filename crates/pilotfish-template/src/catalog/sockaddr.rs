//! `sockaddr`: the addresses of this machine, in go-sockaddr's small language, which is itself a template's.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::config::mismatch;
use crate::functions::{Call, Function, FunctionError, Functions};
use crate::value::{Struct, StructType, Type, Value};

use super::answers::type_named;
use super::question::Question;

const INTERFACE: &str = "sockaddr.IfAddr";
const FIELDS: [&str; 5] = ["Name", "Address", "PrefixBits", "Up", "Default"];

/// An address of a network interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// The interface's name, such as `eth0`.
    pub name: String,
    /// The address.
    pub address: IpAddr,
    /// Bits of the address that are its network's.
    pub prefix_bits: u8,
    /// Whether the interface is up.
    pub is_up: bool,
    /// Whether the default route leaves through it.
    pub is_default: bool,
}

impl Interface {
    pub(super) fn to_value(interfaces: &[Interface]) -> Value {
        let kind = StructType::new(INTERFACE, &FIELDS);
        let value = |interface: &Interface| {
            let fields = [
                Value::from(interface.name.as_str()),
                Value::from(interface.address.to_string()),
                Value::Int(i64::from(interface.prefix_bits)),
                Value::Bool(interface.is_up),
                Value::Bool(interface.is_default),
            ];
            Value::structure(&kind, fields.into())
        };
        list(interfaces.iter().map(value).collect())
    }

    fn of(structure: &Struct) -> Option<Interface> {
        let [Value::String(name), Value::String(address), Value::Int(bits), Value::Bool(up), Value::Bool(default)] =
            &structure.fields[..]
        else {
            return None;
        };
        Some(Interface {
            name: name.to_string(),
            address: address.parse().ok()?,
            prefix_bits: u8::try_from(*bits).ok()?,
            is_up: *up,
            is_default: *default,
        })
    }

    /// An attribute by the name that `attr`, `include` and `sort` know it by.
    fn attribute(&self, name: &str) -> Option<String> {
        Some(match name {
            "address" => self.address.to_string(),
            "name" => self.name.clone(),
            "network" => format!("{}/{}", self.network(), self.prefix_bits),
            "size" => self.prefix_bits.to_string(),
            "type" => if self.address.is_ipv4() { "IPv4" } else { "IPv6" }.to_string(),
            _ => return None,
        })
    }

    fn network(&self) -> IpAddr {
        match self.address {
            IpAddr::V4(address) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.prefix_bits.min(32))).unwrap_or(0);
                IpAddr::V4(Ipv4Addr::from_bits(address.to_bits() & mask))
            }
            IpAddr::V6(address) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(self.prefix_bits.min(128))).unwrap_or(0);
                IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & mask))
            }
        }
    }

    /// Whether the attribute is what `include` looks for.
    fn is(&self, attribute: &str, wanted: &str) -> Result<bool, FunctionError> {
        Ok(match attribute {
            "flags" => match wanted {
                "up" => self.is_up,
                "loopback" => self.address.is_loopback(),
                "forwardable" => is_forwardable(self.address),
                other => {
                    return Err(format!(
                        "sockaddr: flag {other:?} is not supported; there are: up, loopback, forwardable"
                    )
                    .into());
                }
            },
            "rfc" if wanted == "6890" => is_private(self.address),
            "rfc" if wanted == "1918" => matches!(self.address, IpAddr::V4(address) if address.is_private()),
            "type" if wanted.eq_ignore_ascii_case("ip") => true,
            "type" => self.attribute("type").is_some_and(|kind| kind.eq_ignore_ascii_case(wanted)),
            _ => match self.attribute(attribute) {
                Some(value) => value == wanted,
                None => return Err(unknown(attribute)),
            },
        })
    }
}

fn unknown(attribute: &str) -> FunctionError {
    let known = "address, flags, name, network, rfc, size, type";
    format!("sockaddr: attribute {attribute:?} is not supported; there are: {known}").into()
}

/// Whether an address is of use beyond its own link.
fn is_forwardable(address: IpAddr) -> bool {
    !address.is_loopback()
        && !address.is_unspecified()
        && !address.is_multicast()
        && match address {
            IpAddr::V4(address) => !address.is_link_local() && !address.is_broadcast(),
            IpAddr::V6(address) => !address.is_unicast_link_local(),
        }
}

/// Whether an address is set aside by RFC 6890 and so is none of the public internet.
fn is_private(address: IpAddr) -> bool {
    const BLOCKS: [(u32, u32); 15] = [
        (0x0000_0000, 8),
        (0x0a00_0000, 8),
        (0x6440_0000, 10),
        (0x7f00_0000, 8),
        (0xa9fe_0000, 16),
        (0xac10_0000, 12),
        (0xc000_0000, 24),
        (0xc000_0200, 24),
        (0xc058_6300, 24),
        (0xc0a8_0000, 16),
        (0xc612_0000, 15),
        (0xc633_6400, 24),
        (0xcb00_7100, 24),
        (0xf000_0000, 4),
        (0xffff_ffff, 32),
    ];
    match address {
        IpAddr::V4(address) => BLOCKS.iter().any(|(block, bits)| (address.to_bits() ^ block) >> (32 - bits) == 0),
        IpAddr::V6(address) => {
            let [first, second, ..] = address.segments();
            address.is_loopback()
                || address.is_unspecified()
                || address.to_ipv4_mapped().is_some()
                || address.is_unicast_link_local()
                || address.is_unique_local()
                || (first == 0x2001 && second < 0x200)
                || first == 0x2002
                || (first, second) == (0x64, 0xff9b)
                || (first == 0x100 && second == 0)
        }
    }
}

fn list(items: Vec<Value>) -> Value {
    Value::list(type_named(INTERFACE), items)
}

pub(super) fn add(functions: &mut Functions) {
    let language = Arc::new(language());
    functions.insert(
        "sockaddr",
        Function::new([], move |call, arguments| {
            let mut text = String::from("{{");
            for argument in arguments {
                let Value::String(argument) = argument else { return Err(mismatch()) };
                call.build(argument.len())?;
                text.push(' ');
                text.push_str(argument);
            }
            text.push_str(" }}");
            call.render("sockaddr", &text, &language).map(Value::from)
        })
        .variadic(Type::String),
    );
}

/// The functions that an expression of `sockaddr` may call.
fn language() -> Functions {
    let mut functions = Functions::new();
    add_sources(&mut functions);
    add_filters(&mut functions);
    add_ends(&mut functions);
    functions.refuse(
        "*",
        "sockaddr knows Get{All,Default,Private,Public}Interfaces, Get{Private,Public}IP[s], GetInterfaceIP[s], \
         include, exclude, attr, join and limit",
    );
    functions
}

fn interfaces() -> Type {
    Type::list(type_named(INTERFACE))
}

/// What begins an expression.
fn add_sources(functions: &mut Functions) {
    for (name, keep, joins) in [
        ("GetAllInterfaces", None, None),
        ("GetDefaultInterfaces", Some(Keep::Default), None),
        ("GetPrivateInterfaces", Some(Keep::Private), None),
        ("GetPublicInterfaces", Some(Keep::Public), None),
        ("GetPrivateIP", Some(Keep::Private), Some(1)),
        ("GetPrivateIPs", Some(Keep::Private), Some(usize::MAX)),
        ("GetPublicIP", Some(Keep::Public), Some(1)),
        ("GetPublicIPs", Some(Keep::Public), Some(usize::MAX)),
    ] {
        functions.insert(
            name,
            Function::new([], move |call, _| {
                let found = kept(call, keep);
                Ok(joins.map_or_else(|| list(values(&found)), |count| addresses(&found, count)))
            }),
        );
    }
    for (name, count) in [("GetInterfaceIP", 1), ("GetInterfaceIPs", usize::MAX)] {
        functions.insert(
            name,
            Function::new([Type::String], move |call, arguments| {
                let [Value::String(name)] = arguments else { return Err(mismatch()) };
                let mut found = kept(call, None);
                found.retain(|interface| interface.name == **name);
                Ok(addresses(&found, count))
            }),
        );
    }
}

/// What goes on with some of the interfaces.
fn add_filters(functions: &mut Functions) {
    for (name, includes) in [("include", true), ("exclude", false)] {
        functions.insert(
            name,
            Function::new([Type::String, Type::String, interfaces()], move |_, arguments| {
                let [Value::String(attribute), Value::String(wanted), found] = arguments else {
                    return Err(mismatch());
                };
                let mut found = read(found)?;
                let mut kept = Vec::new();
                for interface in found.drain(..) {
                    // Alternatives have a bar between them.
                    let mut is_any = false;
                    for wanted in wanted.split('|') {
                        is_any |= interface.is(attribute, wanted)?;
                    }
                    if is_any == includes {
                        kept.push(interface);
                    }
                }
                Ok(list(values(&kept)))
            }),
        );
    }
}

/// What makes a text of the interfaces, or fewer of them.
fn add_ends(functions: &mut Functions) {
    functions
        .insert(
            "attr",
            Function::new([Type::String, interfaces()], |_, arguments| match arguments {
                [Value::String(name), found] => match read(found)?.first() {
                    Some(first) => first.attribute(name).map(Value::from).ok_or_else(|| unknown(name)),
                    None => Ok(Value::from("")),
                },
                _ => Err(mismatch()),
            }),
        )
        .insert(
            "join",
            Function::new([Type::String, Type::String, interfaces()], |_, arguments| match arguments {
                [Value::String(name), Value::String(separator), found] => {
                    let parts: Option<Vec<String>> = read(found)?.iter().map(|one| one.attribute(name)).collect();
                    Ok(Value::from(parts.ok_or_else(|| unknown(name))?.join(separator)))
                }
                _ => Err(mismatch()),
            }),
        )
        .insert(
            "limit",
            Function::new([Type::Int, interfaces()], |_, arguments| match arguments {
                [Value::Int(count), found] => {
                    let mut found = read(found)?;
                    found.truncate(usize::try_from(*count).unwrap_or(0));
                    Ok(list(values(&found)))
                }
                _ => Err(mismatch()),
            }),
        );
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Keep {
    Default,
    Private,
    Public,
}

/// The interfaces, those with the default route first, then IPv4, then the smallest networks.
fn kept(call: &mut Call<'_>, keep: Option<Keep>) -> Vec<Interface> {
    let query = Question::Interfaces.to_query();
    let answer = call.fact(&query.source, &query.name);
    let mut found = answer.and_then(|answer| read(&answer).ok()).unwrap_or_default();
    let Some(keep) = keep else { return found };
    found.retain(|interface| match keep {
        Keep::Default => interface.is_default,
        Keep::Private | Keep::Public => {
            let is_private = is_private(interface.address);
            interface.is_up && is_forwardable(interface.address) && is_private == (keep == Keep::Private)
        }
    });
    found.sort_by_key(|interface| {
        (!interface.is_default, interface.address.is_ipv6(), core::cmp::Reverse(interface.prefix_bits))
    });
    found
}

fn read(value: &Value) -> Result<Vec<Interface>, FunctionError> {
    let Value::List(found) = value else { return Err(mismatch()) };
    let interface = |value: &Value| if let Value::Struct(fields) = value { Interface::of(fields) } else { None };
    found.items.iter().map(interface).collect::<Option<Vec<_>>>().ok_or_else(mismatch)
}

fn values(interfaces: &[Interface]) -> Vec<Value> {
    let Value::List(list) = Interface::to_value(interfaces) else { return Vec::new() };
    list.items.clone()
}

fn addresses(interfaces: &[Interface], count: usize) -> Value {
    let shown: Vec<String> = interfaces.iter().take(count).map(|interface| interface.address.to_string()).collect();
    Value::from(shown.join(" "))
}
