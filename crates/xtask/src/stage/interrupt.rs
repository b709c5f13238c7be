//! Ctrl-C and SIGTERM as a condition that waits end on, so that what was started is stopped by the usual way out.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// Knows whether somebody asked us to stop.
pub(crate) struct Interrupt {
    seen: Arc<AtomicBool>,
    wake: Mutex<Receiver<()>>,
}

impl Interrupt {
    /// From now on the signals no longer end this process; a second one does, for when stopping hangs.
    pub(crate) fn install() -> Result<Self> {
        let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP]).context("cannot handle signals")?;
        let seen = Arc::new(AtomicBool::new(false));
        let (sender, wake) = mpsc::channel();
        let set = Arc::clone(&seen);
        thread::spawn(move || {
            for signal in signals.forever() {
                if set.swap(true, Ordering::SeqCst) {
                    std::process::exit(128 + signal);
                }
                // Nobody listens only when the main thread is already on its way out.
                let _ = sender.send(());
            }
        });
        Ok(Self { seen, wake: Mutex::new(wake) })
    }

    /// Waits this long, or fails at once when somebody asks us to stop.
    pub(crate) fn pause(&self, time: Duration) -> Result<()> {
        self.check()?;
        // A timeout is the good case; otherwise the flag has the answer.
        let _ = self.wake.lock().expect("no thread panics while it waits").recv_timeout(time);
        self.check()
    }

    /// Waits for somebody to ask us to stop.
    pub(crate) fn wait(&self) {
        while self.pause(Duration::from_secs(3600)).is_ok() {}
    }

    /// Whether somebody asked us to stop.
    pub(crate) fn is_seen(&self) -> bool {
        self.seen.load(Ordering::SeqCst)
    }

    /// Fails when somebody asked us to stop.
    pub(crate) fn check(&self) -> Result<()> {
        if self.is_seen() {
            bail!("interrupted");
        }
        Ok(())
    }
}
