//! `corten manifest rm`: lists are forgotten here; what was pushed stays.

use corten_model::Reference;

use crate::caller::Caller;
use crate::error::{Failure, Result};

/// Delete one or more manifest lists from local storage
#[derive(clap::Args, Debug)]
#[command(override_usage = "corten manifest rm MANIFEST_LIST [MANIFEST_LIST...]")]
pub struct Args {
    /// The lists
    #[arg(required = true, value_name = "MANIFEST_LIST", hide = true)]
    lists: Vec<Reference>,
}

/// Does it.
pub fn run(args: Args, caller: &mut Caller) -> Result<u8> {
    let lists = super::lists(caller)?;
    let mut failed: Vec<Failure> = Vec::new();
    for name in &args.lists {
        failed.extend(lists.remove(name).err().map(Failure::from));
    }
    match failed.len() {
        0 => Ok(0),
        1 => Err(failed.remove(0)),
        _ => Err(Failure::Several(failed)),
    }
}
