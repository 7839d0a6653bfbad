//! Giving up: whoever waits for a registry is woken at once.

use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ureq::Agent;

/// Says to everything that a [`super::Client`] does that nobody wants it any more. Its clones are the same.
#[derive(Clone, Default)]
pub struct Cancel {
    inner: Arc<Inner>,
}

#[derive(Default)]
struct Inner {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    cancelled: bool,
    agents: Vec<Agent>,
}

impl Cancel {
    /// One that nobody has used.
    pub fn new() -> Self {
        Self::default()
    }

    /// Ends every wait, read and write of the clients that have a clone of this, with [`super::Error::Cancelled`].
    pub fn cancel(&self) {
        let mut state = self.state();
        state.cancelled = true;
        for agent in state.agents.drain(..) {
            agent.shutdown();
        }
        drop(state);
        self.inner.changed.notify_all();
    }

    /// Whether somebody has.
    pub fn is_cancelled(&self) -> bool {
        self.state().cancelled
    }

    /// Waits, unless somebody gives up; whether it waited to the end.
    pub(crate) fn wait(&self, wait: Duration) -> bool {
        let until = Instant::now() + wait;
        let mut state = self.state();
        loop {
            if state.cancelled {
                return false;
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return true;
            }
            let woken = self.inner.changed.wait_timeout(state, left);
            state = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// The connections of `agent` are cut when somebody gives up.
    pub(crate) fn covers(&self, agent: &Agent) {
        let mut state = self.state();
        if state.cancelled {
            agent.clone().shutdown();
        } else {
            state.agents.push(agent.clone());
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.inner.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Cancel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cancel").field("cancelled", &self.is_cancelled()).finish()
    }
}
