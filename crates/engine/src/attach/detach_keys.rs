//! Finds the keys that end a session in what is typed.

/// Looks for a sequence of bytes in a stream that comes in pieces.
#[derive(Debug, Default)]
pub struct Matcher {
    keys: Vec<u8>,
    matched: usize,
}

impl Matcher {
    /// Looks for `keys`; an empty sequence is never found.
    pub fn new(keys: Vec<u8>) -> Self {
        Self { keys, matched: 0 }
    }

    /// Takes a piece: what of it is input for the process, and whether the keys were found in it. Bytes that may be the
    /// beginning of the keys are held back until it is clear.
    pub fn take(&mut self, piece: &[u8]) -> (Vec<u8>, bool) {
        if self.keys.is_empty() {
            return (piece.to_vec(), false);
        }
        let mut input = Vec::with_capacity(piece.len() + self.matched);
        for byte in piece {
            while self.matched > 0 && *byte != self.keys[self.matched] {
                // The end of what matched may be the beginning of another match.
                let matched = &self.keys[..self.matched];
                let kept =
                    (0..self.matched).rev().find(|n| matched.starts_with(&matched[self.matched - n..]));
                let kept = kept.unwrap_or(0);
                input.extend_from_slice(&matched[..self.matched - kept]);
                self.matched = kept;
            }
            if *byte != self.keys[self.matched] {
                input.push(*byte);
                continue;
            }
            self.matched += 1;
            if self.matched == self.keys.len() {
                return (input, true);
            }
        }
        (input, false)
    }

    /// What was held back, when nothing follows any more.
    pub fn rest(&mut self) -> Vec<u8> {
        self.keys[..std::mem::take(&mut self.matched)].to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(keys: &[u8], pieces: &[&[u8]], input: &[u8], found: bool) {
        let mut matcher = Matcher::new(keys.to_vec());
        let (mut all, mut hit) = (Vec::new(), false);
        for piece in pieces {
            let (bytes, end) = matcher.take(piece);
            all.extend(bytes);
            hit |= end;
        }
        assert_eq!((all.as_slice(), hit), (input, found), "{pieces:?}");
    }

    #[test]
    fn keys_are_found_across_pieces_and_given_back_if_they_were_none() {
        check(b"\x10\x11", &[b"ab\x10\x11cd"], b"ab", true);
        check(b"\x10\x11", &[b"ab\x10", b"\x11"], b"ab", true);
        check(b"\x10\x11", &[b"\x10", b"x"], b"\x10x", false);
        check(b"\x10\x11", &[b"\x10\x10\x11"], b"\x10", true);
        check(b"aab", &[b"aaab!"], b"a", true);
        check(b"abab", &[b"ab", b"aab", b"ab"], b"aba", true);
        check(b"", &[b"\x10\x11"], b"\x10\x11", false);
    }
}
