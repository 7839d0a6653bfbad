//! The resolver against a name server in this process.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::PathBuf;

use simple_dns::rdata::{A, AAAA, RData};
use simple_dns::{CLASS, Packet, PacketFlag, QTYPE, RCODE, ResourceRecord, TYPE};

use super::*;

/// What the server says to a question; `None`: nothing.
type Answers = fn(&str, TYPE) -> Option<Answer>;

enum Answer {
    Is(Vec<IpAddr>),
    Code(RCODE),
    /// In the first datagram nothing but that there is more.
    ByTcp(Vec<IpAddr>),
}

/// Serves on one port, UDP and TCP, until the process ends.
fn server(answers: Answers) -> u16 {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = socket.local_addr().unwrap().port();
    let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
    std::thread::spawn(move || {
        let mut buffer = [0; 512];
        while let Ok((count, from)) = socket.recv_from(&mut buffer) {
            // First what isn't the answer: from somebody who guesses.
            let mut guess = buffer[..count].to_vec();
            guess[0] ^= 0xff;
            guess[2] |= 0x80;
            let _ = socket.send_to(&guess, from);
            if let Some(answer) = answer(&buffer[..count], answers, false) {
                let _ = socket.send_to(&answer, from);
            }
        }
    });
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut length = [0; 2];
            if stream.read_exact(&mut length).is_err() {
                continue;
            }
            let mut question = vec![0; u16::from_be_bytes(length).into()];
            if stream.read_exact(&mut question).is_ok()
                && let Some(answer) = answer(&question, answers, true)
            {
                let _ = stream.write_all(&[&(answer.len() as u16).to_be_bytes(), answer.as_slice()].concat());
            }
        }
    });
    port
}

fn answer(question: &[u8], answers: Answers, tcp: bool) -> Option<Vec<u8>> {
    let packet = Packet::parse(question).unwrap();
    let asked = packet.questions[0].clone();
    let QTYPE::TYPE(kind) = asked.qtype else { panic!("{asked:?}") };
    let mut reply = Packet::new_reply(packet.id());
    let said = answers(&asked.qname.to_string(), kind)?;
    let addresses = match said {
        Answer::Is(addresses) => addresses,
        Answer::Code(code) => {
            *reply.rcode_mut() = code;
            Vec::new()
        }
        Answer::ByTcp(addresses) if tcp => addresses,
        Answer::ByTcp(_) => {
            reply.set_flags(PacketFlag::TRUNCATION);
            Vec::new()
        }
    };
    for address in addresses {
        let data = match address {
            IpAddr::V4(v4) => RData::A(A { address: v4.into() }),
            IpAddr::V6(v6) => RData::AAAA(AAAA { address: v6.into() }),
        };
        reply.answers.push(ResourceRecord::new(asked.qname.clone(), CLASS::IN, 1, data));
    }
    reply.questions.push(asked);
    Some(reply.build_bytes_vec().unwrap())
}

fn v4(last: u8) -> IpAddr {
    Ipv4Addr::new(192, 0, 2, last).into()
}

fn names(port: u16, resolv_conf: &str) -> (tempfile::TempDir, Names) {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| -> PathBuf { dir.path().join(name) };
    std::fs::write(path("resolv.conf"), resolv_conf).unwrap();
    std::fs::write(path("hosts"), "192.0.2.9 in-hosts.example\n").unwrap();
    let names = Names::new(NameFiles { hosts: path("hosts"), resolv_conf: path("resolv.conf"), port });
    (dir, names)
}

fn look(names: &Names, host: &str) -> io::Result<Vec<IpAddr>> {
    names.addresses(host, Instant::now() + Duration::from_secs(120))
}

#[test]
fn names_are_asked_for() {
    let port = server(|name, kind| {
        Some(match (name, kind) {
            ("r.example", TYPE::A) => Answer::Is(vec![v4(1), v4(2)]),
            ("r.example", TYPE::AAAA) => Answer::Is(vec!["2001:db8::1".parse().unwrap()]),
            ("short.corp.example", TYPE::A) => Answer::Is(vec![v4(3)]),
            ("short.corp.example", _) => Answer::Is(Vec::new()),
            ("long.example", TYPE::A) => Answer::ByTcp((0..30).map(v4).collect()),
            ("long.example", _) => Answer::Is(Vec::new()),
            ("half.example", TYPE::A) => Answer::Is(vec![v4(4)]),
            ("half.example", _) => return None,
            ("broken.example", _) => Answer::Code(RCODE::ServerFailure),
            _ => Answer::Code(RCODE::NameError),
        })
    });
    let (_dir, names) =
        names(port, "nameserver 127.0.0.1\nsearch corp.example\noptions timeout:1 attempts:1\n");
    let check = |host: &str, expected: &[IpAddr]| {
        let mut found = look(&names, host).unwrap();
        found.sort();
        assert_eq!(found, expected, "{host}");
    };
    check("r.example", &[v4(1), v4(2), "2001:db8::1".parse().unwrap()]);
    check("R.Example.", &[v4(1), v4(2), "2001:db8::1".parse().unwrap()]);
    check("short", &[v4(3)]);
    check("long.example", &(0..30).map(v4).collect::<Vec<_>>());
    check("half.example", &[v4(4)]);
    check("in-hosts.example", &[v4(9)]);
    check("192.0.2.7", &[v4(7)]);
    check("a.localhost", &[Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]);
    let absent = look(&names, "absent.example").unwrap_err();
    assert_eq!(
        (absent.kind(), absent.to_string().as_str()),
        (io::ErrorKind::NotFound, "no such host: absent.example")
    );
    let broken = look(&names, "broken.example").unwrap_err();
    assert!(
        broken.kind() == io::ErrorKind::TimedOut && broken.to_string().contains("ServerFailure"),
        "{broken}"
    );
    assert_eq!(look(&names, &"x".repeat(70)).unwrap_err().kind(), io::ErrorKind::NotFound);
}

#[test]
fn the_next_server_is_asked_when_one_is_silent() {
    let port =
        server(|_, kind| (kind == TYPE::A).then(|| Answer::Is(vec![v4(1)])).or(Some(Answer::Is(Vec::new()))));
    // Nobody is at the first address of this port.
    let (_dir, names) = names(port, "nameserver 127.0.0.77\nnameserver 127.0.0.1\noptions timeout:1\n");
    assert_eq!(look(&names, "r.example").unwrap(), [v4(1)]);
    std::fs::write(&names.files.resolv_conf, "nameserver 127.0.0.1\noptions use-vc\n").unwrap();
    assert_eq!(look(&names, "other.example").unwrap(), [v4(1)]);
}

#[test]
fn addresses_go_by_turns_and_those_without_a_route_last() {
    let v6 = |last: u16| IpAddr::from(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, last));
    let found = vec![v4(1), v4(2), v4(2), v6(1), v6(2), v6(3)];
    assert_eq!(in_order(found.clone(), |_| true), [v6(1), v4(1), v6(2), v4(2), v6(3)]);
    assert_eq!(in_order(found, |address| address.is_ipv4()), [v4(1), v4(2), v6(1), v6(2), v6(3)]);
}

#[test]
fn what_is_near() {
    for (address, near) in [
        ("127.0.0.1", true),
        ("::ffff:127.0.0.1", true),
        ("169.254.169.254", true),
        ("fe80::1", true),
        ("0.0.0.0", true),
        ("10.0.0.1", false),
        ("2001:db8::1", false),
    ] {
        assert_eq!(is_near(address.parse().unwrap()), near, "{address}");
    }
}
