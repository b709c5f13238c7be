//! What `cargo metadata` says, as far as the rules need it.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::workspace;

/// The platform whose dependency graph is judged: what we ship.
const PLATFORM: &str = "x86_64-unknown-linux-gnu";

#[derive(Debug, Deserialize)]
pub(crate) struct Metadata {
    pub(super) packages: Vec<Package>,
    workspace_members: Vec<String>,
    resolve: Resolve,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Package {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) version: String,
    pub(super) license: Option<String>,
    pub(super) manifest_path: String,
    pub(super) dependencies: Vec<Dependency>,
    targets: Vec<Target>,
}

/// A dependency as the manifest declares it.
#[derive(Debug, Deserialize)]
pub(crate) struct Dependency {
    pub(super) name: String,
    /// `None` is a normal dependency, else `dev` or `build`.
    pub(super) kind: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Target {
    kind: Vec<String>,
    src_path: String,
}

#[derive(Debug, Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Debug, Deserialize)]
struct Node {
    id: String,
    deps: Vec<Edge>,
}

#[derive(Debug, Deserialize)]
struct Edge {
    pkg: String,
    dep_kinds: Vec<EdgeKind>,
}

#[derive(Debug, Deserialize)]
struct EdgeKind {
    kind: Option<String>,
}

/// Asks cargo.
pub(crate) fn read() -> Result<Metadata> {
    let mut cargo = workspace::cargo();
    cargo.args(["metadata", "--format-version", "1", "--filter-platform", PLATFORM]);
    parse(&workspace::output(&mut cargo)?)
}

pub(crate) fn parse(json: &str) -> Result<Metadata> {
    serde_json::from_str(json).context("cannot understand what `cargo metadata` printed")
}

impl Metadata {
    /// The workspace's own packages.
    pub(super) fn members(&self) -> impl Iterator<Item = &Package> {
        self.packages.iter().filter(|package| self.workspace_members.contains(&package.id))
    }

    /// The packages whose code ends up in what `name` ships: normal dependencies, all the way down. Procedural macros run at
    /// build time and are left out, with all they use.
    pub(super) fn shipped_by(&self, name: &str) -> Vec<&Package> {
        let packages: BTreeMap<&str, &Package> =
            self.packages.iter().map(|package| (package.id.as_str(), package)).collect();
        let nodes: BTreeMap<&str, &Node> = self.resolve.nodes.iter().map(|node| (node.id.as_str(), node)).collect();
        let mut open: Vec<&str> =
            self.members().filter(|package| package.name == name).map(|package| package.id.as_str()).collect();
        let mut seen = BTreeSet::new();
        while let Some(id) = open.pop() {
            if !seen.insert(id) {
                continue;
            }
            let edges = nodes.get(id).map_or(&[][..], |node| &node.deps);
            let normal = edges.iter().filter(|edge| edge.dep_kinds.iter().any(|kind| kind.kind.is_none()));
            open.extend(
                normal.map(|edge| edge.pkg.as_str()).filter(|pkg| !packages.get(pkg).is_some_and(|p| p.is_macro())),
            );
        }
        seen.into_iter().filter_map(|id| packages.get(id).copied()).collect()
    }
}

impl Package {
    /// The source file of the package's library, if it has one.
    pub(super) fn library(&self) -> Option<&str> {
        let target = self.targets.iter().find(|target| target.kind.iter().any(|kind| kind == "lib"))?;
        Some(&target.src_path)
    }

    fn is_macro(&self) -> bool {
        self.targets.iter().any(|target| target.kind.iter().any(|kind| kind == "proc-macro"))
    }
}

/// Builds metadata by hand for the tests of the rules.
#[cfg(test)]
pub(super) mod example {
    use super::*;

    /// Members and others; `edges` are (from, to, kind), and are both declared and resolved.
    pub(crate) fn metadata(
        members: &[&str],
        others: &[(&str, &str)],
        edges: &[(&str, &str, Option<&str>)],
    ) -> Metadata {
        let mut packages: Vec<Package> = members.iter().map(|name| package(name, name, "0.1.0")).collect();
        packages.extend(others.iter().map(|(id, version)| package(id, id.split('@').next().unwrap_or(id), version)));
        let kind = |kind: &Option<&str>| kind.map(String::from);
        for package in &mut packages {
            let from_here = edges.iter().filter(|(from, _, _)| *from == package.id);
            package.dependencies =
                from_here.map(|(_, to, k)| Dependency { name: (*to).into(), kind: kind(k) }).collect();
        }
        let node = |package: &Package| Node {
            id: package.id.clone(),
            deps: edges
                .iter()
                .filter(|(from, _, _)| *from == package.id)
                .map(|(_, to, k)| Edge { pkg: (*to).into(), dep_kinds: vec![EdgeKind { kind: kind(k) }] })
                .collect(),
        };
        let nodes = packages.iter().map(node).collect();
        Metadata {
            packages,
            workspace_members: members.iter().map(|&m| m.into()).collect(),
            resolve: Resolve { nodes },
        }
    }

    fn package(id: &str, name: &str, version: &str) -> Package {
        let kind = if name.ends_with("-macro") { "proc-macro" } else { "lib" };
        Package {
            id: id.into(),
            name: name.into(),
            version: version.into(),
            license: Some("MIT".into()),
            manifest_path: String::new(),
            dependencies: Vec::new(),
            targets: vec![Target { kind: vec![kind.into()], src_path: String::new() }],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shipped_leaves_out_macros_and_other_kinds() {
        let edges = [
            ("pilotfish", "a", None),
            ("a", "b", None),
            ("pilotfish", "derive-macro", None),
            ("derive-macro", "syn", None),
            ("pilotfish", "proptest", Some("dev")),
            ("b", "cc", Some("build")),
        ];
        let others = ["a", "b", "derive-macro", "syn", "proptest", "cc"].map(|name| (name, "1.0.0"));
        let metadata = example::metadata(&["pilotfish"], &others, &edges);
        let names: Vec<_> = metadata.shipped_by("pilotfish").iter().map(|package| package.name.as_str()).collect();
        assert_eq!(names, ["a", "b", "pilotfish"]);
    }

    #[test]
    fn the_real_metadata_is_understood() {
        let metadata = read().expect("cargo is there, since it runs this test");
        assert!(metadata.members().any(|package| package.name == "xtask"));
    }
}
