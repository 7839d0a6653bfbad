//! A small writer of tar archives (ustar): tests also need archives that no tool would write.

/// One archive being written.
#[derive(Debug, Clone, Default)]
pub struct Tar(Vec<u8>);

const BLOCK: usize = 512;

impl Tar {
    /// An empty archive.
    pub fn new() -> Self {
        Self::default()
    }

    /// A directory.
    #[must_use]
    pub fn directory(self, path: &str, mode: u32) -> Self {
        self.entry(path, b'5', mode, "", &[])
    }

    /// A regular file.
    #[must_use]
    pub fn file(self, path: &str, mode: u32, content: &[u8]) -> Self {
        self.entry(path, b'0', mode, "", content)
    }

    /// A symbolic link at `path` that points to `to`.
    #[must_use]
    pub fn symlink(self, path: &str, to: &str) -> Self {
        self.entry(path, b'2', 0o777, to, &[])
    }

    /// Another name for `to`, an earlier entry.
    #[must_use]
    pub fn hard_link(self, path: &str, to: &str) -> Self {
        self.entry(path, b'1', 0o644, to, &[])
    }

    /// A named pipe.
    #[must_use]
    pub fn fifo(self, path: &str) -> Self {
        self.entry(path, b'6', 0o644, "", &[])
    }

    /// A character device.
    #[must_use]
    pub fn character_device(self, path: &str, major: u32, minor: u32) -> Self {
        self.owned(path, b'3', 0o666, "", &[], (0, 0), (major, minor))
    }

    /// A regular file that belongs to somebody.
    #[must_use]
    pub fn file_of(self, path: &str, mode: u32, content: &[u8], uid: u32, gid: u32) -> Self {
        self.owned(path, b'0', mode, "", content, (uid, gid), (0, 0))
    }

    fn entry(self, path: &str, kind: u8, mode: u32, link: &str, content: &[u8]) -> Self {
        self.owned(path, kind, mode, link, content, (0, 0), (0, 0))
    }

    #[expect(clippy::too_many_arguments, reason = "the fields of one header")]
    fn owned(
        mut self,
        path: &str,
        kind: u8,
        mode: u32,
        link: &str,
        content: &[u8],
        (uid, gid): (u32, u32),
        (major, minor): (u32, u32),
    ) -> Self {
        let mut header = [0u8; BLOCK];
        let mut put = |at: usize, bytes: &[u8]| header[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, path.as_bytes());
        put(100, format!("{mode:07o}").as_bytes());
        put(108, format!("{uid:07o}").as_bytes());
        put(116, format!("{gid:07o}").as_bytes());
        put(124, format!("{:011o}", content.len()).as_bytes());
        put(136, format!("{:011o}", 1_700_000_000).as_bytes());
        // The sum is taken with its own field as spaces.
        put(148, b"        ");
        put(156, &[kind]);
        put(157, link.as_bytes());
        put(257, b"ustar\x0000");
        put(329, format!("{major:07o}").as_bytes());
        put(337, format!("{minor:07o}").as_bytes());
        let sum: u32 = header.iter().map(|b| u32::from(*b)).sum();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        self.0.extend_from_slice(&header);
        self.0.extend_from_slice(content);
        self.0.resize(self.0.len().next_multiple_of(BLOCK), 0);
        self
    }

    /// The whole archive.
    #[must_use]
    pub fn bytes(mut self) -> Vec<u8> {
        self.0.resize(self.0.len() + 2 * BLOCK, 0);
        self.0
    }
}
