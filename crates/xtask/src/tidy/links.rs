//! Relative links in our Markdown must lead to files that exist.

use std::path::{Component, Path, PathBuf};

use super::Finding;

/// Checks the inline links and reference definitions of a Markdown `file` (a path relative to the root). `exists` is asked with
/// paths relative to the root.
pub(super) fn check(file: &Path, source: &str, exists: &dyn Fn(&Path) -> bool) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (line, target) in targets(source) {
        let path = target.split(['#', '?']).next().unwrap_or_default();
        if path.is_empty() || has_scheme(&target) {
            continue;
        }
        let place = file.display().to_string();
        match resolve(file, path) {
            Some(resolved) if exists(&resolved) => {}
            Some(_) => findings.push(Finding::error(place, line, format!("links to `{target}`, which does not exist"))),
            None => findings.push(Finding::error(place, line, format!("links to `{target}`, outside the repository"))),
        }
    }
    findings
}

/// Link targets with their line numbers, outside code fences and code spans.
fn targets(source: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut fence: Option<&str> = None;
    for (index, line) in source.lines().enumerate() {
        let start = line.trim_start();
        let marker = ["```", "~~~"].into_iter().find(|marker| start.starts_with(marker));
        match (fence, marker) {
            (None, Some(_)) => fence = marker,
            (Some(open), Some(close)) if open == close => fence = None,
            (Some(_), _) => {}
            (None, None) => found.extend(targets_of_line(line).into_iter().map(|target| (index + 1, target))),
        }
    }
    found
}

fn targets_of_line(line: &str) -> Vec<String> {
    // The parts at odd places are between backticks.
    let prose: Vec<&str> = line.split('`').step_by(2).collect();
    let prose = prose.join("");
    let mut found: Vec<String> = prose.split("](").skip(1).filter_map(inline_target).collect();
    if let Some((label, target)) = prose.split_once("]: ")
        && label.starts_with('[')
        && !label.starts_with("[^")
    {
        found.extend(target.split_whitespace().next().map(String::from));
    }
    found
}

/// The target at the start of `rest`, which follows `](`: up to the closing parenthesis or a title.
fn inline_target(rest: &str) -> Option<String> {
    if let Some(quoted) = rest.strip_prefix('<') {
        return Some(quoted.split_once('>')?.0.to_owned());
    }
    let (inside, _) = rest.split_once(')')?;
    inside.split_whitespace().next().map(String::from)
}

/// Whether the target is a URL (RFC 3986, section 3.1) or protocol-relative.
fn has_scheme(target: &str) -> bool {
    let scheme = target.split_once(':').map(|(scheme, _)| scheme);
    target.starts_with("//")
        || scheme.is_some_and(|scheme| {
            scheme.len() > 1 && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
        })
}

/// The path relative to the root, or nothing when it leaves the root. A leading `/` means the root, as on GitHub.
fn resolve(file: &Path, target: &str) -> Option<PathBuf> {
    let base = if target.starts_with('/') { Path::new("") } else { file.parent().unwrap_or(Path::new("")) };
    let mut resolved = PathBuf::new();
    for part in base.join(target.trim_start_matches('/')).components() {
        match part {
            Component::ParentDir => {
                if !resolved.pop() {
                    return None;
                }
            }
            Component::Normal(name) => resolved.push(name),
            Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
        }
    }
    Some(resolved)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(source: &str) -> Vec<String> {
        let exists = |path: &Path| {
            path == Path::new("README.md") || path == Path::new("docs/guide.md") || path == Path::new("docs")
        };
        check(Path::new("docs/index.md"), source, &exists).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn links_that_lead_somewhere() {
        let source = "[a](guide.md) [b](../README.md#top) [c](#here) [d](https://example.org/x) ![e](./guide.md \"title\")\n\
                      [f](/docs/guide.md) [g](../docs/) [h](mailto:a@example.org)\n\n[ref]: guide.md\n[^note]: a sentence\n";
        assert_eq!(findings(source), Vec::<String>::new());
    }

    #[test]
    fn links_that_lead_nowhere() {
        for source in ["[a](missing.md)", "[a](../missing.md#x)", "[ref]: missing.md", "[![b](missing.png)](guide.md)"]
        {
            let found = findings(source);
            assert!(found.len() == 1 && found[0].contains("docs/index.md:1: links to"), "{source}: {found:?}");
        }
        assert!(findings("[a](../../elsewhere.md)")[0].contains("outside the repository"));
    }

    #[test]
    fn code_is_not_a_link() {
        assert_eq!(findings("`[a](missing.md)`\n```\n[a](missing.md)\n```\n"), Vec::<String>::new());
    }
}
