//! A disk of its own for a host's store, which can lose its power: what was not synced is gone after it.
//!
//! ```text
//! holder (a mount namespace) ─▶ ext4 with a journal on a loop device, mounted where the store is
//! cut: the file system is shut down without a word to its journal ─▶ processes killed ─▶ unmounted ─▶ mounted again
//! ```
//! The namespace ends with its holder, and that with us: no mount and no loop device outlives a test.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::stopped::kill_all;
use crate::{Host, binary};

/// Bytes of the disk; a sparse file.
const DISK_BYTES: u64 = 256 << 20;
/// EXT4_IOC_SHUTDOWN with EXT4_GOING_FLAGS_NOLOGFLUSH, by the only interpreter that every Debian has: the tests have no
/// unsafe code.
const SHUTDOWN: &str =
    "open(F, '<', $ARGV[0]) or die; my $flags = pack('L', 2); ioctl(F, 0x8004587d, $flags) or die $!";

/// A disk below a host's store.
pub struct Disk {
    image: PathBuf,
    place: PathBuf,
    holder: Child,
}

impl Disk {
    /// A host whose store is on a new disk; it has to go before the disk does.
    pub fn host() -> (Disk, Host) {
        let mut host = Host::new();
        let (image, place) = (host.path().join("disk"), host.data_root());
        fs::create_dir(&place).expect("our own directory");
        fs::File::create(&image).and_then(|f| f.set_len(DISK_BYTES)).expect("room for a sparse file");
        let made = Command::new("mkfs.ext4").args(["-q", "-F", "-J", "size=8"]).arg(&image).status();
        assert!(made.expect("e2fsprogs is installed: run `cargo xtask setup`").success());
        let holder = hold();
        let disk = Disk { image, place, holder };
        disk.mount();
        // Its commands see the disk: whoever runs them enters the namespace first.
        let wrapper = host.path().join("corten-on-disk");
        let script = format!("#!/bin/sh\nexec {} {} \"$@\"\n", disk.enter().join(" "), binary().display());
        fs::write(&wrapper, script).expect("our own directory");
        fs::set_permissions(&wrapper, fs::Permissions::from_mode(0o755)).expect("it is ours");
        host.set_binary(wrapper);
        (disk, host)
    }

    fn enter(&self) -> [String; 3] {
        ["nsenter".into(), format!("--mount=/proc/{}/ns/mnt", self.holder.id()), "--".into()]
    }

    fn inside(&self, program: &str, words: &[&Path]) {
        let [enter, namespace, dashes] = self.enter();
        let status = Command::new(enter).args([namespace, dashes, program.into()]).args(words).status();
        assert!(status.expect("util-linux is installed").success(), "{program} {words:?}");
    }

    fn mount(&self) {
        self.inside("mount", &[Path::new("-oloop"), &self.image, &self.place]);
    }

    /// The power fails and comes back: processes of ours are gone, and so is what was not synced.
    #[track_caller]
    pub fn cut(&self, host: &Host) {
        self.inside("perl", &[Path::new("-e"), Path::new(SHUTDOWN), &self.place]);
        kill_all(host);
        self.inside("umount", &[&self.place]);
        self.mount();
        // It is on a tmpfs everywhere.
        let _ = fs::remove_dir_all(host.run_root());
    }
}

/// A process in a mount namespace of its own, which ends when its standard input does.
fn hold() -> Child {
    let mut holder = Command::new("unshare")
        .args(["--mount", "--propagation", "private", "sh", "-c", "echo ready; read -r line"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("util-linux is installed");
    let mut line = String::new();
    let said = BufReader::new(holder.stdout.take().expect("it is piped")).read_line(&mut line);
    assert!(said.is_ok() && line == "ready\n", "no mount namespace: {line}");
    holder
}

impl Drop for Disk {
    fn drop(&mut self) {
        drop(self.holder.stdin.take());
        let _ = self.holder.wait();
    }
}
