//! Wakes jobs at the times of their calendars.

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use pilotfish_supervisor::{Calendar, Event};
use tokio::task::AbortHandle;

use super::inbox::{Message, Sender};

/// The wall clock may be set while a calendar waits: it is looked at again after at most this long.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);

/// The calendars that are waited for, by job.
#[derive(Debug, Default)]
pub(crate) struct Calendars(BTreeMap<String, AbortHandle>);

impl Calendars {
    /// Sends `CalendarDue` at each time of the calendar.
    #[inline(never)]
    pub(crate) fn arm(&mut self, job: String, calendar: Calendar, inbox: Sender) {
        let task = tokio::spawn(follow(job.clone(), calendar, inbox));
        if let Some(old) = self.0.insert(job, task.abort_handle()) {
            old.abort();
        }
    }

    /// Sends it no more.
    pub(crate) fn disarm(&mut self, job: &str) {
        if let Some(task) = self.0.remove(job) {
            task.abort();
        }
    }
}

async fn follow(job: String, calendar: Calendar, inbox: Sender) {
    while let Some(due) = calendar.next_after(unix_time().as_secs() as i64) {
        let due = Duration::from_secs(due.unsigned_abs());
        loop {
            let now = unix_time();
            if now >= due {
                break;
            }
            tokio::time::sleep((due - now).min(LONGEST_SLEEP)).await;
        }
        if inbox.send(Message::Event(Event::CalendarDue { job: job.clone() })).await.is_err() {
            return;
        }
    }
}

fn unix_time() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
