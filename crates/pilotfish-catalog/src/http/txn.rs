//! `/v1/txn`.

use super::options::Options;
use super::reply::{Meta, Reply};
use super::routes::{Call, Result};
use crate::state::{Answer, Command, Operation, Refusal};
use crate::wire::output::{Freshness, TxnError, TxnResponse, txn_result};
use crate::wire::txn;

/// Answers.
pub(crate) async fn answer(call: &Call) -> Result<Reply> {
    let options = Options::parse(&call.query)?;
    let operations = txn::operations(&call.body)?;
    options.check_datacenter(&call.serving.catalog)?;
    let reads = operations.iter().all(Operation::is_read);
    let Answer::Transaction(outcomes) = call.serving.catalog.submit(Command::Transaction(operations)).await? else {
        return Err(Refusal::internal("the catalog did not answer with a transaction"));
    };
    let datacenter = call.serving.catalog.state().identity().datacenter.clone();
    let failed = !outcomes.errors.is_empty();
    let results = outcomes.results.iter().map(|outcome| txn_result(outcome, &datacenter)).collect();
    let errors = outcomes.errors.iter().map(|(op_index, what)| TxnError { op_index: *op_index, what }).collect();
    let response = TxnResponse {
        results: (!failed).then_some(results),
        errors: failed.then_some(errors),
        freshness: reads.then_some(Freshness { index: 0, last_contact: 0, known_leader: true, consistency_level: "" }),
    };
    let reply = Reply::json(&response, call.pretty).with(if reads { Meta::Contact } else { Meta::None });
    Ok(if failed { Reply { status: 409, ..reply } } else { reply })
}
