//! The steps of a start by number, and what went wrong at one: the typed failure that travels from the child.
//!
//! The numbers are spoken only between a parent and the child that it forked from the same memory, so they may
//! change with every build.

use std::fmt;
use std::io;

use rustix::io::Errno;

/// One step of a start or an exec.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Step {
    /// Read or check the host's facts.
    Inspect,
    /// Make the channel between parent and child.
    Channel,
    /// Make the child.
    Clone,
    /// Write the maps of the user namespace.
    Maps,
    /// Join a namespace.
    Join,
    /// Join the cgroup.
    Cgroup,
    /// Make a namespace.
    Unshare,
    /// Set the loopback interface up.
    Loopback,
    /// Prepare the process itself: parent's death, dumpable, OOM score.
    Prepare,
    /// Become root of the user namespace.
    BecomeRoot,
    /// Cut the propagation of mounts from the host's.
    Propagation,
    /// Mount the root file system.
    RootFs,
    /// Make device nodes.
    Device,
    /// Open the source of a bind.
    BindSource,
    /// Idmap or change attributes of a mount.
    MountAttributes,
    /// Make a file system.
    FileSystem,
    /// Find or make the directory or file that is mounted on.
    MountTarget,
    /// Attach a mount.
    Attach,
    /// Write a kernel parameter.
    Sysctl,
    /// Mask a path.
    Mask,
    /// Make a path read-only.
    ReadOnly,
    /// Change the root.
    Pivot,
    /// Set host or domain name.
    Hostname,
    /// Make the terminal.
    Terminal,
    /// Look up the user.
    User,
    /// Change to the working directory.
    Cwd,
    /// Arrange the standard streams.
    Stdio,
    /// Set a resource limit.
    Rlimit,
    /// Set ids and groups.
    Identity,
    /// Set capabilities.
    Capabilities,
    /// Set a security label.
    Label,
    /// Load the seccomp filter.
    Seccomp,
    /// Find the program.
    FindProgram,
    /// Execute the program.
    Exec,
    /// Talk to the other side.
    Talk,
}

const ALL: [Step; 35] = {
    use Step::*;
    [
        Inspect,
        Channel,
        Clone,
        Maps,
        Join,
        Cgroup,
        Unshare,
        Loopback,
        Prepare,
        BecomeRoot,
        Propagation,
        RootFs,
        Device,
        BindSource,
        MountAttributes,
        FileSystem,
        MountTarget,
        Attach,
        Sysctl,
        Mask,
        ReadOnly,
        Pivot,
        Hostname,
        Terminal,
        User,
        Cwd,
        Stdio,
        Rlimit,
        Identity,
        Capabilities,
        Label,
        Seccomp,
        FindProgram,
        Exec,
        Talk,
    ]
};

impl Step {
    /// The step with this number.
    pub fn from_number(number: u8) -> Option<Self> {
        ALL.get(usize::from(number)).copied()
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Step::Inspect => "read",
            Step::Channel => "make the channel to the container's first process",
            Step::Clone => "make a process in new namespaces",
            Step::Maps => "write the id maps of the user namespace",
            Step::Join => "join the namespace",
            Step::Cgroup => "join the cgroup",
            Step::Unshare => "make the namespace",
            Step::Loopback => "set up the loopback interface",
            Step::Prepare => "prepare the process",
            Step::BecomeRoot => "become root of the user namespace",
            Step::Propagation => "cut mount propagation from the host's mounts",
            Step::RootFs => "mount the root file system",
            Step::Device => "make the device",
            Step::BindSource => "open the source of the bind mount",
            Step::MountAttributes => "set attributes of the mount",
            Step::FileSystem => "make the file system for",
            Step::MountTarget => "find or make the mount's target",
            Step::Attach => "mount on",
            Step::Sysctl => "set the kernel parameter",
            Step::Mask => "mask",
            Step::ReadOnly => "make read-only",
            Step::Pivot => "change the root directory",
            Step::Hostname => "set the host name",
            Step::Terminal => "make the terminal",
            Step::User => "find the user",
            Step::Cwd => "change to the working directory",
            Step::Stdio => "arrange the standard streams",
            Step::Rlimit => "set the resource limit",
            Step::Identity => "set the user and group ids",
            Step::Capabilities => "set the capabilities",
            Step::Label => "set the security label",
            Step::Seccomp => "load the seccomp filter",
            Step::FindProgram => "find the program",
            Step::Exec => "execute",
            Step::Talk => "talk to the container's first process",
        })
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
        for (number, step) in ALL.into_iter().enumerate() {
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
