//! `corten push`: an image into a registry.

use std::io::Write as _;

use corten_engine::image::{self, PushRequest};
use corten_engine::registry::Cancel;
use corten_model::platform::Platform;
use corten_model::{Invalid, Kind};

use crate::caller::Caller;
use crate::error::{Failure, Result};
use crate::interrupt::Interrupt;
use crate::transfer::{Shown, To};

/// Upload an image to a registry
#[derive(clap::Args, Debug)]
#[command(override_usage = "corten push [OPTIONS] NAME[:TAG]")]
pub struct Args {
    /// Push all tags of an image to the repository
    #[arg(short, long)]
    all_tags: bool,
    /// Push only this platform, such as linux/amd64, as an image of its own
    #[arg(long, value_name = "PLATFORM")]
    platform: Option<Platform>,
    /// Suppress verbose output
    #[arg(short, long)]
    quiet: bool,
    /// Compress layers anew that could go as they came
    #[arg(long)]
    recompress: bool,
    /// The image
    #[arg(value_name = "NAME", hide = true)]
    name: String,
}

/// Does it.
pub fn run(args: Args, caller: &mut Caller) -> Result<u8> {
    let interrupt = Interrupt::prepare()?;
    let cancel = Cancel::new();
    let outcome = interrupt.watch(&|| cancel.cancel(), || push(&args, &cancel, caller))?;
    match (outcome, interrupt.code()) {
        (Err(Failure::Engine(error)), Some(code)) if error.kind() == Kind::Cancelled => Ok(code),
        (outcome, _) => outcome.map(|()| 0),
    }
}

fn push(args: &Args, cancel: &Cancel, caller: &mut Caller) -> Result<()> {
    let client = caller.registries(cancel)?;
    let reference = client.resolve_name(&args.name).map_err(corten_engine::Error::from)?;
    if reference.is_built_in() {
        let why = "images of this registry come with corten: `corten tag` gives it another name";
        return Err(Invalid::new("image reference", &args.name, why).into());
    }
    let last = args.name.rsplit('/').next().unwrap_or(&args.name);
    if args.all_tags && last.contains([':', '@']) {
        return Err(Failure::Conflict("tag can't be used with --all-tags/-a"));
    }
    let shown = Shown::new(To::Output, args.quiet);
    if !args.all_tags && !last.contains([':', '@']) {
        shown.line(&format!("Using default tag: {}", corten_model::reference::DEFAULT_TAG))?;
    }
    let mut engine = caller.engine()?;
    let names = image::pushed_names(&mut engine, &reference, args.all_tags)?;
    shown
        .line(&format!("The push refers to repository [{}/{}]", reference.registry, reference.repository))?;
    let (platform, recompress) = (args.platform.clone(), args.recompress);
    let request = PushRequest { platform, recompress, client: &client, progress: &shown, cancel };
    for name in &names {
        let outcome = image::push(&mut engine, name, &request);
        shown.end()?;
        let outcome = outcome?;
        let tag = name.tag.as_deref().unwrap_or_default();
        shown.line(&format!("{tag}: digest: {} size: {}", outcome.digest, outcome.size_bytes))?;
    }
    if args.quiet {
        let name = if args.all_tags { reference.familiar_repository() } else { reference.to_string() };
        writeln!(caller.out, "{name}")?;
    }
    Ok(())
}
