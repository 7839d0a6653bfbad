//! Reading files of proc, sysfs and control groups, whose text the kernel makes at each read.
//!
//! They say that they are empty. The standard library therefore asks for their size, then for 32 bytes, then for
//! twice as many; the kernel walks through a table of mounts each time. One buffer takes most of them at once.

use std::io;
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

/// What is read at once.
const STEP_BYTES: usize = 8 << 10;
/// A longer one is no file of the kernel's that we read.
const MAX_BYTES: usize = 64 << 20;

/// The whole text of the file.
pub fn read(path: impl AsRef<Path>) -> io::Result<String> {
    let file = rustix::fs::open(path.as_ref(), OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    let mut bytes = Vec::new();
    loop {
        let start = bytes.len();
        if start > MAX_BYTES {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        bytes.resize(start + STEP_BYTES, 0);
        match rustix::io::read(&file, &mut bytes[start..]) {
            Ok(0) => {
                bytes.truncate(start);
                return String::from_utf8(bytes).map_err(|_| io::ErrorKind::InvalidData.into());
            }
            Ok(count) => bytes.truncate(start + count),
            Err(Errno::INTR) => bytes.truncate(start),
            Err(errno) => return Err(errno.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_and_short_files_are_read_whole() {
        assert_eq!(read("/proc/self/cgroup").unwrap(), std::fs::read_to_string("/proc/self/cgroup").unwrap());
        let symbols = read("/proc/kallsyms").unwrap();
        assert!(symbols.len() > 2 * STEP_BYTES && symbols.ends_with('\n'));
        assert_eq!(read("/proc/nothing").unwrap_err().kind(), io::ErrorKind::NotFound);
        assert!(read("/proc").is_err());
    }
}
