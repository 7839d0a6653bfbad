//! `corten cp`: files between a container and the host.

use std::io::{IsTerminal as _, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use corten_engine::container::{self, CopyOptions, Incoming, Outgoing};
use corten_model::bytes;

use crate::caller::Caller;
use crate::error::{Failure, Result};

/// Copy files/folders between a container and the local filesystem
///
/// Use '-' as the source to read a tar archive from stdin and extract it to a directory destination in a container.
/// Use '-' as the destination to stream a tar archive of a container source to stdout.
#[derive(clap::Args, Debug)]
#[command(
    override_usage = "corten cp [OPTIONS] CONTAINER:SRC_PATH DEST_PATH|-\n       corten cp [OPTIONS] SRC_PATH|- CONTAINER:DEST_PATH"
)]
pub struct Args {
    /// Archive mode (copy all uid/gid information)
    #[arg(short, long)]
    archive: bool,
    /// Always follow symlinks in SRC_PATH
    #[arg(short = 'L', long)]
    follow_link: bool,
    /// Suppress progress output during copy. Progress output is automatically suppressed if no terminal is attached
    #[arg(short, long)]
    quiet: bool,
    /// Where from
    #[arg(required = true, value_name = "SRC_PATH", hide = true)]
    source: String,
    /// Where to
    #[arg(required = true, value_name = "DEST_PATH", hide = true)]
    destination: String,
}

/// One side of a copy.
#[derive(Debug, PartialEq, Eq)]
enum Side<'a> {
    Container { name: &'a str, path: &'a str },
    Local(&'a str),
}

/// What a word means: a container's name ends at the first colon; a path that is absolute or begins with a dot has none.
fn side(text: &str) -> Side<'_> {
    match text.split_once(':') {
        Some((name, path)) if !text.starts_with(['/', '.']) => Side::Container { name, path },
        _ => Side::Local(text),
    }
}

/// Does it.
pub fn run(args: Args, caller: &mut Caller) -> Result<u8> {
    let options = CopyOptions { archive: args.archive, follow_link: args.follow_link };
    let (size_bytes, to) = match (side(&args.source), side(&args.destination)) {
        (Side::Local(local), Side::Container { name, path }) => {
            let mut engine = caller.engine()?;
            let size = if local == "-" {
                let mut stdin = std::io::stdin().lock();
                container::copy_in(&mut engine, name, path, Incoming::Stream(&mut stdin), options)?
            } else {
                container::copy_in(&mut engine, name, path, Incoming::Path(absolute(local)?), options)?
            };
            (size, args.destination.as_str())
        }
        (Side::Container { name, path }, Side::Local("-")) => {
            if std::io::stdout().is_terminal() {
                return Err(Failure::ToTerminal);
            }
            let mut engine = caller.engine()?;
            container::copy_out(&mut engine, name, path, Outgoing::Stream(&mut caller.out), options)?;
            return Ok(0);
        }
        (Side::Container { name, path }, Side::Local(local)) => {
            let to = Outgoing::Path(absolute(local)?);
            (container::copy_out(&mut caller.engine()?, name, path, to, options)?, local)
        }
        (Side::Container { .. }, Side::Container { .. }) => {
            return Err(arguments("copying between containers is not supported"));
        }
        (Side::Local(_), Side::Local(_)) => {
            return Err(arguments("one of the two paths is in a container: `CONTAINER:PATH`"));
        }
    };
    if !args.quiet && std::io::stdout().is_terminal() {
        writeln!(std::io::stderr(), "Successfully copied {} to {to}", bytes::human(size_bytes))?;
    }
    Ok(0)
}

fn arguments(why: &str) -> Failure {
    Failure::Arguments { verb: "corten cp".into(), why: why.into() }
}

/// With what its end says of it: `dir/` and `dir/.` stay different from `dir`.
fn absolute(local: &str) -> Result<PathBuf> {
    let path = Path::new(local);
    let failed = |source| Failure::Read { path: path.to_owned(), source };
    if path.is_absolute() {
        return Ok(path.to_owned());
    }
    let here = std::env::current_dir().map_err(failed)?;
    Ok(PathBuf::from(std::ffi::OsStr::from_bytes(
        &[here.as_os_str().as_bytes(), local.as_bytes()].join(&b'/'),
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn which_side_is_the_container() {
        let check = |text: &str, expected: Side<'_>| assert_eq!(side(text), expected, "{text}");
        check("web:/etc", Side::Container { name: "web", path: "/etc" });
        check("web:etc:x", Side::Container { name: "web", path: "etc:x" });
        check("web:", Side::Container { name: "web", path: "" });
        for local in ["-", "file", "/a:b", "./a:b", "../a:b", ".a:b"] {
            check(local, Side::Local(local));
        }
    }

    #[test]
    fn the_end_of_a_local_path_is_kept() {
        assert_eq!(absolute("/a/b/.").unwrap().as_os_str(), "/a/b/.");
        assert!(absolute("dir/.").unwrap().as_os_str().as_bytes().ends_with(b"/dir/."));
        assert!(absolute(".").unwrap().as_os_str().as_bytes().ends_with(b"/."));
    }
}
