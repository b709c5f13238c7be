//! The fuzzer's kept inputs, and others made from them, within the normal tests.
#![allow(clippy::unwrap_used)]

use std::path::Path;

use proptest::prelude::*;

#[path = "../../../fuzz/targets.rs"]
mod targets;

/// What the fuzzer does with an input.
type Target = fn(&[u8]);

const TARGETS: [(&str, Target); 3] =
    [("render", targets::render), ("query", targets::query), ("documents", targets::documents)];

/// Every kept input of a target, in the order of their names.
fn corpus(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target);
    let mut files: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty(), "{}", folder.display());
    files.iter().map(|file| std::fs::read(file).unwrap()).collect()
}

#[test]
fn kept_inputs_hold() {
    for (name, target) in TARGETS {
        for input in corpus(name) {
            target(&input);
        }
    }
}

/// Pieces of kept inputs, joined anew.
fn joined(target: &str) -> impl Strategy<Value = Vec<u8>> + use<> {
    let inputs = corpus(target);
    let piece = (0..inputs.len(), any::<prop::sample::Index>(), 0_usize..40).prop_map(move |(input, start, length)| {
        let input = &inputs[input];
        let start = start.index(input.len());
        input[start..input.len().min(start + length)].to_vec()
    });
    prop::collection::vec(piece, 1..6).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn pieces_of_templates_hold(input in joined("render")) {
        targets::render(&input);
    }

    #[test]
    fn pieces_of_queries_hold(input in joined("query")) {
        targets::query(&input);
    }

    #[test]
    fn pieces_of_documents_hold(input in joined("documents")) {
        targets::documents(&input);
    }
}
