//! `corten exec`: one more process in a container that runs.

use std::path::PathBuf;

use corten_engine::container::{self, ExecRequest};
use corten_model::detach_keys::{self, Keys};
use corten_model::user::UserSpec;

use crate::caller::{self, Caller};
use crate::container_flags;
use crate::error::{Failure, Result};
use crate::foreground::{Foreground, Left, OnSignal, Wish};

/// Execute a command in a running container
#[derive(clap::Args, Debug)]
#[command(override_usage = "corten exec [OPTIONS] CONTAINER COMMAND [ARG...]")]
pub struct Args {
    /// Detached mode: run command in the background
    #[arg(short, long)]
    detach: bool,
    /// Override the key sequence for detaching a container
    #[arg(long, value_name = "KEYS", value_parser = detach_keys::parse)]
    detach_keys: Option<Keys>,
    /// Set environment variables; one without a value gets yours
    #[arg(short, long, value_name = "KEY[=VALUE]")]
    env: Vec<String>,
    /// Read in a file of environment variables
    #[arg(long, value_name = "FILE")]
    env_file: Vec<PathBuf>,
    /// Keep STDIN open even if not attached
    #[arg(short, long)]
    interactive: bool,
    /// Give extended privileges to the command
    #[arg(long)]
    privileged: bool,
    /// Allocate a pseudo-TTY
    #[arg(short, long)]
    tty: bool,
    /// Username or UID (format: <name|uid>[:<group|gid>])
    #[arg(short, long)]
    user: Option<UserSpec>,
    /// Working directory inside the container
    #[arg(short, long, value_name = "DIR")]
    workdir: Option<String>,
    /// The container, the command and its arguments
    #[arg(required = true, trailing_var_arg = true, value_name = "CONTAINER", hide = true)]
    words: Vec<String>,
}

/// Does it.
pub fn run(mut args: Args, caller: &mut Caller) -> Result<u8> {
    let target = args.words.remove(0);
    if args.words.is_empty() {
        let why = "a command is missing".into();
        return Err(Failure::Arguments { verb: "corten exec".into(), why });
    }
    let mut request = ExecRequest {
        cmd: args.words,
        env: container_flags::variables(&args.env_file, &args.env, &caller::variable)?,
        user: args.user,
        working_dir: args.workdir.filter(|dir| !dir.is_empty()),
        tty: args.tty,
        privileged: args.privileged,
        attach: None,
    };
    if args.detach {
        container::exec(&mut caller.engine()?, &target, request)?;
        return Ok(0);
    }
    // Docker forwards no signal to an exec: `^C` ends the client alone, the command runs on.
    let wish = Wish { on_signal: OnSignal::Leave, ..Wish::of_container(args.tty, args.interactive, false) };
    let foreground = Foreground::prepare(wish, caller.detach_keys(args.detach_keys)?)?;
    request.attach = Some(foreground.attach_options());
    let mut engine = caller.engine()?;
    let outcome = container::exec(&mut engine, &target, request);
    caller.timed(&mut engine);
    let (_, session) = outcome?;
    let mut session = session.expect("streams were asked for");
    let left = foreground.pump(&mut session, &target)?;
    caller.timings.mark("exited");
    match left {
        Left::Exited(exit) => Ok(exit.code),
        Left::Detached(signal) => Ok(Left::detached_code(signal)),
    }
}
