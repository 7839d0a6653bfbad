//! `corten manifest annotate`: what an image of a list runs on, where its config doesn't say it or says it wrongly.

use corten_model::Reference;

use crate::caller::Caller;
use crate::error::Result;

/// Add additional information to a local image manifest
#[derive(clap::Args, Debug)]
#[command(override_usage = "corten manifest annotate [OPTIONS] MANIFEST_LIST MANIFEST")]
pub struct Args {
    /// The list
    #[arg(required = true, value_name = "MANIFEST_LIST", hide = true)]
    list: Reference,
    /// The image
    #[arg(required = true, value_name = "MANIFEST", hide = true)]
    image: Reference,
    /// Set architecture
    #[arg(long, value_name = "ARCHITECTURE")]
    arch: Option<String>,
    /// Set operating system
    #[arg(long, value_name = "SYSTEM")]
    os: Option<String>,
    /// Set operating system feature
    #[arg(long, value_name = "FEATURE", value_delimiter = ',')]
    os_features: Vec<String>,
    /// Set operating system version
    #[arg(long, value_name = "VERSION")]
    os_version: Option<String>,
    /// Set architecture variant
    #[arg(long, value_name = "VARIANT")]
    variant: Option<String>,
}

/// Does it.
pub fn run(args: Args, caller: &mut Caller) -> Result<u8> {
    let lists = super::lists(caller)?;
    let mut list = lists.existing(&args.list)?;
    let entry = list.entry_mut(&args.image)?;
    let platform = entry.descriptor.platform.get_or_insert_default();
    let set = |slot: &mut String, value: Option<String>| {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            *slot = value;
        }
    };
    set(&mut platform.architecture, args.arch);
    set(&mut platform.os, args.os);
    platform.os_version = args.os_version.filter(|text| !text.is_empty()).or(platform.os_version.take());
    platform.variant = args.variant.filter(|text| !text.is_empty()).or(platform.variant.take());
    if !args.os_features.is_empty() {
        entry.os_features = args.os_features;
    }
    lists.put(&list)?;
    Ok(0)
}
