//! `corten context …`: one file per verb, here what they share.

use corten_model::Invalid;

use crate::error::Result;
use crate::remote::Address;
use crate::remote::contexts::Contexts;

pub mod create;
pub mod export;
pub mod import;
pub mod inspect;
pub mod ls;
pub mod rm;
pub mod show;
pub mod update;
pub mod r#use;

/// `--docker host=ssh://…` or `--docker from=CONTEXT`: where the context is.
fn endpoint(typed: &str, contexts: &Contexts) -> Result<Option<Address>> {
    match typed.split_once('=') {
        Some(("host", "local")) => Ok(None),
        Some(("host", host)) => Ok(Some(Address::parse(host, "--docker")?)),
        Some(("from", name)) => Ok(contexts.get(name)?.address),
        _ => {
            let why = "it is `host=ssh://[USER@]HOST[:PORT][/PATH]` or `from=CONTEXT`";
            Err(Invalid::new("endpoint", typed, why).into())
        }
    }
}
