//! The section `mysql` as a node, with all defaults; credentials are the environment's and never shown.

use std::time::Duration;

use pilotfish_supervisor::Job;

use super::{Durability, Mysql};
use crate::duration;
use crate::print::Node;

/// The section, with what its job says of starting and stopping, if there is one.
pub(crate) fn node(mysql: &Mysql, job: Option<(Node, Node)>) -> Node {
    let time = |time: Duration| Node::text(duration::show(time));
    let mut node: Vec<(&'static str, Node)> = vec![
        ("service", Node::text(&mysql.service)),
        ("name", Node::text(&mysql.name)),
        ("address", Node::text(&mysql.address)),
        ("bind", Node::text(&mysql.bind)),
        ("port", Node::Number(mysql.port.into())),
        ("apiPort", Node::Number(mysql.api_port.into())),
        ("directory", Node::text(&mysql.directory)),
        ("runDirectory", Node::text(&mysql.run_directory)),
        ("options", Node::texts(&mysql.options)),
        ("scripts", Node::text(&mysql.scripts)),
        ("keepAside", Node::Number(mysql.keep_aside.into())),
        (
            "durability",
            Node::text(match mysql.durability {
                Durability::Quorum => "quorum",
                Durability::Async => "async",
            }),
        ),
        ("acks", Node::Number(mysql.acks.into())),
        ("mayLead", Node::Boolean(mysql.may_lead)),
        ("lease", time(mysql.lease)),
        ("switchoverLimit", time(mysql.switchover_limit)),
    ];
    node.extend(mysql.id.map(|id| ("id", Node::Number(id.into()))));
    node.extend((!mysql.program.is_empty()).then(|| ("program", Node::texts(&mysql.program))));
    node.extend(mysql.user.as_ref().map(|user| ("user", Node::text(user))));
    node.extend(mysql.template.as_ref().map(|template| ("template", Node::text(template))));
    node.extend(mysql.min_in_sync.map(|least| ("minInSync", Node::Number(least.into()))));
    node.extend(mysql.hang_limit.map(|limit| ("hangLimit", time(limit))));
    if let Some((when, stop_timeout)) = job {
        node.push(("when", when));
        node.push(("stopTimeout", stop_timeout));
    }
    Node::map(node)
}

/// Whether a job is the one that a section `mysql` became.
pub(crate) fn is_job(job: &Job, mysql: Option<&Mysql>) -> bool {
    mysql.is_some() && job.name == super::MYSQL_JOB
}
