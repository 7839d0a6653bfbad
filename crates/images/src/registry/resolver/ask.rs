//! Questions and answers of DNS (RFC 1035): both families are asked for at once, each server in its turn.

use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use simple_dns::rdata::RData;
use simple_dns::{CLASS, Name, Packet, PacketFlag, Question, RCODE, TYPE};

use super::files::Servers;

/// Bytes of an answer that comes in one datagram.
const DATAGRAM_MAX: usize = 4096;
/// Datagrams that aren't our answer before a server counts as silent.
const STRANGE_MAX: u32 = 100;
/// Addresses that are taken of one answer.
const ADDRESSES_MAX: usize = 32;

/// What a server said of one name.
enum Said {
    /// These; none: the name has none of this family.
    Addresses(Vec<IpAddr>),
    /// There is no such name.
    NoSuchName,
    /// The rest comes by TCP only.
    Truncated,
}

/// The addresses of `host`, until when.
pub(super) fn lookup(servers: &Servers, host: &str, until: Instant) -> io::Result<Vec<IpAddr>> {
    let mut failed = None;
    for name in servers.candidates(host) {
        match one(servers, &name, until) {
            Ok(found) if !found.is_empty() => return Ok(found),
            Ok(_) => {}
            Err(error) => failed = Some(error),
        }
        if Instant::now() >= until {
            break;
        }
    }
    let absent = || io::Error::new(io::ErrorKind::NotFound, format!("no such host: {host}"));
    Err(failed.unwrap_or_else(absent))
}

/// The addresses of one name; none: there is no such name, or it has none.
fn one(servers: &Servers, name: &str, until: Instant) -> io::Result<Vec<IpAddr>> {
    let mut failed: io::Error = io::ErrorKind::InvalidInput.into();
    for _ in 0..servers.attempts {
        for server in &servers.addresses {
            let left = until.saturating_duration_since(Instant::now()).min(servers.timeout);
            if left.is_zero() {
                return Err(io::ErrorKind::TimedOut.into());
            }
            match both(server, name, left, servers.use_tcp) {
                Ok(found) => return Ok(found),
                Err(error) => {
                    let why = format!("name server {server}: {error}");
                    // A name that can't be asked for is wrong for every server.
                    if error.kind() == io::ErrorKind::InvalidInput {
                        return Err(io::Error::new(
                            io::ErrorKind::NotFound,
                            format!("no host's name: {name}"),
                        ));
                    }
                    failed = io::Error::new(io::ErrorKind::TimedOut, why);
                }
            }
        }
    }
    Err(failed)
}

/// IPv4 and IPv6 addresses from one server. Half an answer is one if the other half doesn't come.
fn both(server: &SocketAddr, name: &str, time: Duration, use_tcp: bool) -> io::Result<Vec<IpAddr>> {
    let until = Instant::now() + time;
    let questions = [question(name, TYPE::A)?, question(name, TYPE::AAAA)?];
    let mut answers: [Option<Vec<IpAddr>>; 2] = [None, None];
    if use_tcp {
        for (question, answer) in questions.iter().zip(&mut answers) {
            *answer = Some(by_tcp(server, question, until)?);
        }
    } else {
        let socket = socket_to(server)?;
        for question in &questions {
            socket.send(&question.bytes)?;
        }
        let mut buffer = [0; DATAGRAM_MAX];
        for _ in 0..STRANGE_MAX {
            let left = until.saturating_duration_since(Instant::now());
            if answers.iter().all(Option::is_some) || left.is_zero() {
                break;
            }
            socket.set_read_timeout(Some(left))?;
            let count = match socket.recv(&mut buffer) {
                Ok(count) => count,
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                    break;
                }
                Err(error) => return Err(error),
            };
            let Some(index) = questions.iter().position(|question| question.is_of(&buffer[..count])) else {
                continue;
            };
            answers[index] = Some(match questions[index].read(&buffer[..count])? {
                Said::Addresses(found) => found,
                Said::NoSuchName => return Ok(Vec::new()),
                Said::Truncated => by_tcp(server, &questions[index], until)?,
            });
        }
    }
    if answers.iter().all(Option::is_none) {
        return Err(io::ErrorKind::TimedOut.into());
    }
    let whole = answers.iter().all(Option::is_some);
    let found: Vec<IpAddr> = answers.into_iter().flatten().flatten().collect();
    if found.is_empty() && !whole { Err(io::ErrorKind::TimedOut.into()) } else { Ok(found) }
}

fn socket_to(server: &SocketAddr) -> io::Result<UdpSocket> {
    let any: SocketAddr = match server {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(any)?;
    // Only what comes from there is received from now on.
    socket.connect(server)?;
    Ok(socket)
}

/// The same question where the answer has no bound.
fn by_tcp(server: &SocketAddr, question: &Asked<'_>, until: Instant) -> io::Result<Vec<IpAddr>> {
    let left = || match until.saturating_duration_since(Instant::now()) {
        left if left.is_zero() => Err(io::Error::from(io::ErrorKind::TimedOut)),
        left => Ok(left),
    };
    let mut stream = TcpStream::connect_timeout(server, left()?)?;
    stream.set_write_timeout(Some(left()?))?;
    let length = u16::try_from(question.bytes.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    stream.write_all(&[&length.to_be_bytes(), question.bytes.as_slice()].concat())?;
    stream.set_read_timeout(Some(left()?))?;
    let mut length = [0; 2];
    stream.read_exact(&mut length)?;
    let mut answer = vec![0; u16::from_be_bytes(length).into()];
    stream.set_read_timeout(Some(left()?))?;
    stream.read_exact(&mut answer)?;
    if !question.is_of(&answer) {
        return Err(io::ErrorKind::InvalidData.into());
    }
    match question.read(&answer)? {
        Said::Addresses(found) => Ok(found),
        Said::NoSuchName => Ok(Vec::new()),
        Said::Truncated => Err(io::ErrorKind::InvalidData.into()),
    }
}

/// A question with the number that its answer has to have.
struct Asked<'n> {
    id: u16,
    name: Name<'n>,
    kind: TYPE,
    bytes: Vec<u8>,
}

fn question(name: &str, kind: TYPE) -> io::Result<Asked<'_>> {
    let bad = |_| io::Error::from(io::ErrorKind::InvalidInput);
    let name = Name::new(name).map_err(bad)?;
    // Nobody who can't see the question should be able to answer it.
    let id = super::super::request::chance() as u16;
    let mut packet = Packet::new_query(id);
    packet.set_flags(PacketFlag::RECURSION_DESIRED);
    packet.questions.push(Question::new(name.clone(), kind.into(), CLASS::IN.into(), false));
    let bytes = packet.build_bytes_vec().map_err(bad)?;
    Ok(Asked { id, name, kind, bytes })
}

impl Asked<'_> {
    /// Whether a message answers this question.
    fn is_of(&self, message: &[u8]) -> bool {
        let Ok(packet) = Packet::parse(message) else { return false };
        let asked = packet.questions.first();
        packet.id() == self.id
            && packet.has_flags(PacketFlag::RESPONSE)
            && asked.is_some_and(|asked| {
                asked.qtype == self.kind.into()
                    && asked.qname.to_string().eq_ignore_ascii_case(&self.name.to_string())
            })
    }

    fn read(&self, message: &[u8]) -> io::Result<Said> {
        let packet = Packet::parse(message).map_err(|_| io::ErrorKind::InvalidData)?;
        if packet.has_flags(PacketFlag::TRUNCATION) {
            return Ok(Said::Truncated);
        }
        match packet.rcode() {
            RCODE::NoError => {}
            RCODE::NameError => return Ok(Said::NoSuchName),
            other => return Err(io::Error::other(format!("{other:?}"))),
        }
        let addresses = packet.answers.iter().filter_map(|answer| match &answer.rdata {
            RData::A(a) if self.kind == TYPE::A => Some(Ipv4Addr::from(a.address).into()),
            RData::AAAA(aaaa) if self.kind == TYPE::AAAA => Some(Ipv6Addr::from(aaaa.address).into()),
            _ => None,
        });
        Ok(Said::Addresses(addresses.take(ADDRESSES_MAX).collect()))
    }
}
