//! `corten context inspect`: what is kept of contexts.

use std::io::Write as _;

use serde_json::json;

use crate::caller::Caller;
use crate::commands::inspect;
use crate::error::Result;
use crate::remote::contexts::{self, Contexts};
use crate::template::Template;
use crate::{remote, several, shape};

/// Display detailed information on one or more contexts
#[derive(clap::Args, Debug)]
#[command(override_usage = "corten context inspect [OPTIONS] [CONTEXT...]")]
pub struct Args {
    /// Format output: json, or a template such as '{{.Name}}'
    #[arg(short, long, value_name = "FORMAT")]
    format: Option<String>,
    /// Their names; the current one if none is given
    #[arg(value_name = "CONTEXT", hide = true)]
    names: Vec<String>,
}

/// Does it.
pub fn run(mut args: Args, caller: &mut Caller) -> Result<u8> {
    let kept = Contexts::of(caller)?;
    if args.names.is_empty() {
        args.names.push(remote::chosen(caller)?.context);
    }
    let template = args.format.as_deref().map(Template::parse).transpose()?;
    let (mut found, mut failures) = (Vec::new(), Vec::new());
    for name in &args.names {
        match kept.get(name) {
            Ok(context) => {
                let mut value = contexts::to_json(&context);
                value["TLSMaterial"] = json!({});
                found.push(value);
            }
            Err(failure) => failures.push(failure),
        }
    }
    match template {
        None => caller.out.write_all(&inspect::document(&found))?,
        Some(template) => {
            for value in &found {
                writeln!(caller.out, "{}", template.render(&shape::any(value))?)?;
            }
        }
    }
    several::all(failures).map(|()| 0)
}
