//! PAX extended headers: records `<length> <key>=<value>\n`, for one entry or for all that follow.

use std::collections::BTreeMap;

/// Prefix of extended attributes, as GNU tar, libarchive, Go and Docker write them.
const XATTR: &str = "SCHILY.xattr.";

/// The records of one header, by key; the last of equal keys holds. GNU.sparse.offset and .numbytes, which version
/// 0.0 repeats, are kept in order apart.
#[derive(Debug, Default, Clone)]
pub(crate) struct Records {
    map: BTreeMap<Vec<u8>, Vec<u8>>,
    pub sparse_numbers: Vec<u64>,
}

impl Records {
    pub fn parse(mut bytes: &[u8]) -> Result<Self, &'static str> {
        let mut records = Self::default();
        while !bytes.is_empty() {
            // Some writers pad the payload with NULs.
            if bytes[0] == 0 && bytes.iter().all(|b| *b == 0) {
                break;
            }
            let space = bytes.iter().position(|b| *b == b' ').ok_or("a record without a length")?;
            let length = decimal(&bytes[..space]).ok_or("a record's length is no number")?;
            let length = usize::try_from(length).ok().filter(|l| *l > space + 1 && *l <= bytes.len());
            let length = length.ok_or("a record's length is wrong")?;
            let record = &bytes[space + 1..length];
            let record = record.strip_suffix(b"\n").ok_or("a record without a line's end")?;
            let equals = record.iter().position(|b| *b == b'=').ok_or("a record without `=`")?;
            records.add(&record[..equals], &record[equals + 1..])?;
            bytes = &bytes[length..];
        }
        Ok(records)
    }

    fn add(&mut self, key: &[u8], value: &[u8]) -> Result<(), &'static str> {
        if key.is_empty() {
            return Err("a record without a key");
        }
        if matches!(key, b"GNU.sparse.offset" | b"GNU.sparse.numbytes") {
            let offset = key.ends_with(b"offset");
            if offset != self.sparse_numbers.len().is_multiple_of(2) {
                return Err("a sparse map out of order");
            }
            self.sparse_numbers.push(decimal(value).ok_or("a sparse map's number is none")?);
            return Ok(());
        }
        // A NUL would cut a name short in one program and not in the next: that is how scanners are fooled.
        if matches!(key, b"path" | b"linkpath" | b"GNU.sparse.name") && value.contains(&0) {
            return Err("a name with a NUL");
        }
        self.map.insert(key.to_vec(), value.to_vec());
        Ok(())
    }

    /// Bytes of all keys and values.
    pub fn bytes(&self) -> u64 {
        self.map.iter().map(|(key, value)| (key.len() + value.len()) as u64).sum::<u64>()
            + 8 * self.sparse_numbers.len() as u64
    }

    /// Takes over `other`'s records; an empty value removes the key (POSIX pax).
    pub fn merge(&mut self, other: Records) {
        for (key, value) in other.map {
            if value.is_empty() && !key.starts_with(XATTR.as_bytes()) {
                self.map.remove(&key);
            } else {
                self.map.insert(key, value);
            }
        }
        if !other.sparse_numbers.is_empty() {
            self.sparse_numbers = other.sparse_numbers;
        }
    }

    /// These with one entry's own on top.
    pub fn with(&self, local: Option<Records>) -> Records {
        let mut all = self.clone();
        if let Some(local) = local {
            all.merge(local);
        }
        all
    }

    pub fn get(&self, key: &str) -> Option<&[u8]> {
        self.map.get(key.as_bytes()).map(Vec::as_slice)
    }

    /// A decimal number.
    pub fn number(&self, key: &str) -> Result<Option<u64>, &'static str> {
        self.get(key).map(|value| decimal(value).ok_or("a value is no number")).transpose()
    }

    /// Seconds with a fraction, as (seconds, nanoseconds) with nanoseconds counting up.
    pub fn time(&self, key: &str) -> Result<Option<(i64, u32)>, &'static str> {
        self.get(key).map(|value| time(value).ok_or("a value is no time")).transpose()
    }

    pub fn xattrs(&self) -> Vec<(Vec<u8>, Vec<u8>)> {
        self.map
            .iter()
            .filter_map(|(key, value)| Some((key.strip_prefix(XATTR.as_bytes())?.to_vec(), value.clone())))
            .collect()
    }
}

fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}

fn time(value: &[u8]) -> Option<(i64, u32)> {
    let (negative, value) = match value.strip_prefix(b"-") {
        Some(rest) => (true, rest),
        None => (false, value),
    };
    let (whole, fraction) = match value.iter().position(|b| *b == b'.') {
        Some(dot) => (&value[..dot], &value[dot + 1..]),
        None => (value, &b""[..]),
    };
    let seconds = i64::try_from(decimal(whole)?).ok()?;
    if !fraction.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let nanos = (0..9).fold(0, |n, at| n * 10 + fraction.get(at).map_or(0, |d| u32::from(d - b'0')));
    Some(match (negative, nanos) {
        (false, _) => (seconds, nanos),
        (true, 0) => (-seconds, 0),
        // -1.25 is 750 ms after -2.
        (true, _) => (-seconds - 1, 1_000_000_000 - nanos),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_parse_and_override() {
        let mut global = Records::parse(b"9 uid=12\n13 path=glob\n").unwrap();
        let local =
            Records::parse(b"9 path=x\n9 path=y\n7 uid=\n30 SCHILY.xattr.user.a=b\n=\n\0c\n").unwrap();
        let all = global.with(Some(local));
        assert_eq!(all.get("path"), Some(&b"y"[..]));
        assert_eq!(all.number("uid"), Ok(None));
        assert_eq!(all.xattrs(), [(b"user.a".to_vec(), b"b\n=\n\0c"[..].to_vec())]);
        global.merge(Records::default());
        assert_eq!(global.number("uid"), Ok(Some(12)));
        for bad in
            [&b"x"[..], b"5 a\n", b"99 a=b\n", b"6 a=bc", b"0 a=b\n", b"5 =b\n", b"11 path=\0\0\n", b" a=b\n"]
        {
            assert!(Records::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn times_have_fractions_and_signs() {
        for (text, expected) in [
            ("1", Some((1, 0))),
            ("1.5", Some((1, 500_000_000))),
            ("1.0000000019", Some((1, 1))),
            ("-1.25", Some((-2, 750_000_000))),
            ("-3", Some((-3, 0))),
            ("", None),
            ("1.x", None),
            ("x", None),
        ] {
            assert_eq!(time(text.as_bytes()), expected, "{text}");
        }
    }
}
