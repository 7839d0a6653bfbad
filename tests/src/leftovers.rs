//! What a test can leave behind: processes, mounts, control groups. Each is looked for where the kernel lists it.

use std::fs;
use std::path::{Path, PathBuf};

/// Processes whose arguments, environment or open files mention `dir`, with what they are.
pub fn processes_of(dir: &Path) -> Vec<(u32, String)> {
    let own = std::process::id();
    let entries = fs::read_dir("/proc").expect("/proc is mounted");
    let pids = entries.flatten().filter_map(|e| e.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(|pid| *pid != own && mentions(*pid, dir)).map(|pid| (pid, described(pid))).collect()
}

fn mentions(pid: u32, dir: &Path) -> bool {
    let text = dir.as_os_str().as_encoded_bytes();
    let proc = PathBuf::from(format!("/proc/{pid}"));
    let in_file = |name: &str| {
        fs::read(proc.join(name)).is_ok_and(|bytes| bytes.windows(text.len()).any(|window| window == text))
    };
    let links = fs::read_dir(proc.join("fd")).into_iter().flatten().flatten();
    in_file("cmdline")
        || in_file("environ")
        || fs::read_link(proc.join("cwd")).is_ok_and(|to| to.starts_with(dir))
        || links.flat_map(|e| fs::read_link(e.path())).any(|to| to.starts_with(dir))
}

fn described(pid: u32) -> String {
    let read = |name: &str| fs::read(format!("/proc/{pid}/{name}")).unwrap_or_default();
    let arguments = String::from_utf8_lossy(&read("cmdline")).replace('\0', " ");
    format!("{} [{}]", arguments.trim(), String::from_utf8_lossy(&read("comm")).trim())
}

/// Mounts of our own namespace that lie in `dir` or come from it.
pub fn mounts_of(dir: &Path) -> Vec<String> {
    let text = fs::read_to_string("/proc/self/mountinfo").expect("/proc is mounted");
    let dir = dir.to_string_lossy();
    text.lines().filter(|line| line.contains(&*dir)).map(str::to_owned).collect()
}

/// Control groups, in every hierarchy, of the containers with these ids.
pub fn groups_of(ids: &[String]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    if !ids.is_empty() {
        search(Path::new("/sys/fs/cgroup"), 0, &mut |path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if ids.iter().any(|id| name.contains(id.as_str())) {
                found.push(path.to_path_buf());
            }
        });
    }
    found
}

/// Groups nest; ours are near the top.
const DEPTH: usize = 8;

fn search(dir: &Path, depth: usize, see: &mut impl FnMut(&Path)) {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    for entry in entries.filter(|e| e.file_type().is_ok_and(|t| t.is_dir())) {
        see(&entry.path());
        if depth < DEPTH {
            search(&entry.path(), depth + 1, see);
        }
    }
}
