//! Who waits for what: woken by key, so that a change costs only those who asked for it.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;

use tokio::sync::Notify;
use tokio::sync::futures::OwnedNotified;

use crate::state::{Changes, Interest, Key};

/// All who wait, by what they wait for. Those who wait for the same share one entry.
#[derive(Debug, Default)]
pub(crate) struct Watchers {
    entries: Mutex<Entries>,
}

#[derive(Debug, Default)]
struct Entries {
    by_interest: HashMap<Interest, Entry>,
    /// How many of them are prefixes; without any, keys need not be taken apart.
    prefixes: usize,
}

#[derive(Debug)]
struct Entry {
    notify: Arc<Notify>,
    waiting: usize,
}

/// Somebody who waits; dropping it ends that.
pub(crate) struct Waiting {
    watchers: Arc<Watchers>,
    interests: Vec<Interest>,
    woken: Vec<Pin<Box<OwnedNotified>>>,
}

impl Watchers {
    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins to wait: what changes from now on is not missed, even before [`Waiting::changed`] is awaited.
    pub(crate) fn wait_for(self: &Arc<Self>, interests: Vec<Interest>) -> Waiting {
        let mut entries = self.lock();
        let mut woken = Vec::with_capacity(interests.len());
        for interest in &interests {
            let mut fresh = false;
            let entry = entries.by_interest.entry(interest.clone()).or_insert_with(|| {
                fresh = true;
                Entry { notify: Arc::default(), waiting: 0 }
            });
            entry.waiting += 1;
            let mut notified = Box::pin(Arc::clone(&entry.notify).notified_owned());
            notified.as_mut().enable();
            woken.push(notified);
            entries.prefixes += usize::from(fresh && matches!(interest, Interest::Prefix(_)));
        }
        Waiting { watchers: Arc::clone(self), interests, woken }
    }

    /// Wakes everybody who waits for what changed.
    pub(crate) fn wake(&self, changes: &Changes) {
        let entries = self.lock();
        if entries.by_interest.is_empty() {
            return;
        }
        for key in changes.iter() {
            entries.notify(&Interest::Key(key.clone()));
            if let Key::Kv(key) = key
                && entries.prefixes > 0
            {
                for end in 0..=key.len() {
                    entries.notify(&Interest::Prefix(key[..end].to_vec()));
                }
            }
        }
    }

    /// Wakes everybody.
    pub(crate) fn wake_all(&self) {
        for entry in self.lock().by_interest.values() {
            entry.notify.notify_waiters();
        }
    }

    /// How many wait.
    pub(crate) fn count(&self) -> usize {
        self.lock().by_interest.values().map(|entry| entry.waiting).sum()
    }
}

impl Entries {
    fn notify(&self, interest: &Interest) {
        if let Some(entry) = self.by_interest.get(interest) {
            entry.notify.notify_waiters();
        }
    }
}

impl Waiting {
    /// Ready when any of what is waited for has changed.
    pub(crate) async fn changed(&mut self) {
        std::future::poll_fn(|context| {
            let ready = self.woken.iter_mut().any(|woken| woken.as_mut().poll(context).is_ready());
            if ready { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let mut entries = self.watchers.lock();
        for interest in &self.interests {
            let Some(entry) = entries.by_interest.get_mut(interest) else { continue };
            entry.waiting -= 1;
            if entry.waiting == 0 {
                entries.by_interest.remove(interest);
                entries.prefixes -= usize::from(matches!(interest, Interest::Prefix(_)));
            }
        }
    }
}
