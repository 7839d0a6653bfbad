//! The archive reader on archives that are nearly right: every file of the corpus, then mutations of them by a seeded
//! generator, so that each run plays the same ones. `CORTEN_FUZZ_SEED` plays others, `CORTEN_FUZZ_ROUNDS` more.

#![allow(clippy::unwrap_used, reason = "every function here is part of a test")]

#[path = "fuzz/archive.rs"]
mod archive;
#[path = "../../../fuzz/random.rs"]
mod random;

use std::fs;
use std::io::Read;
use std::path::Path;
use std::time::{Duration, Instant};

use archive::Arena;
use random::{Random, variable};

const BLOCK: usize = 512;
/// Mutated archives of one run, and how long they may take on a busy machine.
const ROUNDS: u64 = 3000;
const TIME_MAX: Duration = Duration::from_secs(20);
/// Mutations of one archive.
const MUTATIONS_MAX: u64 = 6;

fn corpus() -> Vec<(String, Vec<u8>)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/archive");
    let mut all: Vec<_> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            (path.file_name().unwrap().to_str().unwrap().to_owned(), fs::read(&path).unwrap())
        })
        .collect();
    all.sort();
    all
}

fn plain(bytes: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    corten_storage::decompress(bytes).unwrap().read_to_end(&mut plain).unwrap();
    plain
}

/// An arena in memory: each unpacking syncs the file system it is on.
fn arena() -> (tempfile::TempDir, Arena) {
    let temp = tempfile::tempdir_in("/dev/shm").unwrap();
    let base = corpus().into_iter().find(|(name, _)| name == "base.tar.zst").unwrap().1;
    let arena = Arena::new(temp.path(), &base);
    (temp, arena)
}

fn sum(block: &[u8]) -> u32 {
    let all = block.iter().enumerate();
    all.map(|(at, byte)| if (148..156).contains(&at) { 32 } else { u32::from(*byte) }).sum()
}

fn is_header(block: &[u8]) -> bool {
    block.len() == BLOCK && block[148..154] == *format!("{:06o}", sum(block)).as_bytes()
}

/// Changes `bytes` a little, and keeps most checksums right: else nothing behind them would be played.
fn mutate(bytes: &[u8], other: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..=random.next() % MUTATIONS_MAX {
        let blocks = bytes.len() / BLOCK;
        let (at, block) = (random.below(bytes.len()), random.below(blocks) * BLOCK);
        if bytes.len() < 2 * BLOCK {
            break;
        }
        let headers: Vec<bool> = bytes.chunks(BLOCK).map(is_header).collect();
        match random.next() % 12 {
            0 | 1 => bytes[at] ^= 1 << random.below(8),
            2 => bytes[at] = [0, b'/', b'.', b'7', b' ', b'\n', 0x80, 0xff][random.below(8)],
            // A kind, a number, a name: where fields of a header are.
            3 => bytes[block + 156] = b"01234567xgLKSVDX\0"[random.below(17)],
            4 => bytes[block + 124 + random.below(12)] = b'0' + random.below(8) as u8,
            5 => {
                let name = [&b"../x\0"[..], b"/etc/\0", b"d\0", b"d/link/x\0", b".wh.d\0", b".wh..wh..opq\0"];
                let name = name[random.below(name.len())];
                bytes[block..block + name.len()].copy_from_slice(name);
            }
            6 => {
                let to = random.below(blocks) * BLOCK;
                bytes.copy_within(block..block + BLOCK, to);
            }
            7 => drop(bytes.drain(block..block + BLOCK)),
            8 => {
                let copy = bytes[block..block + BLOCK].to_vec();
                bytes.splice(block..block, copy);
            }
            9 => bytes.truncate(at),
            10 => {
                let from = random.below(other.len() / BLOCK) * BLOCK;
                bytes.splice(block..block, other[from..].iter().copied());
            }
            _ => drop(bytes.splice(block..block, [0; BLOCK])),
        }
        for (n, piece) in bytes.chunks_exact_mut(BLOCK).enumerate() {
            if headers.get(n) == Some(&true) && !is_header(piece) && !random.next().is_multiple_of(16) {
                let sum = sum(piece);
                piece[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
            }
        }
    }
    bytes
}

#[test]
fn every_file_of_the_corpus() {
    let (_temp, arena) = arena();
    let all = corpus();
    assert!(all.len() >= 8);
    for (name, bytes) in all {
        assert_eq!(arena.archive(&bytes), !name.starts_with("bad-"), "{name}");
    }
}

#[test]
fn archives_that_are_nearly_right() {
    let (_temp, arena) = arena();
    let seeds: Vec<Vec<u8>> = corpus().iter().map(|(_, bytes)| plain(bytes)).collect();
    let seed = variable("CORTEN_FUZZ_SEED", 1);
    let rounds = variable("CORTEN_FUZZ_ROUNDS", ROUNDS);
    let deadline = Instant::now() + TIME_MAX;
    let (mut played, mut fine) = (0, 0);
    for round in 0..rounds {
        if rounds == ROUNDS && Instant::now() > deadline {
            break;
        }
        let mut random = Random(seed.wrapping_mul(1 << 32) + round);
        let (one, other) = (random.below(seeds.len()), random.below(seeds.len()));
        let bytes = mutate(&seeds[one], &seeds[other], &mut random);
        // What goes wrong shows its round, which makes the same bytes again.
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| arena.archive(&bytes)));
        assert!(result.is_ok(), "seed {seed}, round {round}");
        played += 1;
        fine += u64::from(result.unwrap_or_default());
    }
    assert!(played >= 50, "{played} archives in {TIME_MAX:?}");
    // Else the mutations are so rough that only the first check is played.
    assert!(fine * 10 >= played, "{fine} of {played} archives made a layer");
}
