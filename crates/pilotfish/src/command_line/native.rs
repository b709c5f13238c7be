//! Our own command line as a tree of subcommands: the one place that says what exists, for parsing, help, completion and
//! the manual page alike.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};

use crate::probe::Target;

use super::{
    Answer, CatalogCommand, ConfigCommand, ConfigLocation, Control, ControlRequest, ControlSocket, Invocation, Probe,
    Run, Shell, USAGE_EXIT_CODE,
    consul_template::TemplateFlags,
    duration::parse_duration,
    invocation::{assignment, file_path},
    mysql::{self, MysqlArgs},
};

/// How long a probe waits when `--timeout` does not say.
const PROBE_TIMEOUT: &str = "2s";

const EXAMPLES: &str = "\
Examples:
  pilotfish nginx -g 'daemon off;'           run nginx with the config that CONTAINERPILOT names
  pilotfish -c /etc/app.json5                run what the config says
  pilotfish run -c /etc/app.json5 -- status  run an application called 'status'
  pilotfish status --json                    what a running supervisor does, for machines
  pilotfish mysqld                           run a member of a MySQL or MariaDB cluster on autopilot
  pilotfish mysql status                     the cluster as that member sees it
  pilotfish config check /etc/app.json5      find mistakes before they are deployed
  pilotfish probe http http://localhost:80/  exit code 0 if the answer is 2xx

Environment:
  CONTAINERPILOT, PILOTFISH_CONFIG  where the config is when -c does not say: a path, a file:// URL, or JSON5 itself

Exit codes:
  2 for a command line or config that cannot be understood; 'run' exits with the code of the main application.

Called as 'containerpilot' (a link to this program), the command lines of ContainerPilot 2 and 3 are understood;
called as 'consul', 'agent -dev' and the commonest commands that speak to an agent.";

/// Applications on autopilot: PID 1, supervisor, health checker, catalog client.
///
/// pilotfish runs as the first process of a container. It starts the application and its helpers, checks their health,
/// registers them in Consul, watches what they depend on, and stops them in good order.
///
/// 'pilotfish CMD ARG...' is short for 'pilotfish run -- CMD ARG...' where CMD is none of the commands below.
#[derive(Debug, Parser)]
#[command(name = "pilotfish", version, max_term_width = 100, after_long_help = EXAMPLES)]
#[command(subcommand_value_name = "COMMAND")]
pub(super) struct Cli {
    /// Config: a path, a file:// URL, or JSON5 itself (begins with '{').
    #[arg(short, long, global = true, value_name = "FILE", value_parser = config_location)]
    config: Option<ConfigLocation>,

    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Supervise the application CMD and the jobs of the config.
    ///
    /// Arguments of CMD are templates: '{{ .APP_PORT }}' becomes the value of the variable APP_PORT.
    #[command(after_long_help = "\
Examples:
  pilotfish run -c /etc/app.json5
  pilotfish run -c file:///etc/app.json -- node server.js --port '{{ .APP_PORT }}'")]
    Run {
        /// The main application and its arguments.
        #[arg(value_name = "CMD", trailing_var_arg = true, allow_hyphen_values = true)]
        command: Vec<String>,
    },
    /// Show jobs, watches, the catalog and versions of a running supervisor.
    #[command(after_long_help = "Examples:\n  pilotfish status\n  pilotfish status --json | jq .jobs")]
    Status(ControlArgs),
    /// Show what happens, live, until interrupted.
    #[command(after_long_help = "Examples:\n  pilotfish events\n  pilotfish events --json")]
    Events(ControlArgs),
    /// Load the config again; jobs that did not change keep running.
    ///
    /// A config with mistakes is refused, and the one in force stays.
    Reload(ControlArgs),
    /// Begin or end maintenance: services leave the catalog and come back.
    #[command(after_long_help = "Examples:\n  pilotfish maintenance enable")]
    Maintenance {
        /// What to do.
        #[arg(value_name = "enable|disable")]
        switch: Switch,
        #[command(flatten)]
        control: ControlArgs,
    },
    /// Set environment variables of the supervisor, for the next reload and for processes that it starts from now on.
    #[command(after_long_help = "Examples:\n  pilotfish putenv ROLE=primary WEIGHT=10\n  pilotfish reload")]
    Putenv {
        /// Names and values.
        #[arg(required = true, value_name = "NAME=VALUE", value_parser = assignment)]
        assignments: Vec<(String, String)>,
        #[command(flatten)]
        control: ControlArgs,
    },
    /// Record values of metrics that the config's telemetry declares.
    #[command(after_long_help = "Examples:\n  pilotfish putmetric app_queue_length=12")]
    Putmetric {
        /// Names and values.
        #[arg(required = true, value_name = "NAME=VALUE", value_parser = assignment)]
        assignments: Vec<(String, String)>,
        #[command(flatten)]
        control: ControlArgs,
    },
    /// Say whether the supervisor answers.
    Ping(ControlArgs),
    /// Check, show or render a config, or print its schema.
    #[command(subcommand)]
    Config(ConfigArgs),
    /// Ask for health once: exit code 0 is healthy, 1 is not.
    #[command(subcommand)]
    Probe(ProbeArgs),
    /// Render files from what the catalog says, as consul-template does.
    Template(TemplateFlags),
    /// Serve the embedded catalog: the HTTP API of Consul, for one host.
    ///
    /// It is no cluster. Whatever speaks to a Consul agent can speak to it; where one host is outgrown, start Consul instead.
    #[command(after_long_help = "\
Examples:
  pilotfish catalog
  pilotfish catalog --data /var/lib/pilotfish --dns 127.0.0.1:8600
  pilotfish catalog --listen 0.0.0.0:8500 --token-file /run/secrets/catalog")]
    Catalog(CatalogArgs),
    /// Look at a MySQL or MariaDB cluster on autopilot, and give it orders.
    ///
    /// (The client of the same name is started with 'pilotfish run -- mysql'.)
    #[command(subcommand)]
    Mysql(MysqlArgs),
    /// Print the completion script of a shell.
    #[command(after_long_help = "\
Examples:
  pilotfish completion bash > /etc/bash_completion.d/pilotfish
  pilotfish completion zsh > \"${fpath[1]}/_pilotfish\"
  pilotfish completion fish > ~/.config/fish/completions/pilotfish.fish")]
    Completion {
        /// The shell.
        shell: Shell,
    },
    /// Print the manual page.
    #[command(after_long_help = "Examples:\n  pilotfish man > /usr/local/share/man/man1/pilotfish.1")]
    Man,
    /// Print the version.
    Version {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// The application itself: what is no subcommand.
    #[command(external_subcommand)]
    Application(Vec<String>),
}

#[derive(Debug, Args)]
struct CatalogArgs {
    /// Where it listens; on another address than one of the loopback a token is needed.
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:8500")]
    listen: SocketAddr,
    /// File with the token that clients have to show (X-Consul-Token).
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Name of its node [default: the host's name].
    #[arg(long, value_name = "NAME")]
    node: Option<String>,
    /// Directory in which everything is kept, also when the process is killed [default: in memory alone].
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Also answer DNS there, for names that end with .consul [default: not].
    #[arg(long, value_name = "IP:PORT")]
    dns: Option<SocketAddr>,
}

#[derive(Debug, Args)]
struct ControlArgs {
    /// The supervisor's control socket [default: what the config says, else /var/run/containerpilot.socket].
    #[arg(long, value_name = "PATH")]
    socket: Option<String>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Switch {
    /// Begin maintenance.
    Enable,
    /// End maintenance.
    Disable,
}

#[derive(Debug, Subcommand)]
enum ConfigArgs {
    /// Say whether a config is valid: all mistakes at once, with line and column.
    #[command(after_long_help = "Examples:\n  pilotfish config check /etc/app.json5")]
    Check {
        /// The config [default: what -c or the environment says].
        #[arg(value_name = "FILE", value_parser = config_location)]
        file: Option<ConfigLocation>,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Print a config rendered, translated to today's keys and with all defaults; secrets are masked.
    Show {
        /// The config [default: what -c or the environment says].
        #[arg(value_name = "FILE", value_parser = config_location)]
        file: Option<ConfigLocation>,
    },
    /// Print a config as its template renders it, nothing more.
    Render {
        /// The config [default: what -c or the environment says].
        #[arg(value_name = "FILE", value_parser = config_location)]
        file: Option<ConfigLocation>,
        /// Write it to this file instead of standard output.
        #[arg(long, value_name = "PATH")]
        out: Option<String>,
    },
    /// Print the JSON Schema of configs, for editors.
    Schema,
}

#[derive(Debug, Subcommand)]
enum ProbeArgs {
    /// GET an http:// URL; healthy if the answer is 2xx.
    #[command(after_long_help = "Examples:\n  pilotfish probe http http://localhost:4000/data --timeout 500ms")]
    Http {
        /// The URL.
        #[arg(value_parser = Target::http)]
        url: Target,
        #[command(flatten)]
        limit: ProbeLimit,
    },
    /// Connect to a TCP port; healthy if it accepts.
    #[command(after_long_help = "Examples:\n  pilotfish probe tcp localhost:3306")]
    Tcp {
        /// Host and port.
        #[arg(value_name = "HOST:PORT", value_parser = Target::tcp)]
        address: Target,
        #[command(flatten)]
        limit: ProbeLimit,
    },
    /// Look for a file; healthy if it exists.
    #[command(after_long_help = "Examples:\n  pilotfish probe file /run/app/ready")]
    File {
        /// The path.
        #[arg(value_parser = Target::file)]
        path: Target,
        #[command(flatten)]
        limit: ProbeLimit,
    },
}

#[derive(Debug, Args)]
struct ProbeLimit {
    /// How long the answer may take: seconds, or a number and a unit.
    #[arg(long, value_name = "DURATION", default_value = PROBE_TIMEOUT, value_parser = parse_duration)]
    timeout: Duration,
}

fn config_location(text: &str) -> Result<ConfigLocation, String> {
    if text.is_empty() { Err("it is empty".to_owned()) } else { Ok(ConfigLocation::parse(text)) }
}

/// The tree, for completion and the manual page.
pub(super) fn command() -> clap::Command {
    Cli::command()
}

/// Understands the arguments after the program's name.
pub(super) fn parse(
    program: String,
    arguments: Vec<String>,
    configured: Option<ConfigLocation>,
) -> Result<Invocation, Answer> {
    let mut command = command();
    let matches = command.try_get_matches_from_mut(std::iter::once(program).chain(arguments)).map_err(answer)?;
    let cli = Cli::from_arg_matches(&matches).map_err(|error| answer(error.format(&mut command)))?;
    let config = cli.config;
    let Some(command) = cli.command else {
        return Ok(Invocation::Run(Run { config, command: Vec::new() }));
    };
    let control = |control: ControlArgs, request| {
        let location = config.clone().or(configured.clone());
        let socket = match (control.socket, location) {
            (Some(path), _) => ControlSocket::Path(path.into()),
            (None, Some(location)) => ControlSocket::OfConfig(location),
            (None, None) => ControlSocket::Default,
        };
        Invocation::Control(Control { socket, request, json: control.json })
    };
    Ok(match command {
        Command::Run { command } | Command::Application(command) => Invocation::Run(Run { config, command }),
        Command::Status(args) => control(args, ControlRequest::Status),
        Command::Events(args) => control(args, ControlRequest::Events),
        Command::Reload(args) => control(args, ControlRequest::Reload),
        Command::Maintenance { switch, control: args } => {
            control(args, ControlRequest::Maintenance(matches!(switch, Switch::Enable)))
        }
        Command::Putenv { assignments, control: args } => control(args, ControlRequest::PutEnv(assignments)),
        Command::Putmetric { assignments, control: args } => control(args, ControlRequest::PutMetric(assignments)),
        Command::Ping(args) => control(args, ControlRequest::Ping),
        Command::Config(args) => Invocation::Config(config_command(args, config.or(configured))?),
        Command::Probe(args) => Invocation::Probe(probe(args)),
        Command::Template(TemplateFlags) => {
            return Err(Answer::usage("'template' comes first: pilotfish template --template SOURCE:DESTINATION"));
        }
        Command::Catalog(CatalogArgs { listen, token_file, node, data, dns }) => Invocation::Catalog(CatalogCommand {
            listen,
            token_file,
            node,
            data,
            dns,
            datacenter: "dc1".to_owned(),
            pretty: false,
        }),
        Command::Mysql(args) => Invocation::Mysql(mysql::command(args, config.or(configured))),
        Command::Completion { shell } => Invocation::Completion(shell),
        Command::Man => Invocation::Man,
        Command::Version { json } => Invocation::Version { json },
    })
}

fn config_command(args: ConfigArgs, configured: Option<ConfigLocation>) -> Result<ConfigCommand, Answer> {
    let located = |file: Option<ConfigLocation>| {
        file.or(configured).ok_or_else(|| Answer::usage("no config: name a FILE, or set the variable CONTAINERPILOT"))
    };
    Ok(match args {
        ConfigArgs::Check { file, json } => ConfigCommand::Check { config: located(file)?, json },
        ConfigArgs::Show { file } => ConfigCommand::Show(located(file)?),
        ConfigArgs::Render { file, out } => {
            let out = out.filter(|out| out != "-").as_deref().map(file_path);
            ConfigCommand::Render { config: located(file)?, out }
        }
        ConfigArgs::Schema => ConfigCommand::Schema,
    })
}

fn probe(args: ProbeArgs) -> Probe {
    let (ProbeArgs::Http { url: target, limit }
    | ProbeArgs::Tcp { address: target, limit }
    | ProbeArgs::File { path: target, limit }) = args;
    Probe { target, timeout: limit.timeout }
}

/// Help is not a failure; everything else is a usage error. (The full parser's own text begins with "error: ".)
fn answer(error: clap::Error) -> Answer {
    let text = error.render().to_string().trim_end().to_owned();
    Answer { text, exit_code: if error.use_stderr() { USAGE_EXIT_CODE } else { 0 } }
}
