//! Debian's cloud kernel: small, and everything that a container needs is built in.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Result, command};

const META_PACKAGE: &str = "linux-image-cloud-amd64";

/// The kernel's image; the package is fetched once.
pub(super) fn fetch(cache: &Path) -> Result<PathBuf> {
    let dir = cache.join("kernel");
    if let Some(found) = find(&dir) {
        return Ok(found);
    }
    // The lists of packages of a new machine are empty or old.
    command("apt-get", &["update", "--quiet"], cache)?;
    let package = package()?;
    std::fs::create_dir_all(&dir)?;
    command("apt-get", &["download", &package], &dir)?;
    let deb = std::fs::read_dir(&dir)?
        .flatten()
        .map(|e| e.path())
        .find(|p| p.extension().is_some_and(|e| e == "deb"));
    let deb = deb.ok_or_else(|| format!("apt-get download left no package of {package}"))?;
    command("dpkg-deb", &["-x", &deb.display().to_string(), "."], &dir)?;
    std::fs::remove_file(deb)?;
    find(&dir).ok_or_else(|| format!("{package} has no /boot/vmlinuz-*").into())
}

fn find(dir: &Path) -> Option<PathBuf> {
    let is_kernel =
        |path: &PathBuf| path.file_name().is_some_and(|n| n.to_string_lossy().starts_with("vmlinuz-"));
    std::fs::read_dir(dir.join("boot")).ok()?.flatten().map(|e| e.path()).find(is_kernel)
}

/// The package that the newest kernel is in: the meta package depends on it.
fn package() -> Result<String> {
    let output = Command::new("apt-cache").args(["depends", META_PACKAGE]).output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let found = text.lines().find_map(|line| line.trim().strip_prefix("Depends: linux-image-"));
    let found = found.ok_or_else(|| format!("apt knows no {META_PACKAGE}: run `apt-get update`"))?;
    Ok(format!("linux-image-{found}"))
}
