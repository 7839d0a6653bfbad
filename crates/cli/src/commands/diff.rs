//! `corten diff`: what a container changed in its image's files.

use std::io::Write as _;
use std::os::unix::ffi::OsStrExt;

use corten_engine::container::{self, ChangeKind};

use crate::caller::Caller;
use crate::error::Result;

/// Inspect changes to files or directories on a container's filesystem
#[derive(clap::Args, Debug)]
#[command(override_usage = "corten diff CONTAINER")]
pub struct Args {
    /// The container
    #[arg(required = true, value_name = "CONTAINER", hide = true)]
    container: String,
}

/// Does it.
pub fn run(args: Args, caller: &mut Caller) -> Result<u8> {
    for change in container::diff(&mut caller.engine()?, &args.container)? {
        let letter = match change.kind {
            ChangeKind::Added => b"A /",
            ChangeKind::Modified => b"C /",
            ChangeKind::Deleted => b"D /",
        };
        // Names are bytes.
        caller.out.write_all(letter)?;
        caller.out.write_all(change.path.as_os_str().as_bytes())?;
        caller.out.write_all(b"\n")?;
    }
    Ok(0)
}
