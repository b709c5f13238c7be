//! Names and passwords of a database, from the environment or from files that it names, as in the images of MySQL and MariaDB.

use crate::reader::{Object, Place, Reader};
use crate::secret::Secret;
use crate::service::Context;

/// The user for replication when the environment names none.
const REPLICATION_USER: &str = "repl";
/// The longest name of a user (MySQL: 32 characters), less what `_ack_<member>` needs.
const REPLICATION_USER_BYTES: usize = 32 - "_ack_4294967295".len();
/// The longest name of a user or database that both flavours take.
const NAME_CHARS: usize = 32;
/// The longest password with which a replica can log in (`CHANGE REPLICATION SOURCE TO`).
const REPLICATION_PASSWORD_BYTES: usize = 32;
/// Accounts that are made anyway.
const RESERVED: [&str; 3] = ["root", "pilotfish", "mysql"];

/// Names and passwords of a database.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Credentials {
    /// The password of `root@localhost`.
    pub root_password: Option<Secret>,
    /// The application's database.
    pub database: Option<String>,
    /// The application's user.
    pub user: Option<String>,
    /// Its password.
    pub password: Secret,
    /// The user for replication.
    pub replication_user: String,
    /// Its password.
    pub replication_password: Secret,
}

/// The environment, with the files that it names.
pub(super) struct Variables<'c> {
    context: &'c Context<'c>,
    place: Place,
}

impl<'c> Variables<'c> {
    pub(super) fn new(context: &'c Context<'c>, section: &Object<'_>) -> Variables<'c> {
        Variables { context, place: section.place.clone() }
    }

    /// The value of a variable, or the content of the file that `<name>_FILE` names.
    pub(super) fn get(&self, reader: &mut Reader, name: &str) -> Option<String> {
        let variable = |name: &str| self.context.surroundings.env.get(name).filter(|value| !value.is_empty());
        let file_name = format!("{name}_FILE");
        match (variable(name), variable(&file_name)) {
            (Some(_), Some(_)) => {
                reader.problem(&self.place, format!("{name} and {file_name} are both set; unset one of them"));
                None
            }
            (Some(value), None) => Some(value.clone()),
            (None, None) => None,
            (None, Some(path)) => match (self.context.read_file)(path) {
                // The end of the line is the file's, not the secret's.
                Ok(text) => {
                    Some(text.trim_end_matches(['\n', '\r']).to_owned()).filter(|text| !text.is_empty()).or_else(|| {
                        reader.problem(&self.place, format!("{file_name}: {path} is empty"));
                        None
                    })
                }
                Err(reason) => {
                    reader.problem(&self.place, format!("{file_name}: {reason}"));
                    None
                }
            },
        }
    }

    fn problem(&self, reader: &mut Reader, message: String) {
        reader.problem(&self.place, message);
    }
}

/// Reads all of them; everything that is wrong is said at once.
pub(super) fn read(reader: &mut Reader, variables: &Variables<'_>) -> Credentials {
    let before = reader.problems.len();
    let replication_password = variables.get(reader, "MYSQL_REPL_PASSWORD");
    if replication_password.is_none() && reader.problems.len() == before {
        let message = "MYSQL_REPL_PASSWORD is not set: give all members the same password for replication, in this variable or in a file that MYSQL_REPL_PASSWORD_FILE names";
        variables.problem(reader, message.into());
    }
    if replication_password.as_ref().is_some_and(|password| password.len() > REPLICATION_PASSWORD_BYTES) {
        let message = format!(
            "MYSQL_REPL_PASSWORD is longer than the {REPLICATION_PASSWORD_BYTES} bytes with which a replica can log in; choose a shorter one"
        );
        variables.problem(reader, message);
    }
    let replication_user = variables.get(reader, "MYSQL_REPL_USER").unwrap_or_else(|| REPLICATION_USER.into());
    let is_plain = replication_user.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if !is_plain || replication_user.len() > REPLICATION_USER_BYTES || is_reserved(&replication_user) {
        let message = format!(
            "MYSQL_REPL_USER is `{replication_user}`; expected up to {REPLICATION_USER_BYTES} letters, digits and _, and none of {}",
            RESERVED.join(", ")
        );
        variables.problem(reader, message);
    }
    let user = variables.get(reader, "MYSQL_USER");
    let password = variables.get(reader, "MYSQL_PASSWORD");
    if user.is_some() != password.is_some() && reader.problems.len() == before {
        variables.problem(reader, "MYSQL_USER and MYSQL_PASSWORD belong together; set both or none".into());
    }
    if let Some(user) = &user
        && (is_reserved(user) || *user == replication_user || user.chars().count() > NAME_CHARS)
    {
        let message = format!(
            "MYSQL_USER is `{user}`; expected at most {NAME_CHARS} characters, another user than for replication, and none of {}",
            RESERVED.join(", ")
        );
        variables.problem(reader, message);
    }
    Credentials {
        root_password: variables.get(reader, "MYSQL_ROOT_PASSWORD").map(Secret::new),
        database: variables.get(reader, "MYSQL_DATABASE"),
        user,
        password: Secret::new(password.unwrap_or_default()),
        replication_user,
        replication_password: Secret::new(replication_password.unwrap_or_default()),
    }
}

fn is_reserved(user: &str) -> bool {
    RESERVED.contains(&user)
}
