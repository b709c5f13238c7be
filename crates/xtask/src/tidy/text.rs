//! Rules about text: layout, markers of unfinished work, module docs, length.

use std::path::Path;

use super::Finding;

/// A Rust file longer than this, in lines, holds more than one idea.
const LINES_PER_FILE: usize = 600;

/// Endings of the files that we write by hand; others (fixtures, locks) keep the layout they came with.
const OUR_EXTENSIONS: [&str; 11] = ["rs", "toml", "md", "sh", "js", "json", "json5", "conf", "tmpl", "yml", "css"];

/// Files that we write by hand and that have no extension.
const OUR_NAMES: [&str; 2] = [".ci/run", ".gitignore"];

/// Words that mark unfinished work. They are spelt in halves so that this file is not a finding.
const MARKERS: [&str; 3] = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("X", "XX")];

/// Whether the rules about layout apply to `file`. Fixtures are other programs' inputs and outputs, byte for byte.
pub(super) fn is_ours(file: &Path) -> bool {
    let extension = file.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    let fixture = file.components().any(|part| part.as_os_str() == "fixtures" || part.as_os_str() == "snapshots");
    !fixture && (OUR_EXTENSIONS.contains(&extension) || OUR_NAMES.iter().any(|name| file == Path::new(name)))
}

/// No trailing white space; one newline at the end, and only one.
pub(super) fn check_layout(place: &str, source: &str) -> Vec<Finding> {
    let trailing = |line: &str| line.ends_with([' ', '\t', '\r']);
    let lines = source.split('\n').enumerate().filter(|(_, line)| trailing(line));
    let mut findings: Vec<_> =
        lines.map(|(index, _)| Finding::error(place, index + 1, "trailing white space")).collect();
    if !source.is_empty() && !source.ends_with('\n') {
        findings.push(Finding::error(place, source.lines().count(), "no newline at the end of the file"));
    }
    if source.ends_with("\n\n") {
        findings.push(Finding::error(place, source.lines().count(), "empty line at the end of the file"));
    }
    findings
}

/// No marker of unfinished work: it is done, or it is an issue.
pub(super) fn check_markers(place: &str, source: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (index, line) in source.lines().enumerate() {
        let mut words = line.split(|c: char| !(c.is_alphanumeric() || c == '_'));
        if let Some(marker) = words.find(|word| MARKERS.contains(word)) {
            findings.push(Finding::error(
                place,
                index + 1,
                format!("`{marker}`: finish it, or open an issue and say why it can wait"),
            ));
        }
    }
    findings
}

/// Every Rust file begins with what it is for, and is not too long.
pub(super) fn check_rust(place: &str, source: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    if !source.starts_with("//!") {
        findings.push(Finding::error(place, 1, "begins without a `//!` module doc"));
    }
    let lines = source.lines().count();
    if lines > LINES_PER_FILE {
        findings.push(Finding::error(
            place,
            0,
            format!("{lines} lines, more than {LINES_PER_FILE}: a file holds one idea"),
        ));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layout() {
        assert_eq!(check_layout("a", "one\n\ntwo\n"), []);
        assert_eq!(check_layout("a", ""), []);
        assert_eq!(check_layout("a", "one \ntwo\t\n").len(), 2);
        assert_eq!(check_layout("a", "one\r\n").len(), 1);
        assert_eq!(check_layout("a", "one").len(), 1);
        assert_eq!(check_layout("a", "one\n\n").len(), 1);
    }

    #[test]
    fn markers_are_whole_words() {
        for marker in MARKERS {
            assert_eq!(check_markers("a", &format!("// {marker}(me): later\n")).len(), 1, "{marker}");
            assert_eq!(check_markers("a", &format!("let A{marker} = 1;\n")), [], "{marker}");
        }
        assert_eq!(check_markers("a", "mktemp -t XXXXXX\n"), []);
    }

    #[test]
    fn rust_files_have_a_doc_and_an_end() {
        assert_eq!(check_rust("a.rs", "//! What it is.\nfn main() {}\n"), []);
        assert_eq!(check_rust("a.rs", "fn main() {}\n").len(), 1);
        let long = format!("//! Long.\n{}", "\n".repeat(LINES_PER_FILE));
        assert_eq!(check_rust("a.rs", &long).len(), 1);
    }

    #[test]
    fn fixtures_keep_their_bytes() {
        assert!(is_ours(Path::new("crates/a/src/lib.rs")) && is_ours(Path::new(".ci/run")));
        assert!(!is_ours(Path::new("crates/a/tests/fixtures/x.json")) && !is_ours(Path::new("Cargo.lock")));
    }
}
