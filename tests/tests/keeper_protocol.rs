//! What a keeper answers to callers of other versions: the bytes of version 1 are frozen here, those of the next one are
//! made up.

#![allow(clippy::unwrap_used, reason = "a test that panics has said what is wrong")]

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use corten_tests::{BUSYBOX, COMMAND_DEADLINE, Host};

/// Kinds of frames.
const REQUEST: u8 = 1;
const REPLY: u8 = 16;
const EXIT: u8 = 19;

fn frame(version: u8, payload: &str) -> Vec<u8> {
    let mut frame = vec![REQUEST, version, 0, 0];
    frame.extend((payload.len() as u32).to_le_bytes());
    frame.extend(payload.as_bytes());
    frame
}

fn connect(host: &Host, id: &str) -> UnixStream {
    let socket = UnixStream::connect(host.run_root().join("c").join(&id[..12]).join("sock")).unwrap();
    socket.set_read_timeout(Some(COMMAND_DEADLINE)).unwrap();
    socket
}

/// The next frame: kind, version, payload.
fn receive(socket: &mut UnixStream) -> (u8, u8, String) {
    let mut header = [0; 8];
    socket.read_exact(&mut header).unwrap();
    let length = u32::from_le_bytes(header[4..].try_into().unwrap());
    let mut payload = vec![0; length as usize];
    socket.read_exact(&mut payload).unwrap();
    (header[0], header[1], String::from_utf8(payload).unwrap())
}

#[test]
fn the_frozen_bytes_of_version_1_are_understood_and_answered_in_version_1() {
    let host = Host::with_busybox();
    let id = host.start([BUSYBOX, "sleep", "1000"]);
    let mut socket = connect(&host, &id);
    socket.write_all(b"\x01\x01\0\0\x0d\0\0\0{\"op\":\"wait\"}").unwrap();
    let (kind, version, said) = receive(&mut socket);
    assert_eq!((kind, version), (REPLY, 1), "{said}");
    assert!(said.contains(r#""re":"attached""#), "{said}");
    let mut other = connect(&host, &id);
    other.write_all(b"\x01\x01\0\0\x18\0\0\0{\"op\":\"kill\",\"signal\":9}").unwrap();
    assert_eq!(receive(&mut other).1, 1);
    let (kind, version, said) = receive(&mut socket);
    assert_eq!((kind, version), (EXIT, 1), "{said}");
    assert!(said.contains(r#""code":137"#), "{said}");
}

#[test]
fn a_caller_of_a_newer_version_is_told_so_and_harms_nothing() {
    let host = Host::with_busybox();
    let id = host.start([BUSYBOX, "sleep", "1000"]);
    let mut socket = connect(&host, &id);
    // Even if its words are ones that the keeper knows: in that version they may mean something else.
    socket.write_all(&frame(2, r#"{"op":"kill","signal":9}"#)).unwrap();
    let (kind, version, said) = receive(&mut socket);
    assert_eq!((kind, version), (REPLY, 1), "an answer that any version understands: {said}");
    for word in ["older version", "version 2", "unsupported", "restart"] {
        assert!(said.contains(word), "{word}: {said}");
    }
    assert_eq!(socket.read(&mut [0; 1]).unwrap(), 0, "it hangs up");
    assert_eq!(host.status(&id), "running");
    // What isn't known but of a version that is, is refused alone.
    let mut socket = connect(&host, &id);
    socket.write_all(&frame(1, r#"{"op":"teleport"}"#)).unwrap();
    assert_eq!(receive(&mut socket).0, REPLY);
    socket.write_all(&frame(1, r#"{"op":"wait"}"#)).unwrap();
    assert!(receive(&mut socket).2.contains("attached"));
}
