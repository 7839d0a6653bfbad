//! Directories' times, kept until nothing is made in them any more: in memory at first, then in a file without a name,
//! because an archive may have a million directories.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use rustix::fs::{Timespec, Timestamps};

/// Bytes kept in memory: the directories of most layers.
const MEMORY_BYTES: usize = 1 << 20;
/// Bytes of one record without the path: its length, seconds, nanoseconds.
const FIXED_BYTES: usize = 2 + 8 + 4;

/// Times to be set, in the order in which the archive named them; of one directory the last hold.
pub(super) struct Times {
    /// Where the file is made when it is needed.
    directory: PathBuf,
    recent: Vec<u8>,
    file: Option<File>,
}

impl Times {
    pub fn new(directory: PathBuf) -> Self {
        Self { directory, recent: Vec::new(), file: None }
    }

    pub fn add(&mut self, path: &Path, times: &Timestamps) -> io::Result<()> {
        let path = path.as_os_str().as_bytes();
        let length = u16::try_from(path.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
        if self.recent.len() + FIXED_BYTES + path.len() > MEMORY_BYTES {
            self.spill()?;
        }
        self.recent.extend(length.to_le_bytes());
        self.recent.extend(times.last_modification.tv_sec.to_le_bytes());
        self.recent.extend((times.last_modification.tv_nsec as u32).to_le_bytes());
        self.recent.extend(path);
        Ok(())
    }

    fn spill(&mut self) -> io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            none => {
                let path = self.directory.join("times");
                let file = File::options().read(true).write(true).create_new(true).open(&path)?;
                std::fs::remove_file(&path)?;
                none.insert(file)
            }
        };
        file.write_all(&self.recent)?;
        self.recent.clear();
        Ok(())
    }

    /// Calls `set` for each; the outer error is the file's.
    pub fn for_each<E>(
        mut self,
        mut set: impl FnMut(&Path, &Timestamps) -> Result<(), E>,
    ) -> io::Result<Result<(), E>> {
        match self.file.take() {
            None => each(&mut self.recent.as_slice(), &mut set),
            Some(mut file) => {
                file.rewind()?;
                each(&mut BufReader::new(file).chain(self.recent.as_slice()), &mut set)
            }
        }
    }
}

fn each<E>(
    records: &mut dyn Read,
    set: &mut dyn FnMut(&Path, &Timestamps) -> Result<(), E>,
) -> io::Result<Result<(), E>> {
    let mut path = Vec::new();
    loop {
        let mut fixed = [0; FIXED_BYTES];
        // The end is between two records, or the file isn't what was written.
        if records.read(&mut fixed[..1])? == 0 {
            return Ok(Ok(()));
        }
        records.read_exact(&mut fixed[1..])?;
        let (length, rest) = fixed.split_at(2);
        let (seconds, nanoseconds) = rest.split_at(8);
        path.resize(usize::from(u16::from_le_bytes(length.try_into().expect("two bytes"))), 0);
        records.read_exact(&mut path)?;
        let time = Timespec {
            tv_sec: i64::from_le_bytes(seconds.try_into().expect("eight bytes")),
            tv_nsec: i64::from(u32::from_le_bytes(nanoseconds.try_into().expect("four bytes"))),
        };
        let times = Timestamps { last_access: time, last_modification: time };
        let name = PathBuf::from(OsString::from_vec(std::mem::take(&mut path)));
        if let Err(e) = set(&name, &times) {
            return Ok(Err(e));
        }
        path = name.into_os_string().into_vec();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_come_back_in_order_from_memory_and_file() {
        for count in [0u32, 3, 100_000] {
            let temp = tempfile::tempdir().unwrap();
            let mut times = Times::new(temp.path().to_owned());
            let name = |n: u32| PathBuf::from(format!("a/directory/called/{n}"));
            let time = |n: u32| Timespec { tv_sec: i64::from(n) - 5, tv_nsec: 999_999_999 - i64::from(n) };
            for n in 0..count {
                let stamps = Timestamps { last_access: time(n), last_modification: time(n) };
                times.add(&name(n), &stamps).unwrap();
            }
            assert!(times.recent.capacity() <= 2 * MEMORY_BYTES);
            assert_eq!(crate::testing::names(temp.path()), Vec::<String>::new());
            let mut next = 0;
            let all = times.for_each(|path, stamps| {
                let got = (stamps.last_modification.tv_sec, stamps.last_modification.tv_nsec);
                assert_eq!((path, got), (name(next).as_path(), (time(next).tv_sec, time(next).tv_nsec)));
                next += 1;
                io::Result::Ok(())
            });
            all.unwrap().unwrap();
            assert_eq!(next, count);
        }
    }
}
