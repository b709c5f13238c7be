//! One version of each dependency in what we ship; exceptions stand with their reason in `deny.toml`, which `cargo deny` reads too.

use std::collections::BTreeMap;

use anyhow::Result;
use serde::Deserialize;

use super::Finding;
use super::metadata::Metadata;

/// What `deny.toml` says, as far as tidy enforces it.
#[derive(Debug, Deserialize)]
pub(super) struct Deny {
    bans: Bans,
    pub(super) licenses: Licenses,
}

#[derive(Debug, Deserialize)]
struct Bans {
    #[serde(default)]
    skip: Vec<Skip>,
}

/// One version that may stand beside another.
#[derive(Debug, Deserialize)]
struct Skip {
    /// `name@version`.
    #[serde(rename = "crate")]
    package: String,
    #[serde(default)]
    reason: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct Licenses {
    /// SPDX identifiers.
    pub(super) allow: Vec<String>,
}

impl Deny {
    pub(super) fn parse(text: &str) -> Result<Self> {
        Ok(toml::from_str(text)?)
    }
}

/// Finds packages that the binary contains twice, and exceptions that are not needed or not explained.
pub(super) fn check(metadata: &Metadata, deny: &Deny) -> Vec<Finding> {
    let mut versions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for package in metadata.shipped_by("pilotfish") {
        versions.entry(&package.name).or_default().push(&package.version);
    }
    let mut findings = Vec::new();
    for skip in &deny.bans.skip {
        let (name, version) = skip.package.split_once('@').unwrap_or((&skip.package, ""));
        let Some(found) = versions.get_mut(name) else {
            findings.push(Finding::error(
                "deny.toml",
                0,
                format!("skips `{}`, which we do not ship; remove it", skip.package),
            ));
            continue;
        };
        if skip.reason.trim().is_empty() {
            findings.push(Finding::error("deny.toml", 0, format!("skips `{}` without a reason", skip.package)));
        }
        found.retain(|shipped| *shipped != version);
    }
    for (name, found) in versions.iter().filter(|(_, found)| found.len() > 1) {
        let text = format!(
            "is shipped in {} versions ({}); unify them, or skip one in deny.toml with the reason",
            found.len(),
            found.join(", ")
        );
        findings.push(Finding::error(*name, 0, text));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::super::metadata::example::metadata;
    use super::*;

    fn findings(skip: &str) -> Vec<String> {
        let deny = Deny::parse(&format!("[bans]\nskip = [{skip}]\n[licenses]\nallow = []")).expect("valid");
        let edges =
            [("pilotfish", "a@1", None), ("pilotfish", "b", None), ("b", "a@2", None), ("b", "c@1", Some("build"))];
        let others = [("a@1", "1.0.0"), ("a@2", "2.0.0"), ("b", "1.0.0"), ("c@1", "1.0.0")];
        check(&metadata(&["pilotfish"], &others, &edges), &deny).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_second_version_is_a_finding() {
        let found = findings("");
        assert!(found.len() == 1 && found[0].contains("a: is shipped in 2 versions"), "{found:?}");
    }

    #[test]
    fn an_explained_exception_is_accepted() {
        assert_eq!(findings(r#"{ crate = "a@1.0.0", reason = "b is slow to move" }"#), Vec::<String>::new());
    }

    #[test]
    fn an_unexplained_or_stale_exception_is_a_finding() {
        assert!(findings(r#"{ crate = "a@1.0.0" }"#)[0].contains("without a reason"));
        assert!(findings(r#"{ crate = "gone@1.0.0", reason = "x" }"#)[0].contains("do not ship"));
    }
}
