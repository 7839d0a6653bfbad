//! What the machine boots into: an initramfs with the programs, and either busybox alone or a Debian with
//! systemd.

use std::fs::{self, File};
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use super::boot::{EXIT_MARK, READY_MARK};
use super::cpio::Archive;
use super::{Request, Result, command};

const BUSYBOX: &str = "/bin/busybox";
const PACKAGES: &str = "--include=systemd,systemd-sysv,dbus,dbus-user-session,libpam-systemd";

/// Writes the initramfs and returns its path.
pub(super) fn build(cache: &Path, request: &Request) -> Result<PathBuf> {
    let path = cache.join(format!("initramfs-{}.cpio", std::process::id()));
    let mut archive = Archive::new(BufWriter::new(File::create(&path)?));
    let system = request.systemd.then(|| debian(cache)).transpose()?;
    match &system {
        Some(tree) => archive.tree(tree, "")?,
        None => bare(&mut archive)?,
    }
    archive.directory("vm")?;
    for (number, program) in request.programs.iter().enumerate() {
        archive.directory(&format!("vm/{number}"))?;
        archive.file(&place(number, program)[1..], 0o755, &read(Path::new(&program[0]))?)?;
    }
    for (file, place) in &request.added {
        archive.file(place.trim_start_matches('/'), 0o755, &read(file)?)?;
    }
    archive.file("vm/run", 0o755, run_script(request).as_bytes())?;
    if system.is_some() {
        archive.file("init", 0o755, b"#!/bin/sh\nmount -t tmpfs tmpfs /run\nexec /lib/systemd/systemd\n")?;
        archive.file("etc/systemd/system/vm.service", 0o644, SERVICE.as_bytes())?;
    } else {
        let mounts = if request.hybrid { HYBRID } else { "mount -t cgroup2 cgroup2 /sys/fs/cgroup" };
        archive.file("init", 0o755, INIT.replace("MOUNT-CGROUPS", mounts).as_bytes())?;
    }
    archive.finish()?;
    Ok(path)
}

/// Where a program is in the machine; it keeps its name, for those that look at it.
fn place(number: usize, program: &[String]) -> String {
    let name = Path::new(&program[0]).file_name().unwrap_or_default().to_string_lossy();
    format!("/vm/{number}/{name}")
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).map_err(|e| format!("read `{}`: {e}", path.display()).into())
}

fn bare<W: std::io::Write>(archive: &mut Archive<W>) -> Result<()> {
    for dir in
        ["bin", "sbin", "usr", "usr/bin", "usr/sbin", "proc", "sys", "dev", "tmp", "run", "etc", "root"]
    {
        archive.directory(dir)?;
    }
    archive.file("etc/passwd", 0o644, b"root:x:0:0:root:/root:/bin/sh\n")?;
    archive.file("etc/group", 0o644, b"root:x:0:\n")?;
    Ok(archive.file("bin/busybox", 0o755, &read(Path::new(BUSYBOX))?)?)
}

/// The first process without systemd.
const INIT: &str = "\
#!/bin/busybox sh
/bin/busybox --install -s
export PATH=/bin:/sbin:/usr/bin:/usr/sbin HOME=/root
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
MOUNT-CGROUPS
mount -t tmpfs -o mode=1777 tmpfs /tmp
mount -t tmpfs tmpfs /run
ip link set lo up
/vm/run
poweroff -f
";

/// Some controllers on v1; memory and pids are left to v2 by the kernel's command line.
const HYBRID: &str = "\
mount -t tmpfs tmpfs /sys/fs/cgroup
mkdir /sys/fs/cgroup/unified
mount -t cgroup2 cgroup2 /sys/fs/cgroup/unified
for c in cpu,cpuacct cpuset devices freezer blkio; do
    mkdir /sys/fs/cgroup/$c
    mount -t cgroup -o $c cgroup /sys/fs/cgroup/$c
done";

/// What systemd starts last.
const SERVICE: &str = "\
[Unit]
Description=The programs of the virtual machine
After=multi-user.target dbus.service user@1000.service
Wants=user@1000.service

[Service]
Type=oneshot
ExecStart=/vm/run
ExecStopPost=/bin/systemctl --force --force poweroff
Environment=TERM=dumb
StandardOutput=tty
StandardError=tty
TTYPath=/dev/ttyS0
TimeoutStartSec=infinity
Environment=HOME=/root

[Install]
WantedBy=default.target
";

fn run_script(request: &Request) -> String {
    let mut script = format!("#!/bin/sh\necho '{READY_MARK}'\n");
    for (number, program) in request.programs.iter().enumerate() {
        let args: Vec<String> =
            program[1..].iter().map(|a| format!("'{}'", a.replace('\'', r"'\''"))).collect();
        script += &format!("{} {}\necho \"{EXIT_MARK} $?\"\n", place(number, program), args.join(" "));
    }
    script
}

/// A small Debian with systemd and D-Bus, made once.
fn debian(cache: &Path) -> Result<PathBuf> {
    let tree = cache.join("debian");
    if tree.join("etc/systemd/system/default.target.wants/vm.service").exists() {
        return Ok(tree);
    }
    if tree.exists() {
        fs::remove_dir_all(&tree)?;
    }
    let text = fs::read_to_string("/etc/os-release")?;
    let suite = text.lines().find_map(|l| l.strip_prefix("VERSION_CODENAME=")).unwrap_or("stable");
    let place = tree.display().to_string();
    command("mmdebstrap", &["--variant=minbase", PACKAGES, suite, &place], cache)?;
    for junk in ["usr/share/doc", "usr/share/man", "usr/share/locale", "var/lib/apt/lists", "var/cache/apt"] {
        let path = tree.join(junk);
        if path.exists() {
            fs::remove_dir_all(path)?;
        }
    }
    let units = tree.join("etc/systemd/system");
    for unneeded in ["getty.target", "serial-getty@ttyS0.service", "systemd-networkd-wait-online.service"] {
        let link = units.join(unneeded);
        if fs::symlink_metadata(&link).is_err() {
            std::os::unix::fs::symlink("/dev/null", link)?;
        }
    }
    // A user with a manager of its own, for what an ordinary user may do.
    command("chroot", &[&place, "useradd", "--create-home", "--uid", "1000", "user"], cache)?;
    fs::create_dir_all(tree.join("var/lib/systemd/linger"))?;
    fs::write(tree.join("var/lib/systemd/linger/user"), "")?;
    fs::create_dir_all(units.join("default.target.wants"))?;
    std::os::unix::fs::symlink("../vm.service", units.join("default.target.wants/vm.service"))?;
    Ok(tree)
}
