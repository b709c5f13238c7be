//! Descriptors that tokio watches for us.

use std::io;
use std::os::fd::OwnedFd;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Watches a descriptor; gives it back with the reason where that is not possible, as for a regular file.
pub(crate) fn watch(descriptor: OwnedFd, interest: Interest) -> Result<AsyncFd<OwnedFd>, (OwnedFd, io::Error)> {
    // SAFETY: an `OwnedFd` names the same open descriptor for all its life, and nothing takes it out of the `AsyncFd`.
    unsafe { AsyncFd::register_with_interest(descriptor, interest) }.map_err(|error| error.into_parts())
}
