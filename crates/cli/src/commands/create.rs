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
    let pulling = args.container.pulling();
    let mut request = args.container.request(&Around::OURS)?;
    request.id_file = cidfile.as_ref().map(CidFile::target);
    pulling.around(&request.image, caller, &mut |caller| {
        let created = container::create(&mut caller.engine()?, request.clone())?;
        caller.warn(&created.warnings)?;
        writeln!(caller.out, "{}", created.id)?;
        Ok(0)
    })
}
