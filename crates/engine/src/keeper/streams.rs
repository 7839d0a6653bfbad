//! The keeper's streams: output to the log and to every client that wants it, input from the clients.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::AsFd;

use rustix::event::epoll::{self, EventFlags};

use super::process::{Output, READ_BYTES};
use super::protocol::Kind;
use super::slots::Key;
use super::{Keeper, Source};
use crate::logs::Stream;

/// Reads of one stream per event: others have their turn.
const READS_PER_EVENT: usize = 4;

impl Keeper {
    /// Watches a process's end and its output.
    pub(super) fn watch_process(&mut self, key: Key) -> io::Result<()> {
        let process = self.processes.get(key).expect("it was just inserted");
        self.watch(process.pidfd.as_fd(), Source::Pidfd(key), EventFlags::IN)?;
        if let Some(fd) = &process.out {
            self.watch(fd.as_fd(), Source::Out(key), EventFlags::IN)?;
        }
        if let Some(fd) = &process.err {
            self.watch(fd.as_fd(), Source::Err(key), EventFlags::IN)?;
        }
        Ok(())
    }

    /// Moves output of a process on, unless a client holds it back.
    pub(super) fn relay(&mut self, key: Key, stream: Stream) {
        for _ in 0..READS_PER_EVENT {
            if self.processes.get(key).is_none_or(|p| p.held) || self.relay_once(key, stream).is_none() {
                return;
            }
        }
    }

    /// Reads once and passes on: how many bytes. `None`: there is nothing more now.
    // Not a part of the loop's frame: what it takes of the stack is given back while nothing happens.
    #[inline(never)]
    pub(super) fn relay_once(&mut self, key: Key, stream: Stream) -> Option<usize> {
        let mut buffer = [MaybeUninit::uninit(); READ_BYTES];
        let process = self.processes.get_mut(key)?;
        let bytes = match process.read(stream, &mut buffer) {
            Output::Bytes(bytes) => &*bytes,
            Output::Nothing => return None,
            Output::End => {
                let slot = if stream == Stream::Stdout { &mut process.out } else { &mut process.err };
                if let Some(fd) = slot.take() {
                    let _ = epoll::delete(&self.epoll, &fd);
                }
                return None;
            }
        };
        if key == self.main {
            self.log.write(stream, bytes);
        } else if let Some(checks) = self.checks.as_mut().filter(|checks| checks.runs(key)) {
            checks.take_output(bytes);
        }
        let kind = if stream == Stream::Stdout { Kind::Stdout } else { Kind::Stderr };
        let mut full = false;
        for client_key in self.clients.keys() {
            let Some(client) = self.clients.get_mut(client_key).filter(|c| c.gets(key, stream)) else {
                continue;
            };
            client.push(kind, bytes);
            self.flush_client(client_key);
            full |= self.clients.get(client_key).is_some_and(|c| c.is_full());
        }
        if full {
            self.hold(key);
        }
        Some(bytes.len())
    }

    /// Stops reading a process's output: its pipe fills up and it waits.
    fn hold(&mut self, key: Key) {
        let Some(process) = self.processes.get_mut(key) else { return };
        process.held = true;
        for fd in [&process.out, &process.err].into_iter().flatten() {
            // It is registered; a second removal would only say so.
            let _ = epoll::delete(&self.epoll, fd);
        }
    }

    /// Reads again what no client holds back any more.
    pub(super) fn release_held(&mut self) {
        for key in self.processes.keys() {
            if self.processes.get(key).is_none_or(|p| !p.held)
                || self.clients.iter().any(|c| c.process == Some(key) && c.is_full())
            {
                continue;
            }
            let process = self.processes.get_mut(key).expect("its key was just listed");
            process.held = false;
            let busy = process.terminal && !process.backlog.is_empty();
            let out_flags = if busy { EventFlags::IN | EventFlags::OUT } else { EventFlags::IN };
            if let Some(fd) = &process.out {
                let _ = epoll::add(&self.epoll, fd, Source::Out(key).data(), out_flags);
            }
            if let Some(fd) = &process.err {
                let _ = epoll::add(&self.epoll, fd, Source::Err(key).data(), EventFlags::IN);
            }
        }
    }

    /// Takes bytes for a process's standard input.
    pub(super) fn take_input(&mut self, client: Key, bytes: &[u8]) {
        let Some(key) = self.clients.get(client).and_then(|c| c.process) else { return };
        let Some(process) = self.processes.get_mut(key) else { return };
        let was_empty = process.backlog.is_empty();
        process.backlog.extend(bytes);
        if !process.feed() {
            return;
        }
        // The process doesn't read: nothing more is taken from this client until it does.
        if let Some(client) = self.clients.get_mut(client) {
            client.stalled = true;
        }
        if was_empty {
            self.watch_input(key, true);
        }
    }

    /// The process can take input again.
    pub(super) fn feed(&mut self, key: Key) {
        let Some(process) = self.processes.get_mut(key) else { return };
        if process.feed() {
            return;
        }
        self.watch_input(key, false);
        for client_key in self.clients.keys() {
            let Some(client) = self.clients.get_mut(client_key) else { continue };
            if client.stalled && client.process == Some(key) {
                client.stalled = false;
                self.obey(client_key);
            }
        }
    }

    /// Watches whether the process can take input, or no longer.
    fn watch_input(&mut self, key: Key, on: bool) {
        let Some(process) = self.processes.get(key) else { return };
        // Registering fails only for want of memory; closing removes a descriptor from the set by itself.
        let _ = match (process.terminal, &process.out, &process.input) {
            (true, Some(terminal), _) if !process.held => {
                let flags = if on { EventFlags::IN | EventFlags::OUT } else { EventFlags::IN };
                epoll::modify(&self.epoll, terminal, Source::Out(key).data(), flags)
            }
            (false, _, Some(pipe)) if on => {
                epoll::add(&self.epoll, pipe, Source::Input(key).data(), EventFlags::OUT)
            }
            (false, _, Some(pipe)) => epoll::delete(&self.epoll, pipe),
            _ => Ok(()),
        };
    }

    /// Closes a process's standard input once it has taken what came before.
    pub(super) fn end_input(&mut self, key: Key) {
        let Some(process) = self.processes.get_mut(key) else { return };
        process.input_ends = true;
        if process.backlog.is_empty() {
            process.feed();
        }
    }
}
