//! Texts made harmless for another language: quotes, HTML, JavaScript, URLs; JSON as Go writes it.

use std::fmt::Write as _;

use serde::Serialize;

/// A text between quotes, as Go's `strconv.Quote` writes it.
pub fn quoted(text: &str, only_ascii: bool) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for letter in text.chars() {
        push_escaped(&mut out, letter, '"', only_ascii);
    }
    out.push('"');
    out
}

/// A character between single quotes.
pub fn quoted_letter(letter: char, only_ascii: bool) -> String {
    let mut out = String::from("'");
    push_escaped(&mut out, letter, '\'', only_ascii);
    out.push('\'');
    out
}

fn push_escaped(out: &mut String, letter: char, quote: char, only_ascii: bool) {
    let code = u32::from(letter);
    let _ = match letter {
        '\u{7}' => out.write_str("\\a"),
        '\u{8}' => out.write_str("\\b"),
        '\u{c}' => out.write_str("\\f"),
        '\n' => out.write_str("\\n"),
        '\r' => out.write_str("\\r"),
        '\t' => out.write_str("\\t"),
        '\u{b}' => out.write_str("\\v"),
        '\\' => out.write_str("\\\\"),
        c if c == quote => write!(out, "\\{c}"),
        c if is_shown(c) && (c.is_ascii() || !only_ascii) => out.write_char(c),
        _ if code < 0x80 => write!(out, "\\x{code:02x}"),
        _ if code < 0x1_0000 => write!(out, "\\u{code:04x}"),
        _ => write!(out, "\\U{code:08x}"),
    };
}

/// Whether a letter can be seen: neither a control nor a blank other than the space.
fn is_shown(letter: char) -> bool {
    let is_format = matches!(letter, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{e000}'..='\u{f8ff}');
    letter == ' ' || !(letter.is_control() || letter.is_whitespace() || is_format)
}

/// For the inside of HTML.
pub fn html(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '\0' => out.push('\u{fffd}'),
            '"' => out.push_str("&#34;"),
            '\'' => out.push_str("&#39;"),
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            other => out.push(other),
        }
    }
    out
}

/// For the inside of a JavaScript string.
pub fn js(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        let code = u32::from(letter);
        let _ = match letter {
            '\\' | '\'' | '"' => write!(out, "\\{letter}"),
            '<' | '>' | '&' | '=' => write!(out, "\\u{code:04X}"),
            c if c.is_ascii_control() && code < 0x80 && c != '\u{7f}' => write!(out, "\\u{code:04X}"),
            c if c.is_ascii() || is_shown(c) => out.write_char(c),
            _ => write!(out, "\\u{code:04X}"),
        };
    }
    out
}

/// For the query of a URL.
pub fn url_query(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(char::from(byte)),
            b' ' => out.push('+'),
            other => out.push_str(&format!("%{other:02X}")),
        }
    }
    out
}

/// JSON in one line; Go escapes the two line separators of Unicode.
pub fn json(value: &impl Serialize) -> String {
    let text = serde_json::to_string(value).expect("values have only texts as keys, and memory takes them");
    text.replace('\u{2028}', "\\u2028").replace('\u{2029}', "\\u2029")
}

/// The same, with what HTML minds escaped too: what Go does unless it is told not to.
pub fn json_for_html(value: &impl Serialize) -> String {
    json(value).replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_are_gos() {
        assert_eq!(quoted("a\"b\\c\n\u{1}é\u{2028}\u{7f}'", false), "\"a\\\"b\\\\c\\n\\x01é\\u2028\\x7f'\"");
        assert_eq!(quoted("é😀", true), "\"\\u00e9\\U0001f600\"");
        assert_eq!(quoted_letter('\'', false), "'\\''");
    }

    #[test]
    fn other_languages() {
        assert_eq!(html("<a href=\"x\">&'\0"), "&lt;a href=&#34;x&#34;&gt;&amp;&#39;\u{fffd}");
        assert_eq!(js("<a='\"\\\n>&é"), "\\u003Ca\\u003D\\'\\\"\\\\\\u000A\\u003E\\u0026é");
        assert_eq!(url_query("a b&c/é~"), "a+b%26c%2F%C3%A9~");
        assert_eq!(json(&"<\u{2028}\u{1}\u{8}"), "\"<\\u2028\\u0001\\b\"");
        assert_eq!(json_for_html(&"<none> & x"), "\"\\u003cnone\\u003e \\u0026 x\"");
    }
}
