//! `KEY=value` pairs: `-e`, `--label`, `--sysctl`, and the files of `--env-file` and `--label-file`.

use std::path::Path;

use corten_model::Invalid;

use crate::error::{Failure, Result};

/// The largest file of variables that is read.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// Where the value of a variable without one comes from.
pub type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

/// `KEY=value` as it is, `KEY` with the caller's value, or `KEY` alone (which unsets it) if the caller has none.
pub fn variable(text: &str, lookup: Lookup<'_>) -> std::result::Result<String, Invalid> {
    let (key, value) = split("environment variable", text)?;
    Ok(match value {
        Some(_) => text.to_owned(),
        None => match lookup(key) {
            Some(value) => format!("{key}={value}"),
            None => key.to_owned(),
        },
    })
}

/// A key and its value; the value is empty if there is none.
pub fn pair(what: &'static str, text: &str) -> std::result::Result<(String, String), Invalid> {
    split(what, text).map(|(key, value)| (key.to_owned(), value.unwrap_or_default().to_owned()))
}

/// A key and its value, which has to be there.
pub fn full_pair(what: &'static str, text: &str) -> std::result::Result<(String, String), Invalid> {
    match split(what, text)? {
        (key, Some(value)) => Ok((key.to_owned(), value.to_owned())),
        (_, None) => Err(Invalid::new(what, text, "no `=`").hint("write `KEY=VALUE`")),
    }
}

fn split<'a>(what: &'static str, text: &'a str) -> std::result::Result<(&'a str, Option<&'a str>), Invalid> {
    let (key, value) = text.split_once('=').map_or((text, None), |(key, value)| (key, Some(value)));
    if key.is_empty() {
        return Err(Invalid::new(what, text, "the name is empty").hint("write `NAME=VALUE`"));
    }
    Ok((key, value))
}

/// Reads a file with one pair on each line.
fn read_file(path: &Path) -> Result<Vec<u8>> {
    let fail = |source| Failure::Read { path: path.to_owned(), source };
    let file = std::fs::File::open(path).map_err(fail)?;
    let mut bytes = Vec::new();
    let mut limited = std::io::Read::take(file, FILE_BYTES_MAX + 1);
    std::io::Read::read_to_end(&mut limited, &mut bytes).map_err(fail)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(fail(std::io::Error::other(format!("larger than {FILE_BYTES_MAX} bytes"))));
    }
    Ok(bytes)
}

/// The pairs of a file. Empty lines and those that begin with `#` don't count. A key without `=` gets its value from
/// `lookup`, and is left out if that has none.
pub fn file(what: &'static str, path: &Path, lookup: Lookup<'_>) -> Result<Vec<String>> {
    let bytes = read_file(path)?;
    file_lines(what, &bytes, lookup).map_err(|(line, source)| Failure::Line {
        path: path.to_owned(),
        line,
        source: Box::new(source),
    })
}

/// The pairs of a file's text; what is wrong comes with the number of its line.
fn file_lines(
    what: &'static str,
    bytes: &[u8],
    lookup: Lookup<'_>,
) -> std::result::Result<Vec<String>, (usize, Invalid)> {
    let bytes = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes);
    let mut pairs = Vec::new();
    for (index, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
        let at = |invalid| (index + 1, invalid);
        let text = std::str::from_utf8(line.strip_suffix(b"\r").unwrap_or(line))
            .map_err(|_| at(Invalid::new(what, String::from_utf8_lossy(line), "it is not valid UTF-8")))?;
        let line = text.trim_start();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (key, value) = split(what, line).map_err(at)?;
        if key.contains(char::is_whitespace) {
            return Err(at(Invalid::new(what, line, "the name has a space in it")));
        }
        match value {
            Some(_) => pairs.push(line.to_owned()),
            None => pairs.extend(lookup(key).map(|value| format!("{key}={value}"))),
        }
    }
    Ok(pairs)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn home(key: &str) -> Option<String> {
        (key == "HOME").then(|| "/root".to_owned())
    }

    #[test]
    fn variables_without_a_value_get_the_callers() {
        let check = |text: &str, expected: Option<&str>| {
            assert_eq!(variable(text, &home).ok().as_deref(), expected, "{text}");
        };
        check("A=1", Some("A=1"));
        check("A=", Some("A="));
        check("A=b=c", Some("A=b=c"));
        check("HOME", Some("HOME=/root"));
        check("NOTHING", Some("NOTHING"));
        check("", None);
        check("=x", None);
    }

    #[test]
    fn files_hold_a_pair_on_each_line() {
        let check = |text: &str, expected: std::result::Result<&[&str], usize>| {
            let lines = file_lines("environment variable", text.as_bytes(), &home);
            let expected = expected.map(|lines| lines.iter().map(|line| (*line).to_owned()).collect());
            assert_eq!(lines.map_err(|(line, _)| line), expected, "{text}");
        };
        check(
            "\u{feff}A=1\n\n# no\n  B=x y # yes\r\nHOME\nNOTHING\n",
            Ok(&["A=1", "B=x y # yes", "HOME=/root"]),
        );
        check("A= \" x \" \n", Ok(&["A= \" x \" "]));
        check("A=1\n\nA B=1\n", Err(3));
        check("=1\n", Err(1));
        assert_eq!(file_lines("label", b"a=1\nb=\xff\n", &home).unwrap_err().0, 2);
    }

    #[test]
    fn labels_and_sysctls() {
        assert_eq!(pair("label", "a"), Ok(("a".into(), String::new())));
        assert_eq!(pair("label", "a=b=c"), Ok(("a".into(), "b=c".into())));
        assert!(full_pair("sysctl", "net.x").is_err());
        assert_eq!(full_pair("sysctl", "net.x=1"), Ok(("net.x".into(), "1".into())));
    }
}
