//! The lints that carry the architecture: `unsafe_code = "forbid"` everywhere but in one crate, `no_std` in the pure ones.

use toml::Table;

use super::Finding;

/// The only crate that may contain `unsafe`.
const UNSAFE_CRATE: &str = "pilotfish-process";

/// Crates that cannot do I/O because they have no standard library.
const NO_STD_CRATES: [&str; 3] = ["pilotfish-supervisor", "pilotfish-autopilot", "pilotfish-template"];

/// The workspace's manifest must forbid unsafe code.
pub(super) fn check_workspace(manifest: &str) -> Vec<Finding> {
    let unsafe_code = parse(manifest).and_then(|table| {
        let lints = table.get("workspace")?.get("lints")?.get("rust")?;
        Some(lints.get("unsafe_code")?.as_str()? == "forbid")
    });
    if unsafe_code == Some(true) {
        return Vec::new();
    }
    vec![Finding::error("Cargo.toml", 0, "[workspace.lints.rust] must say `unsafe_code = \"forbid\"`")]
}

/// Every crate must inherit the workspace's lints, except the one that is there to hold the unsafe code.
pub(super) fn check_member(name: &str, manifest: &str) -> Vec<Finding> {
    let lints = parse(manifest).and_then(|table| Some(table.get("lints")?.as_table()?.clone())).unwrap_or_default();
    if name == UNSAFE_CRATE {
        let documented = lints.get("clippy").and_then(|clippy| clippy.get("undocumented_unsafe_blocks")).is_some();
        let text = "must switch on clippy's `undocumented_unsafe_blocks`, since it may contain `unsafe`";
        return if documented { Vec::new() } else { vec![Finding::error(name, 0, text)] };
    }
    let inherits = lints.get("workspace").and_then(toml::Value::as_bool) == Some(true);
    let text = "must have `[lints] workspace = true` in its Cargo.toml (it brings `unsafe_code = \"forbid\"`)";
    if inherits { Vec::new() } else { vec![Finding::error(name, 0, text)] }
}

/// A pure crate's `lib.rs` must say `#![no_std]`, at least when it is not compiled for its tests.
pub(super) fn check_no_std(name: &str, library: &str) -> Vec<Finding> {
    if !NO_STD_CRATES.contains(&name) {
        return Vec::new();
    }
    let says_so = syn::parse_file(library).is_ok_and(|file| file.attrs.iter().any(is_no_std));
    if says_so { Vec::new() } else { vec![Finding::error(name, 0, "a pure crate: its lib.rs must say `#![no_std]`")] }
}

/// `#![no_std]` or `#![cfg_attr(not(test), no_std)]`, and no other condition.
fn is_no_std(attribute: &syn::Attribute) -> bool {
    if attribute.path().is_ident("no_std") {
        return true;
    }
    let syn::Meta::List(list) = &attribute.meta else { return false };
    let tokens: String = list.tokens.to_string().split_whitespace().collect();
    attribute.path().is_ident("cfg_attr") && tokens == "not(test),no_std"
}

fn parse(manifest: &str) -> Option<Table> {
    manifest.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_workspace_must_forbid_unsafe_code() {
        assert_eq!(check_workspace("[workspace.lints.rust]\nunsafe_code = 'forbid'"), []);
        assert_eq!(check_workspace("[workspace.lints.rust]\nunsafe_code = 'deny'").len(), 1);
        assert_eq!(check_workspace("").len(), 1);
    }

    #[test]
    fn crates_must_inherit_the_lints() {
        assert_eq!(check_member("pilotfish-consul", "[lints]\nworkspace = true"), []);
        assert_eq!(check_member("pilotfish-consul", "[lints.rust]\nunsafe_code = 'allow'").len(), 1);
        assert_eq!(check_member("pilotfish-consul", "").len(), 1);
        assert_eq!(check_member(UNSAFE_CRATE, "[lints.clippy]\nundocumented_unsafe_blocks = 'warn'"), []);
        assert_eq!(check_member(UNSAFE_CRATE, "").len(), 1);
    }

    #[test]
    fn pure_crates_must_be_no_std() {
        assert_eq!(check_no_std("pilotfish-supervisor", "#![no_std]\nextern crate alloc;"), []);
        assert_eq!(check_no_std("pilotfish-supervisor", "#![cfg_attr(not(test), no_std)]"), []);
        assert_eq!(check_no_std("pilotfish-supervisor", "#![cfg_attr(feature = \"std\", no_std)]").len(), 1);
        assert_eq!(check_no_std("pilotfish-supervisor", "// #![no_std]").len(), 1);
        assert_eq!(check_no_std("pilotfish-consul", ""), []);
    }
}
