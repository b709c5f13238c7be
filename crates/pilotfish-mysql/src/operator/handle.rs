//! What others ask an operator: its report, an order, what a forced failover would lose, a copy of the data.

use tokio::sync::{mpsc, oneshot, watch};

use super::fact::Fact;
use crate::error::Error;
use crate::report::{LossReport, Report};
use crate::server::CopyStream;

/// What an operator may be ordered to do. Members are named by name or number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// Hand the lease over, to a member or to the best.
    Switchover {
        /// To whom.
        to: Option<String>,
    },
    /// Become primary without the votes.
    Force {
        /// Who; this member if absent.
        member: Option<String>,
    },
    /// Take a member's data for the truth after the catalog was wiped or went back.
    Adopt {
        /// Whose; this member's if absent.
        member: Option<String>,
    },
    /// Set a member's data aside and copy it anew.
    Rebuild {
        /// Whose; this member's if absent.
        member: Option<String>,
    },
    /// No change of role, no start and no rebuild until further notice.
    Pause,
    /// The end of a pause.
    Resume,
}

/// A request to the loop.
pub(super) enum Request {
    Order(Order, oneshot::Sender<Result<String, Error>>),
    Loss(Option<String>, oneshot::Sender<Result<LossReport, Error>>),
    Copy(String, oneshot::Sender<Result<CopyStream, Error>>),
}

/// Speaks to a running operator. It can be cloned and given to anybody.
#[derive(Clone)]
pub struct Handle {
    pub(super) facts: mpsc::UnboundedSender<Fact>,
    pub(super) report: watch::Receiver<Report>,
}

impl Handle {
    /// What the operator says of itself now.
    pub fn report(&self) -> Report {
        self.report.borrow().clone()
    }

    /// The same as a value that changes.
    pub fn changes(&self) -> watch::Receiver<Report> {
        self.report.clone()
    }

    /// Gives an order; what will happen, in words.
    ///
    /// # Errors
    /// [`Error::Unfit`] if it makes no sense, or the catalog's error: orders are kept there.
    pub async fn order(&self, order: Order) -> Result<String, Error> {
        self.ask(|reply| Request::Order(order, reply)).await?
    }

    /// What would be lost if a member became primary without the votes.
    ///
    /// # Errors
    /// [`Error::Unfit`] if there is no lease, or nothing is known of the member.
    pub async fn loss(&self, member: Option<String>) -> Result<LossReport, Error> {
        self.ask(|reply| Request::Loss(member, reply)).await?
    }

    /// A copy of the data as a stream, for another member that shows its authorization.
    ///
    /// # Errors
    /// [`Error::Unfit`] if it may not have one, or there is none to give.
    pub async fn copy(&self, authorization: &str) -> Result<CopyStream, Error> {
        self.ask(|reply| Request::Copy(authorization.into(), reply)).await?
    }

    async fn ask<T>(&self, request: impl FnOnce(oneshot::Sender<T>) -> Request) -> Result<T, Error> {
        let (reply, answer) = oneshot::channel();
        self.facts.send(Fact::Asked(request(reply))).map_err(|_| Error::Ending)?;
        answer.await.map_err(|_| Error::Ending)
    }
}
