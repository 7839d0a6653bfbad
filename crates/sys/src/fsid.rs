//! The ids that the calling thread touches file systems with: setfsuid(2) and setfsgid(2).
//!
//! Owns [`FsIds`], a guard: while it lives, this thread makes files as another user but keeps every capability.
//! Only the thread is changed, never the process: the raw calls are used, not a libc's that might tell all threads.

use std::io;

use rustix::thread::CapabilitySets;

/// This thread's file-system ids until the guard is dropped.
#[derive(Debug)]
pub struct FsIds {
    uid: u32,
    gid: u32,
    caps: CapabilitySets,
}

impl FsIds {
    /// Switches this thread to `uid` and `gid`. EPERM when it may not.
    pub fn switch(uid: u32, gid: u32) -> io::Result<Self> {
        let caps = rustix::thread::capabilities(None)?;
        let guard = Self { gid: setfsgid(gid), uid: setfsuid(uid), caps };
        // setfsuid from 0 to another id takes CAP_CHOWN, DAC_OVERRIDE, FOWNER, MKNOD and others out of the effective
        // set (capabilities(7)); whoever switches here needs them, so they are put back at once.
        rustix::thread::set_capabilities(None, caps)?;
        // Neither call can report a failure; asking with an impossible id tells what holds now.
        if setfsuid(u32::MAX) != uid || setfsgid(u32::MAX) != gid {
            return Err(io::Error::from_raw_os_error(libc::EPERM));
        }
        Ok(guard)
    }
}

impl Drop for FsIds {
    fn drop(&mut self) {
        setfsuid(self.uid);
        setfsgid(self.gid);
        // Can't fail: the set was this thread's a moment ago, and what is permitted has not changed since.
        let _ = rustix::thread::set_capabilities(None, self.caps);
    }
}

fn setfsuid(uid: u32) -> u32 {
    // SAFETY: takes a number, touches no memory, never fails.
    unsafe { libc::syscall(libc::SYS_setfsuid, uid) as u32 }
}

fn setfsgid(gid: u32) -> u32 {
    // SAFETY: takes a number, touches no memory, never fails.
    unsafe { libc::syscall(libc::SYS_setfsgid, gid) as u32 }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn files_are_made_as_another_with_all_capabilities() {
        let temp = tempfile::tempdir().unwrap();
        let before = rustix::thread::capabilities(None).unwrap();
        {
            let _ids = FsIds::switch(200_000, 300_000).unwrap();
            assert_eq!(rustix::thread::capabilities(None).unwrap(), before);
            std::fs::write(temp.path().join("a"), "").unwrap();
        }
        std::fs::write(temp.path().join("b"), "").unwrap();
        let owner = |name: &str| {
            let meta = std::fs::metadata(temp.path().join(name)).unwrap();
            (meta.uid(), meta.gid())
        };
        assert_eq!(owner("a"), (200_000, 300_000));
        assert_eq!(owner("b"), (0, 0));
        assert_eq!(rustix::thread::capabilities(None).unwrap(), before);
    }
}
