//! Who registers a service: a name for this very start of the supervisor, which its registrations carry, so that another one can be told from
//! ourselves, and a predecessor that is gone from one that lives.

use std::{collections::BTreeMap, fmt};

use pilotfish_process::{exists, hostname};

use super::jitter;

/// The metadata of a registration that names its owner.
pub(super) const KEY: &str = "pilotfish-owner";

/// A start of a supervisor: `HOST pid PID BOOT-NAMESPACE-RANDOM`.
#[derive(Clone, Debug)]
pub(super) struct Owner {
    text: String,
    pid: i32,
    place: String,
}

impl Owner {
    /// This start.
    pub(super) fn new() -> Owner {
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        let namespace = std::fs::read_link("/proc/self/ns/pid").unwrap_or_default();
        let namespace: String = namespace.to_string_lossy().chars().filter(char::is_ascii_digit).collect();
        // A pid is a small positive number.
        let pid = std::process::id() as i32;
        Owner::of(&hostname(), pid, &place(&boot, &namespace), u64::from(jitter()) << 32 | u64::from(jitter()))
    }

    fn of(host: &str, pid: i32, place: &str, random: u64) -> Owner {
        Owner { text: format!("{host} pid {pid} {place}-{random:016x}"), pid, place: place.to_owned() }
    }

    /// What registrations carry.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// The owner that metadata names, if it is another one.
    pub(super) fn other<'a>(&self, meta: &'a BTreeMap<String, String>) -> Option<&'a str> {
        meta.get(KEY).map(String::as_str).filter(|owner| *owner != self.text)
    }

    /// Of the two the other one stays. Both must come to the same result.
    pub(super) fn yields_to(&self, other: &str) -> bool {
        other < self.text.as_str()
    }

    /// The other one is proven to be gone: it ran on this boot of this host, among the processes that we see, and is not there.
    pub(super) fn outlives(&self, other: &str) -> bool {
        let Some((pid, place)) = parts(other) else { return false };
        // A place that is not known in full proves nothing. With our own pid it was a process before us.
        !self.place.starts_with('-')
            && !self.place.ends_with('-')
            && place == self.place
            && (pid == self.pid || !exists(pid))
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The boot and the pid namespace. Its number is its own as long as it lives (namespaces(7)): if it is ours by now, all its processes are gone.
fn place(boot: &str, namespace: &str) -> String {
    format!("{}-{namespace}", boot.trim().get(..8).unwrap_or_default())
}

/// Pid and place of an owner.
fn parts(owner: &str) -> Option<(i32, &str)> {
    let mut words = owner.rsplit(' ');
    let (place, _) = words.next()?.rsplit_once('-')?;
    Some((words.next()?.parse().ok().filter(|pid| *pid > 0)?, place))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(pid: i32, place: &str) -> Owner {
        Owner::of("web-1", pid, place, 7)
    }

    fn own_pid() -> i32 {
        std::process::id() as i32
    }

    /// A pid that no process can have (proc(5), `pid_max`).
    const NOBODY: i32 = 0x7fff_fff0;

    #[test]
    fn a_start_is_told_from_itself_and_from_others() {
        let (own, other) = (Owner::new(), Owner::new());
        let meta = |owner: &Owner| BTreeMap::from([(KEY.to_owned(), owner.text().to_owned())]);
        assert_eq!((own.other(&meta(&own)), own.other(&BTreeMap::new())), (None, None));
        assert_eq!(own.other(&meta(&other)), Some(other.text()));
        assert_ne!(own.yields_to(other.text()), other.yields_to(own.text()));
        assert!(own.text().len() < 512, "longer metadata is refused (Consul documentation, agent API)");
    }

    #[test]
    fn only_a_process_among_ours_can_be_proven_gone() {
        let own = owner(own_pid(), "0a1b2c3d-4026531836");
        for (other, gone) in [
            (owner(NOBODY, "0a1b2c3d-4026531836"), true),
            (owner(own_pid(), "0a1b2c3d-4026531836"), true),
            (owner(1, "0a1b2c3d-4026531836"), false),
            (owner(NOBODY, "ffffffff-4026531836"), false),
            (owner(NOBODY, "0a1b2c3d-4026531837"), false),
        ] {
            assert_eq!(own.outlives(other.text()), gone, "{other}");
        }
        for garbage in ["", "x", "web pid 7", "web pid x 0a1b2c3d-4026531836-07", "web pid -1 0a1b2c3d-4026531836-07"] {
            assert!(!own.outlives(garbage), "{garbage}");
        }
        for unknown in ["-", "-4026531836", "0a1b2c3d-"] {
            assert!(!owner(own_pid(), unknown).outlives(owner(NOBODY, unknown).text()), "{unknown}");
        }
    }
}
