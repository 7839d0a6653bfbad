//! A pseudo-terminal in the container's own devpts.
//!
//! Of the container's paths only `/dev/pts/ptmx` is opened, without symlinks, and must be what it is named; the
//! slave comes from the master by TIOCGPTPEER, so no path that the container can swap is ever followed
//! (CVE-2025-52565).

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use corten_sys::path::Root;
use rustix::fs::{FileType, Mode, OFlags, makedev};
use rustix::io::Errno;
use rustix::pty::OpenptFlags;
use rustix::termios::Winsize;

use crate::spec::ConsoleSize;
use crate::step::{Failure, Step, at, at_io};

const PTMX: &str = "/dev/pts/ptmx";
const DEVPTS_MAGIC: u64 = 0x1cd1;
const PTMX_NUMBER: (u32, u32) = (5, 2);

/// Both sides of a terminal.
#[derive(Debug)]
pub struct Pty {
    /// The side of whoever looks at it.
    pub master: OwnedFd,
    /// The side of the program.
    pub slave: OwnedFd,
}

/// Makes a terminal in the devpts of the container behind `root`.
pub fn open(root: &Root, size: Option<ConsoleSize>) -> Result<Pty, Failure> {
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::NONBLOCK;
    // Looked at before it is opened: opening another device could do anything.
    let place = root.open_plain(Path::new(PTMX), OFlags::PATH, Mode::empty());
    let place = place.map_err(at_io(Step::Terminal, PTMX))?;
    verify(&place)?;
    let master =
        root.open_plain(Path::new(PTMX), flags, Mode::empty()).map_err(at_io(Step::Terminal, PTMX))?;
    verify(&master)?;
    let flags = rustix::fs::fcntl_getfl(&master).map_err(at(Step::Terminal, PTMX))?;
    rustix::fs::fcntl_setfl(&master, flags - OFlags::NONBLOCK).map_err(at(Step::Terminal, PTMX))?;
    rustix::pty::unlockpt(&master).map_err(at(Step::Terminal, PTMX))?;
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let slave = rustix::pty::ioctl_tiocgptpeer(&master, flags).map_err(at(Step::Terminal, PTMX))?;
    if let Some(size) = size {
        let size = Winsize { ws_row: size.height, ws_col: size.width, ws_xpixel: 0, ws_ypixel: 0 };
        rustix::termios::tcsetwinsize(master.as_fd(), size).map_err(at(Step::Terminal, "size"))?;
    }
    Ok(Pty { master, slave })
}

fn verify(fd: &OwnedFd) -> Result<(), Failure> {
    let stat = rustix::fs::fstat(fd).map_err(at(Step::Terminal, PTMX))?;
    let fs = rustix::fs::fstatfs(fd).map_err(at(Step::Terminal, PTMX))?;
    let is_ptmx = FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice
        && stat.st_rdev == makedev(PTMX_NUMBER.0, PTMX_NUMBER.1)
        && fs.f_type as u64 == DEVPTS_MAGIC;
    match is_ptmx {
        true => Ok(()),
        false => Err(Failure::because(Step::Terminal, PTMX, Errno::NODEV, "it is not of a devpts")),
    }
}
