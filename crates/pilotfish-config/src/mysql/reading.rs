//! Reads the section `mysql` and checks what its values mean together.

use std::net::IpAddr;
use std::time::Duration;

use pilotfish_autopilot::{Flavour, Refusal, plan};

use super::credentials::{self, Variables};
use super::{Durability, Mysql, Timing, job};
use crate::duration::show;
use crate::reader::{Object, Reader};
use crate::service::{Context, check_name};
use crate::timing::MIN_TIMEOUT;

const SERVICE: &str = "mysql";
const PORT: u16 = 3306;
const API_PORT: u16 = 3307;
const DIRECTORY: &str = "/var/lib/mysql";
const RUN_DIRECTORY: &str = "/run/mysqld";
const SCRIPTS: &str = "/docker-entrypoint-initdb.d";
const KEEP_ASIDE: u32 = 1;
const ACKS: u8 = 1;
const LEASE: Duration = Duration::from_secs(3);
const SWITCHOVER_LIMIT: Duration = Duration::from_secs(10);
/// The longest path of the run directory: a socket in it must fit into `sun_path` (108 bytes, unix(7)).
const RUN_DIRECTORY_BYTES: usize = 107 - "/pilotfish.sock".len();

/// Reads the section and what it says of its job; `command` is the server's command line, where that is the container's; `stop_timeout` is
/// the document's.
pub(crate) fn read(
    reader: &mut Reader,
    context: &Context<'_>,
    document: &Object<'_>,
    command: Option<Vec<String>>,
    stop_timeout: Duration,
    timing: Timing,
) -> Option<(Mysql, Timing)> {
    let object = reader.object(document, "mysql")?;
    let variables = Variables::new(context, &object);
    let service = filled(reader, &object, "service").or_else(|| variables.get(reader, "SERVICE_NAME"));
    let service = service.unwrap_or_else(|| SERVICE.into());
    check_name(reader, &object.place_of("service"), &service);
    let name = filled(reader, &object, "name").unwrap_or_else(|| context.surroundings.hostname.clone());
    if name.is_empty() || name.chars().any(|found| found.is_control() || found.is_whitespace()) {
        let message = format!("`{}` cannot be the name of a member; use letters, digits, - and .", name.escape_debug());
        reader.problem(&object.place_of("name"), message);
    }
    let address = address(reader, context, &object);
    let bind = bind(reader, &object, &address);
    let (program, options) = program(reader, &object, command);
    let mysql = Mysql {
        service,
        name,
        id: number(reader, &object, "id"),
        address,
        bind,
        port: number(reader, &object, "port").unwrap_or(PORT),
        api_port: number(reader, &object, "apiPort").unwrap_or(API_PORT),
        directory: directory(reader, &object, "directory", DIRECTORY),
        run_directory: directory(reader, &object, "runDirectory", RUN_DIRECTORY),
        program,
        options,
        user: filled(reader, &object, "user"),
        template: filled(reader, &object, "template"),
        scripts: filled(reader, &object, "scripts").unwrap_or_else(|| SCRIPTS.into()),
        keep_aside: number(reader, &object, "keepAside").unwrap_or(KEEP_ASIDE),
        durability: match reader.word(&object, "durability") {
            Some("async") => Durability::Async,
            _ => Durability::Quorum,
        },
        acks: number(reader, &object, "acks").unwrap_or(ACKS),
        min_in_sync: number(reader, &object, "minInSync"),
        may_lead: reader.boolean(&object, "mayLead").unwrap_or(true),
        lease: reader.duration(&object, "lease", MIN_TIMEOUT).unwrap_or(LEASE),
        hang_limit: reader.duration(&object, "hangLimit", MIN_TIMEOUT),
        switchover_limit: reader.duration(&object, "switchoverLimit", MIN_TIMEOUT).unwrap_or(SWITCHOVER_LIMIT),
        credentials: credentials::read(reader, &variables),
    };
    check(reader, document, &object, &mysql, stop_timeout);
    Some((mysql, job::timing(reader, &object, timing)))
}

fn filled(reader: &mut Reader, object: &Object<'_>, key: &'static str) -> Option<String> {
    reader.text(object, key).filter(|text| !text.is_empty())
}

fn number<T: TryFrom<i64>>(reader: &mut Reader, object: &Object<'_>, key: &'static str) -> Option<T> {
    // The table of keys has the bounds.
    reader.integer(object, key).and_then(|value| T::try_from(value).ok())
}

fn address(reader: &mut Reader, context: &Context<'_>, object: &Object<'_>) -> String {
    let Some(address) = filled(reader, object, "address") else { return context.address(reader, object) };
    if object.field("interfaces").is_some() {
        reader.problem(&object.place_of("address"), "`address` and `interfaces` exclude each other");
    }
    let is_host = |found: char| found.is_ascii_alphanumeric() || matches!(found, '.' | '-' | '_');
    if address.parse::<IpAddr>().is_err() && !address.chars().all(is_host) {
        let message = format!("`{address}` is neither a host nor an address; the port has a key of its own");
        reader.problem(&object.place_of("address"), message);
    }
    address
}

/// All addresses of the family in which this member is reached, unless one is named.
fn bind(reader: &mut Reader, object: &Object<'_>, address: &str) -> String {
    match filled(reader, object, "bind") {
        None if address.parse::<std::net::Ipv6Addr>().is_ok() => "::".into(),
        None => "0.0.0.0".into(),
        Some(bind) => {
            if bind.parse::<IpAddr>().is_err() {
                reader.problem(&object.place_of("bind"), format!("`{bind}` is not an IP address"));
            }
            bind
        }
    }
}

fn directory(reader: &mut Reader, object: &Object<'_>, key: &'static str, default: &str) -> String {
    let path = filled(reader, object, key).unwrap_or_else(|| default.into());
    if !path.starts_with('/') {
        reader.problem(&object.place_of(key), format!("`{path}` is not an absolute path"));
    }
    path
}

/// The server's program and options: the document's, and those of the container's command line.
fn program(reader: &mut Reader, object: &Object<'_>, command: Option<Vec<String>>) -> (Vec<String>, Vec<String>) {
    let program = reader.command(object, "program", "could not parse `program`");
    let mut options = reader.texts(object, "options");
    let mut command = command.unwrap_or_default().into_iter();
    // A bare name on the command line is what an image says by default; it asks for nothing that PATH does not give.
    let called = command.next().filter(|called| called.contains('/'));
    options.extend(command);
    if let Some(option) = options.iter().find(|option| !option.starts_with("--")) {
        let message = format!("`{option}` is no option of the server; write it as --name or --name=value");
        reader.problem(&object.place_of("options"), message);
    }
    (program.unwrap_or_else(|| called.into_iter().collect()), options)
}

/// What only several values together show, and what the autopilot refuses.
fn check(reader: &mut Reader, document: &Object<'_>, object: &Object<'_>, mysql: &Mysql, stop_timeout: Duration) {
    if mysql.port == mysql.api_port {
        reader.problem(&object.place_of("apiPort"), format!("the server listens on port {} already", mysql.port));
    }
    if mysql.run_directory.len() > RUN_DIRECTORY_BYTES {
        let message = format!("the path has more than {RUN_DIRECTORY_BYTES} bytes; sockets in it could not be opened");
        reader.problem(&object.place_of("runDirectory"), message);
    }
    if let Some(template) = &mysql.template
        && !template.starts_with('/')
    {
        reader.problem(&object.place_of("template"), format!("`{template}` is not an absolute path"));
    }
    // How many members there are is seen only when they run, and so is the flavour; what holds for any is refused here.
    let members = usize::from(mysql.min_in_sync.unwrap_or_default()) + 2;
    for refusal in plan(&mysql.policy(), Flavour::MySql, members.max(3)).refusals {
        let key = match refusal {
            Refusal::HangOutlivesLease(..) | Refusal::ProbesTooRare(..) => "hangLimit",
            Refusal::NoAcks | Refusal::AcksOfMariaDb(_) => "acks",
            Refusal::FloorTooHigh(..) => "minInSync",
            Refusal::TtlOutOfRange(_)
            | Refusal::RenewalsTooRare(..)
            | Refusal::RequestsTooSlow(..)
            | Refusal::KillTooSlow(..)
            | Refusal::LeavesTooEarly(_) => "lease",
        };
        reader.problem(&object.place_of(key), refusal.to_string());
    }
    if stop_timeout < mysql.switchover_limit {
        let message = format!(
            "a database that is stopped has {} to hand over and to end, less than switchoverLimit ({}): it would be killed in the middle",
            show(stop_timeout),
            show(mysql.switchover_limit)
        );
        reader.warn(&document.place_of("stopTimeout"), message);
    }
}
