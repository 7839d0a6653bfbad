//! The image most tests run: Debian's static busybox, its applets, and the least of /etc.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use crate::tar::Tar;

/// The image's name.
pub const BUSYBOX: &str = "busybox";

const PASSWD: &str = "\
root:x:0:0:root:/root:/bin/sh
daemon:x:1:1:daemon:/usr/sbin:/bin/false
app:x:1000:1000:app:/home/app:/bin/sh
nobody:x:65534:65534:nobody:/:/bin/false
";

const GROUP: &str = "root:x:0:\ndaemon:x:1:\naudio:x:29:app\nstaff:x:50:app\napp:x:1000:\nnogroup:x:65534:\n";

/// The files of the image, for tests that add to them.
pub fn busybox_files() -> Tar {
    static FILES: OnceLock<Tar> = OnceLock::new();
    FILES.get_or_init(make).clone()
}

fn make() -> Tar {
    let places = ["/usr/bin/busybox", "/bin/busybox"];
    let found = places.into_iter().find(|place| Path::new(place).exists());
    let program = found.expect("busybox-static is installed: run `cargo xtask setup`");
    let binary = std::fs::read(program).expect("busybox can be read");
    let list = Command::new(program).arg("--list").output().expect("busybox runs");
    let mut tar = Tar::new();
    for (path, mode) in [
        ("bin/", 0o755),
        ("dev/", 0o755),
        ("etc/", 0o755),
        ("home/", 0o755),
        ("home/app/", 0o755),
        ("proc/", 0o755),
        ("root/", 0o700),
        ("sys/", 0o755),
        ("tmp/", 0o1777),
        ("var/", 0o755),
    ] {
        tar = tar.directory(path, mode);
    }
    tar = tar.file("bin/busybox", 0o755, &binary);
    for applet in String::from_utf8_lossy(&list.stdout).lines().filter(|a| *a != "busybox") {
        tar = tar.symlink(&format!("bin/{applet}"), "busybox");
    }
    tar.file("etc/passwd", 0o644, PASSWD.as_bytes()).file("etc/group", 0o644, GROUP.as_bytes())
}

/// What `program -c` makes of `bytes`: `gzip`, `zstd`, `xz` or `bzip2`.
pub fn filter(program: &str, bytes: &[u8]) -> Vec<u8> {
    let child = Command::new(program).arg("-c").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let mut child = child.expect("it is installed: run `cargo xtask setup`");
    let mut stdin = child.stdin.take().expect("a pipe was asked for");
    std::thread::scope(|scope| {
        scope.spawn(move || stdin.write_all(bytes).expect("it reads all"));
        let output = child.wait_with_output().expect("it ends");
        assert!(output.status.success(), "{program}");
        output.stdout
    })
}
