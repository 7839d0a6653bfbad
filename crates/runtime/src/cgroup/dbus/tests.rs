//! The client against a service that a test plays.

use std::os::unix::net::UnixListener;

use super::*;

/// Plays a service: does the handshake, then hands the stream to `talk`.
fn service<T: Send + 'static>(
    talk: impl FnOnce(&mut Played) -> T + Send + 'static,
) -> (tempfile::TempDir, PathBuf, std::thread::JoinHandle<T>) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("socket");
    let listener = UnixListener::bind(&path).unwrap();
    let thread = std::thread::spawn(move || {
        let mut played = Played::accept(&listener);
        talk(&mut played)
    });
    (dir, path, thread)
}

/// The other side of a connection.
pub(in super::super) struct Played {
    stream: UnixStream,
    serial: u32,
}

impl Played {
    pub(in super::super) fn accept(listener: &UnixListener) -> Played {
        let (mut stream, _) = listener.accept().unwrap();
        let line = read_line(&mut stream);
        assert_eq!(line, "\0AUTH EXTERNAL 31303030\r\n", "1000 in hexadecimal digits of its digits");
        stream.write_all(b"OK 0123456789abcdef\r\n").unwrap();
        assert_eq!(read_line(&mut stream), "BEGIN\r\n");
        Played { stream, serial: 100 }
    }

    pub(in super::super) fn receive(&mut self) -> Message {
        let mut start = [0; wire::START_BYTES];
        self.stream.read_exact(&mut start).unwrap();
        let mut rest = vec![0; wire::length(&start).unwrap() - start.len()];
        self.stream.read_exact(&mut rest).unwrap();
        wire::decode(&[&start[..], &rest].concat()).unwrap()
    }

    pub(in super::super) fn answer(&mut self, to: Result<u32, &str>, error: Option<&str>, body: &Body) {
        self.serial += 1;
        self.stream.write_all(&wire::encode_answer(self.serial, to, error, body)).unwrap();
    }
}

fn read_line(stream: &mut UnixStream) -> String {
    let mut line = Vec::new();
    while !line.ends_with(b"\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        line.push(byte[0]);
    }
    String::from_utf8(line).unwrap()
}

const METHOD: Method<'static> = Method { destination: "a.b", path: "/a/b", interface: "a.b.C", member: "Do" };
const LONG: Duration = Duration::from_secs(20);

#[test]
fn a_call_gets_its_own_reply_and_keeps_signals() {
    let (_dir, path, thread) = service(|s| {
        let call = s.receive();
        assert_eq!((call.kind, call.member.as_deref()), (Kind::Call, Some("Do")));
        assert_eq!((call.signature.as_str(), call.strings()), ("ss", vec!["one".to_owned(), "two".into()]));
        s.answer(Err("First"), None, &Body::new("uoss").u32(1).text("/job/1").text("unit").text("done"));
        s.answer(Ok(call.serial + 7), None, &Body::new("s").text("of another call"));
        s.answer(Ok(call.serial), None, &Body::new("o").text("/job/2"));
        s.answer(Err("Second"), None, &Body::default());
    });
    let mut c = Connection::open(&path, Peer::Service, 1000, LONG).unwrap();
    let reply = c.call(&METHOD, Body::new("ss").text("one").text("two")).unwrap();
    assert_eq!(reply.strings(), ["/job/2"]);
    let named = |name: &'static str| move |m: &Message| m.member.as_deref() == Some(name);
    assert!(c.wait_signal("wait", named("Second")).is_ok());
    let first = c.wait_signal("wait", named("First")).unwrap();
    assert_eq!(first.strings(), ["/job/1", "unit", "done"]);
    thread.join().unwrap();
}

#[test]
fn a_refusal_has_its_name() {
    let (_dir, path, thread) = service(|s| {
        let call = s.receive();
        s.answer(Ok(call.serial), Some("x.y.No"), &Body::new("s").text("not today"));
    });
    let mut c = Connection::open(&path, Peer::Service, 1000, LONG).unwrap();
    match c.call(&METHOD, Body::default()) {
        Err(CallError::Refused { name, message }) => {
            assert_eq!((name.as_str(), message.as_str()), ("x.y.No", "not today"));
        }
        other => panic!("{other:?}"),
    }
    thread.join().unwrap();
}

#[test]
fn a_bus_is_greeted_first() {
    let (_dir, path, thread) = service(|s| {
        let hello = s.receive();
        assert_eq!(hello.member.as_deref(), Some("Hello"));
        s.answer(Ok(hello.serial), None, &Body::new("s").text(":1.5"));
    });
    assert!(Connection::open(&path, Peer::Bus, 1000, LONG).is_ok());
    thread.join().unwrap();
}

#[test]
fn silence_and_rubbish_have_an_end() {
    let check = |talk: fn(&mut Played), timeout: Duration, part: &str| {
        let (_dir, path, thread) = service(move |s| {
            s.receive();
            talk(s);
            // Until the client gives up.
            let _ = s.stream.read(&mut [0]);
        });
        let mut c = Connection::open(&path, Peer::Service, 1000, timeout).unwrap();
        let error = c.call(&METHOD, Body::default()).unwrap_err().into_error();
        let text = format!("{error}: {}", std::error::Error::source(&error).unwrap());
        assert!(text.contains(part), "{text}");
        drop(c);
        thread.join().unwrap();
    };
    check(|_| {}, Duration::from_millis(50), "timed out");
    check(|s| s.stream.write_all(b"nonsense, and more of it").unwrap(), LONG, "protocol 1");
    check(|s| s.stream.write_all(b"l\x02\0\x01\xff\xff\xff\x7f\0\0\0\0\0\0\0\0").unwrap(), LONG, "256 KiB");
    check(|s| s.stream.shutdown(std::net::Shutdown::Both).unwrap(), LONG, "end of file");
}

#[test]
fn damaged_messages_are_errors_and_nothing_worse() {
    let whole = wire::encode_call(1, Some("a.b"), &METHOD, &Body::new("s").text("text"));
    let decoded = wire::decode(&whole).unwrap();
    assert_eq!((decoded.member.as_deref(), decoded.strings()), (Some("Do"), vec!["text".to_owned()]));
    for at in 0..whole.len() {
        assert!(wire::decode(&whole[..at]).is_err(), "cut at {at}");
        for value in [0, 1, 0x7f, 0xff] {
            let mut bytes = whole.clone();
            bytes[at] = value;
            // Whatever comes of it: no panic.
            if let Ok(message) = wire::decode(&bytes) {
                message.strings();
            }
        }
    }
}

#[test]
fn nobody_listens() {
    let dir = tempfile::tempdir().unwrap();
    let error = Connection::open(&dir.path().join("none"), Peer::Bus, 1000, LONG).err().unwrap();
    assert!(error.to_string().contains("none"), "{error}");
}
