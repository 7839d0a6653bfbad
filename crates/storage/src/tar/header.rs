//! One 512-byte header block: where each field is, and how its numbers are written.

/// Bytes of a tar block.
pub(crate) const BLOCK: usize = 512;

/// Whose header it is, by its magic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flavor {
    /// Before POSIX.
    V7,
    /// POSIX: a prefix of the name at 345.
    Ustar,
    /// GNU: other fields at 345.
    Gnu,
}

pub(crate) struct Block(pub [u8; BLOCK]);

impl Block {
    pub fn is_zero(&self) -> bool {
        self.0.iter().all(|b| *b == 0)
    }

    /// Whether the checksum holds; some old writers summed signed bytes.
    pub fn check(&self) -> Result<(), &'static str> {
        let wanted = octal(&self.0[148..156]).map_err(|_| "unreadable checksum")?;
        let (mut unsigned, mut signed) = (0i64, 0i64);
        for (at, byte) in self.0.iter().enumerate() {
            let byte = if (148..156).contains(&at) { b' ' } else { *byte };
            unsigned += i64::from(byte);
            signed += i64::from(byte as i8);
        }
        if wanted as i64 == unsigned || wanted as i64 == signed { Ok(()) } else { Err("wrong checksum") }
    }

    pub fn kind(&self) -> u8 {
        self.0[156]
    }

    pub fn flavor(&self) -> Flavor {
        match &self.0[257..265] {
            b"ustar  \0" => Flavor::Gnu,
            magic if magic.starts_with(b"ustar\0") => Flavor::Ustar,
            _ => Flavor::V7,
        }
    }

    pub fn name(&self) -> Vec<u8> {
        let name = text(&self.0[..100]);
        let prefix = if self.flavor() == Flavor::Ustar { text(&self.0[345..500]) } else { &[] };
        if prefix.is_empty() { name.to_vec() } else { [prefix, b"/", name].concat() }
    }

    pub fn link(&self) -> Vec<u8> {
        text(&self.0[157..257]).to_vec()
    }

    pub fn mode(&self) -> Result<u64, &'static str> {
        number(&self.0[100..108])
    }

    pub fn uid(&self) -> Result<u64, &'static str> {
        number(&self.0[108..116])
    }

    pub fn gid(&self) -> Result<u64, &'static str> {
        number(&self.0[116..124])
    }

    pub fn size(&self) -> Result<u64, &'static str> {
        number(&self.0[124..136])
    }

    pub fn mtime(&self) -> Result<i64, &'static str> {
        signed(&self.0[136..148])
    }

    pub fn device(&self) -> Result<(u32, u32), &'static str> {
        let field = |range| {
            number(&self.0[range]).and_then(|n| u32::try_from(n).map_err(|_| "a device number above 32 bits"))
        };
        Ok((field(329..337)?, field(337..345)?))
    }

    /// The four map entries in an old GNU sparse header: offset and length, 12 bytes each.
    pub fn sparse_entries(&self) -> &[u8] {
        &self.0[386..482]
    }

    /// Whether a block with more of the map follows.
    pub fn sparse_extended(&self) -> bool {
        self.0[482] != 0
    }

    /// The size of a sparse file when it is unpacked.
    pub fn sparse_real_size(&self) -> Result<u64, &'static str> {
        number(&self.0[483..495])
    }
}

/// The bytes before the first NUL.
fn text(field: &[u8]) -> &[u8] {
    &field[..field.iter().position(|b| *b == 0).unwrap_or(field.len())]
}

/// A number that can't be negative.
pub(super) fn number(field: &[u8]) -> Result<u64, &'static str> {
    u64::try_from(signed(field)?).map_err(|_| "a negative number")
}

/// Octal digits, or GNU's base-256: the highest bit set, then a big-endian two's complement number.
fn signed(field: &[u8]) -> Result<i64, &'static str> {
    if field[0] & 0x80 == 0 {
        return octal(field).and_then(|n| i64::try_from(n).map_err(|_| "a number above 63 bits"));
    }
    let negative = field[0] & 0x40 != 0;
    let mut value: i128 = if negative { -1 } else { 0 };
    for (at, byte) in field.iter().enumerate() {
        // The mark is no part of the number: in a negative one that bit is 1 anyway.
        let byte = if at == 0 && !negative { byte & 0x7f } else { *byte };
        value = value << 8 | i128::from(byte);
        if i64::try_from(value).is_err() {
            return Err("a number above 63 bits");
        }
    }
    Ok(value as i64)
}

/// Octal digits between spaces, ended by a space or NUL; an empty field is 0.
fn octal(field: &[u8]) -> Result<u64, &'static str> {
    let start = field.iter().position(|b| *b != b' ').unwrap_or(field.len());
    let mut value = 0u64;
    for (at, byte) in field[start..].iter().enumerate() {
        match byte {
            b'0'..=b'7' => {
                value = value
                    .checked_mul(8)
                    .and_then(|v| v.checked_add(u64::from(byte - b'0')))
                    .ok_or("a number above 64 bits")?;
            }
            b' ' | 0 => {
                let rest = &field[start + at..];
                return if rest.iter().all(|b| matches!(b, b' ' | 0)) {
                    Ok(value)
                } else {
                    Err("a bad number")
                };
            }
            _ => return Err("a bad number"),
        }
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_as_old_and_new_writers_write_them() {
        let check = |field: &[u8], expected: Result<i64, ()>| {
            assert_eq!(signed(field).map_err(|_| ()), expected, "{field:?}");
        };
        check(b"0000644\0", Ok(0o644));
        check(b"   644 \0", Ok(0o644));
        check(b"644     ", Ok(0o644));
        check(b"77777777777", Ok(0o77_777_777_777));
        check(b"\0\0\0\0\0\0\0\0", Ok(0));
        check(b"        ", Ok(0));
        check(&[0x80, 0, 0, 0, 0, 0, 1, 0], Ok(256));
        check(&[0xff; 8], Ok(-1));
        check(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe], Ok(-2));
        check(&[0xbf, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], Err(()));
        check(b"12x\0\0\0\0\0", Err(()));
        check(b"9\0\0\0\0\0\0\0", Err(()));
        check(b"1 1\0\0\0\0\0", Err(()));
        check(b"-1\0\0\0\0\0\0", Err(()));
        assert!(number(&[0xff; 8]).is_err());
    }
}
