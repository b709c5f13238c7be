//! The catalog as a running thing: the state with its one writer, and the clock.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};

use crate::state::{Answer, Command, Interest, Refusal, Refused, State, Time};
use crate::watching::{Waiting, Watchers};

/// Commands that wait for the writer; whoever comes next waits.
pub(crate) const QUEUE: usize = 1024;

/// A command and whoever waits for its answer.
pub(crate) type Submission = (Command, oneshot::Sender<Result<Answer, Refused>>);

/// A handle on a running catalog. All of it runs in the tasks that [`crate::Server::run`] drives.
#[derive(Clone, Debug)]
pub struct Catalog {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    watchers: Arc<Watchers>,
    commands: mpsc::Sender<Submission>,
    begun: Instant,
    /// How often everything was replaced: whoever waits then is answered, whatever the index.
    replaced: AtomicU64,
}

impl Catalog {
    /// A catalog whose clock begins now, and the commands that its writer is to apply.
    pub(crate) fn new(state: State) -> (Catalog, mpsc::Receiver<Submission>) {
        let (commands, submissions) = mpsc::channel(QUEUE);
        let shared = Shared {
            state: Mutex::new(state),
            watchers: Arc::default(),
            commands,
            begun: Instant::now(),
            replaced: AtomicU64::new(0),
        };
        (Catalog { shared: Arc::new(shared) }, submissions)
    }

    /// The state between two commands. The guard must not be held across an await.
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Time since the start.
    pub fn now(&self) -> Time {
        self.shared.begun.elapsed()
    }

    /// When a time of the state is.
    pub(crate) fn instant(&self, time: Time) -> Instant {
        self.shared.begun + time
    }

    /// Has a command applied, and waits until that is so.
    ///
    /// # Errors
    /// When it was refused, or the catalog is ending.
    pub async fn submit(&self, command: Command) -> Result<Answer, Refused> {
        let (answer, told) = oneshot::channel();
        let ending = || Refusal::internal("the catalog is ending; try again");
        self.shared.commands.send((command, answer)).await.map_err(|_| ending())?;
        told.await.unwrap_or_else(|_| Err(ending()))
    }

    /// Begins to wait for changes.
    pub(crate) fn wait_for(&self, interests: Vec<Interest>) -> Waiting {
        self.shared.watchers.wait_for(interests)
    }

    /// Waits until `index` of the state is above `minimum`, or until `wait` has passed.
    pub(crate) async fn until(
        &self,
        minimum: u64,
        wait: Duration,
        interests: Vec<Interest>,
        index: impl Fn(&State) -> u64,
    ) {
        let mut waiting = self.wait_for(interests.clone());
        let generation = self.shared.replaced.load(Ordering::Relaxed);
        let limit = tokio::time::sleep(wait);
        tokio::pin!(limit);
        loop {
            if index(&self.state()) > minimum || self.shared.replaced.load(Ordering::Relaxed) != generation {
                return;
            }
            tokio::select! {
                () = waiting.changed() => {}
                () = &mut limit => return,
            }
            // Waiting again before looking again, so that nothing is missed between the two.
            waiting = self.wait_for(interests.clone());
        }
    }

    /// Everything is another one now.
    pub(crate) fn replaced(&self) {
        self.shared.replaced.fetch_add(1, Ordering::Relaxed);
        self.shared.watchers.wake_all();
    }

    /// Wakes everybody whom the last command of the state concerns.
    pub(crate) fn wake(&self, state: &State) {
        self.shared.watchers.wake(state.changes());
    }

    /// How many interests are waited for; one of them is always the prober's.
    pub fn watchers(&self) -> usize {
        self.shared.watchers.count()
    }
}
