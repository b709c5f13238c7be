//! Out of memory: what the kernel killed for it, and how likely it is to choose us.

use crate::hierarchies::Hierarchies;
use std::path::PathBuf;

/// Our place in the kernel's choice of a victim, from -1000 (never) to 1000 (first). Source: proc(5), `oom_score_adj`.
const OWN_SCORE: i32 = -900;

/// The counter of kills in our control group, if there is one that can be read.
#[derive(Debug)]
pub(crate) struct OomKills {
    /// Where to look for it, until that was done.
    unsought: Option<Hierarchies>,
    counter: Option<PathBuf>,
    seen: u64,
}

impl OomKills {
    pub(crate) fn new(hierarchies: Hierarchies) -> Self {
        OomKills { unsought: Some(hierarchies), counter: None, seen: 0 }
    }

    /// Finds the counter of our own control group (v2 `memory.events`, v1 `memory.oom_control`) when it is called first.
    ///
    /// To be called when the first processes were started, who would have to wait for it otherwise; filling the memory takes them longer.
    pub(crate) fn seek(&mut self) {
        let Some(hierarchies) = self.unsought.take() else { return };
        let found = candidates(&hierarchies).into_iter().find_map(|path| count(&path).map(|seen| (path, seen)));
        if let Some((path, seen)) = found {
            (self.counter, self.seen) = (Some(path), seen);
        }
    }

    /// Whether one more kill was counted than was told so far; each is told once.
    pub(crate) fn take(&mut self) -> bool {
        let count = self.counter.as_ref().and_then(count).unwrap_or(0);
        let more = count > self.seen;
        self.seen += u64::from(more);
        more
    }
}

/// The files that may hold the counter, likeliest first. A container often sees its own group mounted as the root, while
/// `/proc/self/cgroup` names it as the host does; so each mount is tried with the group's path and without.
fn candidates(hierarchies: &Hierarchies) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for hierarchy in hierarchies.mounted() {
        let (controller, file) = match hierarchy.options {
            None => ("", "memory.events"),
            Some(options) if options.split(',').any(|option| option == "memory") => ("memory", "memory.oom_control"),
            Some(_) => continue,
        };
        if let Some(group) = hierarchies.own_group(controller) {
            found.push(hierarchy.point.join(group.trim_start_matches('/')).join(file));
        }
        found.push(hierarchy.point.join(file));
    }
    found
}

fn count(path: &PathBuf) -> Option<u64> {
    let text = std::fs::read_to_string(path).ok()?;
    text.lines().find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok())
}

/// Lowers our own score where that is permitted, and returns the inherited one, which children must get back.
///
/// Lowering needs `CAP_SYS_RESOURCE`, which a container has not by default; then nothing changes and `None` is returned.
pub(crate) fn protect_ourselves() -> Option<i32> {
    let path = "/proc/self/oom_score_adj";
    let inherited: i32 = std::fs::read_to_string(path).ok()?.trim().parse().ok()?;
    if inherited <= OWN_SCORE {
        return None;
    }
    std::fs::write(path, OWN_SCORE.to_string()).ok()?;
    Some(inherited)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(groups: &str, mounts: &str, expect: &[&str]) {
        let expect: Vec<PathBuf> = expect.iter().map(PathBuf::from).collect();
        assert_eq!(candidates(&Hierarchies::of(groups, mounts)), expect);
    }

    #[test]
    fn both_versions_are_found() {
        let v2 = "30 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup rw,nsdelegate\n";
        check("0::/\n", v2, &["/sys/fs/cgroup/memory.events", "/sys/fs/cgroup/memory.events"]);
        check("0::/a/b\n", v2, &["/sys/fs/cgroup/a/b/memory.events", "/sys/fs/cgroup/memory.events"]);
        let v1 = "31 23 0:27 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n1 2 0:3 / /x rw - cgroup c rw,cpu\n";
        let expect = ["/sys/fs/cgroup/memory/docker/1/memory.oom_control", "/sys/fs/cgroup/memory/memory.oom_control"];
        check("4:memory:/docker/1\n1:cpu:/\n0::/\n", v1, &expect);
        check("", "garbage\n", &[]);
    }
}
