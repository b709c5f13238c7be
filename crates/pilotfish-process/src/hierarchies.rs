//! Where control groups are mounted, and which of them is ours: read at most once.

use std::cell::OnceCell;
use std::ffi::CStr;
use std::fs::File;
use std::io::{self, Read};
use std::mem::MaybeUninit;
use std::path::{Component, Path, PathBuf};

/// What is read of a list at once, in bytes: enough for some fifty mounts.
const READ_BYTES: usize = 8 * 1024;

/// Where the unified hierarchy is mounted nearly everywhere, and the file that kills all of it; the second is where it is when the older
/// hierarchies are in use beside it.
const USUAL_POINTS: [(&CStr, &CStr); 2] = [
    (c"/sys/fs/cgroup", c"/sys/fs/cgroup/cgroup.kill"),
    (c"/sys/fs/cgroup/unified", c"/sys/fs/cgroup/unified/cgroup.kill"),
];

/// What the system says of control groups, as text; empty where `/proc` is not mounted.
#[derive(Debug, Default)]
pub(crate) struct Hierarchies {
    /// `/proc/self/cgroup`: our group in each hierarchy (cgroups(7)).
    groups: String,
    /// `/proc/self/mountinfo` (proc(5)), read when it is needed: the kernel takes longer for it than for anything else at the start.
    mounts: OnceCell<String>,
}

/// One mounted hierarchy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Hierarchy<'a> {
    /// The controllers of a v1 hierarchy, comma-separated among other options; `None` for the unified one (v2).
    pub(crate) options: Option<&'a str>,
    /// The group that is mounted.
    root: &'a str,
    /// Where it is mounted.
    pub(crate) point: &'a Path,
}

impl Hierarchies {
    pub(crate) fn read() -> Self {
        Hierarchies { groups: read("/proc/self/cgroup").unwrap_or_default(), mounts: OnceCell::new() }
    }

    #[cfg(test)]
    pub(crate) fn of(groups: &str, mounts: &str) -> Self {
        Hierarchies { groups: groups.to_owned(), mounts: mounts.to_owned().into() }
    }

    pub(crate) fn mounted(&self) -> impl Iterator<Item = Hierarchy<'_>> {
        // id parent device root mount-point options [tags] - type source super-options.
        let mounts = self.mounts.get_or_init(|| read("/proc/self/mountinfo").unwrap_or_default());
        mounts.lines().filter_map(|line| {
            let (before, after) = line.split_once(" - ")?;
            let mut before = before.split(' ').skip(3);
            let (root, point) = (before.next()?, Path::new(before.next()?));
            let options = match after.split(' ').next()? {
                "cgroup2" => None,
                "cgroup" => Some(after.rsplit(' ').next()?),
                _ => return None,
            };
            Some(Hierarchy { options, root, point })
        })
    }

    /// The path of our own group in the hierarchy of this controller; the unified one has an empty name.
    pub(crate) fn own_group(&self, controller: &str) -> Option<&str> {
        self.groups.lines().find_map(|line| {
            // hierarchy-id:controllers:path.
            let mut fields = line.splitn(3, ':').skip(1);
            let controllers = fields.next()?;
            let path = fields.next()?;
            controllers.split(',').any(|name| name == controller).then_some(path)
        })
    }

    /// Whether the usual places tell already that no group can be made: the hierarchy is mounted read-only, as container engines do, or
    /// our group is the root of all, which has no `cgroup.kill` and is nobody's to divide. Spares the list of mounts.
    pub(crate) fn is_closed(&self) -> bool {
        let at_top = self.own_group("") == Some("/");
        USUAL_POINTS.iter().any(|&(point, kill)| {
            is_unified(point)
                && (access_error(point, libc::W_OK) == Some(libc::EROFS)
                    || at_top && access_error(kill, libc::F_OK) == Some(libc::ENOENT))
        })
    }

    /// The directory of our own group in the unified hierarchy, when it is within what is mounted.
    pub(crate) fn own_directory(&self) -> Option<PathBuf> {
        let group = Path::new(self.own_group("")?);
        self.mounted().filter(|hierarchy| hierarchy.options.is_none()).find_map(|hierarchy| {
            let below = group.strip_prefix(hierarchy.root).ok()?;
            // A group outside our namespace is written with dots, which mean nothing in a file's path.
            let plain = below.components().all(|part| matches!(part, Component::Normal(_)));
            plain.then(|| hierarchy.point.join(below))
        })
    }
}

/// Whether this is a place of the unified hierarchy (statfs(2)).
fn is_unified(path: &CStr) -> bool {
    let mut facts = MaybeUninit::<libc::statfs>::uninit();
    // SAFETY: the path is a terminated string; `facts` has room for what is written, and is looked at only when it was.
    unsafe {
        libc::statfs(path.as_ptr(), facts.as_mut_ptr()) == 0 && facts.assume_init().f_type == libc::CGROUP2_SUPER_MAGIC
    }
}

/// Why we may not access a path in this way, if we may not (access(2)).
fn access_error(path: &CStr, mode: libc::c_int) -> Option<i32> {
    // SAFETY: the path is a terminated string; nothing is written.
    let refused = unsafe { libc::access(path.as_ptr(), mode) } != 0;
    refused.then(io::Error::last_os_error)?.raw_os_error()
}

/// In one read where that is enough: the kernel lists all mounts anew for each, and the standard library begins with small ones.
fn read(path: &str) -> io::Result<String> {
    let mut text = String::with_capacity(READ_BYTES);
    File::open(path)?.read_to_string(&mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNT: &str = "cgroup2 cgroup rw,nsdelegate";

    fn check(groups: &str, mounts: &str, expect: Option<&str>) {
        assert_eq!(Hierarchies::of(groups, mounts).own_directory(), expect.map(PathBuf::from), "{groups} {mounts}");
    }

    #[test]
    fn own_directory_is_found_below_the_mount() {
        let host = format!("30 23 0:26 / /sys/fs/cgroup rw shared:9 - {MOUNT}\n");
        check("0::/\n", &host, Some("/sys/fs/cgroup"));
        check("1:name=systemd:/x\n0::/a.slice/b\n", &host, Some("/sys/fs/cgroup/a.slice/b"));
        check("0::/../other\n", &host, None);
        check("1:cpu:/\n", &host, None);
        // A container without a namespace of groups of its own sees its part mounted, and its group as the host does.
        let part = format!("1 2 0:3 / /sys rw - sysfs sysfs rw\n30 23 0:26 /docker/1 /sys/fs/cgroup rw - {MOUNT}\n");
        check("0::/docker/1\n", &part, Some("/sys/fs/cgroup"));
        check("0::/docker/1/in\n", &part, Some("/sys/fs/cgroup/in"));
        check("0::/docker/12\n", &part, None);
        check("0::/\n", "garbage\n", None);
        check("", "", None);
    }
}
