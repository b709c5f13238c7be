//! The log in front of readers that are slow, stuck or gone.

use std::time::UNIX_EPOCH;

use pilotfish_config::Format;

use super::{super::output::tests::Tap, *};

fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { timeout(Duration::from_secs(30), test).await.unwrap() });
}

fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1)
}

fn tapped(room: usize) -> (Log, Arc<Tap>) {
    let tap = Arc::new(Tap::default());
    tap.open(room);
    let masker = Masker::from_environment([("PASSWORD", "hunter2")]);
    (Log::new(Logging::default(), masker, Target::Tap(tap.clone())), tap)
}

fn own(text: &str) -> Record<'_> {
    Record::new(Level::Info, text)
}

#[test]
fn lines_are_written_at_once_without_secrets_and_by_level() {
    run(async {
        let (log, tap) = tapped(10_000);
        log.write(&own("password hunter2"), now());
        log.write(&Record::new(Level::Debug, "unwanted"), now());
        log.write_job_line("app", 7, b"got hunter2", now()).unwrap();
        let expected = "1970-01-01T00:00:01.000000Z password ***\n1970-01-01T00:00:01.000000Z app 7 got ***\n";
        assert_eq!(tap.text(), expected);
        let json = Logging { format: Format::Json, level: Level::Error, ..Logging::default() };
        log.configure(json, Masker::default()).unwrap();
        assert!(log.takes(Level::Error) && !log.takes(Level::Info));
        log.write(&Record::new(Level::Error, "bad").with("error", "hunter2".into()), now());
        let last =
            "{\"error\":\"hunter2\",\"level\":\"error\",\"msg\":\"bad\",\"time\":\"1970-01-01T00:00:01.000000Z\"}\n";
        assert!(tap.text().ends_with(last), "{}", tap.text());
    });
}

#[test]
fn a_slow_reader_gets_every_line_of_a_job_in_order() {
    run(async {
        let (log, tap) = tapped(0);
        let driver = tokio::spawn({
            let log = log.clone();
            async move { log.drive().await }
        });
        let reader = tokio::spawn({
            let tap = tap.clone();
            async move {
                loop {
                    tap.open(10_000);
                    tokio::task::yield_now().await;
                }
            }
        });
        let line = vec![b'x'; 60_000];
        for pid in 0..50 {
            while let Err(full) = log.write_job_line("app", pid, &line, now()) {
                log.room(full).await;
            }
        }
        assert!(log.flush(Duration::from_secs(20)).await);
        driver.abort();
        reader.abort();
        let text = tap.text();
        let pids: Vec<&str> = text.lines().map(|line| line.split(' ').nth(2).unwrap()).collect();
        assert_eq!(pids, (0..50).map(|pid| pid.to_string()).collect::<Vec<_>>());
    });
}

#[test]
fn a_line_longer_than_the_queue_goes_alone() {
    run(async {
        let (log, tap) = tapped(0);
        let long = vec![b'x'; 2 * QUEUE_BYTES];
        log.write_job_line("app", 1, &long, now()).unwrap();
        let full = log.write_job_line("app", 2, &long, now()).unwrap_err();
        tap.open(usize::MAX / 2);
        let (flushed, ()) = tokio::join!(log.flush(Duration::from_secs(20)), log.room(full));
        assert!(flushed);
        log.write_job_line("app", 2, &long, now()).unwrap();
        assert_eq!(tap.text().lines().count(), 2);
    });
}

#[test]
fn own_lines_that_find_no_room_are_dropped_and_confessed() {
    run(async {
        let (log, tap) = tapped(0);
        let text = "x".repeat(1000);
        for _ in 0..1000 {
            log.write(&own(&text), now());
        }
        assert!(!log.flush(Duration::from_millis(10)).await);
        tap.open(1_000_000);
        assert!(log.flush(Duration::from_secs(20)).await);
        let seen = tap.text();
        let written = seen.lines().filter(|line| line.contains("xxx")).count();
        assert!((200..300).contains(&written), "{written}");
        let dropped = format!("{} log lines dropped: the reader of the log is too slow\n", 1000 - written);
        assert!(seen.ends_with(&dropped), "{}", seen.lines().last().unwrap());
    });
}

#[test]
fn a_reader_that_is_gone_holds_up_nobody() {
    run(async {
        let (log, tap) = tapped(5);
        *tap.closed.lock().unwrap() = true;
        for pid in 0..10_000 {
            log.write(&own("anybody?"), now());
            log.write_job_line("app", pid, &[b'x'; 1000], now()).unwrap();
        }
        assert!(log.flush(Duration::from_secs(20)).await);
        // A full disk may get room again.
        *tap.closed.lock().unwrap() = false;
        tap.open(10_000);
        log.write(&own("back"), now());
        assert!(tap.text().contains("log lines dropped") && tap.text().ends_with(" back\n"), "{}", tap.text());
    });
}

#[test]
fn a_rotated_file_is_opened_again() {
    run(async {
        let directory = tempfile::tempdir().unwrap();
        let (path, old) = (directory.path().join("log"), directory.path().join("log.1"));
        let settings = Logging { output: LogOutput::File(path.to_str().unwrap().to_owned()), ..Logging::default() };
        let log = Log::open(settings, Masker::default()).unwrap();
        log.write(&own("one"), now());
        std::fs::rename(&path, &old).unwrap();
        log.write(&own("two"), now());
        log.reopen().unwrap();
        log.write(&own("three"), now());
        assert!(log.flush(Duration::from_secs(20)).await);
        assert_eq!(std::fs::read_to_string(&old).unwrap().lines().count(), 2);
        assert!(std::fs::read_to_string(&path).unwrap().ends_with("three\n"));
        // The directory is gone: the old file stays in use.
        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir(&path).unwrap();
        let error = log.reopen().unwrap_err().to_string();
        assert!(error.contains("cannot open log file") && error.ends_with("set logging.output"), "{error}");
        log.write(&own("four"), now());
    });
}

#[test]
fn a_flush_that_is_given_up_leaves_the_log_usable() {
    run(async {
        let (log, tap) = tapped(0);
        log.write(&own("one"), now());
        assert!(!log.flush(Duration::from_millis(1)).await);
        tap.open(1000);
        assert!(log.flush(Duration::from_secs(20)).await);
        assert!(tap.text().ends_with(" one\n"));
    });
}
