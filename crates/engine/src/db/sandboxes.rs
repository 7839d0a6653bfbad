//! Sandboxes: the namespaces that one or more containers share, and the host ids that are theirs while they live.

use std::ops::Range;

use corten_model::SandboxId;
use corten_model::idmap::DEFAULT_RANGE;
use rusqlite::{Connection, OptionalExtension, params};

use super::{Error, Result, doing};

/// The host ids that sandboxes get unless the configuration says otherwise: above systemd's containers (524,288 to
/// 1,879,048,191) and above what distributions put into /etc/subuid, below systemd's foreign ids (from 2,147,352,576).
pub const POOL: Range<u32> = 0x7000_0000..0x7FFE_0000;

/// Where the ids of sandboxes come from.
#[derive(Debug, Clone)]
pub struct Pool {
    /// All of them.
    pub range: Range<u32>,
    /// Those that others have: from /etc/subuid and /etc/subgid.
    pub taken: Vec<Range<u32>>,
}

/// Host ids, first and count, and the claim on them.
pub type Claimed<C> = ((u32, u32), C);

/// Inserts a sandbox, with the host ids that it has: first and count.
pub fn insert(
    connection: &Connection,
    id: &SandboxId,
    range: Option<(u32, u32)>,
    created_ns: i64,
) -> Result<()> {
    let insert = "INSERT INTO sandboxes (id, uid_base, uid_count, created_ns) VALUES (?1, ?2, ?3, ?4)";
    let values = params![id.as_str(), range.map(|r| r.0), range.map(|r| r.1), created_ns];
    doing("insert a sandbox", connection.execute(insert, values))?;
    Ok(())
}

/// Whether the sandbox is there.
pub fn exists(connection: &Connection, id: &SandboxId) -> Result<bool> {
    let found =
        connection.query_row("SELECT 1 FROM sandboxes WHERE id = ?1", [id.as_str()], |_| Ok(())).optional();
    Ok(doing("look a sandbox up", found)?.is_some())
}

/// The ids that the sandbox has now: first and count.
pub fn range(connection: &Connection, id: &SandboxId) -> Result<Option<(u32, u32)>> {
    let query = "SELECT uid_base, uid_count FROM sandboxes WHERE id = ?1 AND uid_base IS NOT NULL";
    let found = connection.query_row(query, [id.as_str()], |row| Ok((row.get(0)?, row.get(1)?))).optional();
    doing("read a sandbox's ids", found)
}

/// Finds `ranges` × 65,536 host ids of the pool for the sandbox that no living one has, and that `claim` takes: other
/// stores have theirs out of the same pool. First, count, and the claim; `None`: the pool is used up.
///
/// The rows are looked at with the claim in hand, so it needs no transaction: who claimed the same ids before holds
/// them still, or has its row there.
///
/// The search begins at a place drawn from the id, so that it ends at once while the pool is not nearly full, and
/// ids of a container that ended are not the next one's.
pub fn find_range<C, E: From<Error>>(
    connection: &Connection,
    id: &SandboxId,
    ranges: u32,
    pool: &Pool,
    mut claim: impl FnMut(Range<u32>) -> std::result::Result<Option<C>, E>,
) -> std::result::Result<Option<Claimed<C>>, E> {
    let slots = pool.range.end.saturating_sub(pool.range.start) / DEFAULT_RANGE;
    let count = ranges * DEFAULT_RANGE;
    let start = u32::from_str_radix(&id.as_str()[..7], 16).expect("an id is hex") % slots.max(1);
    for slot in (start..slots).chain(0..start) {
        let base = pool.range.start + slot * DEFAULT_RANGE;
        let Some(end) = base.checked_add(count).filter(|end| *end <= pool.range.end) else { continue };
        if pool.taken.iter().any(|t| t.start < end && base < t.end) {
            continue;
        }
        let Some(claimed) = claim(base..end)? else { continue };
        let query = "SELECT 1 FROM sandboxes WHERE uid_base < ?1 AND uid_base + uid_count > ?2 LIMIT 1";
        let other = connection.query_row(query, params![end, base], |_| Ok(())).optional();
        if doing("look for free ids", other)?.is_none() {
            return Ok(Some(((base, count), claimed)));
        }
    }
    Ok(None)
}

/// Gives the sandbox these host ids.
pub fn set_range(connection: &Connection, id: &SandboxId, (base, count): (u32, u32)) -> Result<()> {
    let update = "UPDATE sandboxes SET uid_base = ?2, uid_count = ?3 WHERE id = ?1";
    doing("take ids", connection.execute(update, params![id.as_str(), base, count]))?;
    Ok(())
}

/// Gives the sandbox's ids back if none of its containers is alive any more.
pub fn release_range(connection: &Connection, id: &SandboxId) -> Result<()> {
    let update = "UPDATE sandboxes SET uid_base = NULL, uid_count = NULL WHERE id = ?1 AND NOT EXISTS
        (SELECT 1 FROM containers WHERE sandbox = ?1
            AND (wanted = 'running' OR status IN ('running', 'paused', 'restarting')))";
    doing("give ids back", connection.execute(update, [id.as_str()]))?;
    Ok(())
}

/// Removes the sandbox if no container belongs to it any more.
pub fn remove_if_empty(connection: &Connection, id: &SandboxId) -> Result<()> {
    let removed = || connection.prepare_cached(DELETE)?.execute([id.as_str()]);
    doing("remove a sandbox", removed())?;
    Ok(())
}

const DELETE: &str =
    "DELETE FROM sandboxes WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM containers WHERE sandbox = ?1)";

/// Compiles what a removal needs.
pub fn prepare_removal(connection: &Connection) {
    // What is wrong with it is told when it runs.
    drop(connection.prepare_cached(DELETE));
}

#[cfg(test)]
mod tests {
    use super::super::Database;
    use super::*;

    #[test]
    fn living_sandboxes_never_share_ids() {
        let dir = tempfile::tempdir().unwrap();
        let mut database = Database::open(dir.path()).unwrap();
        // The same first digits: all begin their search at the same place.
        let id = |n: u8| SandboxId::from_bytes(std::array::from_fn(|i| if i == 31 { n } else { 0 }));
        let distinct: Vec<_> = (0..4).map(id).collect();
        let mut seen: Vec<(u32, u32)> = Vec::new();
        database
            .write(|t| -> Result<()> {
                for id in &distinct {
                    insert(t, id, None, 0)?;
                    let others = POOL.start..POOL.start + 10;
                    let pool = Pool { range: POOL, taken: vec![others] };
                    let found = find_range(t, id, 2, &pool, |_| Ok::<_, Error>(Some(())))?;
                    let (range, ()) = found.expect("there is room");
                    set_range(t, id, range)?;
                    assert!(range.0 >= POOL.start + DEFAULT_RANGE, "subuid's range is left alone");
                    assert!(
                        seen.iter().all(|s| s.0 + s.1 <= range.0 || range.0 + range.1 <= s.0),
                        "{seen:?} {range:?}"
                    );
                    seen.push(range);
                }
                release_range(t, &distinct[0])?;
                assert_eq!(super::range(t, &distinct[0])?, None);
                // Another store has the first one that is free here.
                let mut asked = Vec::new();
                let pool = Pool { range: POOL, taken: Vec::new() };
                let found = find_range(t, &distinct[0], 2, &pool, |range| {
                    asked.push(range.start);
                    Ok::<_, Error>((asked.len() > 1).then_some(()))
                })?;
                assert_eq!(found.map(|((base, _), ())| base), asked.last().copied());
                Ok(())
            })
            .unwrap();
    }
}
