//! Commands of `manifest`: what a registry has below a name, and one name for the same image on several platforms.

pub mod annotate;
pub mod create;
pub mod inspect;
pub mod push;
pub mod rm;

use corten_engine::manifest_list::ManifestLists;
use corten_engine::registry::settings::HostPattern;
use corten_engine::registry::{Cancel, Client};
use corten_model::Reference;

use crate::caller::Caller;
use crate::error::Result;

/// Where lists are kept until they are pushed: in the store, which is made if it isn't there.
fn lists(caller: &mut Caller) -> Result<ManifestLists> {
    let engine = caller.engine()?;
    Ok(ManifestLists::at(engine.roots().data.join("manifests")))
}

/// Whoever speaks with registries; with `--insecure` those of `names` aren't verified.
fn client(caller: &Caller, insecure: bool, names: &[&Reference]) -> Result<Client> {
    let mut also = Vec::new();
    for name in names.iter().filter(|_| insecure) {
        also.push(name.registry.parse::<HostPattern>()?);
    }
    caller.registries_trusting(also, &Cancel::new())
}
