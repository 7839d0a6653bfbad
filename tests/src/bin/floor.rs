//! The raw limit that a container's start is measured against: every namespace, a root of its own, one exec.
//!
//! `floor ROOTFS PROGRAM`: no image, no limits, no filter, no log, no state. Nothing can be quicker and still be a
//! container.

use std::path::Path;
use std::process::{Command, ExitCode};

use rustix::mount::{
    MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_bind, mount_change, unmount,
};
use rustix::process::pivot_root;
use rustix::thread::UnshareFlags;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [rootfs, program] = words.as_slice() else {
        eprintln!("floor ROOTFS PROGRAM");
        return ExitCode::FAILURE;
    };
    match run(Path::new(rootfs), program) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("floor: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(rootfs: &Path, program: &str) -> std::io::Result<bool> {
    let all = UnshareFlags::NEWUSER
        | UnshareFlags::NEWNS
        | UnshareFlags::NEWPID
        | UnshareFlags::NEWIPC
        | UnshareFlags::NEWUTS
        | UnshareFlags::NEWNET
        | UnshareFlags::NEWCGROUP;
    // Its danger are shared file descriptor tables between threads, and there is one thread here.
    #[expect(deprecated, reason = "the other one is unsafe, and this crate has no unsafe code")]
    rustix::thread::unshare(all)?;
    std::fs::write("/proc/self/setgroups", "deny")?;
    std::fs::write("/proc/self/uid_map", "0 0 1")?;
    std::fs::write("/proc/self/gid_map", "0 0 1")?;
    mount_change("/", MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC)?;
    mount_bind(rootfs, rootfs)?;
    mount("tmpfs", rootfs.join("dev"), "tmpfs", MountFlags::NOSUID, None)?;
    std::env::set_current_dir(rootfs)?;
    pivot_root(".", ".")?;
    unmount(".", UnmountFlags::DETACH)?;
    // The first child is PID 1 of the new namespace.
    Ok(Command::new(program).env_clear().status()?.success())
}
