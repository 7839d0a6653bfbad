//! `corten attach`: the streams of a container that runs already.

use corten_engine::container;
use corten_model::ContainerId;
use corten_model::detach_keys::{self, Keys};

use crate::caller::Caller;
use crate::commands::start::is_set;
use crate::error::Result;
use crate::foreground::{Foreground, Left, Wish};

/// Attach local standard input, output, and error streams to a running container
#[derive(clap::Args, Debug)]
#[command(override_usage = "corten attach [OPTIONS] CONTAINER")]
pub struct Args {
    /// Override the key sequence for detaching a container
    #[arg(long, value_name = "KEYS", value_parser = detach_keys::parse)]
    detach_keys: Option<Keys>,
    /// Do not attach STDIN
    #[arg(long)]
    no_stdin: bool,
    /// Proxy received signals to the process (without a TTY only)
    #[arg(long, value_name = "BOOLEAN", num_args = 0..=1, require_equals = true, default_value = "true",
          default_missing_value = "true", value_parser = crate::parse::boolean)]
    sig_proxy: bool,
    /// The container
    #[arg(required = true, value_name = "CONTAINER", hide = true)]
    container: String,
}

/// Does it.
pub fn run(args: Args, caller: &mut Caller) -> Result<u8> {
    let mut engine = caller.engine()?;
    let inspected = container::inspect(&mut engine, &args.container)?;
    let stdin = !args.no_stdin && is_set(&inspected, "OpenStdin");
    let wish = Wish::of_container(is_set(&inspected, "Tty"), stdin, args.sig_proxy);
    let foreground = Foreground::prepare(wish, caller.detach_keys(args.detach_keys)?)?;
    let (mut session, _) = container::attach(&mut engine, &args.container, foreground.attach_options())?;
    match foreground.pump(&mut session, &args.container)? {
        Left::Exited(exit) => {
            if let Some(id) = inspected["Id"].as_str().and_then(|id| id.parse::<ContainerId>().ok()) {
                container::finish(&mut engine, &id, session)?;
            }
            Ok(exit.code)
        }
        Left::Detached(signal) => Ok(Left::detached_code(signal)),
    }
}
