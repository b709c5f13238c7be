//! Licences of all dependencies, the tools' included, against the list in `deny.toml`.

use super::Finding;
use super::dependencies::Deny;
use super::metadata::Metadata;

/// Every package must offer, by its SPDX expression, a choice of licences that the list allows.
pub(super) fn check(metadata: &Metadata, deny: &Deny) -> Vec<Finding> {
    let allowed = |licence: &str| deny.licenses.allow.iter().any(|name| name == licence);
    let judge = |package: &super::metadata::Package| match &package.license {
        None => Some("has no `license` in its manifest".to_owned()),
        Some(expression) if satisfied(expression, &allowed) => None,
        Some(expression) => Some(format!("`{expression}` is not within the licences that deny.toml allows")),
    };
    let findings = metadata.packages.iter().filter_map(|package| Some((package, judge(package)?)));
    findings.map(|(package, text)| Finding::error(format!("{} {}", package.name, package.version), 0, text)).collect()
}

/// Evaluates an SPDX expression (SPDX 2.3, annex D: AND binds tighter than OR). `/` is the OR of old manifests. An expression
/// that cannot be parsed is not satisfied.
fn satisfied(expression: &str, allowed: &dyn Fn(&str) -> bool) -> bool {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut rest = words.as_slice();
    let result = any(&mut rest, allowed);
    rest.is_empty() && result == Some(true)
}

fn any(rest: &mut &[&str], allowed: &dyn Fn(&str) -> bool) -> Option<bool> {
    let mut result = all(rest, allowed)?;
    while take(rest, "OR") {
        result |= all(rest, allowed)?;
    }
    Some(result)
}

fn all(rest: &mut &[&str], allowed: &dyn Fn(&str) -> bool) -> Option<bool> {
    let mut result = one(rest, allowed)?;
    while take(rest, "AND") {
        result &= one(rest, allowed)?;
    }
    Some(result)
}

fn one(rest: &mut &[&str], allowed: &dyn Fn(&str) -> bool) -> Option<bool> {
    if take(rest, "(") {
        let result = any(rest, allowed)?;
        return take(rest, ")").then_some(result);
    }
    let (licence, tail) = rest.split_first()?;
    *rest = tail;
    if take(rest, "WITH") {
        // An exception only adds permissions, so the licence itself decides.
        *rest = rest.split_first()?.1;
    }
    Some(allowed(licence))
}

fn take(rest: &mut &[&str], word: &str) -> bool {
    match rest.split_first() {
        Some((first, tail)) if *first == word => {
            *rest = tail;
            true
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::metadata::example::metadata;
    use super::*;

    #[test]
    fn expressions_are_evaluated() {
        let allowed = |licence: &str| ["MIT", "Apache-2.0", "ISC"].contains(&licence);
        for expression in [
            "MIT",
            "MIT OR GPL-3.0",
            "GPL-3.0/MIT",
            "Apache-2.0 AND ISC",
            "(GPL-3.0 OR MIT) AND ISC",
            "Apache-2.0 WITH LLVM-exception",
        ] {
            assert!(satisfied(expression, &allowed), "{expression}");
        }
        for expression in ["GPL-3.0", "MIT AND GPL-3.0", "(MIT", "", "MIT OR", "MIT MIT", "GPL-3.0 OR MIT AND GPL-2.0"]
        {
            assert!(!satisfied(expression, &allowed), "{expression}");
        }
    }

    #[test]
    fn a_licence_off_the_list_or_absent_is_a_finding() {
        let deny = Deny::parse("[bans]\n[licenses]\nallow = ['MIT']").expect("valid");
        let mut metadata = metadata(&["pilotfish"], &[("copyleft", "1.0.0"), ("unnamed", "1.0.0")], &[]);
        metadata.packages[1].license = Some("GPL-3.0-only".into());
        metadata.packages[2].license = None;
        let found: Vec<_> = check(&metadata, &deny).iter().map(ToString::to_string).collect();
        assert!(
            found.len() == 2 && found[0].contains("copyleft 1.0.0") && found[1].contains("no `license`"),
            "{found:?}"
        );
    }
}
