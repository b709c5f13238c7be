//! my.cnf, rendered from a template: the built-in one, or the user's with the same fields.
//!
//! | field | what |
//! | --- | --- |
//! | `.Flavour` | `mariadb` or `mysql` |
//! | `.DataDir`, `.RunDir`, `.Socket` | paths |
//! | `.Port`, `.Bind`, `.Address` | where it listens, and under what address others reach it |
//! | `.ServerId`, `.User` | its number; the user that it runs as, empty for the operator's own |
//! | `.BufferPoolBytes`, `.MemoryBytes` | half of the memory that there is, and all of it |
//! | `.MaxConnections`, `.BinlogDays`, `.BinlogSeconds` | defaults |

use std::path::Path;
use std::sync::Arc;

use pilotfish_autopilot::{Flavour, MemberId};
use pilotfish_template::{Facts, Functions, RenderOptions, Struct, StructType, Template, Value};

use crate::error::Error;
use crate::settings::Settings;

const BUILT_IN: &str = include_str!("my.cnf.tmpl");
/// The least buffer pool, in bytes.
const LEAST_POOL: u64 = 64 << 20;
/// The server allocates its buffer pool in pieces of this size.
const PIECE: u64 = 8 << 20;
const MAX_CONNECTIONS: i64 = 500;
const BINLOG_DAYS: i64 = 7;

/// The text of my.cnf for a server on this data directory.
pub(super) fn render(settings: &Settings, flavour: Flavour, me: MemberId, data: &Path) -> Result<String, Error> {
    let (name, text) = match &settings.template {
        Some(path) => {
            let text = std::fs::read_to_string(path);
            let text = text.map_err(|source| Error::File {
                doing: "read the template",
                path: path.display().to_string(),
                source,
            })?;
            (path.display().to_string(), text)
        }
        None => ("my.cnf".into(), BUILT_IN.to_owned()),
    };
    let memory = memory();
    let string = |text: &str| Value::String(Arc::from(text));
    let path = |path: &Path| string(&path.display().to_string());
    let fields = [
        ("Flavour", string(if flavour == Flavour::MariaDb { "mariadb" } else { "mysql" })),
        ("DataDir", path(data)),
        ("RunDir", path(&settings.run_directory)),
        ("Socket", path(&settings.socket())),
        ("Port", Value::Int(settings.port.into())),
        ("Bind", string(&settings.bind)),
        ("Address", string(&settings.address)),
        ("ServerId", Value::Int(me.0.into())),
        ("User", string(settings.user.as_deref().unwrap_or_default())),
        ("MemoryBytes", Value::Int(i64::try_from(memory).unwrap_or(i64::MAX))),
        ("BufferPoolBytes", Value::Int(i64::try_from(pool(memory)).unwrap_or(i64::MAX))),
        ("MaxConnections", Value::Int(MAX_CONNECTIONS)),
        ("BinlogDays", Value::Int(BINLOG_DAYS)),
        ("BinlogSeconds", Value::Int(BINLOG_DAYS * 86_400)),
    ];
    let names: Vec<&str> = fields.iter().map(|(name, _)| *name).collect();
    let kind = StructType::new("pilotfish.Server", &names);
    let data = Value::Struct(Arc::new(Struct { kind, fields: fields.into_iter().map(|(_, value)| value).collect() }));
    let unfit = |error: pilotfish_template::Error| Error::Unfit(format!("cannot render my.cnf: {error}"));
    let template = Template::parse(&name, &text, &Functions::new()).map_err(unfit)?;
    let output = template.render(&data, &mut Facts::default(), &RenderOptions::default()).map_err(unfit)?;
    Ok(output.text)
}

/// Half of the memory, in pieces, so that the rest is enough for connections and the system.
fn pool(memory: u64) -> u64 {
    (memory / 2 / PIECE * PIECE).max(LEAST_POOL)
}

/// How much memory there is: the control group's limit, or the machine's.
fn memory() -> u64 {
    let machine = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let machine = machine.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let machine = machine.and_then(|rest| rest.split_whitespace().next()).and_then(|number| number.parse::<u64>().ok());
    let machine = machine.map_or(1 << 30, |kilobytes| kilobytes << 10);
    let limits = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"];
    let limit = limits.iter().filter_map(|path| std::fs::read_to_string(path).ok()?.trim().parse::<u64>().ok()).min();
    limit.map_or(machine, |limit| limit.min(machine))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// M6, F-E3: what keeps acknowledged writes over a loss of power, and a replica from waiting long for a source that hangs.
    #[test]
    fn m6_e3_what_is_acknowledged_is_on_disk_and_nobody_waits_for_a_source_that_hangs() {
        let settings = crate::settings::Settings::of_a_test();
        for flavour in [Flavour::MariaDb, Flavour::MySql] {
            let text = render(&settings, flavour, MemberId(7), Path::new("/data")).unwrap();
            let lines: Vec<&str> = text.lines().collect();
            let common =
                ["sync-binlog = 1", "sync-relay-log = 1", "innodb-flush-log-at-trx-commit = 1", "read-only = 1"];
            let own: &[&str] = match flavour {
                Flavour::MariaDb => &[
                    "skip-slave-start",
                    "log-slave-updates = 1",
                    "gtid-strict-mode = 1",
                    "slave-net-timeout = 4",
                    "rpl-semi-sync-slave-kill-conn-timeout = 1",
                    "rpl-semi-sync-slave-enabled = 0",
                    "rpl-semi-sync-master-wait-no-slave = 1",
                    "rpl-semi-sync-master-wait-point = AFTER_SYNC",
                ],
                Flavour::MySql => &[
                    "skip-replica-start = 1",
                    "super-read-only = 1",
                    "log-replica-updates = 1",
                    "gtid-mode = ON",
                    "relay-log-recovery = 0",
                    "replica-net-timeout = 4",
                    "rpl-semi-sync-source-wait-no-replica = 1",
                    "rpl-semi-sync-source-wait-point = AFTER_SYNC",
                ],
            };
            for line in common.iter().chain(own) {
                assert!(lines.contains(line), "{flavour:?}: `{line}` is not in\n{text}");
            }
        }
    }

    #[test]
    fn the_pool_is_half_of_the_memory_in_pieces() {
        assert_eq!(pool(1 << 30), 512 << 20);
        assert_eq!(pool((1 << 30) + 12345), 512 << 20);
        assert_eq!(pool(1 << 20), 64 << 20);
    }
}
