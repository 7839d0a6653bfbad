//! Each format as its own tool writes it: whole, in several members, cut short, and with a window of gigabytes.

use std::io::{Read, Write};
use std::process::{Command, Stdio};

use corten_model::Kind;

use super::*;

/// What the tool writes to stdout for `plain`.
fn pack(command: &[&str], plain: &[u8]) -> Vec<u8> {
    let mut child = Command::new(command[0])
        .args(&command[1..])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(move || stdin.write_all(plain).unwrap());
        let mut packed = Vec::new();
        child.stdout.take().unwrap().read_to_end(&mut packed).unwrap();
        assert!(child.wait().unwrap().success());
        packed
    })
}

fn read(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut plain = Vec::new();
    decompress(bytes).unwrap().read_to_end(&mut plain)?;
    Ok(plain)
}

const TOOLS: [&[&str]; 4] = [&["gzip", "-c"], &["zstd", "-c", "-q"], &["xz", "-c"], &["bzip2", "-c"]];

#[test]
fn formats_are_told_apart() {
    assert_eq!(read(b"").unwrap(), b"");
    assert_eq!(read(b"ab").unwrap(), b"ab");
    assert_eq!(read(b"plain and long enough").unwrap(), b"plain and long enough");
    for magic in [&[0x04, 0x22, 0x4d, 0x18, 0, 0][..], &[0x1f, 0x9d, 0x90, 0, 0, 0]] {
        let error = decompress(magic).err().unwrap();
        assert!(matches!(error, Error::Compression(_)));
        assert_eq!(error.kind(), Kind::Unsupported);
    }
}

#[test]
fn each_format_whole_in_members_and_cut_short() {
    let plain: Vec<u8> = (0..300_000u32).flat_map(|n| (n % 1009).to_le_bytes()).collect();
    for tool in TOOLS {
        let packed = pack(tool, &plain);
        assert!(packed.len() < plain.len() / 2, "{tool:?}");
        assert!(read(&packed).unwrap() == plain, "{tool:?}");
        let twice = [packed.clone(), pack(tool, b"and more")].concat();
        assert!(read(&twice).unwrap() == [&plain[..], b"and more"].concat(), "{tool:?}");
        for cut in [packed.len() - 1, packed.len() / 2, 7] {
            let error = read(&packed[..cut]).unwrap_err();
            let kinds = [io::ErrorKind::UnexpectedEof, io::ErrorKind::InvalidData];
            assert!(kinds.contains(&error.kind()), "{tool:?} cut at {cut}: {error:?}");
        }
        let mut broken = packed.clone();
        let middle = broken.len() / 2;
        broken[middle..middle + 8].fill(0xa5);
        assert!(read(&broken).is_err(), "{tool:?}");
    }
}

#[test]
fn skippable_frames_are_skipped() {
    let skippable = [&[0x5a, 0x2a, 0x4d, 0x18, 4, 0, 0, 0][..], b"note"].concat();
    let frame = pack(&["zstd", "-c", "-q"], b"content");
    assert_eq!(read(&[&skippable[..], &frame, &skippable, &frame].concat()).unwrap(), b"contentcontent");
}

#[test]
fn bombs_end_where_their_ratio_shows() {
    let bounds = Expansion { ratio: 100, free_bytes: 8 << 20, ..Expansion::default() };
    let read = |bytes: &[u8], bounds| {
        let mut plain = Vec::new();
        let read = decompress_within(bytes, bounds).unwrap().read_to_end(&mut plain);
        (read.map_err(|e| (e.kind(), e.to_string())), plain.len())
    };
    for tool in TOOLS {
        let packed = pack(tool, &vec![0; 64 << 20]);
        let (error, plain) = read(&packed, bounds);
        let (kind, why) = error.unwrap_err();
        assert!(kind == io::ErrorKind::InvalidData && why.contains("like a bomb"), "{tool:?}: {why}");
        // What a decoder reads ahead counts as gone in.
        assert!(plain < 64 << 20, "{tool:?}: {plain} bytes");
        assert_eq!(read(&packed, Expansion { ratio: 10_000_000, ..bounds }), (Ok(64 << 20), 64 << 20));
        assert_eq!(read(&packed, Expansion::default()), (Ok(64 << 20), 64 << 20));
    }
    // Ordinary bytes, many more than are free.
    let text: Vec<u8> = (0..6_000_000u32).flat_map(|n| (n / 7).to_le_bytes()).collect();
    assert_eq!(read(&pack(TOOLS[0], &text), bounds), (Ok(text.len()), text.len()));
}

#[test]
fn a_window_may_be_allowed() {
    let packed = pack(&["xz", "-c", "--lzma2=dict=256MiB", "-M", "max"], b"x");
    assert!(read(&packed).is_err());
    let mut plain = Vec::new();
    let bounds = Expansion { window_bytes: 512 << 20, ..Expansion::default() };
    decompress_within(&packed[..], bounds).unwrap().read_to_end(&mut plain).unwrap();
    assert_eq!(plain, b"x");
}

#[test]
fn a_window_of_gigabytes_is_refused() {
    // Written by hand: a frame whose descriptor says that it wants a window of 2^(10 + exponent) bytes, and then one
    // empty raw block that is the last.
    let frame = |exponent: u8| [0x28, 0xb5, 0x2f, 0xfd, 0x00, exponent << 3, 0x01, 0x00, 0x00];
    assert_eq!(read(&frame(17)).unwrap(), b"");
    let error = read(&frame(21)).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    assert!(error.to_string().starts_with("bad zstd data"), "{error}");
    // xz with a dictionary of 1 GiB; the file is small, what its reader would have to keep is not.
    let packed = pack(&["xz", "-c", "--lzma2=dict=1GiB", "-M", "max"], b"x");
    let error = read(&packed).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    assert!(error.to_string().starts_with("bad xz data"), "{error}");
}
