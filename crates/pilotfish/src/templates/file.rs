//! Follows a file that templates read, by looking at it every two seconds.
//!
//! The kernel's notices (inotify(7)) would cost no look, but they miss what a template's file often is: a link into a directory that is
//! swapped as a whole (a mounted secret), a file on a network or a stacked file system, or one whose directory is made later.

use std::{
    fs::File,
    io::{self, Read as _},
    os::unix::fs::MetadataExt as _,
    time::{Duration, SystemTime},
};

use pilotfish_template::catalog::Answers;

use super::follow::{Answer, Found, Told};

/// The time between two looks; consul-template's.
const PACE: Duration = Duration::from_secs(2);

/// Largest file that a template may read, in bytes.
const FILE_LIMIT: u64 = 16 << 20;

/// What tells one state of a file from another without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    bytes: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

/// The last look.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Look {
    /// What the file was like; `None` if it must be read again whatever it looks like.
    stamp: Option<Stamp>,
    /// What was in it, or why that cannot be told; `None` if the file is as it was.
    news: Option<Result<String, String>>,
}

/// Sends the text to the loop whenever it changes, until it is aborted.
pub(super) async fn follow(path: &str, told: Told) {
    let mut last: Option<Result<String, String>> = None;
    let mut stamp = None;
    loop {
        let (path, before) = (path.to_owned(), stamp);
        // A file system can hang, and the loop must not.
        let look = tokio::task::spawn_blocking(move || look(&path, before)).await;
        let look = look.unwrap_or_else(|error| Look { stamp: None, news: Some(Err(error.to_string())) });
        stamp = look.stamp;
        if let Some(news) = look.news.filter(|news| last.as_ref() != Some(news)) {
            let answer = |text: &String| Answer { value: Answers::file(text), endpoint: None };
            let found = news.as_ref().map(|text| Found { value: answer(text), restarted: false });
            told.tell(found.map_err(String::clone)).await;
            last = Some(news);
        }
        tokio::time::sleep(PACE).await;
    }
}

fn look(path: &str, before: Option<Stamp>) -> Look {
    match read(path, before) {
        Ok(look) => look,
        Err(error) => Look { stamp: None, news: Some(Err(format!("cannot read {path}: {error}"))) },
    }
}

fn read(path: &str, before: Option<Stamp>) -> io::Result<Look> {
    let metadata = std::fs::metadata(path)?;
    if !metadata.is_file() {
        return Err(io::Error::other("it is no file"));
    }
    let now = SystemTime::now();
    let file = File::open(path)?;
    let metadata = file.metadata()?;
    let stamp = Stamp {
        device: metadata.dev(),
        inode: metadata.ino(),
        bytes: metadata.len(),
        modified: (metadata.mtime(), metadata.mtime_nsec()),
        changed: (metadata.ctime(), metadata.ctime_nsec()),
    };
    if before == Some(stamp) {
        return Ok(Look { stamp: before, news: None });
    }
    let mut bytes = Vec::new();
    file.take(FILE_LIMIT + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > FILE_LIMIT {
        return Err(io::Error::other(format!("it is larger than {FILE_LIMIT} bytes")));
    }
    // A file that was written a moment ago may be written again within the same tick of the file system's clock.
    let is_old = metadata.modified().is_ok_and(|at| now.duration_since(at).is_ok_and(|age| age > PACE));
    Ok(Look { stamp: is_old.then_some(stamp), news: Some(Ok(String::from_utf8_lossy(&bytes).into_owned())) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn news(path: &str, before: Option<Stamp>) -> Option<Result<String, String>> {
        look(path, before).news
    }

    #[test]
    fn a_file_is_read_again_when_it_is_another_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let shown = path.display().to_string();
        assert!(news(&shown, None).unwrap().unwrap_err().contains("No such file"));
        std::fs::write(&path, b"one\xff").unwrap();
        assert_eq!(news(&shown, None), Some(Ok("one\u{fffd}".into())));
        assert_eq!(look(&shown, None).stamp, None, "it may be written again in this moment");
        let old = SystemTime::now() - Duration::from_secs(100);
        File::options().write(true).open(&path).unwrap().set_modified(old).unwrap();
        let stamp = look(&shown, None).stamp;
        assert!(stamp.is_some());
        assert_eq!(look(&shown, stamp), Look { stamp, news: None });
        std::fs::write(&path, "two").unwrap();
        assert_eq!(news(&shown, stamp), Some(Ok("two".into())));
    }

    #[test]
    fn what_is_no_file_or_too_large_is_no_answer() {
        for (path, reason) in
            [("/dev/zero", "no file"), ("/tmp", "no file"), ("/no/such/file", "cannot read /no/such/file")]
        {
            let answer = news(path, None).unwrap().unwrap_err();
            assert!(answer.contains(reason), "{answer}");
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("huge");
        File::create(&path).unwrap().set_len(FILE_LIMIT + 1).unwrap();
        assert!(news(path.to_str().unwrap(), None).unwrap().unwrap_err().contains("larger than"));
    }
}
