//! consul-template's command line: `pilotfish template`, and everything when called by the name `consul-template`.
//!
//! Flags follow Go's `flag` package: one or two dashes, `-flag value` or `-flag=value`. One table says what there is, for parsing, help,
//! completion and the manual page alike.

use clap::{Arg, ArgAction};

use super::{Answer, Invocation};
use crate::consul_template::{Given, Settings, TemplateLine, refused};

/// A flag: its name, what its value is called (none: it is true or false), and what it does.
struct Flag {
    name: &'static str,
    value: Option<&'static str>,
    help: &'static str,
    /// The path of the setting that it stands for, if it is one.
    path: Option<&'static str>,
}

const fn flag(name: &'static str, value: &'static str, path: &'static str, help: &'static str) -> Flag {
    Flag { name, value: Some(value), help, path: Some(path) }
}

const fn switch(name: &'static str, path: &'static str, help: &'static str) -> Flag {
    Flag { name, value: None, help, path: Some(path) }
}

const fn mode(name: &'static str, help: &'static str) -> Flag {
    Flag { name, value: None, help, path: None }
}

/// All flags, in the order of the help.
const FLAGS: [Flag; 45] = [
    flag("template", "SPEC", "template", "A template: SOURCE:DESTINATION[:COMMAND[:TIMEOUT]]; may be repeated"),
    Flag {
        name: "config",
        value: Some("PATH"),
        help: "A config file (JSON) or a directory of them; may be repeated",
        path: None,
    },
    mode("once", "Render everything once, run the commands, and end"),
    mode("dry", "Print what is rendered instead of writing it, and run no command"),
    mode("parse-only", "Read settings and templates, and end"),
    flag("wait", "MIN[:MAX]", "wait", "Render when nothing has changed for MIN, or after MAX at the latest"),
    flag(
        "exec",
        "COMMAND",
        "exec",
        "A child to start when everything is rendered; it is told of changes, and its end is ours",
    ),
    flag(
        "exec-splay",
        "DURATION",
        "exec.splay",
        "A random time up to this long passes before a change reaches the child",
    ),
    flag(
        "exec-reload-signal",
        "SIGNAL",
        "exec.reload_signal",
        "What tells the child of a change [default: it is restarted]",
    ),
    flag("exec-kill-signal", "SIGNAL", "exec.kill_signal", "What asks the child to stop [default: SIGINT]"),
    flag("exec-kill-timeout", "DURATION", "exec.kill_timeout", "After this it is killed [default: 30s]"),
    flag("exec-timeout", "DURATION", "exec.timeout", "The child is killed when it runs longer"),
    switch("exec-env-pristine", "exec.env.pristine", "The child gets none of our variables"),
    flag("exec-env-custom", "NAME=VALUE", "exec.env.custom", "A variable for the child; may be repeated"),
    flag(
        "exec-env-allowlist",
        "PATTERN",
        "exec.env.allowlist",
        "Of our variables, the child gets only these; may be repeated",
    ),
    flag(
        "exec-env-denylist",
        "PATTERN",
        "exec.env.denylist",
        "The child does not get these variables; may be repeated",
    ),
    flag("exec-env-whitelist", "PATTERN", "exec.env.whitelist", "The same as -exec-env-allowlist"),
    flag("exec-env-blacklist", "PATTERN", "exec.env.blacklist", "The same as -exec-env-denylist"),
    flag(
        "consul-addr",
        "ADDRESS",
        "consul.address",
        "Consul's address, or several with commas [default: CONSUL_HTTP_ADDR, else 127.0.0.1:8500]",
    ),
    flag("consul-auth", "USER:PASSWORD", "consul.auth", "HTTP basic authentication, for a proxy before Consul"),
    flag("consul-token", "TOKEN", "consul.token", "ACL token; others can see it here, so better use a file"),
    flag("consul-token-file", "PATH", "consul.token_file", "File with the ACL token; it is read again when it changes"),
    switch("consul-ssl", "consul.ssl.enabled", "Speak TLS"),
    switch("consul-ssl-verify", "consul.ssl.verify", "Verify Consul's certificate [default: true]"),
    flag("consul-ssl-cert", "PATH", "consul.ssl.cert", "Our certificate"),
    flag("consul-ssl-key", "PATH", "consul.ssl.key", "The key of our certificate"),
    flag("consul-ssl-ca-cert", "PATH", "consul.ssl.ca_cert", "Authorities that are trusted"),
    flag("consul-ssl-ca-path", "PATH", "consul.ssl.ca_path", "Directory of authorities that are trusted"),
    flag("consul-ssl-server-name", "NAME", "consul.ssl.server_name", "The name in Consul's certificate"),
    switch("consul-retry", "consul.retry.enabled", "No effect: questions are repeated until they are answered"),
    flag("consul-retry-attempts", "NUMBER", "consul.retry.attempts", "No effect"),
    flag("consul-retry-backoff", "DURATION", "consul.retry.backoff", "No effect"),
    flag("consul-retry-max-backoff", "DURATION", "consul.retry.max_backoff", "No effect"),
    flag("retry", "DURATION", "retry", "No effect"),
    flag("max-stale", "DURATION", "max_stale", "No effect: Consul's leader is asked"),
    flag("block-query-wait", "DURATION", "block_query_wait", "No effect: questions are held for a minute"),
    switch("template-error-fatal", "template_error_fatal", "No effect: a failed template leaves its file alone"),
    switch("error-on-missing-key", "error_on_missing_key", "A key that a map does not have is an error"),
    flag("kill-signal", "SIGNAL", "kill_signal", "Stops everything, as SIGTERM and SIGINT do [default: SIGINT]"),
    flag("reload-signal", "SIGNAL", "reload_signal", "Has the settings read again [default: SIGHUP]"),
    flag("log-level", "LEVEL", "log_level", "trace, debug, info, warn or err [default: warn]"),
    flag("log-file", "PATH", "log_file", "Write the log there instead of to standard error"),
    flag("pid-file", "PATH", "pid_file", "Write our process id there"),
    mode("version", "Print the version"),
    mode("help", "Print this help"),
];

/// Flags whose effect is hidden from help: other spellings, and those without effect.
fn is_hidden(flag: &Flag) -> bool {
    flag.help.starts_with("No effect") || flag.help.starts_with("The same as")
}

const LONG_ABOUT: &str = "\
Render files from what the catalog says, as consul-template does.

Templates are Go templates with consul-template's functions. Each is rendered when all that it asks is known, and again whenever that \
changes; a file is replaced as a whole, and its command run only if it differs. Flags take one or two dashes.";

const EXAMPLES: &str = "\
Examples:
  pilotfish template --once --template nginx.ctmpl:/etc/nginx/nginx.conf
  pilotfish template --consul-addr consul:8500 --wait 2s:10s --template 'nginx.ctmpl:/etc/nginx/nginx.conf:nginx -s reload:10s'
  pilotfish template --template app.ctmpl:/etc/app.conf --exec '/usr/bin/app' --exec-reload-signal SIGHUP
  pilotfish template --dry --once --template nginx.ctmpl

Called as 'consul-template' (a link to this program), it does the same.";

/// The flags as the tree sees them from which help, completion and the manual page are made; it parses none of them.
#[derive(Clone, Copy, Debug)]
pub(super) struct TemplateFlags;

impl clap::FromArgMatches for TemplateFlags {
    fn from_arg_matches(_: &clap::ArgMatches) -> Result<TemplateFlags, clap::Error> {
        Ok(TemplateFlags)
    }

    fn update_from_arg_matches(&mut self, _: &clap::ArgMatches) -> Result<(), clap::Error> {
        Ok(())
    }
}

impl clap::Args for TemplateFlags {
    fn augment_args(command: clap::Command) -> clap::Command {
        let arguments = FLAGS.iter().filter(|flag| flag.name != "help").map(|flag| {
            let argument = Arg::new(flag.name).long(flag.name).help(flag.help).hide(is_hidden(flag));
            match flag.value {
                Some(value) => argument.value_name(value).action(ArgAction::Append),
                None => argument.action(ArgAction::SetTrue),
            }
        });
        command.long_about(LONG_ABOUT).after_long_help(EXAMPLES).args(arguments)
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        Self::augment_args(command)
    }
}

/// Understands the arguments after the program's name or the subcommand.
pub(super) fn parse(arguments: &[String]) -> Result<Invocation, Answer> {
    let mut line = TemplateLine::default();
    let mut scratch = Settings::default();
    let mut rest = arguments;
    while let Some((first, others)) = rest.split_first() {
        rest = others;
        let Some(name) = first.strip_prefix('-').map(|name| name.strip_prefix('-').unwrap_or(name)) else {
            return Err(usage(format!(
                "unexpected argument '{first}'; templates are given as -template SOURCE:DESTINATION"
            )));
        };
        let (name, attached) = match name.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (name, None),
        };
        let flag = find(name)?;
        let value = match (flag.value, attached) {
            (_, Some(value)) => value,
            (None, None) => "true",
            (Some(what), None) => {
                let (value, others) =
                    rest.split_first().ok_or_else(|| usage(format!("flag needs an argument: -{name} {what}")))?;
                rest = others;
                value
            }
        };
        let wanted = || match value {
            "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
            "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
            _ => Err(usage(format!("-{name}: '{value}' is neither true nor false"))),
        };
        match (flag.name, flag.path) {
            ("config", _) => line.config.push(value.into()),
            ("once", _) => line.once = wanted()?,
            ("dry", _) => line.dry = wanted()?,
            ("parse-only", _) => line.parse_only = wanted()?,
            ("version", _) if wanted()? => return Ok(Invocation::Version { json: false }),
            ("help", _) if wanted()? => return Err(Answer::help(help())),
            (_, Some(path)) => {
                let given = Given::Text(value.to_owned());
                scratch.set(path, &given).map_err(|problem| usage(format!("-{name}: {problem}")))?;
                line.given.push((path, given));
            }
            (_, None) => {}
        }
    }
    Ok(Invocation::Template(line))
}

fn find(name: &str) -> Result<&'static Flag, Answer> {
    let name = match name {
        "v" => "version",
        "h" => "help",
        // Its name at the time of the talk (slides 38 and 55).
        "consul" => "consul-addr",
        name => name,
    };
    let found = FLAGS.iter().find(|flag| flag.name == name);
    found.ok_or_else(|| match refused(&name.replace('-', ".")) {
        Some(reason) => usage(format!("-{name}: {reason}")),
        None if name.starts_with("consul-transport-") => {
            usage(format!("-{name}: connections are kept as pilotfish keeps them; leave it out"))
        }
        None => usage(format!("unknown flag: -{name}")),
    })
}

fn help() -> String {
    let mut tree = super::native::command();
    tree.build();
    let subcommand = tree.find_subcommand_mut("template").map(|command| command.render_long_help().to_string());
    subcommand.unwrap_or_default().trim_end().to_owned()
}

fn usage(problem: impl std::fmt::Display) -> Answer {
    Answer::usage(format!("{problem}\nFor more information, try 'pilotfish template --help'."))
}
