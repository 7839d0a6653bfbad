//! A keeper that takes over from one that was killed.
//!
//! The pipes are opened again, the exit code will be asked of the kernel (PIDFD_GET_INFO). What the one before held
//! alone is lost: standard input, the terminal, the streams of execs.

use std::io;
use std::os::fd::OwnedFd;

use super::places::{self, Pipe};
use super::process::Process;
use super::protocol::{Adopt, Reply};
use super::{Keeper, KeeperOptions, again, answer, end, start, template};

/// Looks after a container that runs already, to its end.
pub fn take_over(mut prepared: start::Prepared, socket: OwnedFd, request: &Adopt) -> io::Result<()> {
    let (run, id) = (prepared.request.run.clone(), prepared.request.id.clone());
    let pidfd = match start::open_process(request.pid, request.ticks) {
        Ok(pidfd) => pidfd,
        Err(e) => {
            end::abandon(&prepared);
            return Err(e);
        }
    };
    let reader = |pipe| if request.terminal { None } else { places::open_reader(&run, &id, pipe).ok() };
    let process = Process {
        exec: None,
        pid: request.pid,
        ticks: request.ticks,
        pidfd,
        out: reader(Pipe::Out),
        err: reader(Pipe::Err),
        input: None,
        backlog: Default::default(),
        input_ends: true,
        held: false,
        terminal: false,
        exit: None,
        adopted: true,
    };
    prepared.name = start::known_as(&prepared.request, request.name.as_ref());
    // Whether it has a pid namespace of its own isn't known here: killing what is left of its cgroup is right in both.
    // One that is started again, or checked, was started with what lies in its run directory.
    let plan = request.watch.as_ref().and_then(|_| again::plan(&prepared.request).ok());
    let options = KeeperOptions {
        sweep: true,
        auto_remove: request.auto_remove,
        log: request.log.clone(),
        template: plan.map(template),
        watch: request.watch.clone(),
    };
    let mut keeper = Keeper::new(prepared, process, options)?;
    keeper.pause.asked = request.paused;
    if !request.paused {
        // Somebody may have held it when the keeper before us was killed. A host without a freezer has nothing to undo.
        let _ = keeper.prepared.cgroup.freeze(false);
    }
    // A caller that is gone is no reason to leave the container alone.
    let _ = answer(&socket, &Reply::Done);
    keeper.add_client(socket)?;
    keeper.serve()
}
