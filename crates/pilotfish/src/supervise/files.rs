//! Work on files, off the loop: a file system that hangs must not keep the supervisor from its processes.
//!
//! A thread is started for each piece of work and ends with it, so that a supervisor at rest has one thread.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
    thread,
};

use super::inbox::{Message, Sender};

/// Threads at work at one time; the rest waits. Only file systems that hang make so many.
const THREADS: usize = 8;

/// Pieces of work that may wait. A template has one at a time, and only reloads while a file system hangs make more.
const WAITING: usize = 1024;

/// Enough for reading, writing and looking up users, in bytes.
const STACK: usize = 512 * 1024;

type Work = Box<dyn FnOnce(&dyn Fn(Message)) + Send>;

/// What waits for a thread, and how many are at it.
pub(super) struct Files {
    inbox: Sender,
    busy: usize,
    waiting: VecDeque<Work>,
}

impl Files {
    pub(super) fn new(inbox: Sender) -> Files {
        Files { inbox, busy: 0, waiting: VecDeque::new() }
    }

    /// Does the work in a thread; what it tells is sent to the loop at once, and [`Message::Filed`] when it is over.
    ///
    /// # Errors
    /// When too much waits already; the work is dropped.
    pub(super) fn work(&mut self, work: impl FnOnce(&dyn Fn(Message)) + Send + 'static) -> Result<(), String> {
        if self.waiting.len() >= WAITING {
            return Err(format!("{WAITING} pieces of work on files wait already; does a file system hang?"));
        }
        self.waiting.push_back(Box::new(work));
        self.next();
        Ok(())
    }

    /// A thread has ended.
    pub(super) fn done(&mut self) {
        self.busy -= 1;
        self.next();
    }

    fn next(&mut self) {
        while self.busy < THREADS
            && let Some(work) = self.waiting.pop_front()
        {
            self.busy += 1;
            // Whoever comes first takes the work: the thread, or we if there can be none.
            let work = Arc::new(Mutex::new(Some(work)));
            let (taken, inbox) = (work.clone(), self.inbox.clone());
            let task = move || {
                // The loop is gone only when the supervisor ends.
                done(&taken, &|message| drop(inbox.blocking_send(message)));
            };
            if thread::Builder::new().name("files".into()).stack_size(STACK).spawn(task).is_err() {
                // Without threads (a limit of processes) it is done here, which is better than not at all.
                done(&work, &|message| {
                    let inbox = self.inbox.clone();
                    tokio::spawn(async move { inbox.send(message).await });
                });
            }
        }
    }
}

fn done(work: &Mutex<Option<Work>>, tell: &dyn Fn(Message)) {
    let taken = work.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(work) = taken {
        work(tell);
        tell(Message::Filed);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use pilotfish_supervisor::Event;

    use super::*;

    #[tokio::test]
    async fn work_that_hangs_keeps_only_other_work_waiting_and_there_is_a_limit() {
        let (inbox, mut messages) = tokio::sync::mpsc::channel(16);
        let mut files = Files::new(inbox);
        let mut hanging = Vec::new();
        for _ in 0..THREADS {
            let (release, released) = mpsc::channel::<()>();
            hanging.push(release);
            files.work(move |_| assert!(released.recv().is_err())).unwrap();
        }
        for _ in 0..WAITING {
            files.work(|tell| tell(Message::Event(Event::TimePassed))).unwrap();
        }
        let refused = files.work(|_| ()).unwrap_err();
        assert!(refused.contains("1024 pieces of work"), "{refused}");
        assert!(messages.try_recv().is_err(), "nothing has been done yet");
        drop(hanging);
        let (mut told, mut over) = (0, 0);
        while over < THREADS + WAITING {
            match messages.recv().await {
                Some(Message::Filed) => {
                    over += 1;
                    files.done();
                }
                Some(Message::Event(Event::TimePassed)) => told += 1,
                other => panic!("{other:?}"),
            }
        }
        assert_eq!((told, files.busy, files.waiting.len()), (WAITING, 0, 0));
    }
}
