//! `corten import`: an image from a tar of files.

use std::fs::File;
use std::io::Write as _;
use std::os::fd::AsFd as _;
use std::path::Path;

use corten_engine::image::{self, ImportRequest};
use corten_model::platform::Platform;
use corten_model::{Invalid, Reference};

use crate::caller::Caller;
use crate::error::{Failure, Result};
use crate::interrupt::Interrupt;

/// Import the contents from a tarball to create a filesystem image
#[derive(clap::Args, Debug)]
#[command(override_usage = "corten import [OPTIONS] FILE|- [REPOSITORY[:TAG]]")]
pub struct Args {
    /// Apply Dockerfile instruction to the created image
    #[arg(short, long, value_name = "INSTRUCTION")]
    change: Vec<String>,
    /// Set commit message for imported image
    #[arg(short, long, value_name = "TEXT")]
    message: Option<String>,
    /// Set platform of the image (default: this machine's), such as linux/arm64
    #[arg(long, value_name = "PLATFORM")]
    platform: Option<Platform>,
    /// The tar, or `-` for standard input
    #[arg(required = true, value_name = "FILE", hide = true)]
    file: String,
    /// The name that the image gets
    #[arg(value_name = "REPOSITORY[:TAG]", hide = true)]
    reference: Option<Reference>,
}

/// Does it.
pub fn run(args: Args, caller: &mut Caller) -> Result<u8> {
    let request = ImportRequest {
        reference: args.reference,
        changes: args.change,
        message: args.message,
        platform: args.platform,
    };
    let interrupt = Interrupt::prepare()?;
    let mut tar = interrupt.reader(open(&args.file)?);
    let imported = image::import(&mut caller.engine()?, &mut tar, &request);
    let id = match (imported, interrupt.code()) {
        // Whatever the failure is called, it is ours who asked.
        (Err(_), Some(code)) => return Ok(code),
        (imported, _) => imported?,
    };
    writeln!(caller.out, "{id}")?;
    Ok(0)
}

fn open(file: &str) -> Result<File> {
    if file == "-" {
        return Ok(File::from(std::io::stdin().as_fd().try_clone_to_owned()?));
    }
    let path = Path::new(file);
    if !path.exists() && (file.starts_with("http://") || file.starts_with("https://")) {
        let invalid = Invalid::new("file", file, "importing from a URL is not supported");
        return Err(invalid.hint("fetch it first: `curl -L URL | corten import -`").into());
    }
    File::open(path).map_err(|source| Failure::Read { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cant_be_opened_is_said() {
        let check = |file: &str, expected: &str| {
            assert_eq!(open(file).err().map(|failure| failure.to_string()).as_deref(), Some(expected));
        };
        check("/no/such", "read `/no/such`");
        check("https://x/y", "invalid file `https://x/y`: importing from a URL is not supported");
    }
}
