//! A further process in a running container: what was asked for, and what it becomes.
//!
//! Pure. The keeper makes it from the container's first process, of which it knows all; who asks a keeper that
//! adopted its container makes it from the rows.

use corten_model::ExecId;
use corten_model::capability::CapSet;
use corten_model::user::UserSpec;
use corten_runtime::spec::{Capabilities, ConsoleSize, Process, User};
use serde::{Deserialize, Serialize};

use crate::attach::AttachOptions;
use crate::keeper::protocol::{Exec, Seccomp};

/// The terminal that a process with one is told to have, unless it is told another.
const TERM: &str = "TERM=xterm";

/// What `exec` needs.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct ExecRequest {
    /// The program and its arguments.
    pub cmd: Vec<String>,
    /// `KEY=value` on top of the container's.
    pub env: Vec<String>,
    /// `-u`.
    pub user: Option<UserSpec>,
    /// `-w`.
    pub working_dir: Option<String>,
    /// `-t`.
    pub tty: bool,
    /// `--privileged`.
    pub privileged: bool,
    /// Streams; absent with `-d`.
    pub attach: Option<AttachOptions>,
}

/// What the processes of a container have in common.
#[derive(Debug, Clone)]
pub struct Template {
    /// Its first process, or one that was made like it.
    pub process: Process,
    /// `TERM` of its environment is what we give to terminals.
    pub term_is_ours: bool,
    /// Its filter.
    pub seccomp: Option<Seccomp>,
}

impl Template {
    /// The process that was asked for.
    pub fn exec(&self, id: ExecId, asked: ExecRequest) -> Exec {
        let first = &self.process;
        let mut env = first.env.clone();
        if !asked.tty && self.term_is_ours {
            env.retain(|variable| variable != TERM);
        } else if asked.tty && !env.iter().any(|variable| variable.starts_with("TERM=")) {
            env.push(TERM.into());
        }
        merge(&mut env, &asked.env);
        let capabilities = match asked.privileged {
            true => Some(capability_sets(CapSet::ALL)),
            false => first.capabilities.clone(),
        };
        let user = match asked.user {
            // Groups that were added are every process's, whoever it runs as.
            Some(user) => User { name: Some(user), groups: first.user.groups.clone(), ..User::default() },
            None => first.user.clone(),
        };
        let size = asked.attach.and_then(|attach| attach.size).filter(|_| asked.tty);
        let process = Process {
            terminal: asked.tty,
            console_size: size.map(|(rows, cols)| ConsoleSize { height: rows, width: cols }),
            user,
            args: asked.cmd,
            env,
            cwd: asked.working_dir.unwrap_or_else(|| first.cwd.clone()),
            capabilities,
            no_new_privileges: first.no_new_privileges && !asked.privileged,
            apparmor_profile: first.apparmor_profile.clone().filter(|_| !asked.privileged),
            ..first.clone()
        };
        Exec {
            id,
            process,
            seccomp: self.seccomp.clone().filter(|_| !asked.privileged),
            open_stdin: asked.attach.is_some_and(|attach| attach.stdin),
            attach: asked.attach,
        }
    }
}

/// The sets of a process that has these and may get no more.
pub fn capability_sets(set: CapSet) -> Capabilities {
    let list: Vec<_> = set.iter().collect();
    Capabilities {
        bounding: list.clone(),
        effective: list.clone(),
        permitted: list,
        ..Capabilities::default()
    }
}

/// Sets `KEY=value`, and takes away what is named without a value.
pub fn merge(env: &mut Vec<String>, changes: &[String]) {
    for change in changes {
        let key = change.split_once('=').map_or(change.as_str(), |(key, _)| key);
        let same = |e: &String| e.split_once('=').is_some_and(|(k, _)| k == key);
        let position = env.iter().position(same);
        match (position, change.contains('=')) {
            (Some(at), true) => env[at] = change.clone(),
            (Some(at), false) => drop(env.remove(at)),
            (None, true) => env.push(change.clone()),
            (None, false) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exec(template: &Template, asked: ExecRequest) -> Exec {
        template.exec(ExecId::from_bytes([1; 32]), asked)
    }

    fn template(env: &[&str], term_is_ours: bool) -> Template {
        let process = Process {
            env: env.iter().map(|v| (*v).to_owned()).collect(),
            cwd: "/home".into(),
            args: vec!["first".into()],
            terminal: term_is_ours,
            no_new_privileges: true,
            capabilities: Some(capability_sets(CapSet::default())),
            ..Process::default()
        };
        Template {
            process,
            term_is_ours,
            seccomp: Some(Seccomp { profile: None, capabilities: CapSet::ALL }),
        }
    }

    #[test]
    fn only_a_terminal_has_a_term_unless_somebody_said_so() {
        let check = |env: &[&str], ours: bool, tty: bool, expected: &[&str]| {
            let asked = ExecRequest { tty, ..ExecRequest::default() };
            let exec = exec(&template(env, ours), asked);
            assert_eq!(exec.process.env, expected, "{env:?} {ours} {tty}");
            assert_eq!(exec.process.terminal, tty);
        };
        check(&["A=1", TERM], true, false, &["A=1"]);
        check(&["A=1", TERM], true, true, &["A=1", TERM]);
        check(&["A=1", TERM], false, false, &["A=1", TERM]);
        check(&["TERM=vt100"], false, true, &["TERM=vt100"]);
        check(&["A=1"], false, true, &["A=1", TERM]);
    }

    #[test]
    fn what_was_asked_goes_before_what_the_first_process_has() {
        let template = template(&["A=1", "B=2"], false);
        let plain = exec(&template, ExecRequest { cmd: vec!["x".into()], ..ExecRequest::default() });
        assert_eq!((plain.process.args, plain.process.cwd.as_str()), (vec!["x".to_owned()], "/home"));
        assert!(plain.process.no_new_privileges && plain.seccomp.is_some() && !plain.open_stdin);
        let asked = ExecRequest {
            env: vec!["A=3".into(), "B".into()],
            working_dir: Some("/tmp".into()),
            user: Some("7".parse().unwrap()),
            ..ExecRequest::default()
        };
        let other = exec(&template, asked).process;
        assert_eq!((other.env, other.cwd.as_str()), (vec!["A=3".to_owned()], "/tmp"));
        assert_eq!(other.user.name, Some("7".parse().unwrap()));
    }

    #[test]
    fn a_privileged_one_has_everything() {
        let exec = exec(&template(&[], false), ExecRequest { privileged: true, ..ExecRequest::default() });
        assert!(exec.seccomp.is_none() && !exec.process.no_new_privileges);
        assert_eq!(exec.process.capabilities, Some(capability_sets(CapSet::ALL)));
    }
}
