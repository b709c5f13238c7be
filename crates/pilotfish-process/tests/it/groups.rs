//! Control groups that the runner makes for a case and removes after it, where it may make some.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long the kernel may take to see that a group is empty.
const EMPTY_WITHIN: Duration = Duration::from_secs(30);

/// The variables that name a case's groups: in the unified hierarchy, and in that of the v1 memory controller.
const UNIFIED: &str = "TEST_GROUP_UNIFIED";
const MEMORY: &str = "TEST_GROUP_MEMORY";

/// The groups of one case.
pub(crate) struct Groups(Vec<(&'static str, PathBuf)>);

impl Groups {
    /// Makes groups below our own ones, so that the limits that bind us bind the case too.
    pub(crate) fn new() -> Self {
        // Other names than the supervisor's own, which removes such when they are empty.
        let unique = std::fs::read_to_string("/proc/sys/kernel/random/uuid").expect("random numbers");
        let name = format!("tests-of-pilotfish-{}", unique.trim());
        let wanted = [(UNIFIED, own("cgroup2", "")), (MEMORY, own("cgroup", "memory"))];
        let made = wanted.into_iter().filter_map(|(variable, own)| {
            let path = own?.join(&name);
            std::fs::create_dir(&path).ok()?;
            Some((variable, path))
        });
        Groups(made.collect())
    }

    /// The words before a command line that make it start in the groups, which it finds in its environment.
    pub(crate) fn prefix(&self) -> Vec<OsString> {
        let mut script = String::new();
        let mut directories = Vec::new();
        for (index, (variable, path)) in self.0.iter().enumerate() {
            script += &format!("echo $$ > \"$1/cgroup.procs\" && export {variable}=\"$1\" && shift && ");
            directories.insert(index, path.into());
        }
        script += "exec \"$@\"";
        let mut words: Vec<OsString> = vec!["sh".into(), "-c".into(), script.into(), "sh".into()];
        words.append(&mut directories);
        words
    }
}

impl Drop for Groups {
    fn drop(&mut self) {
        let begun = Instant::now();
        for (_, path) in &self.0 {
            let _ = std::fs::write(path.join("cgroup.kill"), "1");
            while !remove(path) && begun.elapsed() < EMPTY_WITHIN {
                std::thread::park_timeout(Duration::from_millis(2));
            }
        }
    }
}

fn remove(path: &Path) -> bool {
    for part in subgroups(path) {
        remove(&part);
    }
    std::fs::remove_dir(path).is_ok() || !path.exists()
}

/// The directories of the groups in a group.
pub(crate) fn subgroups(path: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
    entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())).map(|entry| entry.path()).collect()
}

/// The case's own group in the unified hierarchy; absent where the runner could not make one.
pub(crate) fn unified() -> Option<PathBuf> {
    std::env::var_os(UNIFIED).map(PathBuf::from)
}

/// The case's own group of the v1 memory controller; absent where the runner could not make one.
pub(crate) fn memory() -> Option<PathBuf> {
    std::env::var_os(MEMORY).map(PathBuf::from)
}

/// The directory of our own group in a hierarchy that is mounted whole.
fn own(kind: &str, controller: &str) -> Option<PathBuf> {
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").ok()?;
    let point = mounts.lines().find_map(|line| {
        let (before, after) = line.split_once(" - ")?;
        let fields: Vec<&str> = before.split(' ').collect();
        let fits = after.split(' ').next() == Some(kind) && fields[3] == "/";
        let controls = controller.is_empty() || after.rsplit([' ', ',']).any(|option| option == controller);
        (fits && controls).then(|| PathBuf::from(fields[4]))
    })?;
    let groups = std::fs::read_to_string("/proc/self/cgroup").ok()?;
    let group = groups.lines().find_map(|line| {
        let mut fields = line.splitn(3, ':').skip(1);
        fields.next()?.split(',').any(|name| name == controller).then(|| fields.next())?
    })?;
    Some(point.join(group.trim_start_matches('/')))
}
