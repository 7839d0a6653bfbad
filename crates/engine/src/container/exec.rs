//! Sessions with a running container: its own streams, and further processes.

use corten_model::ExecId;

use super::{ExecRequest, reconcile, resolve, spec};
use crate::attach::{AttachOptions, Session};
use crate::call::{self, Line};
use crate::db::containers::Container;
use crate::db::images;
use crate::engine::random_id;
use crate::error::Doing;
use crate::keeper::protocol::{Exec, Reply, Request};
use crate::{Engine, Error, Result};

/// The container, if it runs, and a line to its keeper.
fn running(engine: &mut Engine, target: &str) -> Result<(Container, Line)> {
    let container = resolve(engine, target)?;
    let not_running = || Error::State { name: target.to_owned(), state: "not running" };
    let container =
        reconcile(engine, container)?.filter(|c| c.state.status.is_alive()).ok_or_else(not_running)?;
    match Line::connect(&engine.roots().run, &container.id) {
        Err(call::Error::NotThere) => Err(not_running()),
        line => Ok((container, line?)),
    }
}

/// Asks the keeper; one that hangs up instead of answering is tearing down.
fn asked(line: &mut Line, request: &Request, target: &str) -> Result<Reply> {
    match line.ask(request) {
        Err(call::Error::HungUp) => Err(Error::State { name: target.to_owned(), state: "not running" }),
        reply => Ok(reply?),
    }
}

/// Opens a session with a running container. The second value says whether it has a terminal.
pub fn attach(engine: &mut Engine, target: &str, options: AttachOptions) -> Result<(Session, bool)> {
    let (container, mut line) = running(engine, target).doing("attach to container", target)?;
    let reply = asked(&mut line, &Request::Attach(options), target).doing("attach to container", target)?;
    let terminal = matches!(reply, Reply::Attached { terminal: true });
    Ok((line.into_session(&engine.roots().run, &container.id), terminal))
}

/// Starts a process in a running container.
pub fn exec(engine: &mut Engine, target: &str, request: ExecRequest) -> Result<(ExecId, Option<Session>)> {
    exec_in(engine, target, &request).doing("run a process in container", target)
}

fn exec_in(engine: &mut Engine, target: &str, request: &ExecRequest) -> Result<(ExecId, Option<Session>)> {
    let (container, mut line) = running(engine, target)?;
    engine.timings().mark("keeper connected");
    let image = images::by_id(engine.database()?.read(), &container.image_id)?;
    let image = image.ok_or_else(|| Error::NoSuch { what: "image", name: container.image.clone() })?;
    let profile = super::start::profile(engine, &container.config)?;
    let mut seccomp = spec::seccomp(&container.config, profile);
    if request.privileged {
        seccomp = None;
    }
    let id = ExecId::from_bytes(random_id()?);
    let process = spec::exec_process(&container.id, &container.config, &image.config.config, request)?;
    let exec = Request::Exec(Exec {
        id: id.clone(),
        process,
        seccomp,
        open_stdin: request.attach.is_some_and(|a| a.stdin),
        attach: request.attach,
    });
    let reply = asked(&mut line, &exec, target)?;
    engine.timings().mark("exec started");
    let Reply::Started { .. } = reply else { return Err(call::Error::Nonsense(None).into()) };
    let session = request.attach.map(|_| line.into_session(&engine.roots().run, &container.id));
    Ok((id, session))
}
