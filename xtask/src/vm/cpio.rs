//! The initramfs format: cpio's "newc", written one entry after the other.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

const DIRECTORY: u32 = 0o040_000;
const FILE: u32 = 0o100_000;
const LINK: u32 = 0o120_000;
const TYPE: u32 = 0o170_000;

/// Writes entries to `W`.
pub(super) struct Archive<W: Write> {
    out: W,
    entries: u32,
}

impl<W: Write> Archive<W> {
    pub(super) fn new(out: W) -> Self {
        Self { out, entries: 0 }
    }

    fn entry(&mut self, name: &str, mode: u32, owner: (u32, u32), data: &[u8]) -> io::Result<()> {
        self.entries += 1;
        let size = u32::try_from(data.len()).map_err(io::Error::other)?;
        let name_size = name.len() as u32 + 1;
        // Inode, mode, uid, gid, links, mtime, size, device and special device (two numbers each), name,
        // checksum.
        let fields = [self.entries, mode, owner.0, owner.1, 1, 0, size, 0, 0, 0, 0, name_size, 0];
        let header: String = fields.iter().map(|f| format!("{f:08x}")).collect();
        self.out.write_all(format!("070701{header}{name}\0").as_bytes())?;
        self.pad(6 + 8 * fields.len() + name.len() + 1)?;
        self.out.write_all(data)?;
        self.pad(data.len())
    }

    fn pad(&mut self, written: usize) -> io::Result<()> {
        self.out.write_all(&[0; 3][..written.wrapping_neg() % 4])
    }

    pub(super) fn directory(&mut self, name: &str) -> io::Result<()> {
        self.entry(name, DIRECTORY | 0o755, (0, 0), &[])
    }

    pub(super) fn file(&mut self, name: &str, mode: u32, data: &[u8]) -> io::Result<()> {
        self.entry(name, FILE | mode, (0, 0), data)
    }

    /// Everything below `dir`, with owners and modes; devices and sockets are left out.
    pub(super) fn tree(&mut self, dir: &Path, prefix: &str) -> io::Result<()> {
        let mut entries: Vec<_> = fs::read_dir(dir)?.collect::<io::Result<_>>()?;
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let (path, name) = (entry.path(), format!("{prefix}{}", entry.file_name().to_string_lossy()));
            let data = fs::symlink_metadata(&path)?;
            let (mode, owner) = (data.mode(), (data.uid(), data.gid()));
            match mode & TYPE {
                DIRECTORY => {
                    self.entry(&name, mode, owner, &[])?;
                    self.tree(&path, &format!("{name}/"))?;
                }
                FILE => self.entry(&name, mode, owner, &fs::read(&path)?)?,
                LINK => {
                    let target = fs::read_link(&path)?;
                    self.entry(&name, mode, owner, target.as_os_str().as_encoded_bytes())?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    pub(super) fn finish(mut self) -> io::Result<()> {
        self.entry("TRAILER!!!", 0, (0, 0), &[])?;
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_padded_to_four_bytes() {
        let mut bytes = Vec::new();
        let mut archive = Archive::new(&mut bytes);
        archive.directory("dir").unwrap();
        archive.file("dir/five", 0o644, b"12345").unwrap();
        archive.finish().unwrap();
        assert_eq!(bytes.len() % 4, 0);
        let text = String::from_utf8_lossy(&bytes);
        assert_eq!(text.matches("070701").count(), 3);
        let at = text.find("12345").unwrap();
        assert_eq!(at % 4, 0);
        assert_eq!(&bytes[at + 5..at + 8], [0, 0, 0]);
        assert!(text.contains("000081a4"), "a regular file with mode 0644");
    }
}
