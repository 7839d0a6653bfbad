//! Sessions with a running container: its own streams, and further processes.

use corten_model::{ContainerId, ExecId, Kind};

use super::{ExecRequest, reconcile, resolve, spec};
use crate::attach::{AttachOptions, Session};
use crate::call::{self, Line};
use crate::db::containers::Container;
use crate::db::images;
use crate::engine::random_id;
use crate::error::Doing;
use crate::exec::Template;
use crate::keeper::protocol::{Reply, Request};
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
    attach_to(engine, target, options).doing("attach to container", target)
}

fn attach_to(engine: &mut Engine, target: &str, options: AttachOptions) -> Result<(Session, bool)> {
    let request = Request::Attach(options);
    let (id, line, reply) = match ask_directly(engine, target, &request)? {
        Some(answered) => answered,
        None => {
            let (container, mut line) = running(engine, target)?;
            let reply = asked(&mut line, &request, target)?;
            (container.id, line, reply)
        }
    };
    let terminal = matches!(reply, Reply::Attached { terminal: true });
    Ok((line.into_session(&engine.roots().run, &id), terminal))
}

/// Asks the keeper that the run directory knows under this name or whole id. `None`: nobody is known, or has
/// accepted; nothing was done, and the database knows what is right.
pub(super) fn ask_directly(
    engine: &Engine,
    target: &str,
    request: &Request,
) -> Result<Option<(ContainerId, Line, Reply)>> {
    let Some((id, mut line)) = Line::find(&engine.roots().run, target) else { return Ok(None) };
    match line.ask(request) {
        // It ends, it adopted the container, or it is of a version that doesn't know the request.
        Err(call::Error::Refused(refusal))
            if matches!(refusal.kind(), Kind::Conflict | Kind::Unsupported) =>
        {
            Ok(None)
        }
        Err(call::Error::HungUp) => Err(Error::State { name: target.to_owned(), state: "not running" }),
        reply => Ok(Some((id, line, reply?))),
    }
}

/// Starts a process in a running container.
pub fn exec(engine: &mut Engine, target: &str, request: ExecRequest) -> Result<(ExecId, Option<Session>)> {
    exec_in(engine, target, request).doing("run a process in container", target)
}

fn exec_in(engine: &mut Engine, target: &str, asked_for: ExecRequest) -> Result<(ExecId, Option<Session>)> {
    let attach = asked_for.attach;
    let id = ExecId::from_bytes(random_id()?);
    let request = Request::ExecAsked { id: id.clone(), asked: asked_for };
    let (container, line, reply) = match ask_directly(engine, target, &request)? {
        Some(answered) => answered,
        None => {
            let Request::ExecAsked { id, asked: asked_for } = request else { unreachable!("made above") };
            let (container, mut line) = running(engine, target)?;
            let exec = template(engine, &container)?.exec(id, asked_for);
            let reply = asked(&mut line, &Request::Exec(exec), target)?;
            (container.id, line, reply)
        }
    };
    engine.timings().mark("exec started");
    let Reply::Started { .. } = reply else { return Err(call::Error::Nonsense(None).into()) };
    let session = attach.map(|_| line.into_session(&engine.roots().run, &container));
    Ok((id, session))
}

/// What the container's processes have in common, from its rows.
fn template(engine: &mut Engine, container: &Container) -> Result<Template> {
    let config = &container.config;
    let image = images::by_id(engine.database()?.read(), &container.image_id)?;
    let image = image.ok_or_else(|| Error::NoSuch { what: "image", name: container.image.clone() })?;
    let profile = super::start::profile(engine, config)?;
    let seccomp = spec::seccomp(config, profile);
    Ok(spec::template(&container.id, config, &image.config.config, seccomp)?)
}
