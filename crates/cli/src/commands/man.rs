//! `corten man`: the manual as files.

use std::path::PathBuf;

use clap::ValueEnum;

use crate::caller::Caller;
use crate::error::{Failure, Result};
use crate::reference::{self, man, markdown};

/// Write the manual: a page for each command, and one about the configuration
#[derive(clap::Args, Debug)]
#[command(override_usage = "corten man [OPTIONS] DIRECTORY")]
pub struct Args {
    /// The form of the pages: man or markdown
    #[arg(long, value_name = "FORM", default_value = "man", hide_possible_values = true)]
    format: Form,
    /// Where to; pages that are there are replaced
    #[arg(required = true, value_name = "DIRECTORY", hide = true)]
    directory: PathBuf,
}

/// What pages look like.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Form {
    Man,
    Markdown,
}

/// Does it.
pub fn run(args: Args, caller: &mut Caller) -> Result<u8> {
    let pages = reference::pages();
    let files = match args.format {
        Form::Man => man::files(&pages),
        Form::Markdown => markdown::files(&pages),
    };
    std::fs::create_dir_all(&args.directory)
        .map_err(|source| Failure::Write { path: args.directory.clone(), source })?;
    for (name, text) in &files {
        let path = args.directory.join(name);
        std::fs::write(&path, text).map_err(|source| Failure::Write { path, source })?;
    }
    caller.show(&format!("{} pages\n", files.len()))
}
