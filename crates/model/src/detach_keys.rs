//! `--detach-keys`: the keys that leave a container without ending it.

use crate::Invalid;

/// The bytes of a sequence of keys. A type of its own: clap takes a list for a flag that may be repeated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keys(Vec<u8>);

impl Keys {
    /// What a terminal sends for them.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

impl std::fmt::Display for Keys {
    /// As they are typed.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (index, byte) in self.0.iter().enumerate() {
            f.write_str(if index > 0 { "," } else { "" })?;
            match byte {
                0..32 => write!(f, "ctrl-{}", char::from(byte + b'@').to_ascii_lowercase())?,
                127 => f.write_str("del")?,
                _ => write!(f, "{}", char::from(*byte))?,
            }
        }
        Ok(())
    }
}

impl Default for Keys {
    /// ctrl-p, ctrl-q.
    fn default() -> Self {
        Self(vec![16, 17])
    }
}

/// The most keys of a sequence: every one but the last is held back until the next one comes.
const KEYS_MAX: usize = 16;

/// The bytes of a list such as `ctrl-p,ctrl-q` or `ctrl-a,d`; the empty text stands for the default.
pub fn parse(text: &str) -> Result<Keys, Invalid> {
    if text.is_empty() {
        return Ok(Keys::default());
    }
    let bad = |why: String| {
        Invalid::new("sequence of detach keys", text, why).hint(
            "write keys between commas: a letter, or `ctrl-` and one of `a`-`z` `@` `[` `\\` `]` `^` `_`",
        )
    };
    let keys = text.split(',').map(|key| byte(key).ok_or_else(|| bad(format!("unknown key `{key}`"))));
    let bytes: Vec<u8> = keys.collect::<Result<_, _>>()?;
    if bytes.len() > KEYS_MAX { Err(bad(format!("more than {KEYS_MAX} keys"))) } else { Ok(Keys(bytes)) }
}

/// The byte that a terminal sends for a key.
fn byte(key: &str) -> Option<u8> {
    if let [byte] = key.as_bytes() {
        return byte.is_ascii_graphic().then_some(*byte).or((*byte == b' ').then_some(b' '));
    }
    if key.eq_ignore_ascii_case("del") {
        return Some(127);
    }
    let prefix = key.get(..5).filter(|prefix| prefix.eq_ignore_ascii_case("ctrl-"))?;
    match &key.as_bytes()[prefix.len()..] {
        [letter] if letter.is_ascii_alphabetic() => Some(letter.to_ascii_uppercase() - b'@'),
        [sign @ (b'@' | b'[' | b'\\' | b']' | b'^' | b'_')] => Some(sign - b'@'),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_become_the_bytes_that_a_terminal_sends() {
        let check = |text: &str, expected: Option<&[u8]>| {
            assert_eq!(parse(text).ok().map(Keys::into_bytes).as_deref(), expected, "{text}");
        };
        check("", Some(&[16, 17]));
        check("ctrl-p,ctrl-q", Some(&[16, 17]));
        check("ctrl-a,d", Some(&[1, b'd']));
        check("CTRL-Z", Some(&[26]));
        check("ctrl-@,ctrl-[,ctrl-\\,ctrl-],ctrl-^,ctrl-_", Some(&[0, 27, 28, 29, 30, 31]));
        check("DEL", Some(&[127]));
        for bad in
            ["ctrl-", "ctrl-aa", "alt-x", "a,,b", "ctrl-1", "é", "ctrl-é", "a,", "x,".repeat(20).as_str()]
        {
            check(bad, None);
        }
    }

    #[test]
    fn keys_are_shown_as_they_are_typed() {
        for text in ["ctrl-p,ctrl-q", "ctrl-a,d", "ctrl-@,ctrl-[,ctrl-_,del, ,x"] {
            assert_eq!(parse(text).unwrap().to_string(), text);
        }
    }
}
