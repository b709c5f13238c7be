//! Output of every size and shape, and pipes that never end.

use crate::Case;
use crate::kit::{exit, sh, soon, start, with_processes};
use pilotfish_process::{Command, Exit, LINE_LIMIT, Line, Output, Processes, Stdio, Stream, figures};

pub(crate) const CASES: &[Case] = &[
    ("lines_of_both_streams", lines_of_both_streams),
    ("both_streams_through_one_pipe", both_streams_through_one_pipe),
    ("bytes_and_a_last_partial_line", bytes_and_a_last_partial_line),
    ("one_line_of_64_megabytes", one_line_of_64_megabytes),
    ("a_hundred_megabytes", a_hundred_megabytes),
    ("a_daemon_that_keeps_the_pipe", a_daemon_that_keeps_the_pipe),
    ("a_writer_that_never_stops", a_writer_that_never_stops),
];

fn wrapped(processes: &mut Processes, run: u64, script: &str) -> Output {
    let command = Command { stdio: Stdio::Wrapped, ..sh(script) };
    start(processes, run, &command).output.expect("it is wrapped")
}

async fn lines(output: &mut Output) -> Vec<Line> {
    let mut lines = Vec::new();
    while let Some(line) = soon(output.next()).await {
        lines.push(line);
    }
    lines
}

fn lines_of_both_streams() {
    with_processes(|mut processes| async move {
        let mut output = wrapped(&mut processes, 1, "echo one; echo two >&2; echo; echo three");
        let lines = lines(&mut output).await;
        let of = |stream| lines.iter().filter(|line| line.stream == stream).map(|line| line.text()).collect::<Vec<_>>();
        assert_eq!(of(Stream::Stdout), ["one", "", "three"]);
        assert_eq!(of(Stream::Stderr), ["two"]);
        assert_eq!(exit(&mut processes, 1).await, (Exit::Code(0), false));
    });
}

fn both_streams_through_one_pipe() {
    with_processes(|mut processes| async move {
        // The second part is longer than one read, and the two streams need not be closed by the same process.
        let script = "echo one; echo two >&2; exec >&2; head -c 2000 /dev/zero | tr '\\0' x; echo; echo last";
        let command = Command { stdio: Stdio::Merged, ..sh(script) };
        let mut output = start(&mut processes, 1, &command).output.expect("it is read");
        let lines = lines(&mut output).await;
        let texts: Vec<_> = lines.iter().map(Line::text).collect();
        assert_eq!(texts, ["one", "two", &"x".repeat(2000), "last"]);
        assert_eq!(exit(&mut processes, 1).await, (Exit::Code(0), false));
    });
}

fn bytes_and_a_last_partial_line() {
    with_processes(|mut processes| async move {
        let mut output = wrapped(&mut processes, 1, r"printf 'a\377\000b\nlast'");
        let lines = lines(&mut output).await;
        assert_eq!(lines[0].bytes, b"a\xff\0b");
        assert_eq!(lines[0].text(), "a\u{fffd}\0b");
        assert_eq!((lines[1].bytes.as_slice(), lines.len()), (b"last".as_slice(), 2));
    });
}

fn one_line_of_64_megabytes() {
    with_processes(|mut processes| async move {
        let before = figures().resident_bytes;
        let mut output = wrapped(&mut processes, 1, r"head -c 67108864 /dev/zero | tr '\0' x; echo; echo end");
        let (mut bytes, mut pieces) = (0, 0);
        while let Some(line) = soon(output.next()).await {
            if line.bytes == b"end" {
                break;
            }
            assert!(line.bytes.len() <= LINE_LIMIT);
            bytes += line.bytes.len();
            pieces += 1;
            assert_eq!(line.continues, bytes < 64 << 20);
        }
        assert_eq!((bytes, pieces), (64 << 20, 1024));
        assert!(figures().resident_bytes < before + (1 << 20));
    });
}

fn a_hundred_megabytes() {
    with_processes(|mut processes| async move {
        let before = figures().resident_bytes;
        let mut output = wrapped(&mut processes, 1, "yes a line of some length | head -c 100000000");
        let mut bytes = 0;
        while let Some(line) = soon(output.next()).await {
            bytes += line.bytes.len() + 1;
        }
        // The last line is a partial one, or not: one byte more or less.
        assert!((100_000_000..=100_000_001).contains(&bytes), "{bytes}");
        assert!(figures().resident_bytes < before + (1 << 20));
    });
}

fn a_daemon_that_keeps_the_pipe() {
    with_processes(|mut processes| async move {
        let mut output = wrapped(&mut processes, 1, "setsid sleep 1000 & printf 'said\nhalf'");
        assert_eq!(exit(&mut processes, 1).await, (Exit::Code(0), true));
        output.close();
        let lines = lines(&mut output).await;
        assert_eq!(lines.iter().map(|line| line.text()).collect::<Vec<_>>(), ["said", "half"]);
        processes.kill_all();
    });
}

fn a_writer_that_never_stops() {
    with_processes(|mut processes| async move {
        let mut output = wrapped(&mut processes, 1, "yes & yes >&2");
        for _ in 0..1000 {
            soon(output.next()).await.expect("there is always more");
        }
        output.close();
        // What the pipes held at that moment, a megabyte each at most, and no more.
        assert!(lines(&mut output).await.len() <= 2 << 20);
        processes.kill_tree(1);
        exit(&mut processes, 1).await;
    });
}
