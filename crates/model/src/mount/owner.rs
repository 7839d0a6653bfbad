//! Whose files those of a mount's owner are in the container: `idmap`, `uid=` and `gid=`.

use serde::{Deserialize, Serialize};

use crate::idmap::{Extent, IdMap};

/// The largest id there is; the one above it means none.
const ID_MAX: u32 = u32::MAX - 1;

/// Whose files the source's owner's are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Owner {
    /// The same number on both sides.
    #[default]
    Plain,
    /// These ids', and theirs are the source's owner's: the two change places. An absent one stays.
    As {
        /// The user in the container.
        uid: Option<u32>,
        /// The group in the container.
        gid: Option<u32>,
    },
}

impl Owner {
    /// `idmap`: the source's owner is the container's root.
    pub const ROOT: Owner = Owner::As { uid: Some(0), gid: Some(0) };

    /// Whether nothing changes.
    pub fn is_plain(&self) -> bool {
        *self == Owner::Plain
    }

    /// The ids in files, mapped to ids of the host, for a source whose owner is `on_disk`: what `container` (absent: in the
    /// host's user namespace) does with ids, after the two have changed places.
    pub fn map(&self, on_disk: (u32, u32), container: Option<&IdMap>) -> IdMap {
        let (uid, gid) = match self {
            Owner::Plain => (None, None),
            Owner::As { uid, gid } => (*uid, *gid),
        };
        let whole = || vec![Extent { inside: 0, outside: 0, count: ID_MAX }];
        let (uids, gids) =
            container.map_or_else(|| (whole(), whole()), |map| (map.uids.clone(), map.gids.clone()));
        IdMap { uids: swap(&uids, on_disk.0, uid), gids: swap(&gids, on_disk.1, gid) }
    }
}

/// `extents` with what `a` and `b` are mapped to exchanged.
fn swap(extents: &[Extent], a: u32, b: Option<u32>) -> Vec<Extent> {
    let Some(b) = b.filter(|b| *b != a) else { return extents.to_vec() };
    let find = |id: u32| {
        extents
            .iter()
            .find(|e| id >= e.inside && id - e.inside < e.count)
            .map(|e| e.outside + (id - e.inside))
    };
    let mut swapped = Vec::new();
    for extent in extents {
        let end = u64::from(extent.inside) + u64::from(extent.count);
        let mut cuts: Vec<u64> = [a, b].into_iter().map(u64::from).flat_map(|id| [id, id + 1]).collect();
        cuts.sort_unstable();
        let mut start = u64::from(extent.inside);
        for cut in cuts.into_iter().filter(|cut| *cut > u64::from(extent.inside) && *cut < end).chain([end]) {
            let piece = Extent {
                inside: start as u32,
                outside: extent.outside + (start as u32 - extent.inside),
                count: (cut - start) as u32,
            };
            if piece.count > 0 && piece.inside != a && piece.inside != b {
                swapped.push(piece);
            }
            start = cut;
        }
    }
    for (inside, outside) in [(a, find(b)), (b, find(a))] {
        swapped.extend(outside.map(|outside| Extent { inside, outside, count: 1 }));
    }
    swapped.sort_unstable_by_key(|e| e.inside);
    swapped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_ids_change_places() {
        let check = |owner: Owner, on_disk: u32, expected: &[(u32, u32, u32)]| {
            let container = IdMap::contiguous(100_000, 65_536);
            let map = owner.map((on_disk, 0), Some(&container));
            let got: Vec<_> = map.uids.iter().map(|e| (e.inside, e.outside, e.count)).collect();
            assert_eq!(got, expected, "{owner:?} {on_disk}");
        };
        check(Owner::Plain, 1000, &[(0, 100_000, 65_536)]);
        check(Owner::ROOT, 0, &[(0, 100_000, 65_536)]);
        let rest = (1001, 101_001, 64_535);
        check(Owner::ROOT, 1000, &[(0, 101_000, 1), (1, 100_001, 999), (1000, 100_000, 1), rest]);
        let user = Owner::As { uid: Some(1), gid: None };
        check(user, 0, &[(0, 100_001, 1), (1, 100_000, 1), (2, 100_002, 65_534)]);
        // An owner that the container's map lacks takes the place of the one that it is shown as.
        check(Owner::ROOT, 70_000, &[(1, 100_001, 65_535), (70_000, 100_000, 1)]);
        assert_eq!(
            Owner::ROOT.map((5, 5), None).gids,
            [(0, 5, 1), (1, 1, 4), (5, 0, 1), (6, 6, u32::MAX - 7)].map(|(inside, outside, count)| Extent {
                inside,
                outside,
                count
            })
        );
    }
}
