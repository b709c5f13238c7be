//! Users and groups by name, read from `/etc/passwd` and `/etc/group` directly.
//!
//! The C library's look-up is not used: a static program would load the host's name-service modules into itself.

use crate::error::Error;
use std::io;

/// Who a process runs as, all in numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) uid: libc::uid_t,
    pub(crate) gid: libc::gid_t,
    pub(crate) groups: Vec<libc::gid_t>,
}

/// Resolves what a command asks for; `None` when it asks for nothing, or for what we are already.
pub(crate) fn resolve(user: Option<&str>, group: Option<&str>) -> Result<Option<Identity>, Error> {
    if user.is_none() && group.is_none() {
        return Ok(None);
    }
    let passwd = read("/etc/passwd");
    let groups = read("/etc/group");
    // SAFETY: these two take nothing, cannot fail and touch no memory of ours.
    let (own_uid, own_gid) = unsafe { (libc::geteuid(), libc::getegid()) };
    let identity = look_up(&passwd, &groups, user, group, (own_uid, own_gid))?;
    let unchanged = own_uid != 0 && identity.uid == own_uid && identity.gid == own_gid;
    Ok(if unchanged { None } else { Some(identity) })
}

/// The numbers of the user and the group that a file is given to; `None` for what is not named. A user's own group is not implied.
///
/// # Errors
/// [`Error::Identity`] when one of them is unknown.
pub fn owner(user: Option<&str>, group: Option<&str>) -> Result<(Option<u32>, Option<u32>), Error> {
    if user.is_none() && group.is_none() {
        return Ok((None, None));
    }
    let identity = look_up(&read("/etc/passwd"), &read("/etc/group"), user, group, (0, 0))?;
    Ok((user.map(|_| identity.uid), group.map(|_| identity.gid)))
}

/// A missing file is an empty one: minimal images have neither, and numbers still work there.
fn read(path: &str) -> String {
    std::fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}

fn look_up(
    passwd: &str,
    groups: &str,
    user: Option<&str>,
    group: Option<&str>,
    own: (libc::uid_t, libc::gid_t),
) -> Result<Identity, Error> {
    let account = match user {
        Some(user) => Some(account(passwd, user).ok_or_else(|| unknown(user, "no such user in /etc/passwd"))?),
        None => None,
    };
    let gid = match group {
        Some(group) => Some(group_id(groups, group).ok_or_else(|| unknown(group, "no such group in /etc/group"))?),
        None => None,
    };
    let uid = account.as_ref().map_or(own.0, |account| account.uid);
    // A number that is not in /etc/passwd has group 0, as in the engines of containers (Dockerfile reference, USER).
    let primary = account.as_ref().map_or(own.1, |account| account.gid.unwrap_or(0));
    let gid = gid.unwrap_or(primary);
    let mut supplementary = account.and_then(|account| account.name).map_or_else(Vec::new, |name| {
        rows(groups).filter(|row| has_member(row, name)).filter_map(|row| row.get(2)?.parse().ok()).collect()
    });
    supplementary.push(gid);
    supplementary.sort_unstable();
    supplementary.dedup();
    Ok(Identity { uid, gid, groups: supplementary })
}

struct Account<'a> {
    name: Option<&'a str>,
    uid: libc::uid_t,
    gid: Option<libc::gid_t>,
}

/// A name, or a number that need not be listed.
fn account<'a>(passwd: &'a str, user: &str) -> Option<Account<'a>> {
    let listed = rows(passwd).find(|row| row.first() == Some(&user)).or_else(|| {
        let uid: libc::uid_t = user.parse().ok()?;
        rows(passwd).find(|row| row.get(2).and_then(|field| field.parse().ok()) == Some(uid))
    });
    match listed {
        Some(row) => {
            Some(Account { name: Some(row[0]), uid: row.get(2)?.parse().ok()?, gid: Some(row.get(3)?.parse().ok()?) })
        }
        None => Some(Account { name: None, uid: user.parse().ok()?, gid: None }),
    }
}

fn group_id(groups: &str, group: &str) -> Option<libc::gid_t> {
    match rows(groups).find(|row| row.first() == Some(&group)) {
        Some(row) => row.get(2)?.parse().ok(),
        None => group.parse().ok(),
    }
}

fn has_member(row: &[&str], name: &str) -> bool {
    row.get(3).is_some_and(|members| members.split(',').any(|member| member == name))
}

/// Both files have one record a line, with fields between colons (passwd(5), group(5)).
fn rows(text: &str) -> impl Iterator<Item = Vec<&str>> {
    text.lines().map(|line| line.split(':').collect())
}

fn unknown(name: &str, reason: &str) -> Error {
    Error::Identity { name: name.to_owned(), source: io::Error::new(io::ErrorKind::NotFound, reason) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\nwww:x:33:33:www:/var/www:/bin/false\nbroken\n";
    const GROUP: &str = "root:x:0:\nwww:x:33:\nssl:x:110:db,www\nlog:x:4:www\n";

    fn check(user: Option<&str>, group: Option<&str>, expect: Option<(u32, u32, &[u32])>) {
        let found = look_up(PASSWD, GROUP, user, group, (1000, 1000)).ok();
        let expect = expect.map(|(uid, gid, groups)| Identity { uid, gid, groups: groups.to_vec() });
        assert_eq!(found, expect, "{user:?} {group:?}");
    }

    #[test]
    fn names_and_numbers() {
        check(Some("www"), None, Some((33, 33, &[4, 33, 110])));
        check(Some("33"), None, Some((33, 33, &[4, 33, 110])));
        check(Some("www"), Some("log"), Some((33, 4, &[4, 110])));
        check(Some("4000"), Some("5000"), Some((4000, 5000, &[5000])));
        check(Some("4000"), None, Some((4000, 0, &[0])));
        check(None, Some("ssl"), Some((1000, 110, &[110])));
    }

    #[test]
    fn what_is_unknown_is_refused() {
        check(Some("nobody-here"), None, None);
        check(Some("www"), Some("nogroup-here"), None);
        check(Some("broken"), None, None);
    }
}
