//! D-Bus messages as bytes: little-endian, the types that systemd's calls and signals have.
//!
//! Whatever comes in is checked: lengths against the message, strings for their end, and a message as a whole
//! against a limit. The format is the "Message Protocol" chapter of the D-Bus specification.

use std::io;

use super::Method;

/// The fixed part of a header, from which the length of the whole follows.
pub(in super::super) const START_BYTES: usize = 16;
/// The specification's limit is 128 MiB; what we ask for fits in pages.
const MESSAGE_MAX_BYTES: usize = 256 << 10;
const PROTOCOL: u8 = 1;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Kind {
    Call,
    Reply,
    Error,
    Signal,
}

/// What came in.
#[derive(Debug)]
pub(in super::super) struct Message {
    pub(in super::super) kind: Kind,
    pub(in super::super) member: Option<String>,
    pub(in super::super) error_name: Option<String>,
    pub(in super::super) reply_to: Option<u32>,
    pub(in super::super) signature: String,
    pub(in super::super) body: Vec<u8>,
    #[cfg(test)]
    pub(in super::super) serial: u32,
}

/// What goes out: arguments and their types.
#[derive(Debug, Default)]
pub(in super::super) struct Body {
    pub(in super::super) signature: &'static str,
    bytes: Vec<u8>,
}

fn invalid(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

fn pad(bytes: &mut Vec<u8>, to: usize) {
    bytes.resize(bytes.len().next_multiple_of(to), 0);
}

fn put_u32(bytes: &mut Vec<u8>, value: u32) {
    pad(bytes, 4);
    bytes.extend(value.to_le_bytes());
}

fn put_string(bytes: &mut Vec<u8>, value: &str) {
    put_u32(bytes, value.len() as u32);
    bytes.extend(value.as_bytes());
    bytes.push(0);
}

fn put_signature(bytes: &mut Vec<u8>, value: &str) {
    bytes.push(value.len() as u8);
    bytes.extend(value.as_bytes());
    bytes.push(0);
}

/// An array: its length in bytes doesn't count the padding before its first element.
fn put_array(bytes: &mut Vec<u8>, align: usize, fill: impl FnOnce(&mut Vec<u8>)) {
    put_u32(bytes, 0);
    let at = bytes.len() - 4;
    pad(bytes, align);
    let start = bytes.len();
    fill(bytes);
    let length = (bytes.len() - start) as u32;
    bytes[at..at + 4].copy_from_slice(&length.to_le_bytes());
}

/// The value of a property.
pub(in super::super) enum Value<'a> {
    Bool(bool),
    Text(&'a str),
    U64(u64),
    U32List(&'a [u32]),
}

impl Body {
    pub(in super::super) fn new(signature: &'static str) -> Self {
        Self { signature, bytes: Vec::new() }
    }

    #[must_use]
    pub(in super::super) fn text(mut self, value: &str) -> Self {
        put_string(&mut self.bytes, value);
        self
    }

    #[cfg(test)]
    #[must_use]
    pub(in super::super) fn u32(mut self, value: u32) -> Self {
        put_u32(&mut self.bytes, value);
        self
    }

    #[must_use]
    pub(in super::super) fn u32_list(mut self, values: &[u32]) -> Self {
        put_array(&mut self.bytes, 4, |b| values.iter().for_each(|v| put_u32(b, *v)));
        self
    }

    /// `a(sv)`.
    #[must_use]
    pub(in super::super) fn properties(mut self, all: &[(&str, Value<'_>)]) -> Self {
        put_array(&mut self.bytes, 8, |b| {
            for (name, value) in all {
                pad(b, 8);
                put_string(b, name);
                put_variant(b, value);
            }
        });
        self
    }

    /// An empty array of structures.
    #[must_use]
    pub(in super::super) fn nothing(mut self) -> Self {
        put_array(&mut self.bytes, 8, |_| {});
        self
    }
}

fn put_variant(b: &mut Vec<u8>, value: &Value<'_>) {
    match value {
        Value::Bool(value) => {
            put_signature(b, "b");
            put_u32(b, u32::from(*value));
        }
        Value::Text(value) => {
            put_signature(b, "s");
            put_string(b, value);
        }
        Value::U64(value) => {
            put_signature(b, "t");
            pad(b, 8);
            b.extend(value.to_le_bytes());
        }
        Value::U32List(values) => {
            put_signature(b, "au");
            put_array(b, 4, |b| values.iter().for_each(|v| put_u32(b, *v)));
        }
    }
}

enum Field<'a> {
    Text(u8, &'static str, &'a str),
    Signature(&'a str),
    #[cfg(test)]
    Reply(u32),
}

fn encode(kind: u8, serial: u32, fields: &[Field<'_>], body: &Body) -> Vec<u8> {
    let mut bytes = vec![b'l', kind, 0, PROTOCOL];
    put_u32(&mut bytes, body.bytes.len() as u32);
    put_u32(&mut bytes, serial);
    put_array(&mut bytes, 8, |b| {
        for field in fields {
            pad(b, 8);
            match field {
                Field::Text(code, signature, value) => {
                    b.push(*code);
                    put_signature(b, signature);
                    put_string(b, value);
                }
                Field::Signature(value) => {
                    b.push(8);
                    put_signature(b, "g");
                    put_signature(b, value);
                }
                #[cfg(test)]
                Field::Reply(to) => {
                    b.push(5);
                    put_signature(b, "u");
                    put_u32(b, *to);
                }
            }
        }
    });
    pad(&mut bytes, 8);
    bytes.extend(&body.bytes);
    bytes
}

pub(in super::super) fn encode_call(
    serial: u32,
    destination: Option<&str>,
    method: &Method<'_>,
    body: &Body,
) -> Vec<u8> {
    let mut fields = vec![
        Field::Text(1, "o", method.path),
        Field::Text(2, "s", method.interface),
        Field::Text(3, "s", method.member),
    ];
    fields.extend(destination.map(|name| Field::Text(6, "s", name)));
    if !body.signature.is_empty() {
        fields.push(Field::Signature(body.signature));
    }
    encode(1, serial, &fields, body)
}

/// The answers and signals of a service, for tests.
#[cfg(test)]
pub(in super::super) fn encode_answer(
    serial: u32,
    reply_to: Result<u32, &str>,
    error: Option<&str>,
    body: &Body,
) -> Vec<u8> {
    let mut fields = Vec::new();
    let kind = match (reply_to, error) {
        (Ok(to), None) => {
            fields.push(Field::Reply(to));
            2
        }
        (Ok(to), Some(name)) => {
            fields.extend([Field::Reply(to), Field::Text(4, "s", name)]);
            3
        }
        (Err(member), _) => {
            fields.extend([
                Field::Text(1, "o", "/x"),
                Field::Text(2, "s", "x.y"),
                Field::Text(3, "s", member),
            ]);
            4
        }
    };
    if !body.signature.is_empty() {
        fields.push(Field::Signature(body.signature));
    }
    encode(kind, serial, &fields, body)
}

/// The length of the whole message that starts so.
pub(in super::super) fn length(start: &[u8; START_BYTES]) -> io::Result<usize> {
    if start[0] != b'l' || start[3] != PROTOCOL {
        return Err(invalid("not a little-endian message of protocol 1"));
    }
    let number =
        |at: usize| u32::from_le_bytes([start[at], start[at + 1], start[at + 2], start[at + 3]]) as usize;
    let (body, fields) = (number(4), number(12));
    if body > MESSAGE_MAX_BYTES || fields > MESSAGE_MAX_BYTES {
        return Err(invalid("a message is longer than 256 KiB"));
    }
    Ok((START_BYTES + fields).next_multiple_of(8) + body)
}

pub(in super::super) fn decode(bytes: &[u8]) -> io::Result<Message> {
    let start: &[u8; START_BYTES] = bytes.first_chunk().ok_or_else(|| invalid("a header is cut short"))?;
    if length(start)? != bytes.len() {
        return Err(invalid("a message is not as long as it says"));
    }
    let mut r = Reader { bytes, at: 4 };
    let body_length = r.u32()? as usize;
    let serial = r.u32()?;
    let fields_end = START_BYTES + r.u32()? as usize;
    let mut message = Message {
        kind: match bytes[1] {
            1 => Kind::Call,
            2 => Kind::Reply,
            3 => Kind::Error,
            4 => Kind::Signal,
            _ => return Err(invalid("a message of an unknown kind")),
        },
        member: None,
        error_name: None,
        reply_to: None,
        signature: String::new(),
        body: bytes[bytes.len() - body_length..].to_vec(),
        #[cfg(test)]
        serial,
    };
    let _ = serial;
    while r.at < fields_end {
        r.align(8)?;
        let code = r.u8()?;
        match (code, r.signature()?.as_str()) {
            (3, "s") => message.member = Some(r.string()?),
            (4, "s") => message.error_name = Some(r.string()?),
            (5, "u") => message.reply_to = Some(r.u32()?),
            (8, "g") => message.signature = r.signature()?,
            (_, "s" | "o") => drop(r.string()?),
            (_, "u") => drop(r.u32()?),
            (_, "g") => drop(r.signature()?),
            _ => return Err(invalid("a header has a field of an unknown type")),
        }
    }
    Ok(message)
}

impl Message {
    /// The strings and object paths among the arguments, as far as they are strings, paths and 32-bit
    /// numbers.
    pub(in super::super) fn strings(&self) -> Vec<String> {
        let mut r = Reader { bytes: &self.body, at: 0 };
        let mut found = Vec::new();
        for kind in self.signature.chars() {
            let read = match kind {
                's' | 'o' => r.string().map(|text| found.push(text)),
                'u' | 'i' | 'b' => r.u32().map(drop),
                _ => break,
            };
            if read.is_err() {
                break;
            }
        }
        found
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn take(&mut self, count: usize) -> io::Result<&[u8]> {
        let end = self.at.checked_add(count).filter(|end| *end <= self.bytes.len());
        let end = end.ok_or_else(|| invalid("a message is cut short"))?;
        let taken = &self.bytes[self.at..end];
        self.at = end;
        Ok(taken)
    }

    fn align(&mut self, to: usize) -> io::Result<()> {
        let skipped = self.at.next_multiple_of(to) - self.at;
        self.take(skipped).map(drop)
    }

    fn u8(&mut self) -> io::Result<u8> {
        Ok(self.take(1)?[0])
    }

    fn u32(&mut self) -> io::Result<u32> {
        self.align(4)?;
        let b = self.take(4)?;
        Ok(u32::from_le_bytes([b[0], b[1], b[2], b[3]]))
    }

    fn text(&mut self, length: usize) -> io::Result<String> {
        let text = self.take(length)?.to_vec();
        if self.u8()? != 0 {
            return Err(invalid("a string has no end"));
        }
        String::from_utf8(text).map_err(|_| invalid("a string is not UTF-8"))
    }

    fn string(&mut self) -> io::Result<String> {
        let length = self.u32()? as usize;
        self.text(length)
    }

    fn signature(&mut self) -> io::Result<String> {
        let length = usize::from(self.u8()?);
        self.text(length)
    }
}
