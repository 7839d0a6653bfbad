//! The delegated scope: on systemd hosts every group of ours is below one `corten.scope` per host or user.
//!
//! A process that stays where it was started dies with it: systemd kills what is left of a session, a service
//! or a timer's job. Groups below a scope that systemd gave away (`Delegate=yes`) are ours alone.
//!
//! ```text
//! no scope ──StartTransientUnit(own pid)──▶ the scope, with us in it ──"0" → leaf──▶ in our leaf
//!    ▲                                            │
//!    └──────────── its last process ends ◀────────┘      a scope that is there is entered by a write, without D-Bus
//! ```
//!
//! The scope may vanish between a look and a step: every step is then tried again, for a bounded time.
//! A user in a login session may not write itself into the user manager's groups; the manager does it then,
//! for which it asks the system's.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::Error;
use super::dbus::wire::{Body, Value};
use super::dbus::{CallError, Connection, Method, Peer};

/// The scope that all of ours are in.
pub(super) const SCOPE: &str = "corten.scope";
/// A manager that is asked answers in milliseconds; a job of its queue may wait for a busy machine, which systemd itself
/// lets a unit do for 90 s.
const TIMEOUT: Duration = Duration::from_secs(90);
/// How long a scope may take to come or to go, when others make or lose it at the same time.
const PATIENCE: Duration = Duration::from_secs(90);
const WAIT: Duration = Duration::from_millis(5);
const WAIT_MAX: Duration = Duration::from_millis(100);

const SERVICE: &str = "org.freedesktop.systemd1";
const OBJECT: &str = "/org/freedesktop/systemd1";
const MANAGER: &str = "org.freedesktop.systemd1.Manager";

/// Where a systemd manager is spoken to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manager {
    /// Its own socket, which needs no message bus.
    pub private: PathBuf,
    /// The message bus that it is on.
    pub bus: PathBuf,
    /// Whom it is asked as: 0 is the system's manager, another that user's.
    pub uid: u32,
}

impl Manager {
    /// The places that systemd documents, below `root`.
    pub fn of_user(root: &Path, uid: u32) -> Manager {
        let (private, bus) = if uid == 0 {
            ("run/systemd/private".to_owned(), "run/dbus/system_bus_socket".to_owned())
        } else {
            (format!("run/user/{uid}/systemd/private"), format!("run/user/{uid}/bus"))
        };
        Manager { private: root.join(private), bus: root.join(bus), uid }
    }

    /// The slice that the scope is in: Docker's for root, the user manager's for applications else.
    pub(super) fn slice(&self) -> &'static str {
        if self.uid == 0 { "system.slice" } else { "app.slice" }
    }

    /// The manager's own socket first: it is there without a bus, and one process less is in between.
    fn connect(&self) -> Result<Connection, Error> {
        Connection::open(&self.private, Peer::Service, self.uid, TIMEOUT)
            .or_else(|_| Connection::open(&self.bus, Peer::Bus, self.uid, TIMEOUT))
    }

    /// Brings this process into the scope at `scope` by `enter`, which fails with "absent" if the scope isn't
    /// there.
    pub(super) fn bring(&self, entering: &dyn Entering) -> Result<(), Error> {
        let end = Instant::now() + PATIENCE;
        let mut wait = WAIT;
        loop {
            let passing = match entering.enter() {
                Ok(()) => return Ok(()),
                Err(error) if is_absent(&error) => match self.start_scope() {
                    Ok(()) if Instant::now() < end => continue,
                    Ok(()) => return Err(error),
                    // Somebody else makes it just now, or the old one is on its way out.
                    Err(error) if is_taken(&error) => error,
                    Err(error) => return Err(error),
                },
                Err(error) if super::file::is_denied(&error) => match self.attach(&entering.subgroup()) {
                    Ok(()) => return Ok(()),
                    Err(error) if is_gone(&error) => error,
                    Err(error) => return Err(error),
                },
                Err(error) => return Err(error),
            };
            if Instant::now() > end {
                return Err(passing);
            }
            std::thread::sleep(wait);
            wait = (wait * 2).min(WAIT_MAX);
        }
    }

    /// Makes the scope with this process in it, and waits until it stands.
    fn start_scope(&self) -> Result<(), Error> {
        let mut c = self.connect()?;
        if c.peer() == Peer::Bus {
            // systemd sends its signals only to those who asked, and the bus only what matches.
            let rule = "type='signal',sender='org.freedesktop.systemd1',member='JobRemoved'";
            let add = Method {
                destination: "org.freedesktop.DBus",
                path: "/org/freedesktop/DBus",
                interface: "org.freedesktop.DBus",
                member: "AddMatch",
            };
            c.call(&add, Body::new("s").text(rule)).map_err(CallError::into_error)?;
            c.call(&manager("Subscribe"), Body::default()).map_err(CallError::into_error)?;
        }
        let properties = [
            ("Description", Value::Text("Corten containers")),
            ("Slice", Value::Text(self.slice())),
            ("Delegate", Value::Bool(true)),
            // The default for scopes is a share of what the machine can do; here it would be one for all
            // containers.
            ("TasksMax", Value::U64(u64::MAX)),
            // A scope that failed would else keep its name until somebody resets it.
            ("CollectMode", Value::Text("inactive-or-failed")),
            ("PIDs", Value::U32List(&[std::process::id()])),
        ];
        let body = Body::new("ssa(sv)a(sa(sv))").text(SCOPE).text("fail").properties(&properties).nothing();
        let reply = c.call(&manager("StartTransientUnit"), body).map_err(CallError::into_error)?;
        let job = reply.strings().into_iter().next().unwrap_or_default();
        let removed = c.wait_signal("wait for JobRemoved", |signal| {
            signal.member.as_deref() == Some("JobRemoved") && signal.strings().first() == Some(&job)
        })?;
        match removed.strings().get(2).map(String::as_str) {
            Some("done") => Ok(()),
            other => Err(Error::Job { unit: SCOPE, result: other.unwrap_or("nothing").into() }),
        }
    }

    /// Lets the manager move this process into a group of the scope.
    fn attach(&self, subgroup: &str) -> Result<(), Error> {
        let mut c = self.connect()?;
        let body = Body::new("ssau").text(SCOPE).text(subgroup).u32_list(&[std::process::id()]);
        c.call(&manager("AttachProcessesToUnit"), body).map(drop).map_err(CallError::into_error)
    }
}

/// The way into the scope, for [`Manager::bring`].
pub(super) trait Entering {
    /// Moves this process by itself.
    fn enter(&self) -> Result<(), Error>;
    /// Where in the scope it goes, as `/a/b`.
    fn subgroup(&self) -> String;
}

fn manager(member: &'static str) -> Method<'static> {
    Method { destination: SERVICE, path: OBJECT, interface: MANAGER, member }
}

fn is_absent(error: &Error) -> bool {
    matches!(error.refused(), Some(rustix::io::Errno::NOENT | rustix::io::Errno::NODEV))
        || matches!(error, Error::NoScope { .. })
}

fn is_taken(error: &Error) -> bool {
    match error {
        Error::Refused { name, .. } => name == "org.freedesktop.systemd1.UnitExists",
        // A scope that was stopped while ours was being started.
        Error::Job { result, .. } => result == "canceled",
        _ => false,
    }
}

fn is_gone(error: &Error) -> bool {
    let gone = ["org.freedesktop.systemd1.NoSuchUnit", "org.freedesktop.systemd1.ScopeNotRunning"];
    matches!(error, Error::Refused { name, .. } if gone.contains(&name.as_str()))
}

/// The group of the manager itself: `/` for the system's, as far as this host's hierarchy goes.
pub(super) fn manager_group(uid: u32, own: &str, first: &str) -> String {
    let top = first.strip_suffix("/init.scope").unwrap_or("");
    if uid == 0 {
        return top.into();
    }
    let name = format!("user@{uid}.service");
    let above: Vec<&str> = own.split('/').take_while(|part| *part != name).collect();
    if above.len() < own.split('/').count() {
        return format!("{}/{name}", above.join("/"));
    }
    format!("{top}/user.slice/user-{uid}.slice/{name}")
}

#[cfg(test)]
mod tests;
