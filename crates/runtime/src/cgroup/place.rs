//! A keeper's way out of its caller's groups.
//!
//! On v1 it goes into the group above its container's, on v2 into the `keeper` leaf; on systemd hosts into
//! the scope first. What may not be moved stays where it is: a container that dies with its session is better
//! than none.

use std::path::Path;

use super::host::Host;
use super::systemd::{Entering, SCOPE};
use super::{Error, file, v1, v2};

impl Host {
    /// Moves the calling process, which has one thread, out of its caller's groups and next to the container
    /// `path`. Rootless, where there is nothing that it may be moved to, it stays.
    ///
    /// On v2 and on systemd hosts the kernel moves a process by its number, which may take it an RCU grace
    /// period (0.8 to 15 ms): a keeper that was cloned into its group doesn't need this.
    pub fn leave_for_keeper(&self, path: &str) -> Result<(), Error> {
        file::check_path(path)?;
        self.stand_in_scope(path)?;
        for hierarchy in &self.v1 {
            allow_denied(v1::enter_above(hierarchy, path))?;
        }
        match self.unified() {
            Some(unified) if unified.scope.is_none() => {
                allow_denied(v2::enter_keeper(&v2::base(unified), path))
            }
            _ => Ok(()),
        }
    }

    /// On systemd hosts: makes sure that this process is in the scope.
    pub(super) fn stand_in_scope(&self, path: &str) -> Result<(), Error> {
        let Some(systemd) = &self.systemd else { return Ok(()) };
        let unified = self.unified().and_then(|u| u.scope.as_deref());
        let result = match (unified, &systemd.tracking) {
            (Some(scope), _) => systemd.manager.bring(&Leaf { scope, path }),
            (None, Some(scope)) => systemd.manager.bring(&Top { scope }),
            (None, None) => Ok(()),
        };
        match result {
            // A user without a manager of its own (no login session, no lingering).
            Err(Error::Bus { step: "connect", .. }) if systemd.manager.uid != 0 => Ok(()),
            other => other,
        }
    }
}

fn allow_denied(result: Result<(), Error>) -> Result<(), Error> {
    result.or_else(|error| if file::is_denied(&error) { Ok(()) } else { Err(error) })
}

/// The keeper's leaf in the scope on v2.
struct Leaf<'a> {
    scope: &'a Path,
    path: &'a str,
}

impl Entering for Leaf<'_> {
    fn enter(&self) -> Result<(), Error> {
        if !self.scope.is_dir() {
            return Err(Error::NoScope { scope: SCOPE });
        }
        v2::enter_keeper(self.scope, self.path)
    }

    fn subgroup(&self) -> String {
        format!("/{}", v2::keeper(self.path))
    }
}

/// The scope in the hierarchy that systemd of a v1 or hybrid machine tracks processes by.
struct Top<'a> {
    scope: &'a Path,
}

impl Entering for Top<'_> {
    fn enter(&self) -> Result<(), Error> {
        let own = std::process::id().to_string();
        let inside = file::read(&self.scope.join("cgroup.procs")).unwrap_or_default();
        if inside.lines().any(|pid| pid == own) {
            return Ok(());
        }
        // v2 has no `tasks`.
        match file::write(&self.scope.join("tasks"), "0") {
            Err(error) if error.refused() == Some(rustix::io::Errno::NOENT) => {
                file::write(&self.scope.join("cgroup.procs"), "0")
            }
            other => other,
        }
    }

    fn subgroup(&self) -> String {
        "/".into()
    }
}
