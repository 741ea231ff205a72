//! Replays every input that fuzzing keeps, through the bodies of the fuzz targets themselves.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use tidegate_tests::fuzz::{TARGETS, Verdict};

fn fuzz_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz")
}

/// The names in a folder of `tests/fuzz`, without what follows a dot.
fn names(folder: &str) -> BTreeSet<String> {
    let path = fuzz_dir().join(folder);
    let entries = fs::read_dir(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    entries
        .map(|entry| entry.expect("a readable folder").path())
        .map(|path| path.file_stem().expect("a name").to_string_lossy().into_owned())
        .collect()
}

#[test]
fn every_target_has_a_fuzzer_and_a_corpus_and_nothing_else_does() {
    let known: BTreeSet<String> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(names("fuzz_targets"), known, "fuzz_targets");
    assert_eq!(names("corpus"), known, "corpus");
    let manifest = fs::read_to_string(fuzz_dir().join("Cargo.toml")).expect("the manifest");
    let manifest: toml::Table = manifest.parse().expect("the manifest is TOML");
    let bins = manifest["bin"].as_array().expect("[[bin]] tables");
    let bins: BTreeSet<String> =
        bins.iter().map(|bin| bin["name"].as_str().expect("a name").to_owned()).collect();
    assert_eq!(bins, known, "Cargo.toml");
}

#[test]
fn every_kept_input_keeps_the_promises() {
    for (name, target) in TARGETS {
        let mut verdicts = Vec::new();
        for entry in fs::read_dir(fuzz_dir().join("corpus").join(name)).expect("a corpus") {
            let path = entry.expect("a readable folder").path();
            let input = fs::read(&path).expect("a readable input");
            let verdict = std::panic::catch_unwind(|| target(&input));
            verdicts.push(verdict.unwrap_or_else(|_| panic!("broken by {}", path.display())));
        }
        for needed in [Verdict::Accepted, Verdict::Refused] {
            assert!(verdicts.contains(&needed), "no input of {name} is {needed:?}");
        }
    }
}

/// The bytes of a code block in docs/heartbeat.md: of each line, what stands before two blanks.
fn documented_bytes(block: &str) -> Vec<u8> {
    let digits: String = block
        .lines()
        .filter_map(|line| line.split("  ").next())
        .flat_map(str::chars)
        .filter(|c| !c.is_whitespace())
        .collect();
    let byte = |at| u8::from_str_radix(&digits[at..at + 2], 16).expect("a hex byte");
    (0..digits.len()).step_by(2).map(byte).collect()
}

#[test]
fn the_vectors_in_the_documentation_are_those_of_the_corpus() {
    let path = fuzz_dir().join("../../docs/heartbeat.md");
    let page = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let blocks: Vec<&str> = page.split("```").skip(1).step_by(2).collect();
    assert_eq!(blocks.len(), 3, "docs/heartbeat.md has a block for each vector, and a payload");
    for (block, name) in blocks.iter().zip(["vector", "ack"]) {
        let kept = fs::read(fuzz_dir().join("corpus/datagram").join(name)).expect("a seed");
        assert_eq!(documented_bytes(block), kept, "{name}");
    }
}
