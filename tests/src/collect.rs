//! A stream read to its end by a thread, for others to wait on with a deadline.

use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

#[derive(Default)]
struct Shared {
    bytes: Vec<u8>,
    ended: bool,
}

/// What came so far, and whether more can come.
#[derive(Clone, Default)]
pub struct Collector(Arc<(Mutex<Shared>, Condvar)>);

impl Collector {
    /// Starts reading `stream`. EIO is a pseudo-terminal's way to say that nobody writes any more.
    pub fn start(stream: OwnedFd) -> Self {
        let collector = Self::default();
        let other = collector.clone();
        std::thread::spawn(move || {
            let mut stream = File::from(stream);
            let mut buffer = vec![0; 64 << 10];
            loop {
                match stream.read(&mut buffer) {
                    Ok(0) => break,
                    Ok(read) => other.change(|shared| shared.bytes.extend_from_slice(&buffer[..read])),
                    Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                    Err(_) => break,
                }
            }
            other.change(|shared| shared.ended = true);
        });
        collector
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut Shared)) {
        change(&mut self.lock());
        self.0.1.notify_all();
    }

    /// What came so far.
    pub fn so_far(&self) -> Vec<u8> {
        self.lock().bytes.clone()
    }

    /// Waits until `enough(what came, whether it ended)` or the deadline; returns whether it was enough.
    pub fn wait(&self, deadline: Duration, enough: impl Fn(&[u8], bool) -> bool) -> bool {
        let end = Instant::now() + deadline;
        let mut shared = self.lock();
        loop {
            if enough(&shared.bytes, shared.ended) {
                return true;
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            shared = self.0.1.wait_timeout(shared, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits for the end; false if something holds the stream open past the deadline.
    pub fn wait_end(&self, deadline: Duration) -> bool {
        self.wait(deadline, |_, ended| ended)
    }
}
