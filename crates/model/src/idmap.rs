//! Maps from ids inside a user namespace to ids outside.

use serde::{Deserialize, Serialize};

/// Ids of one container by default: 0 to 65,535.
pub const DEFAULT_RANGE: u32 = 65_536;

/// The most ids above [`DEFAULT_RANGE`] that one container can have mapped: the kernel takes 340 lines in a map.
pub const HIGH_IDS_MAX: usize = 300;

/// One line of `/proc/<pid>/uid_map`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extent {
    /// First id inside.
    pub inside: u32,
    /// First id outside.
    pub outside: u32,
    /// How many ids.
    pub count: u32,
}

/// The maps of a user namespace.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdMap {
    /// Lines of `uid_map`.
    pub uids: Vec<Extent>,
    /// Lines of `gid_map`.
    pub gids: Vec<Extent>,
}

impl IdMap {
    /// The same contiguous range for uids and gids.
    pub fn contiguous(outside: u32, count: u32) -> Self {
        let extent = Extent { inside: 0, outside, count };
        Self { uids: vec![extent], gids: vec![extent] }
    }

    /// The first 65,536 ids, and each of `high` (ascending, all above those) as an id of its own; `outside` is the first
    /// of as many ids.
    pub fn with_high(outside: u32, high: &[u32]) -> Self {
        let mut map = Self::contiguous(outside, DEFAULT_RANGE);
        for (inside, at) in high.iter().zip(outside + DEFAULT_RANGE..) {
            map.uids.push(Extent { inside: *inside, outside: at, count: 1 });
        }
        map.gids = map.uids.clone();
        map
    }

    /// One id only: `uid` and `gid` outside are 0 inside.
    pub fn single(uid: u32, gid: u32) -> Self {
        Self {
            uids: vec![Extent { inside: 0, outside: uid, count: 1 }],
            gids: vec![Extent { inside: 0, outside: gid, count: 1 }],
        }
    }

    /// The uid outside of a uid inside.
    pub fn uid_outside(&self, inside: u32) -> Option<u32> {
        outside(&self.uids, inside)
    }

    /// The gid outside of a gid inside.
    pub fn gid_outside(&self, inside: u32) -> Option<u32> {
        outside(&self.gids, inside)
    }
}

fn outside(extents: &[Extent], inside: u32) -> Option<u32> {
    extents
        .iter()
        .find(|e| inside >= e.inside && inside - e.inside < e.count)
        .map(|e| e.outside + (inside - e.inside))
}

/// The text of `uid_map` or `gid_map` for these extents.
pub fn lines(extents: &[Extent]) -> String {
    extents.iter().map(|e| format!("{} {} {}\n", e.inside, e.outside, e.count)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn high_ids_are_mapped_one_by_one() {
        let map = IdMap::with_high(1 << 20, &[70_000, 3_000_000]);
        assert_eq!(map.uid_outside(65_535), Some((1 << 20) + 65_535));
        assert_eq!(map.gid_outside(70_000), Some((1 << 20) + 65_536));
        assert_eq!(map.uid_outside(3_000_000), Some((1 << 20) + 65_537));
        assert_eq!(map.uid_outside(70_001), None);
    }

    #[test]
    fn ids_are_shifted_by_their_extent() {
        let mut map = IdMap::contiguous(200_000, 65_536);
        map.uids.push(Extent { inside: 70_000, outside: 400_000, count: 1 });
        assert_eq!(map.uid_outside(0), Some(200_000));
        assert_eq!(map.uid_outside(65_535), Some(265_535));
        assert_eq!(map.uid_outside(65_536), None);
        assert_eq!(map.uid_outside(70_000), Some(400_000));
        assert_eq!(lines(&map.uids), "0 200000 65536\n70000 400000 1\n");
    }
}
