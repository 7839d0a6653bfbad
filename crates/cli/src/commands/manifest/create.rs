//! `corten manifest create`: images of registries become a list that is kept here.

use std::io::Write as _;

use corten_engine::manifest_list::{Error, ManifestList};
use corten_model::Reference;

use crate::caller::Caller;
use crate::error::Result;

/// Create a local manifest list for annotating and pushing to a registry
#[derive(clap::Args, Debug)]
#[command(override_usage = "corten manifest create MANIFEST_LIST MANIFEST [MANIFEST...]")]
pub struct Args {
    /// The list
    #[arg(required = true, value_name = "MANIFEST_LIST", hide = true)]
    list: Reference,
    /// The images
    #[arg(required = true, value_name = "MANIFEST", hide = true)]
    images: Vec<Reference>,
    /// Amend an existing manifest list
    #[arg(short, long)]
    amend: bool,
    /// Allow communication with an insecure registry
    #[arg(long)]
    insecure: bool,
}

/// Does it.
pub fn run(args: Args, caller: &mut Caller) -> Result<u8> {
    let lists = super::lists(caller)?;
    let mut list = match lists.get(&args.list)? {
        Some(_) if !args.amend => return Err(Error::Exists.into()),
        Some(list) => list,
        None => ManifestList { name: args.list.clone(), entries: Vec::new() },
    };
    let names: Vec<&Reference> = args.images.iter().collect();
    let client = super::client(caller, args.insecure, &names)?;
    for image in &args.images {
        list.add(&client, image)?;
    }
    lists.put(&list)?;
    writeln!(caller.out, "Created manifest list {}", list.name)?;
    Ok(0)
}
