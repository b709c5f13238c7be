//! Tasks that run beside others.

use std::pin::Pin;

/// Runs it beside whatever is done now. All tasks are of one type: each other type would bring a copy of the runtime's code into the binary.
pub(crate) fn beside(work: impl Future<Output = ()> + Send + 'static) {
    let work: Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(work);
    tokio::spawn(work);
}
