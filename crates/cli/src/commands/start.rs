//! `corten start`: start containers that are made or have ended.

use corten_engine::container;
use corten_model::detach_keys::{self, Keys};
use serde_json::Value;

use crate::caller::Caller;
use crate::error::{Failure, Result};
use crate::foreground::{Foreground, Left, Wish};
use crate::several;

/// Start one or more stopped containers
#[derive(clap::Args, Debug)]
#[command(override_usage = "corten start [OPTIONS] CONTAINER [CONTAINER...]")]
pub struct Args {
    /// Attach STDOUT/STDERR and forward signals
    #[arg(short, long)]
    attach: bool,
    /// Attach container's STDIN
    #[arg(short, long)]
    interactive: bool,
    /// Override the key sequence for detaching a container
    #[arg(long, value_name = "KEYS", value_parser = detach_keys::parse)]
    detach_keys: Option<Keys>,
    /// The containers
    #[arg(required = true, value_name = "CONTAINER", hide = true)]
    containers: Vec<String>,
}

/// Does it.
pub fn run(args: Args, caller: &mut Caller) -> Result<u8> {
    if args.attach || args.interactive {
        return match args.containers.as_slice() {
            [container] => attached(container, args.interactive, args.detach_keys, caller),
            _ => Err(Failure::Conflict("only one container can be started and attached to at once")),
        };
    }
    let mut engine = caller.engine()?;
    several::each_named(&args.containers, caller, |target, caller| {
        let started = container::start(&mut engine, target, None)?;
        caller.warn(&started.warnings)
    })
}

fn attached(target: &str, interactive: bool, keys: Option<Keys>, caller: &mut Caller) -> Result<u8> {
    let mut engine = caller.engine()?;
    let config = container::inspect(&mut engine, target)?;
    let stdin = interactive && is_set(&config, "OpenStdin");
    let wish = Wish::of_container(is_set(&config, "Tty"), stdin, true);
    let foreground = Foreground::prepare(wish, caller.detach_keys(keys)?)?;
    let started = container::start(&mut engine, target, Some(foreground.attach_options()))?;
    caller.warn(&started.warnings)?;
    let mut session = started.session.expect("streams were asked for");
    match foreground.pump(&mut session, target)? {
        Left::Exited(exit) => {
            container::finish(&mut engine, &started.id, session)?;
            Ok(exit.code)
        }
        Left::Detached(signal) => Ok(Left::detached_code(signal)),
    }
}

/// A flag in the `Config` of an inspected container.
pub fn is_set(inspected: &Value, flag: &str) -> bool {
    inspected["Config"][flag].as_bool().unwrap_or(false)
}
