//! Sparse files: GNU's old header, and the three versions that PAX carries. The map must ascend and fit the sizes.

use super::header::{BLOCK, Block, number};
use super::pax::Records;
use super::{Archive, Entry, TarError};

/// Pieces of one sparse file.
const SEGMENTS_MAX: usize = 1 << 16;
/// Bytes of a number in the map that version 1.0 puts before the data.
const DIGITS_MAX: usize = 20;

/// Where a piece of data goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Segment {
    pub offset: u64,
    pub length: u64,
}

const TOO_MANY: TarError = TarError::Limit { what: "pieces in a sparse file", max: SEGMENTS_MAX as u64 };

impl Archive<'_> {
    /// The map in an old GNU header and the blocks behind it, and the real size.
    pub(super) fn old_sparse(&mut self, block: &Block) -> Result<(Vec<Segment>, u64), TarError> {
        let real = block.sparse_real_size().map_err(|why| self.bad(why))?;
        let mut map = Vec::new();
        self.read_entries(block.sparse_entries(), &mut map)?;
        let mut more = block.sparse_extended();
        while more {
            let Some(next) = self.source.block()? else {
                return Err(TarError::Truncated { at: self.source.taken() });
            };
            self.read_entries(&next.0[..504], &mut map)?;
            more = next.0[504] != 0;
        }
        Ok((map, real))
    }

    fn read_entries(&self, bytes: &[u8], map: &mut Vec<Segment>) -> Result<(), TarError> {
        for pair in bytes.chunks_exact(24) {
            if pair[0] == 0 || pair[12] == 0 {
                break;
            }
            let offset = number(&pair[..12]).map_err(|why| self.bad(why))?;
            let length = number(&pair[12..]).map_err(|why| self.bad(why))?;
            if map.len() == SEGMENTS_MAX {
                return Err(TOO_MANY);
            }
            map.push(Segment { offset, length });
        }
        Ok(())
    }

    /// A sparse file that PAX records describe, versions 0.0, 0.1 and 1.0.
    pub(super) fn pax_sparse(&mut self, entry: &mut Entry, records: &Records) -> Result<(), TarError> {
        let at = self.source.taken();
        let pax = move |why| TarError::Pax { at, why };
        let version = (
            records.number("GNU.sparse.major").map_err(pax)?,
            records.number("GNU.sparse.minor").map_err(pax)?,
        );
        let text_map = records.get("GNU.sparse.map");
        // A file that is one hole may come with a size and no map at all.
        let sized = records.get("GNU.sparse.size").is_some() || records.get("GNU.sparse.realsize").is_some();
        let is_sparse =
            version.0.is_some() || text_map.is_some() || !records.sparse_numbers.is_empty() || sized;
        if !is_sparse {
            return Ok(());
        }
        let real = match records.number("GNU.sparse.realsize").map_err(pax)? {
            Some(real) => Some(real),
            None => records.number("GNU.sparse.size").map_err(pax)?,
        };
        let real = real.ok_or_else(|| pax("a sparse file without its size"))?;
        if let Some(name) = records.get("GNU.sparse.name") {
            entry.path = name.to_vec();
        }
        let numbers = match (version, text_map) {
            ((Some(1), Some(0)), _) => self.map_before_data()?,
            ((None | Some(0), _), Some(text)) => numbers_of(text).map_err(pax)?,
            ((None | Some(0), _), None) => records.sparse_numbers.clone(),
            _ => return Err(pax("an unknown version of GNU's sparse files")),
        };
        if numbers.len() % 2 != 0 {
            return Err(pax("a sparse map with half a piece"));
        }
        let map = numbers.chunks_exact(2).map(|p| Segment { offset: p[0], length: p[1] }).collect();
        self.set_sparse(entry, map, real)
    }

    /// Version 1.0: decimal lines at the data's start, filled up to a block.
    fn map_before_data(&mut self) -> Result<Vec<u64>, TarError> {
        let before = self.data_left;
        let count = self.line()?;
        let count = usize::try_from(count).ok().filter(|c| *c <= SEGMENTS_MAX).ok_or(TOO_MANY)?;
        let mut numbers = Vec::with_capacity(2 * count);
        for _ in 0..2 * count {
            numbers.push(self.line()?);
        }
        let mut rest = (before - self.data_left).wrapping_neg() % BLOCK as u64;
        while rest > 0 {
            let skipped = self.data(rest)?.len() as u64;
            if skipped == 0 {
                return Err(self.bad_pax("a sparse map longer than its file"));
            }
            rest -= skipped;
        }
        Ok(numbers)
    }

    fn line(&mut self) -> Result<u64, TarError> {
        let mut digits = Vec::with_capacity(DIGITS_MAX);
        loop {
            match self.data(1)? {
                [b'\n'] => break,
                [digit @ b'0'..=b'9'] if digits.len() < DIGITS_MAX => digits.push(*digit),
                _ => return Err(self.bad_pax("a sparse map's number is none")),
            }
        }
        let text = std::str::from_utf8(&digits).expect("only digits");
        text.parse().map_err(|_| self.bad_pax("a sparse map's number is none"))
    }

    /// Checks the map and puts it into `entry`; what is left of the data must be exactly the pieces.
    pub(super) fn set_sparse(&self, entry: &mut Entry, map: Vec<Segment>, real: u64) -> Result<(), TarError> {
        let (mut end, mut data) = (0u64, 0u64);
        for segment in &map {
            let next = segment.offset.checked_add(segment.length).filter(|next| *next <= real);
            match next {
                Some(next) if segment.offset >= end => end = next,
                _ => return Err(self.bad_pax("a sparse map out of order or beyond the file's size")),
            }
            data += segment.length;
        }
        if data != self.data_left() {
            return Err(self.bad_pax("a sparse map that doesn't fit its data"));
        }
        entry.size = real;
        entry.sparse = Some(map);
        Ok(())
    }
}

/// `offset,length,offset,length…`
fn numbers_of(text: &[u8]) -> Result<Vec<u64>, &'static str> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let text = std::str::from_utf8(text).map_err(|_| "a sparse map's number is none")?;
    text.split(',').map(|n| n.parse().map_err(|_| "a sparse map's number is none")).collect()
}
