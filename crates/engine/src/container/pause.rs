//! Letting a container stand still, and go on.

use super::{reconcile, resolve};
use crate::call::{self, Line};
use crate::error::Doing;
use crate::keeper::protocol::Request;
use crate::{Engine, Error, Result};

/// Freezes all processes of a running container.
pub fn pause(engine: &mut Engine, target: &str) -> Result<()> {
    ask(engine, target, &Request::Pause { hold: false }).doing("pause container", target)
}

/// Lets a paused container go on.
pub fn unpause(engine: &mut Engine, target: &str) -> Result<()> {
    ask(engine, target, &Request::Unpause).doing("unpause container", target)
}

fn ask(engine: &mut Engine, target: &str, request: &Request) -> Result<()> {
    let container = resolve(engine, target)?;
    let not_running = || Error::State { name: target.to_owned(), state: "not running" };
    let container =
        reconcile(engine, container)?.filter(|c| c.state.status.is_alive()).ok_or_else(not_running)?;
    let mut line = match Line::connect(&engine.roots().run, &container.id) {
        Err(call::Error::NotThere) => return Err(not_running()),
        line => line?,
    };
    match line.ask(request) {
        Err(call::Error::HungUp) => Err(not_running()),
        reply => Ok(reply.map(drop)?),
    }
}
