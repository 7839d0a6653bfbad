//! An archive that is read once: layers go straight into the store where their turn has come, and what came too early
//! waits in the spool.
//!
//! Most writers put the documents last; then everything is spooled once. Ours come first, so nothing is. Whether it
//! is known yet what a file is for is tried whenever the document came by that was missing.

use std::io::Read;

use corten_storage::{Limits, Members, Spool};

use super::files::{Files, Table, promised};
use super::plan::{self, INDEX, Plan};
use super::verified::Verified;
use super::{Cancellable, Loading, limits};
use crate::Error;
use crate::document::DOCUMENT_BYTES_MAX;

/// Plans that are tried before the end: each parses all documents that are there.
const TRIES_MAX: u32 = 64;

/// Takes the plain archive in `reader` to its end.
pub(super) fn take(loading: &mut Loading<'_>, reader: &mut dyn Read) -> Result<(Table, Spool), Error> {
    let bounds: Limits = limits();
    let mut reader = Cancellable { reader, cancelled: loading.options.cancelled };
    let mut taking = Taking {
        table: Table::default(),
        spool: loading.store.spool().map_err(Error::Spool)?,
        plan: None,
        waits_for: Some(INDEX.to_owned()),
        tries: 0,
    };
    let taken = taking.all(loading, Members::new(&mut reader, &bounds));
    if taken.is_err() {
        loading.go_on()?;
    }
    taken.map(|()| (taking.table, taking.spool))
}

/// Which side of the spool failed.
fn kept(error: corten_storage::Error) -> Error {
    match error {
        corten_storage::Error::Tar(_) => Error::Archive(error),
        other => Error::Spool(other),
    }
}

struct Taking {
    table: Table,
    spool: Spool,
    /// As soon as it is known.
    plan: Option<Plan>,
    /// The document without which there is no plan.
    waits_for: Option<String>,
    tries: u32,
}

impl Taking {
    fn all(&mut self, loading: &mut Loading<'_>, mut members: Members<'_>) -> Result<(), Error> {
        while let Some(member) = members.next_member().map_err(Error::Archive)? {
            let Some(name) = self.table.take(&member)? else { continue };
            if self.pass(loading, &name, &mut members, member.size)? {
                continue;
            }
            let at = match promised(&name) {
                None => self.spool.keep(&mut members, member.size).map_err(kept)?,
                Some(digest) => {
                    let mut verified = Verified::new(&mut members, &digest, member.size);
                    let at = self.spool.keep(&mut verified, member.size).map_err(kept)?;
                    verified.finish()?;
                    at
                }
            };
            self.table.place(name.clone(), at, member.size);
            if member.size <= DOCUMENT_BYTES_MAX && self.waits_for.as_ref() == Some(&name) {
                self.try_plan(loading)?;
            }
        }
        members.finish().map_err(Error::Archive)
    }

    /// Uses a file right now, or lets it go by; false: it has to be kept.
    fn pass(
        &self,
        loading: &mut Loading<'_>,
        name: &str,
        data: &mut impl Read,
        size: u64,
    ) -> Result<bool, Error> {
        let Some(plan) = &self.plan else { return Ok(false) };
        let here = loading.store.layers();
        let mut wanted = None;
        for image in &plan.images {
            for (depth, layer) in image.layers.iter().enumerate() {
                if layer.file != name || here.exists(&layer.chain_id) {
                    continue;
                }
                let parent = depth.checked_sub(1).map(|below| &image.layers[below].chain_id);
                match wanted {
                    // Two layers of the same bytes on different ones below.
                    Some((_, known)) if known != parent => return Ok(false),
                    _ => wanted = Some((layer, parent)),
                }
            }
        }
        match wanted {
            // A blob that nobody asks for, or whose layer is here.
            None => Ok(promised(name).is_some()),
            Some((_, Some(parent))) if !here.exists(parent) => Ok(false),
            Some((layer, parent)) => loading.layer(data, size, layer, parent).map(|()| true),
        }
    }

    fn try_plan(&mut self, loading: &Loading<'_>) -> Result<(), Error> {
        self.tries += 1;
        if self.tries > TRIES_MAX {
            self.waits_for = None;
            return Ok(());
        }
        let table = std::mem::take(&mut self.table);
        let files = Files::Archive { table, file: self.spool.file() };
        let planned = plan::plan(&files, &loading.options.platforms, true);
        if let Files::Archive { table, .. } = files {
            self.table = table;
        }
        match planned {
            Ok(plan) => (self.plan, self.waits_for) = (Some(plan), None),
            Err(Error::Missing { name }) => self.waits_for = Some(name),
            Err(error) => return Err(error),
        }
        Ok(())
    }
}
