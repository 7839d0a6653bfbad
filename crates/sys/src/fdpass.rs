//! Messages with file descriptors over unix sockets.
//!
//! Made for SOCK_SEQPACKET, where one send is one receive; whoever uses a stream frames it. Received
//! descriptors are close-on-exec.

use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::io::{Errno, retry_on_intr};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType,
};

/// The most descriptors in one message (`SCM_MAX_FD` of the kernel).
pub const FDS_MAX: usize = 253;
const SPACE: usize = rustix::cmsg_space!(ScmRights(FDS_MAX));

/// Two connected ends that keep the borders of messages and are closed at execve.
pub fn pair() -> Result<(OwnedFd, OwnedFd), Errno> {
    rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
}

/// Sends one message. `bytes` isn't empty: an empty one would look like the end. EINVAL: more than [`FDS_MAX`]
/// descriptors. EPIPE, without a signal: the other end is closed.
pub fn send(socket: BorrowedFd<'_>, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> Result<(), Errno> {
    if fds.len() > FDS_MAX || bytes.is_empty() {
        return Err(Errno::INVAL);
    }
    let mut space = [MaybeUninit::uninit(); SPACE];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() && !control.push(SendAncillaryMessage::ScmRights(fds)) {
        return Err(Errno::INVAL);
    }
    let sent = retry_on_intr(|| {
        rustix::net::sendmsg(socket, &[IoSlice::new(bytes)], &mut control, SendFlags::NOSIGNAL)
    })?;
    if sent == bytes.len() { Ok(()) } else { Err(Errno::MSGSIZE) }
}

/// Receives one message into `buffer`: how many bytes, and the descriptors. Zero bytes: the other end is closed.
/// EMSGSIZE: the message didn't fit.
pub fn receive(socket: BorrowedFd<'_>, buffer: &mut [u8]) -> Result<(usize, Vec<OwnedFd>), Errno> {
    let mut space = [MaybeUninit::uninit(); SPACE];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let message = retry_on_intr(|| {
        rustix::net::recvmsg(socket, &mut [IoSliceMut::new(buffer)], &mut control, RecvFlags::CMSG_CLOEXEC)
    })?;
    let mut fds = Vec::new();
    for part in control.drain() {
        if let RecvAncillaryMessage::ScmRights(received) = part {
            fds.extend(received);
        }
    }
    if message.flags.intersects(ReturnFlags::TRUNC | ReturnFlags::CTRUNC) {
        return Err(Errno::MSGSIZE);
    }
    Ok((message.bytes, fds))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    #[test]
    fn a_message_carries_descriptors_and_the_end_is_seen() {
        let (a, b) = pair().unwrap();
        let (read, write) = rustix::pipe::pipe().unwrap();
        send(a.as_fd(), b"hello", &[write.as_fd()]).unwrap();
        drop((a, write));
        let mut buffer = [0; 16];
        let (length, fds) = receive(b.as_fd(), &mut buffer).unwrap();
        assert_eq!((&buffer[..length], fds.len()), (&b"hello"[..], 1));
        rustix::io::write(&fds[0], b"x").unwrap();
        assert_eq!(rustix::io::read(&read, &mut buffer[..]), Ok(1));
        assert_eq!(receive(b.as_fd(), &mut buffer).unwrap().0, 0);
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        let (a, b) = pair().unwrap();
        send(a.as_fd(), b"hello", &[]).unwrap();
        assert_eq!(receive(b.as_fd(), &mut [0; 2]).unwrap_err(), Errno::MSGSIZE);
        assert_eq!(send(a.as_fd(), b"", &[]).unwrap_err(), Errno::INVAL);
        assert_eq!(send(a.as_fd(), b"x", &vec![b.as_fd(); FDS_MAX + 1]).unwrap_err(), Errno::INVAL);
    }
}
