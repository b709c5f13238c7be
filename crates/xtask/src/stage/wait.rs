//! Waiting for a condition, with a deadline and with an end when somebody interrupts or a server dies.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::{Interrupt, Server};

/// How often a condition is looked at.
const POLL: Duration = Duration::from_millis(50);

/// Looks until `condition` gives something. Its error says what is missing still, and is shown when the time is up. If one of
/// `servers` ends in the meantime, so does the wait.
pub(crate) fn until<T>(
    what: &str,
    limit: Duration,
    interrupt: &Interrupt,
    servers: &mut [Server],
    mut condition: impl FnMut() -> Result<T>,
) -> Result<T> {
    let deadline = Instant::now() + limit;
    loop {
        let error = match condition() {
            Ok(found) => return Ok(found),
            Err(error) => error,
        };
        for server in &mut *servers {
            server.check_alive()?;
        }
        if Instant::now() >= deadline {
            return Err(error).with_context(|| format!("waited {} s for {what}", limit.as_secs()));
        }
        interrupt.pause(POLL)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_error_is_shown_when_the_time_is_up() {
        let interrupt = Interrupt::install().expect("signals can be handled");
        let wait = until::<()>("a port", Duration::ZERO, &interrupt, &mut [], || anyhow::bail!("refused"));
        assert_eq!(format!("{:#}", wait.expect_err("it never comes")), "waited 0 s for a port: refused");
    }

    #[test]
    fn what_comes_late_is_found() {
        let interrupt = Interrupt::install().expect("signals can be handled");
        let mut looks = 0;
        let found = until("the third look", Duration::from_secs(30), &interrupt, &mut [], || {
            looks += 1;
            if looks < 3 { anyhow::bail!("not yet") } else { Ok(looks) }
        });
        assert_eq!(found.expect("it comes"), 3);
    }
}
