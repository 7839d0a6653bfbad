//! `corten manifest push`: a list, and what is in it, goes to its registry.

use std::io::Write as _;

use corten_model::Reference;

use crate::caller::Caller;
use crate::error::Result;

/// Push a manifest list to a repository
#[derive(clap::Args, Debug)]
#[command(override_usage = "corten manifest push [OPTIONS] MANIFEST_LIST")]
pub struct Args {
    /// The list
    #[arg(required = true, value_name = "MANIFEST_LIST", hide = true)]
    list: Reference,
    /// Allow push to an insecure registry
    #[arg(long)]
    insecure: bool,
    /// Remove the local manifest list after push
    #[arg(short, long)]
    purge: bool,
}

/// Does it.
pub fn run(args: Args, caller: &mut Caller) -> Result<u8> {
    let lists = super::lists(caller)?;
    let list = lists.existing(&args.list)?;
    let client = super::client(caller, args.insecure, &[&args.list])?;
    let mut pushed = Vec::new();
    let digest = list.push(&client, |entry| pushed.push(entry.descriptor.digest.clone()))?;
    for below in pushed {
        let repository = format!("{}/{}", list.name.registry, list.name.repository);
        writeln!(caller.out, "Pushed ref {repository}@{below} with digest: {below}")?;
    }
    writeln!(caller.out, "{digest}")?;
    if args.purge {
        lists.remove(&args.list)?;
    }
    Ok(0)
}
