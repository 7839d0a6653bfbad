//! `corten create`: make a container without starting it.

use std::io::Write as _;

use corten_engine::container;

use crate::caller::Caller;
use crate::cidfile::CidFile;
use crate::container_flags::{Around, ContainerFlags};
use crate::error::Result;

/// Create a new container
#[derive(clap::Args, Debug)]
#[command(override_usage = "corten create [OPTIONS] IMAGE [COMMAND] [ARG...]")]
pub struct Args {
    #[command(flatten)]
    container: ContainerFlags,
}

/// Does it.
pub fn run(args: Args, caller: &mut Caller) -> Result<u8> {
    let cidfile = args.container.cidfile()?;
    let mut request = args.container.request(&Around::OURS)?;
    request.id_file = cidfile.as_ref().map(CidFile::target);
    let created = container::create(&mut caller.engine()?, request)?;
    caller.warn(&created.warnings)?;
    writeln!(caller.out, "{}", created.id)?;
    Ok(0)
}
