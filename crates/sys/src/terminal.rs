//! The caller's terminal and its signals: raw mode, window size, signals as a file descriptor.
//!
//! Reading and writing the terminal are not here, nor is the terminal of a container: that is a pty of rustix.

use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd};
use std::{io, ptr};

use rustix::io::Errno;
use rustix::termios::{self, LocalModes, OptionalActions, Termios};

/// What can fail with the caller's terminal or signals.
#[derive(Debug, thiserror::Error)]
pub enum TerminalError {
    /// The terminal's settings can't be read.
    #[error("read the settings of the terminal: tcgetattr(3)")]
    Get(#[source] Errno),
    /// The terminal's settings can't be changed.
    #[error("change the settings of the terminal: tcsetattr(3)")]
    Set(#[source] Errno),
    /// The terminal's file descriptor can't be kept.
    #[error("duplicate the descriptor of the terminal: fcntl(2)")]
    Duplicate(#[source] Errno),
    /// A signal can't be blocked, or the mask can't be read.
    #[error("block signals: pthread_sigmask(3)")]
    Mask(#[source] io::Error),
    /// No descriptor for signals.
    #[error("make a descriptor for signals: signalfd(2)")]
    SignalFd(#[source] io::Error),
    /// The descriptor for signals can't be read.
    #[error("read a signal: read(2)")]
    ReadSignal(#[source] Errno),
}

/// A terminal in raw mode: bytes pass as they are, `^C` included. Dropping it restores the settings.
///
/// It keeps a descriptor of its own, so that a panic hook on a build that aborts (where nothing is dropped) can
/// call [`RawMode::restore`] too.
#[derive(Debug)]
pub struct RawMode {
    tty: OwnedFd,
    saved: Termios,
}

impl RawMode {
    /// Puts the terminal behind `tty` into raw mode, as cfmakeraw(3) has it.
    pub fn enter(tty: BorrowedFd<'_>) -> Result<Self, TerminalError> {
        let saved = termios::tcgetattr(tty).map_err(TerminalError::Get)?;
        // CLOEXEC: a keeper that is spawned meanwhile must not hold the caller's terminal open.
        let tty = rustix::io::fcntl_dupfd_cloexec(tty, 3).map_err(TerminalError::Duplicate)?;
        let raw = Self { tty, saved };
        raw.again()?;
        Ok(raw)
    }

    /// Raw once more: after a stop and a continue, the shell has put its own settings back.
    pub fn again(&self) -> Result<(), TerminalError> {
        let mut settings = self.saved.clone();
        settings.make_raw();
        self.set(&settings)
    }

    /// The settings from before. May be called more than once.
    pub fn restore(&self) -> Result<(), TerminalError> {
        self.set(&self.saved)
    }

    fn set(&self, settings: &Termios) -> Result<(), TerminalError> {
        // Now, not Drain: draining waits without end for a terminal that was stopped with `^S` or that nobody reads.
        termios::tcsetattr(&self.tty, OptionalActions::Now, settings).map_err(TerminalError::Set)
    }
}

impl Drop for RawMode {
    fn drop(&mut self) {
        // A terminal that was hung up meanwhile has no settings to restore.
        let _ = self.restore();
    }
}

/// A terminal that doesn't show what is typed, for passwords. Dropping it restores the settings.
#[derive(Debug)]
pub struct Silent {
    tty: OwnedFd,
    saved: Termios,
}

impl Silent {
    /// Keeps the terminal behind `tty` from showing what is typed; only the end of the line is shown still.
    pub fn enter(tty: BorrowedFd<'_>) -> Result<Self, TerminalError> {
        let saved = termios::tcgetattr(tty).map_err(TerminalError::Get)?;
        let tty = rustix::io::fcntl_dupfd_cloexec(tty, 3).map_err(TerminalError::Duplicate)?;
        let mut settings = saved.clone();
        settings.local_modes.remove(LocalModes::ECHO);
        settings.local_modes.insert(LocalModes::ECHONL | LocalModes::ICANON);
        // What was typed before the question is no answer to it.
        termios::tcsetattr(&tty, OptionalActions::Flush, &settings).map_err(TerminalError::Set)?;
        Ok(Self { tty, saved })
    }
}

impl Drop for Silent {
    fn drop(&mut self) {
        // A terminal that was hung up meanwhile has no settings to restore.
        let _ = termios::tcsetattr(&self.tty, OptionalActions::Now, &self.saved);
    }
}

/// Rows and columns of the terminal behind `fd`; `None` if it isn't one, or doesn't know.
pub fn size(fd: BorrowedFd<'_>) -> Option<(u16, u16)> {
    let size = termios::tcgetwinsize(fd).ok()?;
    (size.ws_row > 0 && size.ws_col > 0).then_some((size.ws_row, size.ws_col))
}

/// Signals that are blocked and read from a descriptor instead.
///
/// The mask belongs to the calling thread: block before any other thread is made. It is inherited by what this
/// thread spawns, which has to clear it. Dropping this puts the old mask back: a signal that waits still then
/// has the effect that it would have had.
#[derive(Debug)]
pub struct Signals {
    fd: OwnedFd,
    before: libc::sigset_t,
}

impl Signals {
    /// Blocks `signals` and opens a nonblocking descriptor for them.
    ///
    /// Those that the caller of this program chose to ignore stay ignored: the kernel queues a blocked signal even
    /// if it is ignored, and a run under `nohup` or in the background of a script would get what it was shielded from.
    pub fn block(signals: &[i32]) -> Result<Self, TerminalError> {
        let set = set_of(signals)?;
        let before = change_mask(libc::SIG_BLOCK, &set).map_err(TerminalError::Mask)?;
        // SAFETY: `set` is initialised; -1 asks for a new descriptor.
        let fd = unsafe { libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK) };
        if fd < 0 {
            let error = io::Error::last_os_error();
            let _ = change_mask(libc::SIG_SETMASK, &before);
            return Err(TerminalError::SignalFd(error));
        }
        // SAFETY: signalfd(2) has just made `fd`, and nothing else owns it.
        Ok(Self { fd: unsafe { OwnedFd::from_raw_fd(fd) }, before })
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        let _ = change_mask(libc::SIG_SETMASK, &self.before);
    }
}

/// Takes one signal's number from the descriptor of a [`Signals`]; `None` if none waits.
pub fn read_signal(fd: BorrowedFd<'_>) -> Result<Option<i32>, TerminalError> {
    let mut record = [0u8; size_of::<libc::signalfd_siginfo>()];
    match rustix::io::retry_on_intr(|| rustix::io::read(fd, &mut record)) {
        // `ssi_signo` is the first field, in the machine's byte order (signalfd(2)).
        Ok(n) if n >= 4 => {
            Ok(i32::try_from(u32::from_ne_bytes([record[0], record[1], record[2], record[3]])).ok())
        }
        Ok(_) | Err(Errno::AGAIN) => Ok(None),
        Err(error) => Err(TerminalError::ReadSignal(error)),
    }
}

fn set_of(signals: &[i32]) -> Result<libc::sigset_t, TerminalError> {
    let mut set = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: sigemptyset initialises all of `set`, and can't fail on a valid pointer.
    let mut set = unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        set.assume_init()
    };
    for signal in signals {
        if is_ignored(*signal)? {
            continue;
        }
        // SAFETY: `set` is initialised; a number that is no signal's is refused with EINVAL.
        if unsafe { libc::sigaddset(&raw mut set, *signal) } != 0 {
            return Err(TerminalError::Mask(io::Error::last_os_error()));
        }
    }
    Ok(set)
}

fn is_ignored(signal: i32) -> Result<bool, TerminalError> {
    let mut action = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: a null new action only asks; `action` is valid for the call.
    if unsafe { libc::sigaction(signal, ptr::null(), action.as_mut_ptr()) } != 0 {
        return Err(TerminalError::Mask(io::Error::last_os_error()));
    }
    // SAFETY: zeroed, then filled by the call.
    Ok(unsafe { action.assume_init() }.sa_sigaction == libc::SIG_IGN)
}

fn change_mask(how: libc::c_int, set: &libc::sigset_t) -> io::Result<libc::sigset_t> {
    let mut before = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: both pointers are valid for the call; on success the kernel has filled all of `before`
    // (glibc copies its whole set from the zeroed kernel set).
    let code = unsafe {
        ptr::write_bytes(before.as_mut_ptr(), 0, 1);
        libc::pthread_sigmask(how, ptr::from_ref(set), before.as_mut_ptr())
    };
    if code != 0 {
        return Err(io::Error::from_raw_os_error(code));
    }
    // SAFETY: zeroed above, then filled by the call.
    Ok(unsafe { before.assume_init() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

    fn pty() -> (OwnedFd, OwnedFd) {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap();
        let flags = rustix::fs::OFlags::RDWR | rustix::fs::OFlags::NOCTTY | rustix::fs::OFlags::CLOEXEC;
        let slave = rustix::fs::open(name, flags, rustix::fs::Mode::empty()).unwrap();
        (master, slave)
    }

    #[test]
    fn raw_mode_ends_with_its_guard() {
        let (_master, slave) = pty();
        let echo = || termios::tcgetattr(&slave).unwrap().local_modes.contains(termios::LocalModes::ECHO);
        assert!(echo());
        let raw = RawMode::enter(slave.as_fd()).unwrap();
        assert!(!echo());
        raw.restore().unwrap();
        assert!(echo());
        raw.again().unwrap();
        assert!(!echo());
        drop(raw);
        assert!(echo());
    }

    #[test]
    fn only_a_terminal_has_raw_mode_and_a_size() {
        let null = std::fs::File::open("/dev/null").unwrap();
        assert!(matches!(RawMode::enter(null.as_fd()), Err(TerminalError::Get(Errno::NOTTY))));
        assert_eq!(size(null.as_fd()), None);
        let (_master, slave) = pty();
        assert_eq!(size(slave.as_fd()), None, "a new pty is 0 by 0");
        let winsize = termios::Winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 };
        termios::tcsetwinsize(&slave, winsize).unwrap();
        assert_eq!(size(slave.as_fd()), Some((24, 80)));
    }

    #[test]
    fn an_ignored_signal_stays_ignored() {
        // SAFETY: no test of this process uses SIGUSR1 otherwise.
        unsafe { libc::signal(libc::SIGUSR1, libc::SIG_IGN) };
        let signals = Signals::block(&[libc::SIGUSR1]).unwrap();
        // SAFETY: the signal goes to this thread only, which ignores it.
        unsafe { libc::pthread_kill(libc::pthread_self(), libc::SIGUSR1) };
        assert_eq!(read_signal(signals.as_fd()).unwrap(), None);
    }

    #[test]
    fn a_blocked_signal_is_read_from_the_descriptor() {
        let signals = Signals::block(&[libc::SIGUSR2]).unwrap();
        assert_eq!(read_signal(signals.as_fd()).unwrap(), None);
        // SAFETY: the signal goes to this thread only, which blocks it.
        unsafe { libc::pthread_kill(libc::pthread_self(), libc::SIGUSR2) };
        assert_eq!(read_signal(signals.as_fd()).unwrap(), Some(libc::SIGUSR2));
        assert_eq!(read_signal(signals.as_fd()).unwrap(), None);
        assert!(Signals::block(&[0]).is_err());
    }
}
