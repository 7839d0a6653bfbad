//! `corten logout`: a registry's login is forgotten.

use std::io::Write as _;

use corten_engine::registry::credentials::{Credentials as _, Kept};

use crate::caller::Caller;
use crate::error::Result;
use crate::registries::{login_places, registry_of, shown_registry};

/// Log out from a registry
///
/// Defaults to Docker Hub if no server is specified.
#[derive(clap::Args, Debug)]
#[command(override_usage = "corten logout [SERVER]")]
pub struct Args {
    /// The registry
    #[arg(value_name = "SERVER", hide = true)]
    server: Option<String>,
}

/// Does it.
pub fn run(args: Args, caller: &mut Caller) -> Result<u8> {
    let host = registry_of(args.server.as_deref())?;
    let shown = shown_registry(&host);
    if Kept::new(login_places()).erase(&host)? {
        writeln!(caller.out, "Removing login credentials for {shown}")?;
    } else {
        writeln!(caller.out, "Not logged in to {shown}")?;
    }
    Ok(0)
}
