//! `pilotfish mysql`: the subcommands that look at a database on autopilot and give it orders.

use std::{path::PathBuf, time::Duration};

use clap::{Args, Subcommand};

use super::{ConfigLocation, duration::parse_duration};

/// How long an order is followed when `--timeout` does not say.
const PATIENCE: &str = "60s";

/// How long a rebuild is followed: all data is copied.
const REBUILD_PATIENCE: &str = "1h";

/// What is asked of a member of a database cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum MysqlCommand {
    /// To be one, until it is told to stop.
    Run {
        /// The config, if it does not come from the supervisor.
        config: Option<ConfigLocation>,
    },
    /// What the times of a config mean.
    Plan {
        /// The config; without one, the defaults.
        config: Option<ConfigLocation>,
        /// The answer is printed for machines.
        json: bool,
    },
    /// Something of a running operator.
    Ask {
        /// Where it is.
        socket: OperatorSocket,
        /// What.
        request: MysqlRequest,
        /// The answer is printed for machines.
        json: bool,
    },
}

/// Which operator to speak to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum OperatorSocket {
    /// That of this socket.
    Path(PathBuf),
    /// That of this config; without one, of the defaults.
    OfConfig(Option<ConfigLocation>),
}

/// What a running operator can be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum MysqlRequest {
    /// The cluster as it sees it.
    Status,
    /// Why it does what it does.
    Why,
    /// To do something.
    Order {
        /// What.
        order: MysqlOrder,
        /// How it is followed.
        follow: Follow,
    },
}

/// An order; members are named by name or number, and `None` is the one that is asked (for a switchover: the best).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum MysqlOrder {
    /// The primary hands over.
    Switchover(Option<String>),
    /// A member becomes primary without the votes.
    Force {
        /// Which.
        member: Option<String>,
        /// Nobody is asked whether to lose what would be lost.
        yes: bool,
    },
    /// A member's data is taken for the truth.
    Adopt(Option<String>),
    /// A member's data is copied anew.
    Rebuild(Option<String>),
    /// Nothing changes by itself.
    Pause,
    /// The end of that.
    Resume,
}

/// How an order is followed until it is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Follow {
    /// Not at all.
    No,
    /// For at most so long.
    Until(Duration),
}

#[derive(Debug, Subcommand)]
pub(super) enum MysqlArgs {
    /// Be the operator of a member; the supervisor starts it.
    #[command(hide = true)]
    Run,
    /// Show the cluster: members, roles, positions, and how safe a write is now.
    #[command(after_long_help = "Examples:\n  pilotfish mysql status\n  pilotfish mysql status --json | jq .lease")]
    Status(AskArgs),
    /// Say why the operator does what it does, what it did last, and what a person has to do, if anything.
    #[command(after_long_help = "Examples:\n  pilotfish mysql why")]
    Why(AskArgs),
    /// Compute what the times of the config mean at the worst: outage, overlap, failures that are survived.
    ///
    /// Nothing has to run for it.
    #[command(after_long_help = "Examples:\n  pilotfish mysql plan -c /etc/mysql.json5")]
    Plan {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Hand the primary's role over to a replica, without losing a write.
    #[command(after_long_help = "Examples:\n  pilotfish mysql switchover --to db-2")]
    Switchover {
        /// The member that takes over, by name or number [default: the best].
        #[arg(long, value_name = "MEMBER")]
        to: Option<String>,
        #[command(flatten)]
        follow: FollowArgs,
        #[command(flatten)]
        ask: AskArgs,
    },
    /// Make a member primary although writes may be lost by it: it is said first which, and asked.
    #[command(after_long_help = "Examples:\n  pilotfish mysql failover --force --to db-2")]
    Failover {
        /// There is no other way: failovers that lose nothing happen by themselves.
        #[arg(long, required = true)]
        force: bool,
        /// The member that becomes primary, by name or number [default: the one that is asked].
        #[arg(long, value_name = "MEMBER")]
        to: Option<String>,
        /// Do not ask.
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        follow: FollowArgs,
        #[command(flatten)]
        ask: AskArgs,
    },
    /// Take a member's data for the truth, after the catalog was wiped or restored from something old.
    #[command(after_long_help = "Examples:\n  pilotfish mysql adopt db-1")]
    Adopt {
        /// The member, by name or number [default: the one that is asked].
        #[arg(value_name = "MEMBER")]
        member: Option<String>,
        #[command(flatten)]
        follow: FollowArgs,
        #[command(flatten)]
        ask: AskArgs,
    },
    /// Set a member's data aside and copy it anew from the primary.
    #[command(after_long_help = "Examples:\n  pilotfish mysql rebuild db-3")]
    Rebuild {
        /// The member, by name or number [default: the one that is asked].
        #[arg(value_name = "MEMBER")]
        member: Option<String>,
        /// How long to wait for it.
        #[arg(long, value_name = "DURATION", default_value = REBUILD_PATIENCE, value_parser = parse_duration)]
        timeout: Duration,
        /// Do not wait for it.
        #[arg(long)]
        no_wait: bool,
        #[command(flatten)]
        ask: AskArgs,
    },
    /// Change nothing any more: no failover, no start, no rebuild, until 'resume'.
    Pause(AskArgs),
    /// Let the autopilot go on.
    Resume(AskArgs),
}

#[derive(Debug, Args)]
pub(super) struct AskArgs {
    /// The operator's socket [default: what the config says, else /run/mysqld/pilotfish.sock].
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(super) struct FollowArgs {
    /// How long to wait for it.
    #[arg(long, value_name = "DURATION", default_value = PATIENCE, value_parser = parse_duration)]
    timeout: Duration,
    /// Do not wait for it.
    #[arg(long)]
    no_wait: bool,
}

impl FollowArgs {
    fn follow(&self) -> Follow {
        follow(self.timeout, self.no_wait)
    }
}

fn follow(timeout: Duration, no_wait: bool) -> Follow {
    if no_wait { Follow::No } else { Follow::Until(timeout) }
}

/// The command that arguments mean; `config` is where the config is.
pub(super) fn command(args: MysqlArgs, config: Option<ConfigLocation>) -> MysqlCommand {
    let ask = |ask: AskArgs, config: Option<ConfigLocation>, request| {
        let socket = ask.socket.map_or(OperatorSocket::OfConfig(config), OperatorSocket::Path);
        MysqlCommand::Ask { socket, request, json: ask.json }
    };
    let order = |order, follow| MysqlRequest::Order { order, follow };
    match args {
        MysqlArgs::Run => MysqlCommand::Run { config },
        MysqlArgs::Plan { json } => MysqlCommand::Plan { config, json },
        MysqlArgs::Status(args) => ask(args, config, MysqlRequest::Status),
        MysqlArgs::Why(args) => ask(args, config, MysqlRequest::Why),
        MysqlArgs::Switchover { to, follow, ask: args } => {
            ask(args, config, order(MysqlOrder::Switchover(to), follow.follow()))
        }
        MysqlArgs::Failover { force: _, to, yes, follow, ask: args } => {
            ask(args, config, order(MysqlOrder::Force { member: to, yes }, follow.follow()))
        }
        MysqlArgs::Adopt { member, follow, ask: args } => {
            ask(args, config, order(MysqlOrder::Adopt(member), follow.follow()))
        }
        MysqlArgs::Rebuild { member, timeout, no_wait, ask: args } => {
            ask(args, config, order(MysqlOrder::Rebuild(member), follow(timeout, no_wait)))
        }
        MysqlArgs::Pause(args) => ask(args, config, order(MysqlOrder::Pause, Follow::No)),
        MysqlArgs::Resume(args) => ask(args, config, order(MysqlOrder::Resume, Follow::No)),
    }
}
