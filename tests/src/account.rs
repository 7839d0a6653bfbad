//! An ordinary user of this machine, for rootless containers.

use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

/// A user made for one test; removed when dropped.
pub struct Account {
    name: String,
    uid: u32,
    gid: u32,
}

impl Account {
    /// A user with 65,536 subordinate ids, as Debian gives every user.
    pub fn with_subordinate_ids() -> Self {
        Self::new(&[])
    }

    /// A user with no ids but its own, as on machines without /etc/subuid.
    pub fn with_one_id() -> Self {
        Self::new(&["--key", "SUB_UID_COUNT=0", "--key", "SUB_GID_COUNT=0"])
    }

    fn new(extra: &[&str]) -> Self {
        // useradd gives ids only where the files are there.
        for file in ["/etc/subuid", "/etc/subgid"] {
            std::fs::OpenOptions::new().create(true).append(true).open(file).expect("we are root");
        }
        static MADE: AtomicU32 = AtomicU32::new(0);
        let name = format!("ct{}-{}", std::process::id(), MADE.fetch_add(1, Ordering::Relaxed));
        let made = Command::new("/usr/sbin/useradd")
            .args(["--no-create-home", "--home-dir", "/nonexistent", "--shell", "/bin/sh"])
            .args(extra)
            .arg(&name)
            .output()
            .expect("useradd is installed: run `cargo xtask setup`");
        assert!(made.status.success(), "useradd: {}", String::from_utf8_lossy(&made.stderr));
        let passwd = std::fs::read_to_string("/etc/passwd").expect("it is there");
        let line = passwd.lines().find(|l| l.split(':').next() == Some(&name)).expect("useradd added it");
        let field = |n: usize| line.split(':').nth(n).and_then(|f| f.parse().ok()).expect("ids are numbers");
        Self { uid: field(2), gid: field(3), name }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its user and group id.
    pub fn ids(&self) -> (u32, u32) {
        (self.uid, self.gid)
    }

    /// Gives it a file or directory.
    pub fn give(&self, path: &Path) {
        std::os::unix::fs::chown(path, Some(self.uid), Some(self.gid)).expect("we are root");
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        let removed = Command::new("/usr/sbin/userdel").args(["--force", &self.name]).output();
        if !removed.is_ok_and(|o| o.status.success()) && !std::thread::panicking() {
            panic!("userdel {} failed", self.name);
        }
    }
}
