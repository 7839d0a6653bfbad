//! Literals as Go writes them: strings, raw strings, characters, numbers. Each function gives the value and its length.

use super::lex::Number;

/// What a function here gives: the value and how many bytes it took, or what is wrong.
type Taken<T> = Result<(T, usize), String>;

/// `"a\tb"`.
pub fn quoted(source: &str) -> Taken<String> {
    let mut bytes = Vec::new();
    let mut at = 1;
    loop {
        match source[at..].chars().next() {
            None | Some('\n') => return Err("unterminated quoted string".into()),
            Some('"') => return Ok((String::from_utf8_lossy(&bytes).into_owned(), at + 1)),
            Some('\\') => at += escape(&source[at..], '"', &mut bytes)?,
            Some(letter) => {
                bytes.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
                at += letter.len_utf8();
            }
        }
    }
}

/// `` `a\b` ``.
pub fn raw(source: &str) -> Taken<String> {
    let length = source[1..].find('`').ok_or("unterminated raw quoted string")?;
    Ok((source[1..=length].replace('\r', ""), length + 2))
}

/// `'a'`, a number.
pub fn character(source: &str) -> Taken<Number> {
    let unterminated = || "unterminated character constant".to_owned();
    let letter = source[1..].chars().next().filter(|c| *c != '\n').ok_or_else(unterminated)?;
    let (code, length) = if letter == '\\' {
        let mut bytes = Vec::new();
        let length = escape(&source[1..], '\'', &mut bytes)?;
        let code = match std::str::from_utf8(&bytes) {
            Ok(text) => text.chars().next().map_or(0, u32::from),
            Err(_) => bytes.first().copied().map_or(0, u32::from),
        };
        (code, length)
    } else {
        (u32::from(letter), letter.len_utf8())
    };
    if !source[1 + length..].starts_with('\'') {
        return Err(unterminated());
    }
    if letter == '\'' {
        return Err("malformed character constant: ''".into());
    }
    Ok((Number::Int(i64::from(code)), length + 2))
}

/// The escape at the start of `source`, for a literal between `quote`s; gives its length.
fn escape(source: &str, quote: char, bytes: &mut Vec<u8>) -> Result<usize, String> {
    let invalid = || "invalid escape in a string".to_owned();
    let kind = source[1..].chars().next().ok_or("unterminated quoted string")?;
    let simple = match kind {
        'a' => Some(7),
        'b' => Some(8),
        'f' => Some(12),
        'n' => Some(b'\n'),
        'r' => Some(b'\r'),
        't' => Some(b'\t'),
        'v' => Some(11),
        '\\' => Some(b'\\'),
        c if c == quote => Some(c as u8),
        _ => None,
    };
    if let Some(byte) = simple {
        bytes.push(byte);
        return Ok(2);
    }
    let (start, digits, radix) = match kind {
        'x' => (2, 2, 16),
        'u' => (2, 4, 16),
        'U' => (2, 8, 16),
        '0'..='7' => (1, 3, 8),
        _ => return Err(invalid()),
    };
    let text = source.get(start..start + digits).ok_or_else(invalid)?;
    if !text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(invalid());
    }
    let code = u32::from_str_radix(text, radix).map_err(|_| invalid())?;
    if matches!(kind, 'u' | 'U') {
        let letter = char::from_u32(code).ok_or_else(invalid)?;
        bytes.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
    } else {
        bytes.push(u8::try_from(code).map_err(|_| invalid())?);
    }
    Ok(start + digits)
}

/// `42`, `-0x2a`, `1_000`, `1.5e3`.
pub fn number(source: &str) -> Taken<Number> {
    let unsigned = source.strip_prefix(['+', '-']).unwrap_or(source);
    let mut length = source.len() - unsigned.len();
    let is_hex = unsigned.starts_with("0x") || unsigned.starts_with("0X");
    let mut last = ' ';
    for letter in unsigned.chars() {
        // The sign of an exponent.
        let signed = matches!(letter, '+' | '-') && matches!(last, 'e' | 'E') && !is_hex;
        if !(letter.is_alphanumeric() || matches!(letter, '.' | '_') || signed) {
            break;
        }
        length += letter.len_utf8();
        last = letter;
    }
    let text = &source[..length];
    match parse(text) {
        Some(number) => Ok((number, length)),
        None => Err(format!("bad number syntax: \"{text}\"")),
    }
}

fn parse(text: &str) -> Option<Number> {
    let (negative, unsigned) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let lower = unsigned.to_ascii_lowercase();
    let (digits, radix) = match lower.get(..2) {
        Some("0x") => (&lower[2..], 16),
        Some("0o") => (&lower[2..], 8),
        Some("0b") => (&lower[2..], 2),
        _ if lower.len() > 1
            && lower.starts_with('0')
            && lower.bytes().all(|b| b.is_ascii_digit() || b == b'_') =>
        {
            (&lower[1..], 8)
        }
        _ => (lower.as_str(), 10),
    };
    if !underscores_are_well_placed(digits, radix != 10) {
        return None;
    }
    let plain = digits.replace('_', "");
    let is_whole = !plain.is_empty() && plain.chars().all(|c| c.is_digit(radix));
    if is_whole {
        let signed = if negative { format!("-{plain}") } else { plain };
        return i64::from_str_radix(&signed, radix).ok().map(Number::Int);
    }
    // Rust's parser takes more than digits, a point and an exponent.
    if radix != 10 || !plain.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'+' | b'-')) {
        return None;
    }
    let value: f64 = plain.parse().ok()?;
    value.is_finite().then_some(Number::Float(if negative { -value } else { value }))
}

/// An underscore stands between two digits, or between a prefix and a digit.
fn underscores_are_well_placed(digits: &str, has_prefix: bool) -> bool {
    let is_digit = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_hexdigit);
    let bytes = digits.as_bytes();
    bytes.iter().enumerate().filter(|(_, byte)| **byte == b'_').all(|(index, _)| {
        let before = index.checked_sub(1).map_or(has_prefix, |before| is_digit(bytes.get(before)));
        before && is_digit(bytes.get(index + 1))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings() {
        let check = |source: &str, expected: Option<&str>| {
            assert_eq!(quoted(source).ok().map(|(text, _)| text).as_deref(), expected, "{source}");
        };
        check("\"a b\" c", Some("a b"));
        check("\"\\\"\\\\\\t\\x41\\101\\u00e9\\U0001F600\"", Some("\"\\\tAAé😀"));
        check("\"\\xc3\\xa9\"", Some("é"));
        check("\"\\'\"", None);
        check("\"\\q\"", None);
        check("\"\\u12\"", None);
        check("\"\\ud800\"", None);
        check("\"\\777\"", None);
        check("\"a\nb\"", None);
        check("\"a\\", None);
        assert_eq!(raw("`a\\n\n`x"), Ok(("a\\n\n".into(), 6)));
    }

    #[test]
    fn characters() {
        let check = |source: &str, expected: Option<i64>| {
            let code = character(source).ok().map(|(number, _)| number);
            assert_eq!(code, expected.map(Number::Int), "{source}");
        };
        check("'a'", Some(97));
        check("'é'", Some(233));
        check("'\\n'", Some(10));
        check("'\\''", Some(39));
        check("'\\u00e9'", Some(233));
        check("''", None);
        check("'ab'", None);
        check("'a", None);
    }

    #[test]
    fn numbers() {
        let check = |source: &str, expected: Option<Number>| {
            assert_eq!(number(source).ok().map(|(number, _)| number), expected, "{source}");
        };
        let int = |value| Some(Number::Int(value));
        let float = |value| Some(Number::Float(value));
        for (source, value) in [
            ("0", 0),
            ("42", 42),
            ("+42", 42),
            ("-42", -42),
            ("0x2A", 42),
            ("0b101", 5),
            ("0o17", 15),
            ("017", 15),
            ("1_000", 1000),
            ("0x_ff", 255),
            ("9223372036854775807", i64::MAX),
            ("-9223372036854775808", i64::MIN),
        ] {
            check(source, int(value));
        }
        check("1.5", float(1.5));
        check("-.5", float(-0.5));
        check("1e3", float(1000.0));
        check("1E-2", float(0.01));
        check("1_0.5", float(10.5));
        for bad in [
            "", "-", "1x", "0x", "0b2", "1__0", "_1", "1_", "1.2.3", "1e", "inf", "nan", "1i", "1e999", "0xg",
        ] {
            check(bad, None);
        }
    }
}
