//! A panic is a mistake of ours or of a library; it must not leave the container without a first process, nor a request without an answer.

use std::{
    any::Any,
    fmt,
    future::poll_fn,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    task::Poll,
};

/// What a panic said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Panicked(String);

impl fmt::Display for Panicked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "internal error, please report it: {}", self.0)
    }
}

/// Runs a future to its end or to its panic. What it borrowed may be half changed after a panic; whoever goes on must not rely on it.
pub(crate) async fn caught<F: Future>(future: F) -> Result<F::Output, Panicked> {
    let mut future = pin!(future);
    poll_fn(move |context| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context))) {
        Ok(Poll::Pending) => Poll::Pending,
        Ok(Poll::Ready(output)) => Poll::Ready(Ok(output)),
        Err(payload) => Poll::Ready(Err(panicked(&*payload))),
    })
    .await
}

/// Calls a function that may panic.
pub(crate) fn called<T>(function: impl FnOnce() -> T) -> Result<T, Panicked> {
    catch_unwind(AssertUnwindSafe(function)).map_err(|payload| panicked(&*payload))
}

fn panicked(payload: &(dyn Any + Send)) -> Panicked {
    let text = payload.downcast_ref::<&str>().copied().or(payload.downcast_ref::<String>().map(String::as_str));
    Panicked(text.unwrap_or("a panic without a text").to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_an_error_and_all_else_passes() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let passed = runtime.block_on(caught(async {
            tokio::task::yield_now().await;
            7
        }));
        assert_eq!(passed, Ok(7));
        let broken = runtime.block_on(caught(async {
            tokio::task::yield_now().await;
            assert_eq!(1 + 1, 3, "arithmetic");
        }));
        assert!(broken.unwrap_err().to_string().contains("arithmetic"));
        assert_eq!(called(|| panic!("plain")), Err::<(), _>(Panicked("plain".into())));
    }
}
