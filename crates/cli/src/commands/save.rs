//! `corten save`: images into an archive or a directory.

use std::fs::File;
use std::io::{self, BufWriter, IsTerminal as _};
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};

use corten_engine::image::{self, Output, SaveFormat, SaveRequest};
use corten_model::platform::Platform;
use corten_model::{Invalid, Kind};

use crate::caller::Caller;
use crate::error::{Failure, Result};
use crate::interrupt::Interrupt;
use crate::output_file::{OutputDirectory, OutputFile};

/// Bytes of headers and small files that are written at once.
const BUFFER_BYTES: usize = 64 << 10;

/// Save one or more images to a tar archive (streamed to STDOUT by default)
#[derive(clap::Args, Debug)]
#[command(override_usage = "corten save [OPTIONS] IMAGE [IMAGE...]")]
pub struct Args {
    /// How it is written: docker (an OCI layout that old Dockers read too), oci-archive, oci-dir or docker-archive
    #[arg(long, value_name = "FORMAT")]
    format: Option<Wanted>,
    /// Write to a file, instead of STDOUT; to a directory if it ends with a slash
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Save only the given platforms, such as linux/amd64,linux/arm64
    #[arg(long, value_name = "PLATFORM", value_delimiter = ',')]
    platform: Vec<Platform>,
    /// The images
    #[arg(required = true, value_name = "IMAGE", hide = true)]
    images: Vec<String>,
}

/// What `--format` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    format: SaveFormat,
    directory: bool,
}

impl std::str::FromStr for Wanted {
    type Err = Invalid;

    fn from_str(text: &str) -> std::result::Result<Self, Invalid> {
        let (format, directory) = match text {
            "docker" => (SaveFormat::Docker, false),
            "oci" | "oci-archive" => (SaveFormat::Oci, false),
            "oci-dir" => (SaveFormat::Oci, true),
            "docker-archive" => (SaveFormat::DockerArchive, false),
            _ => {
                return Err(Invalid::new("format", text, "no such format")
                    .hint("use `docker`, `oci-archive`, `oci-dir` or `docker-archive`"));
            }
        };
        Ok(Self { format, directory })
    }
}

/// Does it.
pub fn run(args: Args, caller: &mut Caller) -> Result<u8> {
    let slash = args.output.as_ref().is_some_and(|path| path.as_os_str().as_encoded_bytes().ends_with(b"/"));
    let wanted = args.format.unwrap_or(Wanted { format: SaveFormat::default(), directory: false });
    let directory = wanted.directory || slash;
    if args.output.is_none() {
        if directory {
            return Err(Failure::Conflict("a directory needs a place: `--output DIRECTORY`"));
        }
        if io::stdout().is_terminal() {
            return Err(Failure::ToTerminal);
        }
    }
    let interrupt = Interrupt::prepare()?;
    let cancelled = || interrupt.came();
    let (images, platforms) = (args.images, args.platform);
    let request = SaveRequest { images, platforms, format: wanted.format, cancelled: &cancelled };
    let saved = match &args.output {
        Some(path) if directory => to_directory(path, &request, caller),
        Some(path) => to_file(path, &request, caller),
        None => to_stdout(&request, caller),
    };
    match (saved, interrupt.code()) {
        (Err(Failure::Engine(error)), Some(code)) if error.kind() == Kind::Cancelled => Ok(code),
        (Err(Failure::Engine(error)), _) if is_broken_pipe(&*error) => {
            Err(Failure::Output(io::ErrorKind::BrokenPipe.into()))
        }
        (saved, _) => saved.map(|()| 0),
    }
}

fn to_directory(path: &Path, request: &SaveRequest<'_>, caller: &mut Caller) -> Result<()> {
    let mut engine = caller.engine()?;
    let output = OutputDirectory::create(path)?;
    image::save(&mut engine, request, Output::Directory(output.path()))?;
    output.keep()
}

fn to_file(path: &Path, request: &SaveRequest<'_>, caller: &mut Caller) -> Result<()> {
    let mut engine = caller.engine()?;
    let mut output = OutputFile::create(path)?;
    let mut buffered = BufWriter::with_capacity(BUFFER_BYTES, output.file());
    image::save(&mut engine, request, Output::Archive(&mut buffered))?;
    drop(buffered);
    output.keep()
}

fn to_stdout(request: &SaveRequest<'_>, caller: &mut Caller) -> Result<()> {
    let mut engine = caller.engine()?;
    // Not Rust's stdout, which looks for line ends.
    let stdout = File::from(io::stdout().as_fd().try_clone_to_owned()?);
    let mut buffered = BufWriter::with_capacity(BUFFER_BYTES, stdout);
    Ok(image::save(&mut engine, request, Output::Archive(&mut buffered))?)
}

/// Whether whoever read our output is gone.
fn is_broken_pipe(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if error.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == io::ErrorKind::BrokenPipe) {
            return true;
        }
        next = error.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats() {
        let wanted = |text: &str| text.parse::<Wanted>().map(|w| (w.format, w.directory)).ok();
        assert_eq!(wanted("docker"), Some((SaveFormat::Docker, false)));
        assert_eq!(wanted("oci-dir"), Some((SaveFormat::Oci, true)));
        assert_eq!(wanted("zip"), None);
    }
}
