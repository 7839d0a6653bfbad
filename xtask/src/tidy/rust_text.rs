//! Rust source with comments and the insides of literals blanked, so that rules see code only.
//!
//! It knows as much of the language as is needed not to be fooled: nested block comments, raw strings, byte
//! strings, character literals against lifetimes. Lines keep their numbers and lengths.

/// The code in `text`: everything else is spaces, line ends excepted.
pub fn code(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let (inside, end) = match bytes[at] {
            b'/' if bytes.get(at + 1) == Some(&b'/') => (at, line_end(bytes, at)),
            b'/' if bytes.get(at + 1) == Some(&b'*') => (at, block_comment_end(bytes, at)),
            b'"' => (at + 1, string_end(bytes, at + 1)),
            b'r' | b'b' | b'c' if starts_word(bytes, at) => match literal_after_prefix(bytes, at) {
                Some(range) => range,
                None => (at + 1, at + 1),
            },
            b'\'' => match char_end(bytes, at) {
                Some(end) => (at + 1, end),
                None => (at + 1, at + 1),
            },
            _ => (at + 1, at + 1),
        };
        for byte in &mut out[inside.min(end)..end] {
            if *byte != b'\n' {
                *byte = b' ';
            }
        }
        at = end.max(at + 1);
    }
    // Only whole runs from one ASCII delimiter to another were blanked, so this never replaces anything.
    String::from_utf8_lossy(&out).into_owned()
}

fn starts_word(bytes: &[u8], at: usize) -> bool {
    at == 0 || !(bytes[at - 1].is_ascii_alphanumeric() || bytes[at - 1] == b'_')
}

fn line_end(bytes: &[u8], at: usize) -> usize {
    bytes[at..].iter().position(|b| *b == b'\n').map_or(bytes.len(), |n| at + n)
}

fn block_comment_end(bytes: &[u8], start: usize) -> usize {
    let (mut depth, mut at) = (0usize, start);
    while at < bytes.len() {
        match &bytes[at..bytes.len().min(at + 2)] {
            b"/*" => (depth, at) = (depth + 1, at + 2),
            b"*/" if depth == 1 => return at + 2,
            b"*/" => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
    }
    bytes.len()
}

/// The end of the inside of a string whose inside starts at `at`.
fn string_end(bytes: &[u8], mut at: usize) -> usize {
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            // One past the quote, which is blanked too: a lone quote would open another string.
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}

/// `r"…"`, `r#"…"#`, `b"…"`, `br"…"`, `b'x'`, `c"…"`: the inside and the end, if it is one of them.
fn literal_after_prefix(bytes: &[u8], at: usize) -> Option<(usize, usize)> {
    let mut next = at + 1;
    let raw = if bytes[at] == b'r' {
        true
    } else if bytes.get(next) == Some(&b'r') {
        next += 1;
        true
    } else {
        false
    };
    if !raw {
        return match bytes.get(next)? {
            b'"' => Some((next + 1, string_end(bytes, next + 1))),
            b'\'' => Some((next + 1, char_end(bytes, next)?)),
            _ => None,
        };
    }
    let hashes = bytes[next..].iter().take_while(|b| **b == b'#').count();
    let inside = next + hashes + 1;
    if bytes.get(next + hashes) != Some(&b'"') {
        return None;
    }
    let mut close = vec![b'"'];
    close.resize(1 + hashes, b'#');
    let end = bytes[inside..].windows(close.len()).position(|w| w == close);
    Some((inside, end.map_or(bytes.len(), |n| inside + n + close.len())))
}

/// The end of the character literal whose quote is at `at`, or nothing if that is a lifetime's quote.
fn char_end(bytes: &[u8], at: usize) -> Option<usize> {
    if bytes.get(at + 1) == Some(&b'\\') {
        let close = bytes[at + 3..].iter().position(|b| *b == b'\'')?;
        return Some(at + 3 + close + 1);
    }
    // A character is at most four bytes; a lifetime has no quote that near, save in `'a'`.
    let width = match bytes.get(at + 1)? {
        0..=0x7f => 1,
        0xc0..=0xdf => 2,
        0xe0..=0xef => 3,
        _ => 4,
    };
    (bytes.get(at + 1 + width) == Some(&b'\'')).then_some(at + width + 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, gone: &[&str], kept: &[&str]) {
        let code = code(text);
        assert_eq!(code.len(), text.len(), "{text}");
        for word in gone {
            assert!(!code.contains(word), "{word} is still in {code:?}");
        }
        for word in kept {
            assert!(code.contains(word), "{word} is not in {code:?}");
        }
    }

    #[test]
    fn comments_and_literals_go_and_code_stays() {
        check("a(); // unsafe\nb();", &["unsafe"], &["a();", "b();"]);
        check("/* x /* unsafe */ y */ z();", &["unsafe", "y"], &["z();"]);
        check(r#"let a = "un{safe \" }"; b();"#, &["safe", "{", "}"], &["b();"]);
        check(r###"let a = r#"un"safe{"#; b();"###, &["safe", "{"], &["b();"]);
        check(r#"let a = br"x{"; let b = b'{'; c();"#, &["{"], &["let b", "c();"]);
        check("let a = '{'; let b: &'a str = c; let q = '\\''; d('é');", &["{", "é"], &["&'a str", "d("]);
        check("for r in rows { r.x(); }", &[], &["for r in rows { r.x(); }"]);
    }
}
