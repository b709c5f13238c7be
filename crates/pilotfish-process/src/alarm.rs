//! A deadline as a descriptor (timerfd_create(2)), which wakes us once and on time.
//!
//! The runtime's timers lie in a wheel: on the way to a deadline that is seconds away it wakes the program up to three times, sets it
//! back by up to a millisecond, and a nearer deadline costs a write to itself. The loop has one deadline, and has it always.

use crate::error::Error;
use crate::watched::watch;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::time::{Duration, Instant};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// The one deadline of a loop.
#[derive(Debug)]
pub struct Alarm {
    timer: AsyncFd<OwnedFd>,
    /// What the timer is set to.
    set: Option<Instant>,
}

impl Alarm {
    /// An alarm without a deadline. Call it within the tokio runtime.
    ///
    /// # Errors
    /// [`Error::Setup`] when the descriptor cannot be had.
    pub fn new() -> Result<Self, Error> {
        let setup = |source| Error::Setup { doing: "open a timer", source };
        // SAFETY: takes no memory of ours.
        let raw = unsafe { libc::timerfd_create(libc::CLOCK_MONOTONIC, libc::TFD_NONBLOCK | libc::TFD_CLOEXEC) };
        if raw < 0 {
            return Err(setup(io::Error::last_os_error()));
        }
        // SAFETY: the descriptor was just opened and belongs to nobody else.
        let timer = unsafe { OwnedFd::from_raw_fd(raw) };
        let timer = watch(timer, Interest::READABLE).map_err(|(_, error)| setup(error))?;
        Ok(Alarm { timer, set: None })
    }

    /// Waits until a moment, or for ever without one. Cancel-safe.
    pub async fn wait(&mut self, deadline: Option<Instant>) {
        loop {
            let now = Instant::now();
            if deadline.is_some_and(|deadline| deadline <= now) {
                return;
            }
            if self.set != deadline {
                self.set(deadline.map(|deadline| deadline - now));
                self.set = deadline;
            }
            // Readiness fails only while the runtime shuts down.
            let Ok(mut guard) = self.timer.readable().await else { return std::future::pending().await };
            // How often it has rung is not read: only the next time is news (edge-triggered, epoll(7)), and the clock tells which deadline it was.
            guard.clear_ready();
        }
    }

    /// Starts the timer anew; without a time it stands still.
    fn set(&self, after: Option<Duration>) {
        let after = after.unwrap_or_default();
        let zero = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        let value = libc::timespec {
            tv_sec: libc::time_t::try_from(after.as_secs()).unwrap_or(libc::time_t::MAX),
            tv_nsec: after.subsec_nanos().into(),
        };
        let setting = libc::itimerspec { it_interval: zero, it_value: value };
        // SAFETY: the setting is valid, and the old one is not asked for. With a valid one the call cannot fail.
        unsafe { libc::timerfd_settime(self.timer.as_raw_fd(), 0, &setting, std::ptr::null_mut()) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_rings_at_the_last_deadline_that_was_given() {
        let mut alarm = Alarm::new().unwrap();
        let begun = Instant::now();
        // A machine that stands still for less than this changes nothing.
        let (near, far) = (Duration::from_secs(1), Duration::from_millis(1_100));
        alarm.wait(Some(begun)).await;
        tokio::select! {
            biased;
            () = alarm.wait(Some(begun + near)) => unreachable!("nothing has waited yet"),
            () = std::future::ready(()) => {}
        }
        // The earlier one is forgotten; so is one that is dropped for none.
        alarm.wait(Some(begun + far)).await;
        assert!(begun.elapsed() >= far);
        tokio::select! {
            biased;
            () = alarm.wait(None) => unreachable!("there is no deadline"),
            () = std::future::ready(()) => {}
        }
        alarm.wait(Some(begun + far + near)).await;
        assert!(begun.elapsed() >= far + near);
    }
}
