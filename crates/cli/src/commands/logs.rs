//! `corten logs`: what a container wrote, each stream to its own.

use std::collections::BTreeMap;
use std::io::{self, Write};

use corten_engine::logs::{self, Entry, LogOptions, Stream};
use corten_model::Invalid;

use crate::caller::Caller;
use crate::error::Result;
use crate::timestamps;

/// Bytes that are gathered before they are written, as long as lines come from one stream.
const BUFFER_BYTES: usize = 64 << 10;

/// Fetch the logs of a container
#[derive(clap::Args, Debug)]
#[command(override_usage = "corten logs [OPTIONS] CONTAINER")]
pub struct Args {
    /// Show extra details provided to logs
    #[arg(long)]
    details: bool,
    /// Follow log output
    #[arg(short, long)]
    follow: bool,
    /// Show logs since timestamp (e.g. "2013-01-02T13:23:37Z") or relative (e.g. "42m" for 42 minutes)
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Number of lines to show from the end of the logs (default "all")
    #[arg(short = 'n', long, value_name = "NUMBER", value_parser = tail)]
    tail: Option<TailLines>,
    /// Show timestamps
    #[arg(short, long)]
    timestamps: bool,
    /// Show logs before a timestamp (e.g. "2013-01-02T13:23:37Z") or relative (e.g. "42m" for 42 minutes)
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// The container
    #[arg(required = true, value_name = "CONTAINER", hide = true)]
    container: String,
}

/// How many lines; absent is all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct TailLines(Option<u64>);

fn tail(text: &str) -> std::result::Result<TailLines, Invalid> {
    let bad = || Invalid::new("number of lines", text, "neither a number nor `all`");
    match text {
        "all" | "" => Ok(TailLines(None)),
        // Docker takes a negative number for all.
        _ => text.parse::<i64>().map(|lines| TailLines(u64::try_from(lines).ok())).map_err(|_| bad()),
    }
}

/// Does it.
pub fn run(args: Args, caller: &mut Caller) -> Result<u8> {
    let now = timestamps::now_unix_ns();
    let moment = |text: &String| timestamps::parse("time", text, now);
    let options = LogOptions {
        since_unix_ns: args.since.as_ref().map(moment).transpose()?,
        until_unix_ns: args.until.as_ref().map(moment).transpose()?,
        tail: args.tail.and_then(|TailLines(lines)| lines),
        follow: args.follow,
    };
    let mut reader = logs::open(&mut caller.engine()?, &args.container, options)?;
    let (mut stdout, mut stderr) = (io::stdout().lock(), io::stderr().lock());
    let mut sink = Sink::new(&mut stdout, &mut stderr, args.timestamps, args.follow);
    sink.details = args.details;
    while let Some(entry) = reader.next_entry()? {
        sink.write(&entry)?;
    }
    sink.flush()?;
    Ok(0)
}

/// Writes entries to two streams in their order, a few at a time.
struct Sink<'a> {
    stdout: &'a mut dyn Write,
    stderr: &'a mut dyn Write,
    timestamps: bool,
    /// What was to be told stands before each line.
    details: bool,
    /// Nothing is held back.
    at_once: bool,
    held: Vec<u8>,
    held_of: Stream,
    /// Whether the last entry of standard output and of standard error was a part of a line.
    in_line: [bool; 2],
}

impl<'a> Sink<'a> {
    fn new(stdout: &'a mut dyn Write, stderr: &'a mut dyn Write, timestamps: bool, at_once: bool) -> Self {
        let (held, held_of) = (Vec::with_capacity(BUFFER_BYTES), Stream::Stdout);
        Self { stdout, stderr, timestamps, details: false, at_once, held, held_of, in_line: [false; 2] }
    }

    fn write(&mut self, entry: &Entry) -> io::Result<()> {
        // Both may be the same terminal: what came first is written first.
        if entry.stream != self.held_of {
            self.flush()?;
            self.held_of = entry.stream;
        }
        let in_line = &mut self.in_line[usize::from(entry.stream == Stream::Stderr)];
        if self.timestamps && !*in_line {
            self.held.extend_from_slice(timestamps::rfc3339_nano(entry.time_unix_ns).as_bytes());
            self.held.push(b' ');
        }
        if self.details && !*in_line {
            self.held.extend_from_slice(details(&entry.attributes).as_bytes());
            self.held.push(b' ');
        }
        *in_line = entry.bytes.last().is_some_and(|byte| *byte != b'\n');
        self.held.extend_from_slice(&entry.bytes);
        if self.at_once || self.held.len() >= BUFFER_BYTES { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        let out: &mut dyn Write = match self.held_of {
            Stream::Stdout => &mut *self.stdout,
            Stream::Stderr => &mut *self.stderr,
        };
        out.write_all(&self.held)?;
        self.held.clear();
        out.flush()
    }
}

/// `a=1,b=2`, with whatever would be mistaken written as in a URL's query.
fn details(attributes: &BTreeMap<String, String>) -> String {
    let escaped = |text: &str| -> String {
        let letter = |byte: u8| match byte {
            b' ' => "+".to_owned(),
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => char::from(byte).into(),
            _ => format!("%{byte:02X}"),
        };
        text.bytes().map(letter).collect()
    };
    let pairs = attributes.iter().map(|(key, value)| format!("{}={}", escaped(key), escaped(value)));
    pairs.collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(stream: Stream, second: i128, bytes: &str) -> Entry {
        Entry {
            time_unix_ns: second * 1_000_000_000,
            stream,
            bytes: bytes.into(),
            attributes: BTreeMap::new(),
        }
    }

    fn written(timestamps: bool, entries: &[Entry]) -> (String, String) {
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        let mut sink = Sink::new(&mut stdout, &mut stderr, timestamps, false);
        for entry in entries {
            sink.write(entry).unwrap();
        }
        sink.flush().unwrap();
        (String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
    }

    #[test]
    fn each_stream_goes_to_its_own() {
        let entries = [
            entry(Stream::Stdout, 1, "one\n"),
            entry(Stream::Stderr, 2, "two\n"),
            entry(Stream::Stdout, 3, "thr"),
            entry(Stream::Stdout, 4, "ee\n"),
        ];
        assert_eq!(written(false, &entries), ("one\nthree\n".into(), "two\n".into()));
        let stdout = "1970-01-01T00:00:01.000000000Z one\n1970-01-01T00:00:03.000000000Z three\n";
        let stderr = "1970-01-01T00:00:02.000000000Z two\n";
        assert_eq!(written(true, &entries), (stdout.into(), stderr.into()));
    }

    #[test]
    fn what_was_to_be_told_stands_before_each_line() {
        let told = [("tag", "web/1"), ("a b", "x,y=z")].map(|(k, v)| (k.to_owned(), v.to_owned())).into();
        assert_eq!(details(&told), "a+b=x%2Cy%3Dz,tag=web%2F1");
        assert_eq!(details(&BTreeMap::new()), "");
    }

    #[test]
    fn how_many_lines() {
        let check = |text: &str, expected: Option<Option<u64>>| {
            assert_eq!(tail(text).ok(), expected.map(TailLines), "{text}");
        };
        check("10", Some(Some(10)));
        check("0", Some(Some(0)));
        check("all", Some(None));
        check("-1", Some(None));
        check("many", None);
    }
}
