//! HTTP/1.1 as a server speaks it: just enough.

use std::io::{self, BufRead, Read, Write};

/// A request as it came.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// `GET`.
    pub method: String,
    /// The path with its query.
    pub target: String,
    /// Headers, names in lowercase.
    pub headers: Vec<(String, String)>,
    /// Its body, as far as it came.
    pub body: Vec<u8>,
}

impl Request {
    /// The first header of a name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(other, _)| other.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// The path.
    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    /// The values of a parameter of the query.
    pub fn query(&self, name: &str) -> Vec<String> {
        let query = self.target.split_once('?').map(|(_, query)| query).unwrap_or_default();
        parameters(query, name)
    }

    /// The values of a field of the form in its body.
    pub fn form(&self, name: &str) -> Vec<String> {
        parameters(&String::from_utf8_lossy(&self.body), name)
    }
}

fn parameters(text: &str, name: &str) -> Vec<String> {
    let pairs = text.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    pairs.filter(|(other, _)| *other == name).map(|(_, value)| decode(value)).collect()
}

fn decode(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'%' => {
                let digits: Vec<u8> = rest.by_ref().take(2).collect();
                let digits = String::from_utf8_lossy(&digits).into_owned();
                bytes.push(u8::from_str_radix(&digits, 16).unwrap_or(b'?'));
            }
            b'+' => bytes.push(b' '),
            other => bytes.push(other),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// What the answer is.
#[derive(Debug, Clone, Default)]
pub(super) struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn new(status: u16) -> Self {
        Self { status, ..Self::default() }
    }

    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.retain(|(other, _)| !other.eq_ignore_ascii_case(name));
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    pub fn body(mut self, media_type: &str, body: Vec<u8>) -> Self {
        self.body = body;
        self.with("Content-Type", media_type)
    }

    pub fn complaint(status: u16, code: &str, message: &str) -> Self {
        let body = serde_json::json!({ "errors": [{ "code": code, "message": message }] });
        Self::new(status).body("application/json", body.to_string().into_bytes())
    }

    /// The lines before the body.
    pub fn head(&self, length: Option<usize>) -> Vec<u8> {
        let mut head = format!("HTTP/1.1 {} x\r\n", self.status);
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        let said = self.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-length"));
        match length {
            Some(length) if !said && self.status != 204 => {
                head.push_str(&format!("Content-Length: {length}\r\n"));
            }
            None => head.push_str("Connection: close\r\n"),
            Some(_) => {}
        }
        head.push_str("\r\n");
        head.into_bytes()
    }
}

/// The lines of a request; `None`: there is none any more.
pub(super) fn read_head(reader: &mut impl BufRead) -> io::Result<Option<Request>> {
    let Some(first) = line(reader)? else { return Ok(None) };
    let mut words = first.split(' ');
    let (Some(method), Some(target)) = (words.next(), words.next()) else {
        return Err(io::ErrorKind::InvalidData.into());
    };
    let mut request = Request { method: method.to_owned(), target: target.to_owned(), ..Request::default() };
    while let Some(line) = line(reader)?.filter(|line| !line.is_empty()) {
        let (name, value) = line.split_once(':').ok_or(io::ErrorKind::InvalidData)?;
        request.headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    Ok(Some(request))
}

/// The body of a request, up to `most` bytes; whether it is whole.
pub(super) fn read_body(request: &mut Request, reader: &mut impl BufRead, most: usize) -> io::Result<bool> {
    let length = request.header("content-length").and_then(|text| text.parse::<usize>().ok());
    if let Some(length) = length {
        reader.take(length.min(most) as u64).read_to_end(&mut request.body)?;
        return Ok(request.body.len() == length);
    }
    if request.header("transfer-encoding").is_none_or(|text| text != "chunked") {
        return Ok(true);
    }
    loop {
        let size = line(reader)?.ok_or(io::ErrorKind::UnexpectedEof)?;
        let size = usize::from_str_radix(size.trim(), 16).map_err(|_| io::ErrorKind::InvalidData)?;
        let room = most - request.body.len();
        reader.take(size.min(room) as u64).read_to_end(&mut request.body)?;
        if size > room {
            return Ok(false);
        }
        line(reader)?;
        if size == 0 {
            return Ok(true);
        }
    }
}

pub(super) fn write(writer: &mut dyn Write, bytes: &[u8]) -> io::Result<()> {
    writer.write_all(bytes)?;
    writer.flush()
}

fn line(reader: &mut impl BufRead) -> io::Result<Option<String>> {
    let mut line = String::new();
    if reader.take(64 << 10).read_line(&mut line)? == 0 {
        return Ok(None);
    }
    Ok(Some(line.trim_end_matches(['\r', '\n']).to_owned()))
}
