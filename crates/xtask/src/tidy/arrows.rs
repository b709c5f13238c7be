//! Which crate may use which: ARCHITECTURE.md's table of tiers, checked against cargo's metadata.

use super::Finding;
use super::metadata::Metadata;

/// What a crate of the workspace is, and so whom it may use and who may use it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tier {
    /// Decides; uses nothing at all.
    Core,
    /// Pure like the cores, but may use them.
    Pure,
    /// Talks to the world.
    Effect,
    /// What is shipped.
    Binary,
    /// Tests and automation; only dev-dependencies point here.
    Dev,
}

/// Every crate, its tier, and the crates of the workspace that it may use. The list is the architecture: a new arrow is a decision.
const CRATES: [(&str, Tier, &[&str]); 13] = [
    ("pilotfish-supervisor", Tier::Core, &[]),
    ("pilotfish-autopilot", Tier::Core, &[]),
    ("pilotfish-template", Tier::Pure, &[]),
    ("pilotfish-config", Tier::Pure, &["pilotfish-supervisor", "pilotfish-autopilot", "pilotfish-template"]),
    ("pilotfish-process", Tier::Effect, &[]),
    ("pilotfish-consul", Tier::Effect, &[]),
    ("pilotfish-catalog", Tier::Effect, &[]),
    ("pilotfish-snapshots", Tier::Effect, &[]),
    (
        "pilotfish-mysql",
        Tier::Effect,
        &["pilotfish-autopilot", "pilotfish-template", "pilotfish-process", "pilotfish-consul", "pilotfish-snapshots"],
    ),
    ("pilotfish", Tier::Binary, EVERY_SHIPPED_CRATE),
    ("pilotfish-testing", Tier::Dev, EVERY_SHIPPED_CRATE),
    ("pilotfish-sim", Tier::Dev, &["pilotfish-supervisor", "pilotfish-autopilot", "pilotfish-testing"]),
    ("xtask", Tier::Dev, &["pilotfish-testing"]),
];

const EVERY_SHIPPED_CRATE: &[&str] = &[
    "pilotfish-supervisor",
    "pilotfish-autopilot",
    "pilotfish-template",
    "pilotfish-config",
    "pilotfish-process",
    "pilotfish-consul",
    "pilotfish-catalog",
    "pilotfish-snapshots",
    "pilotfish-mysql",
];

/// Every arrow between crates of the workspace must be in [`CRATES`], and a core has no normal dependency of any kind.
pub(super) fn check(metadata: &Metadata) -> Vec<Finding> {
    let mut findings = Vec::new();
    for package in metadata.members() {
        let Some((name, tier, allowed)) = CRATES.iter().find(|(name, _, _)| *name == package.name) else {
            findings.push(Finding::error(
                &package.name,
                0,
                "the crate has no tier; add it to CRATES in crates/xtask/src/tidy/arrows.rs",
            ));
            continue;
        };
        for dependency in &package.dependencies {
            let kind = dependency.kind.as_deref();
            findings
                .extend(arrow(name, *tier, allowed, &dependency.name, kind).map(|text| Finding::error(*name, 0, text)));
        }
    }
    findings
}

/// Says what is wrong with the arrow `from -> to`, if anything.
fn arrow(from: &str, tier: Tier, allowed: &[&str], to: &str, kind: Option<&str>) -> Option<String> {
    if tier == Tier::Core && kind != Some("dev") {
        return Some(format!("uses `{to}`, but a core (tier 0) has no dependencies at all"));
    }
    let (_, target_tier, _) = CRATES.iter().find(|(name, _, _)| *name == to)?;
    if *target_tier == Tier::Binary {
        return Some(format!("uses `{to}`, but nobody uses the binary"));
    }
    // Tests may reach further than the code they test: a core's tests may use the dev crates, an effect's tests another effect.
    if kind == Some("dev") || allowed.contains(&to) {
        return None;
    }
    if *target_tier == Tier::Dev {
        return Some(format!("uses `{to}`, a crate for development, other than as a dev-dependency"));
    }
    Some(format!(
        "may not use `{to}`; arrows go to lower tiers as ARCHITECTURE.md lists them, and `{from} -> {to}` is not there"
    ))
}

#[cfg(test)]
mod tests {
    use super::super::metadata::example::metadata;
    use super::*;

    fn findings(from: &str, to: &str, kind: Option<&str>) -> Vec<String> {
        let others = if CRATES.iter().any(|(name, _, _)| *name == to) { vec![] } else { vec![(to, "1.0.0")] };
        let members: Vec<_> = [from, to].into_iter().filter(|name| CRATES.iter().any(|(n, _, _)| n == name)).collect();
        check(&metadata(&members, &others, &[(from, to, kind)])).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_drawn_arrows_are_allowed() {
        for (from, to) in [
            ("pilotfish-config", "pilotfish-supervisor"),
            ("pilotfish-mysql", "pilotfish-consul"),
            ("pilotfish", "pilotfish-process"),
            ("pilotfish-sim", "pilotfish-autopilot"),
            ("pilotfish-process", "libc"),
        ] {
            assert_eq!(findings(from, to, None), Vec::<String>::new(), "{from} -> {to}");
        }
        assert_eq!(findings("pilotfish-consul", "pilotfish-testing", Some("dev")), Vec::<String>::new());
        assert_eq!(findings("pilotfish-supervisor", "proptest", Some("dev")), Vec::<String>::new());
    }

    #[test]
    fn other_arrows_are_findings() {
        for (from, to, kind, words) in [
            ("pilotfish-supervisor", "libc", None, "no dependencies at all"),
            ("pilotfish-autopilot", "cc", Some("build"), "no dependencies at all"),
            ("pilotfish-template", "pilotfish-config", None, "may not use"),
            ("pilotfish-consul", "pilotfish-process", None, "may not use"),
            ("pilotfish-consul", "pilotfish-testing", None, "a crate for development"),
            ("xtask", "pilotfish", Some("dev"), "nobody uses the binary"),
        ] {
            let found = findings(from, to, kind);
            assert!(found.len() == 1 && found[0].contains(words), "{from} -> {to}: {found:?}");
        }
    }

    #[test]
    fn a_crate_without_a_tier_is_a_finding() {
        let found = check(&metadata(&["pilotfish-new"], &[], &[]));
        assert!(found.len() == 1 && found[0].to_string().contains("no tier"), "{found:?}");
    }
}
