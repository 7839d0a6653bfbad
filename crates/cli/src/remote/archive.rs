//! A context in a file, as Docker exports it: a tar archive with the member `meta.json`.

use std::io::{self, Read};

/// The member.
const MEMBER: &str = "meta.json";
/// tar counts in blocks.
const BLOCK_BYTES: usize = 512;
/// The most members that are looked at.
const MEMBERS_MAX: usize = 100;
/// The longest member that is read.
const MEMBER_MAX_BYTES: u64 = 1 << 20;

/// The archive of one text.
pub fn write(text: &str) -> Vec<u8> {
    let mut header = [0; BLOCK_BYTES];
    let mut field = |at: usize, text: &str| header[at..at + text.len()].copy_from_slice(text.as_bytes());
    field(0, MEMBER);
    field(100, "0000644\0");
    field(108, "0000000\0");
    field(116, "0000000\0");
    field(124, &format!("{:011o}\0", text.len()));
    field(136, "00000000000\0");
    // The checksum is taken with spaces in its own place.
    field(148, "        ");
    field(156, "0");
    field(257, "ustar\x0000");
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    let mut archive = header.to_vec();
    archive.extend_from_slice(text.as_bytes());
    archive.resize(archive.len().next_multiple_of(BLOCK_BYTES) + 2 * BLOCK_BYTES, 0);
    archive
}

/// The text in an archive.
pub fn read(input: &mut dyn Read) -> io::Result<String> {
    let bad = |why: &'static str| io::Error::new(io::ErrorKind::InvalidData, why);
    for _ in 0..MEMBERS_MAX {
        let mut header = [0; BLOCK_BYTES];
        input.read_exact(&mut header).map_err(|_| bad("it is no tar archive with a meta.json"))?;
        if header.iter().all(|byte| *byte == 0) {
            break;
        }
        let text = |range: std::ops::Range<usize>| {
            String::from_utf8_lossy(&header[range]).trim_matches(['\0', ' ']).to_owned()
        };
        let size = u64::from_str_radix(&text(124..136), 8).map_err(|_| bad("it is no tar archive"))?;
        if size > MEMBER_MAX_BYTES {
            return Err(bad("a member of it is longer than 1 MiB"));
        }
        let mut content = vec![0; size.next_multiple_of(BLOCK_BYTES as u64) as usize];
        input.read_exact(&mut content).map_err(|_| bad("it ends in the middle of a member"))?;
        if text(0..100).trim_start_matches("./") == MEMBER {
            content.truncate(size as usize);
            return String::from_utf8(content).map_err(|_| bad("its meta.json is not UTF-8"));
        }
    }
    Err(bad("it has no meta.json"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        for text in ["", "{}", &"x".repeat(513)] {
            let archive = write(text);
            assert_eq!(archive.len() % BLOCK_BYTES, 0);
            assert_eq!(read(&mut archive.as_slice()).unwrap(), text);
        }
        for bad in [&b""[..], b"PK\x03\x04", &[0; 1024], &[b'x'; 1024], &write("long")[..600]] {
            assert!(read(&mut &*bad).is_err());
        }
    }
}
