//! What parent and child say to each other: one socket pair that keeps the borders of messages, closed on the
//! child's side by execve, which is how the parent learns of it.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use corten_sys::fdpass;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use crate::step::{FAILURE_BYTES_MAX, Failure, Step, at};

/// The longest that the parent waits for the child's next word.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);
/// The longest message.
const MESSAGE_BYTES_MAX: usize = 8 * FAILURE_BYTES_MAX;
/// Descriptors of one message with pieces of a bind or a cgroup view.
pub const PIECES_MAX: usize = 200;

/// What a message says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Word {
    /// Sync 1: the id maps are written.
    Maps = 1,
    /// The root's mount.
    Root,
    /// Mounts of a planned one: its number, then for each its path below the target.
    Pieces,
    /// Files to join the cgroup with.
    Cgroup,
    /// Sync 2: everything was sent.
    Go,
    /// The program may run.
    Run,
    /// The joining process made the child: pid, and pidfd.
    Born,
    /// Something was left out, in words.
    Warning,
    /// Sync 3: the terminal's master.
    Terminal,
    /// execve is next; what comes now is a failure or sync 4, the end.
    Ready,
    /// A failure, encoded.
    Failed,
}

const WORDS: [Word; 11] = [
    Word::Maps,
    Word::Root,
    Word::Pieces,
    Word::Cgroup,
    Word::Go,
    Word::Run,
    Word::Born,
    Word::Warning,
    Word::Terminal,
    Word::Ready,
    Word::Failed,
];

/// A received message.
#[derive(Debug)]
pub struct Message {
    /// What it says.
    pub word: Word,
    /// Its text or numbers.
    pub bytes: Vec<u8>,
    /// Its descriptors.
    pub fds: Vec<OwnedFd>,
}

/// One end.
#[derive(Debug)]
pub struct Channel {
    socket: OwnedFd,
}

impl Channel {
    /// Both ends: the parent's and the child's.
    pub fn pair() -> Result<(Self, Self), Failure> {
        let (a, b) = fdpass::pair().map_err(at(Step::Channel, ""))?;
        Ok((Self { socket: a }, Self { socket: b }))
    }

    /// Says something.
    pub fn send(&self, word: Word, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> Result<(), Failure> {
        let mut message = Vec::with_capacity(bytes.len() + 1);
        message.push(word as u8);
        message.extend_from_slice(bytes);
        message.truncate(MESSAGE_BYTES_MAX);
        fdpass::send(self.socket.as_fd(), &message, fds).map_err(at(Step::Talk, format!("{word:?}")))
    }

    /// Hears something; `None` is the other side's end.
    pub fn receive(&self) -> Result<Option<Message>, Failure> {
        let mut buffer = [0u8; MESSAGE_BYTES_MAX];
        let mut heard = fdpass::receive(self.socket.as_fd(), &mut buffer);
        // The other side ended with words of ours unread: that is told once, ahead of what it had said last.
        if heard.as_ref().is_err_and(|errno| *errno == Errno::CONNRESET) {
            heard = fdpass::receive(self.socket.as_fd(), &mut buffer);
        }
        let (length, fds) = heard.map_err(at(Step::Talk, ""))?;
        let Some((&number, bytes)) = buffer[..length].split_first() else { return Ok(None) };
        match WORDS.into_iter().find(|w| *w as u8 == number) {
            Some(word) => Ok(Some(Message { word, bytes: bytes.to_vec(), fds })),
            None => Err(Failure::new(Step::Talk, number.to_string(), Errno::PROTO)),
        }
    }

    /// What the child said before it ended, if that was a failure. Doesn't wait.
    pub fn last_failure(&self) -> Option<Failure> {
        while let Ok(Some(message)) = self.receive_within(Duration::ZERO) {
            if message.word == Word::Failed {
                return Failure::decode(&message.bytes);
            }
        }
        None
    }

    /// Hears something within [`ANSWER_TIMEOUT`].
    pub fn receive_in_time(&self) -> Result<Option<Message>, Failure> {
        self.receive_within(ANSWER_TIMEOUT)
    }

    fn receive_within(&self, timeout: Duration) -> Result<Option<Message>, Failure> {
        let deadline = Instant::now() + timeout;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let left = Timespec { tv_sec: left.as_secs() as i64, tv_nsec: i64::from(left.subsec_nanos()) };
            let mut fds = [PollFd::new(&self.socket, PollFlags::IN)];
            match poll(&mut fds, Some(&left)) {
                Ok(0) => return Err(Failure::new(Step::Talk, "", Errno::TIMEDOUT)),
                Ok(_) => return self.receive(),
                Err(Errno::INTR) => {}
                Err(errno) => return Err(at(Step::Talk, "")(errno)),
            }
        }
    }

    /// The child's side: hears `word`; the parent's end ends the child too.
    pub fn expect(&self, word: Word) -> Result<Message, Failure> {
        match self.receive()? {
            Some(message) if message.word == word => Ok(message),
            Some(other) => Err(Failure::new(Step::Talk, format!("{:?}", other.word), Errno::PROTO)),
            None => Err(Failure::new(Step::Talk, format!("{word:?}"), Errno::PIPE)),
        }
    }

    /// The child's side: something was left out.
    pub fn warn(&self, text: &str) -> Result<(), Failure> {
        self.send(Word::Warning, text.as_bytes(), &[])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_arrive_and_the_end_is_heard() {
        let (a, b) = Channel::pair().unwrap();
        for word in WORDS {
            a.send(word, b"x", &[]).unwrap();
            assert_eq!(b.expect(word).unwrap().bytes, b"x");
        }
        b.warn("careful").unwrap();
        assert_eq!(a.last_failure(), None);
        let failure = Failure::new(Step::Cwd, "/", Errno::NOENT);
        b.send(Word::Failed, &failure.encode(), &[]).unwrap();
        assert_eq!(a.last_failure(), Some(failure));
        a.warn("careful").unwrap();
        assert_eq!(b.expect(Word::Go).unwrap_err().errno, Errno::PROTO);
        drop(a);
        assert!(b.receive_in_time().unwrap().is_none());
        assert_eq!(b.expect(Word::Go).unwrap_err().errno, Errno::PIPE);
    }

    #[test]
    fn last_words_are_heard_of_one_who_left_words_unread() {
        let (a, b) = Channel::pair().unwrap();
        let failure = Failure::new(Step::Cwd, "/", Errno::NOENT);
        a.send(Word::Run, &[], &[]).unwrap();
        b.send(Word::Failed, &failure.encode(), &[]).unwrap();
        drop(b);
        assert_eq!(a.receive().unwrap().unwrap().word, Word::Failed);
        assert!(a.receive().unwrap().is_none());
        let (a, b) = Channel::pair().unwrap();
        a.send(Word::Run, &[], &[]).unwrap();
        drop(b);
        assert!(a.receive().unwrap().is_none());
    }
}
