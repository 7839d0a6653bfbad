//! Containers on Debian's kernel: the binary that is shipped, started as a user would, on cgroup v2.
//!
//! That kernel (6.1) lacks what newer ones have (`lowerdir+`, mounts into detached trees, idmapped tmpfs): what passes
//! here shows those fallbacks too. No keeper is killed here: how an adopted container ends on it isn't shown.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Request, Result, cache_dir, command, kernel};

/// Bytes of the disk that the store is on: the machine's own root can't be idmapped on this kernel.
const DISK: &str = "96M";
/// Modules that the kernel package has beside the kernel.
const MODULES: [&str; 2] = ["kernel/fs/overlayfs/overlay.ko", "kernel/drivers/block/loop.ko"];
/// pivot_root(2) refuses the first root file system: the machine moves to another one first.
const MOVE: &str = include_str!("move.sh");
/// What is done there; the first thing that isn't as it should be ends it.
const SCRIPT: &str = include_str!("containers.sh");

/// The machine's contents.
pub(super) fn request(binary: &Path) -> Result<Request> {
    let cache = cache_dir()?;
    let kernel = kernel::fetch(&cache)?;
    let modules = modules(&kernel)?;
    let disk = cache.join("disk.ext4");
    command("truncate", &["--size", "0", &disk.display().to_string()], &cache)?;
    command("truncate", &["--size", DISK, &disk.display().to_string()], &cache)?;
    command("mkfs.ext4", &["-q", &disk.display().to_string()], &cache)?;
    let (wrapper, script) = (cache.join("move.sh"), cache.join("containers.sh"));
    std::fs::write(&wrapper, MOVE)?;
    std::fs::write(&script, SCRIPT)?;
    let mut added = vec![
        (binary.to_owned(), "/bin/corten".to_owned()),
        (disk, "/bin/disk.ext4".to_owned()),
        (wrapper, "/bin/move.sh".to_owned()),
        (script, "/bin/containers.sh".to_owned()),
    ];
    for module in MODULES {
        let name = module.rsplit('/').next().unwrap_or(module);
        added.push((modules.join(module), format!("/bin/{name}")));
    }
    Ok(Request {
        systemd: false,
        hybrid: false,
        memory_mib: 1536,
        deadline: Duration::from_secs(180),
        added,
        suite: None,
        programs: vec![["/bin/busybox", "sh", "/bin/move.sh"].map(String::from).to_vec()],
    })
}

/// The directory of the kernel's modules.
fn modules(kernel: &Path) -> Result<PathBuf> {
    let release = kernel.file_name().and_then(|n| n.to_str()).and_then(|n| n.strip_prefix("vmlinuz-"));
    let release = release.ok_or("a kernel without a release in its name")?;
    let package = kernel.parent().and_then(Path::parent).ok_or("a kernel outside of its package")?;
    Ok(package.join("lib/modules").join(release))
}
