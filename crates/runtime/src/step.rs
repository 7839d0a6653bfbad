//! The steps of a start by number, and what went wrong at one: the typed failure that travels from the child.
//!
//! The numbers are spoken only between a parent and the child that it forked from the same memory, so they may
//! change with every build.

use std::fmt;
use std::io;

use rustix::io::Errno;

/// Each step once: what it is, its name, and what stands in a message before its object.
macro_rules! steps {
    ($($(#[$doc:meta])* $name:ident $words:literal,)*) => {
        /// One step of a start or an exec.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[repr(u8)]
        pub enum Step { $($(#[$doc])* $name,)* }

        const ALL: &[Step] = &[$(Step::$name,)*];

        impl fmt::Display for Step {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $(Step::$name => $words,)* })
            }
        }
    };
}

steps! {
    /// Read or check the host's facts.
    Inspect "read",
    /// Make the channel between parent and child.
    Channel "make the channel to the container's first process",
    /// Make the child.
    Clone "make a process in new namespaces",
    /// Write the maps of the user namespace.
    Maps "write the id maps of the user namespace",
    /// Join a namespace.
    Join "join the namespace",
    /// Join the cgroup.
    Cgroup "join the cgroup",
    /// Make a namespace.
    Unshare "make the namespace",
    /// Set the loopback interface up.
    Loopback "set up the loopback interface",
    /// Prepare the process itself: parent's death, dumpable, OOM score.
    Prepare "prepare the process",
    /// Become root of the user namespace.
    BecomeRoot "become root of the user namespace",
    /// Cut the propagation of mounts from the host's.
    Propagation "cut mount propagation from the host's mounts",
    /// Mount the root file system.
    RootFs "mount the root file system",
    /// Make device nodes.
    Device "make the device",
    /// Open the source of a bind.
    BindSource "open the source of the bind mount",
    /// Idmap or change attributes of a mount.
    MountAttributes "set attributes of the mount",
    /// Make a file system.
    FileSystem "make the file system for",
    /// Find or make the directory or file that is mounted on.
    MountTarget "find or make the mount's target",
    /// Attach a mount.
    Attach "mount on",
    /// Write a kernel parameter.
    Sysctl "set the kernel parameter",
    /// Mask a path.
    Mask "mask",
    /// Make a path read-only.
    ReadOnly "make read-only",
    /// Change the root.
    Pivot "change the root directory",
    /// Set host or domain name.
    Hostname "set the host name",
    /// Make the terminal.
    Terminal "make the terminal",
    /// Look up the user.
    User "find the user",
    /// Change to the working directory.
    Cwd "change to the working directory",
    /// Arrange the standard streams.
    Stdio "arrange the standard streams",
    /// Set a resource limit.
    Rlimit "set the resource limit",
    /// Set ids and groups.
    Identity "set the user and group ids",
    /// Set capabilities.
    Capabilities "set the capabilities",
    /// Set a security label.
    Label "set the security label",
    /// Load the seccomp filter.
    Seccomp "load the seccomp filter",
    /// Find the program.
    FindProgram "find the program",
    /// Execute the program.
    Exec "execute",
    /// Talk to the other side.
    Talk "talk to the container's first process",
}

impl Step {
    /// The step with this number.
    pub fn from_number(number: u8) -> Option<Self> {
        ALL.get(usize::from(number)).copied()
    }
}

/// What failed: the step, its object, the kernel's answer and, where that says too little, why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The step.
    pub step: Step,
    /// The path, name or number; may be empty.
    pub object: String,
    /// The kernel's answer, or the one that comes closest.
    pub errno: Errno,
    /// What was found, if the answer alone doesn't say it.
    pub why: String,
}

impl Failure {
    /// A failure that the kernel's answer explains.
    pub fn new(step: Step, object: impl Into<String>, errno: Errno) -> Self {
        Self { step, object: object.into(), errno, why: String::new() }
    }

    /// A failure with its reason in words.
    pub fn because(step: Step, object: impl Into<String>, errno: Errno, why: impl Into<String>) -> Self {
        Self { step, object: object.into(), errno, why: why.into() }
    }

    /// The failure as bytes of a message: step, errno, then object and reason with a NUL between them.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![self.step as u8];
        bytes.extend_from_slice(&self.errno.raw_os_error().to_le_bytes());
        bytes.extend_from_slice(self.object.replace('\0', "").as_bytes());
        bytes.push(0);
        bytes.extend_from_slice(self.why.replace('\0', "").as_bytes());
        bytes.truncate(FAILURE_BYTES_MAX);
        bytes
    }

    /// The failure that [`Failure::encode`] made the bytes of.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (&number, rest) = bytes.split_first()?;
        let (errno, text) = rest.split_first_chunk::<4>()?;
        let mut parts = text.splitn(2, |b| *b == 0).map(|p| String::from_utf8_lossy(p).into_owned());
        Some(Self {
            step: Step::from_number(number)?,
            errno: Errno::from_raw_os_error(i32::from_le_bytes(*errno)),
            object: parts.next().unwrap_or_default(),
            why: parts.next().unwrap_or_default(),
        })
    }
}

/// The longest failure that is sent; longer reasons are cut.
pub const FAILURE_BYTES_MAX: usize = 2048;

/// Gives a kernel's answer its step and object: `call().map_err(at(Step::Attach, path))?`.
pub fn at(step: Step, object: impl Into<String>) -> impl FnOnce(Errno) -> Failure {
    move |errno| Failure::new(step, object, errno)
}

/// The same for calls of the standard library and of `corten_sys::path`.
pub fn at_io(step: Step, object: impl Into<String>) -> impl FnOnce(io::Error) -> Failure {
    move |error| match error.raw_os_error() {
        Some(code) => Failure::new(step, object, Errno::from_raw_os_error(code)),
        None => Failure::because(step, object, Errno::INVAL, error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_travel() {
        for (number, step) in ALL.iter().copied().enumerate() {
            assert_eq!((step as usize, Step::from_number(number as u8)), (number, Some(step)));
            let failure = Failure::because(step, "/a b", Errno::NOENT, "so");
            assert_eq!(Failure::decode(&failure.encode()), Some(failure));
        }
        for bad in [&[][..], &[1, 2], &[200, 0, 0, 0, 0]] {
            assert_eq!(Failure::decode(bad), None);
        }
        let long = Failure::new(Step::Exec, "x".repeat(10_000), Errno::NOENT);
        assert!(long.encode().len() <= FAILURE_BYTES_MAX);
    }
}
