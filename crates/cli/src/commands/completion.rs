//! `corten completion`: the script that makes a shell ask what can be typed.

use clap::ValueEnum;

use crate::caller::Caller;
use crate::error::Result;

/// Print the script that completes commands, flags and names in your shell
#[derive(clap::Args, Debug)]
#[command(override_usage = "corten completion bash|zsh|fish")]
pub struct Args {
    /// The shell
    #[arg(required = true, value_name = "SHELL", hide = true)]
    shell: Shell,
}

/// The shells that have one.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Shell {
    Bash,
    Zsh,
    Fish,
}

/// Does it.
pub fn run(args: Args, caller: &mut Caller) -> Result<u8> {
    let script = match args.shell {
        Shell::Bash => include_str!("../completion/bash.sh"),
        Shell::Zsh => include_str!("../completion/zsh.sh"),
        Shell::Fish => include_str!("../completion/fish.sh"),
    };
    let script = script.replace("@NAME@", caller.program);
    caller.show(&script)
}
