//! Manifests, indexes and configs that are nearly right: every file of the corpus, then mutations of them by a seeded
//! generator. `CORTEN_FUZZ_SEED` plays others, `CORTEN_FUZZ_ROUNDS` more.

#![allow(clippy::unwrap_used, reason = "every function here is part of a test")]

#[path = "fuzz/documents.rs"]
mod documents;
#[path = "../../../fuzz/random.rs"]
mod random;

use std::fs;
use std::path::Path;

use documents::document;
use random::{Random, variable};

/// Mutated documents of one run.
const ROUNDS: u64 = 20_000;
/// Mutations of one document.
const MUTATIONS_MAX: u64 = 5;
/// What is put in the place of something else.
const TOKENS: [&str; 16] = [
    "null",
    "-1",
    "1e999",
    "[]",
    "{}",
    "\"\"",
    "true",
    "18446744073709551616",
    "[[[[[[",
    "\\u0000",
    "\"../x\"",
    "{\"a\":",
    ",",
    ":",
    "\u{feff}",
    "sha256:",
];

fn corpus() -> Vec<(String, Vec<u8>)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/documents");
    let files = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let mut all: Vec<_> = files
        .map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), fs::read(&path).unwrap()))
        .collect();
    all.sort();
    all
}

fn mutate(bytes: &[u8], other: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..=random.next() % MUTATIONS_MAX {
        if bytes.is_empty() {
            break;
        }
        let at = random.below(bytes.len());
        let end = (at + random.below(12)).min(bytes.len());
        let token = TOKENS[random.below(TOKENS.len())].bytes();
        match random.next() % 6 {
            0 => bytes[at] ^= 1 << random.below(8),
            1 => drop(bytes.splice(at..end, token)),
            2 => drop(bytes.splice(at..at, token)),
            3 => drop(bytes.drain(at..end)),
            4 => bytes.truncate(at),
            _ => drop(bytes.splice(at..at, other[random.below(other.len())..].iter().copied())),
        }
    }
    bytes
}

#[test]
fn every_file_of_the_corpus() {
    for (name, bytes) in corpus() {
        assert_eq!(document(&bytes), !name.starts_with("bad-"), "{name}");
    }
}

#[test]
fn documents_that_are_nearly_right() {
    let seeds = corpus();
    let seed = variable("CORTEN_FUZZ_SEED", 1);
    let mut fine = 0;
    for round in 0..variable("CORTEN_FUZZ_ROUNDS", ROUNDS) {
        let mut random = Random(seed.wrapping_mul(1 << 32) + round);
        let (one, other) = (random.below(seeds.len()), random.below(seeds.len()));
        fine += u64::from(document(&mutate(&seeds[one].1, &seeds[other].1, &mut random)));
    }
    assert!(fine > 0, "mutations so wild play nothing");
}
