//! The profile as it is written: Docker's JSON, of which OCI's `linux.seccomp` is a part.
//!
//! Owns the format, and which rules apply to a set of capabilities, a kernel and an architecture. What the
//! rules say together is `table.rs`'s. Unknown names of system calls, architectures and capabilities are no
//! errors: a profile is written for more kernels and processors than this one.

use corten_model::capability::{CapSet, Capability};
use corten_sys::seccomp::Flags;
use serde::Deserialize;

use super::Error;
use super::arch::Arch;
use super::table::{self, Compare, Condition, Rule, Table};

const EPERM: u32 = 1;
/// The kernel cuts higher ones down to this (`MAX_ERRNO`).
const ERRNO_MAX: u32 = 4095;
/// `seccomp_data.args` has six members.
const ARGUMENTS: u32 = 6;

const KILL_PROCESS: u32 = 0x8000_0000;
const KILL_THREAD: u32 = 0x0000_0000;
const TRAP: u32 = 0x0003_0000;
pub(super) const ERRNO: u32 = 0x0005_0000;
const TRACE: u32 = 0x7ff0_0000;
const LOG: u32 = 0x7ffc_0000;
pub(super) const ALLOW: u32 = 0x7fff_0000;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Profile {
    default_action: String,
    #[serde(default)]
    default_errno_ret: Option<u32>,
    #[serde(default)]
    architectures: Option<Vec<String>>,
    #[serde(default)]
    arch_map: Option<Vec<ArchMap>>,
    #[serde(default)]
    flags: Option<Vec<String>>,
    #[serde(default)]
    syscalls: Option<Vec<Syscall>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ArchMap {
    architecture: String,
    #[serde(default)]
    sub_architectures: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Syscall {
    /// The way to write one name, from before `names`.
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    names: Option<Vec<String>>,
    action: String,
    #[serde(default)]
    errno_ret: Option<u32>,
    #[serde(default)]
    args: Option<Vec<Argument>>,
    #[serde(default)]
    includes: Option<Filter>,
    #[serde(default)]
    excludes: Option<Filter>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Argument {
    index: u32,
    value: u64,
    #[serde(default)]
    value_two: u64,
    op: String,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
struct Filter {
    #[serde(default)]
    caps: Option<Vec<String>>,
    #[serde(default)]
    arches: Option<Vec<String>>,
    #[serde(default)]
    min_kernel: Option<String>,
}

impl Profile {
    pub(super) fn parse(json: &str) -> Result<Profile, Error> {
        serde_json::from_str(json).map_err(Error::Parse)
    }

    /// One table for each architecture that the profile covers, the native one first.
    pub(super) fn tables(&self, caps: CapSet, kernel: (u32, u32), native: Arch) -> Result<Vec<Table>, Error> {
        let default = action(&self.default_action, self.default_errno_ret)?;
        let syscalls = self.syscalls.as_deref().unwrap_or_default();
        let mut rules = Vec::new();
        let mut known = Vec::new();
        for syscall in syscalls {
            let names = syscall.names()?;
            // The highest number that the profile knows tells what is newer than it, so a rule that is left
            // out for want of a capability counts as well.
            known.extend(names.iter().copied());
            let rule = syscall.rule(names)?;
            if syscall.applies(caps, kernel, native)? {
                rules.push(rule);
            }
        }
        let arches = self.arches(native)?;
        // A profile that lets through what it doesn't name lets newer calls through as well.
        let newer = if matches!(default & 0xffff_0000, ALLOW | LOG | TRACE) {
            default
        } else {
            ERRNO | rustix::io::Errno::NOSYS.raw_os_error() as u32
        };
        Ok(arches.into_iter().map(|arch| table::build(arch, &rules, &known, default, newer)).collect())
    }

    fn arches(&self, native: Arch) -> Result<Vec<Arch>, Error> {
        let listed = self.architectures.as_deref().unwrap_or_default();
        let map = self.arch_map.as_deref().unwrap_or_default();
        if !listed.is_empty() && !map.is_empty() {
            return Err(Error::Value {
                field: "both",
                value: "architectures` and `archMap".into(),
                reason: "only one of them can be given",
            });
        }
        let mapped = map.iter().find(|m| m.architecture == native.scmp());
        let others = mapped.and_then(|m| m.sub_architectures.as_deref()).unwrap_or(listed);
        let mut arches = vec![native];
        for arch in others.iter().filter_map(|name| Arch::from_scmp(name)) {
            if !arches.contains(&arch) && native.runs(arch) {
                arches.push(arch);
            }
        }
        Ok(arches)
    }

    pub(super) fn flags(&self) -> Result<Flags, Error> {
        let mut flags = Flags::NONE;
        for name in self.flags.iter().flatten() {
            flags = flags.union(match name.as_str() {
                "SECCOMP_FILTER_FLAG_LOG" => Flags::LOG,
                "SECCOMP_FILTER_FLAG_SPEC_ALLOW" => Flags::SPEC_ALLOW,
                // The filter is loaded by a process of one thread: there is nothing to synchronise.
                "SECCOMP_FILTER_FLAG_TSYNC" => Flags::NONE,
                other => return Err(Error::Unsupported(other.into())),
            });
        }
        Ok(flags)
    }
}

impl Arch {
    /// Whether a processor of this architecture runs programs of the other.
    fn runs(self, other: Arch) -> bool {
        matches!((self, other), (Arch::X86_64, Arch::I386)) || self == other
    }
}

impl Syscall {
    fn names(&self) -> Result<Vec<&str>, Error> {
        let names: Vec<&str> = self.names.iter().flatten().map(String::as_str).collect();
        match (&self.name, names.is_empty()) {
            (Some(name), true) => Ok(vec![name]),
            (None, _) => Ok(names),
            (Some(name), false) => Err(Error::Value {
                field: "both `name` and `names` for",
                value: name.clone(),
                reason: "only one of them can be given",
            }),
        }
    }

    fn rule<'a>(&self, names: Vec<&'a str>) -> Result<Rule<'a>, Error> {
        let conditions = self.args.iter().flatten().map(Argument::condition).collect::<Result<_, _>>()?;
        Ok(Rule { names, conditions, action: action(&self.action, self.errno_ret)? })
    }

    fn applies(&self, caps: CapSet, kernel: (u32, u32), native: Arch) -> Result<bool, Error> {
        let (default_in, default_out) = (Filter::default(), Filter::default());
        let includes = self.includes.as_ref().unwrap_or(&default_in);
        let excludes = self.excludes.as_ref().unwrap_or(&default_out);
        // A name that isn't a capability here is one that nobody has.
        let has = |name: &String| name.parse::<Capability>().is_ok_and(|c| caps.contains(c));
        let is_native = |name: &String| name == native.docker();
        let arches = includes.arches.as_deref().unwrap_or_default();
        Ok((arches.is_empty() || arches.iter().any(is_native))
            && includes.caps.iter().flatten().all(has)
            && includes.kernel()?.is_none_or(|min| kernel >= min)
            && !excludes.arches.iter().flatten().any(is_native)
            && !excludes.caps.iter().flatten().any(has)
            && excludes.kernel()?.is_none_or(|min| kernel < min))
    }
}

impl Argument {
    fn condition(&self) -> Result<Condition, Error> {
        if self.index >= ARGUMENTS {
            return Err(Error::Value {
                field: "an argument's index",
                value: self.index.to_string(),
                reason: "system calls have six arguments, from 0",
            });
        }
        let compare = match self.op.as_str() {
            "SCMP_CMP_NE" => Compare::NotEqual(self.value),
            "SCMP_CMP_LT" => Compare::Less(self.value),
            "SCMP_CMP_LE" => Compare::LessOrEqual(self.value),
            "SCMP_CMP_EQ" => Compare::Equal(self.value),
            "SCMP_CMP_GE" => Compare::GreaterOrEqual(self.value),
            "SCMP_CMP_GT" => Compare::Greater(self.value),
            "SCMP_CMP_MASKED_EQ" => Compare::Masked { mask: self.value, value: self.value_two },
            other => {
                return Err(Error::Value {
                    field: "an argument's operator",
                    value: other.into(),
                    reason: "it is one of SCMP_CMP_NE, LT, LE, EQ, GE, GT and MASKED_EQ",
                });
            }
        };
        Ok(Condition { index: self.index, compare })
    }
}

impl Filter {
    fn kernel(&self) -> Result<Option<(u32, u32)>, Error> {
        let Some(text) = self.min_kernel.as_deref().filter(|t| !t.is_empty()) else { return Ok(None) };
        let parsed = text.split_once('.').and_then(|(a, b)| Some((a.parse().ok()?, b.parse().ok()?)));
        parsed.map(Some).ok_or(Error::Value {
            field: "the kernel version",
            value: text.into(),
            reason: "it is written as MAJOR.MINOR",
        })
    }
}

/// What a filter returns for an action.
fn action(name: &str, errno: Option<u32>) -> Result<u32, Error> {
    let without_errno = |value| match errno {
        // Docker writes 0 for "not set" in profiles that it generates.
        None | Some(0) => Ok(value),
        Some(number) => Err(Error::Value {
            field: "the errno",
            value: number.to_string(),
            reason: "only SCMP_ACT_ERRNO and SCMP_ACT_TRACE return one",
        }),
    };
    match name {
        "SCMP_ACT_ALLOW" => without_errno(ALLOW),
        "SCMP_ACT_LOG" => without_errno(LOG),
        "SCMP_ACT_TRAP" => without_errno(TRAP),
        "SCMP_ACT_KILL" | "SCMP_ACT_KILL_THREAD" => without_errno(KILL_THREAD),
        "SCMP_ACT_KILL_PROCESS" => without_errno(KILL_PROCESS),
        "SCMP_ACT_ERRNO" => match errno.unwrap_or(EPERM) {
            number @ 0..=ERRNO_MAX => Ok(ERRNO | number),
            number => Err(Error::Value {
                field: "the errno",
                value: number.to_string(),
                reason: "it is at most 4095",
            }),
        },
        "SCMP_ACT_TRACE" => match u16::try_from(errno.unwrap_or(EPERM)) {
            Ok(number) => Ok(TRACE | u32::from(number)),
            Err(_) => Err(Error::Value {
                field: "the errno",
                value: errno.unwrap_or_default().to_string(),
                reason: "a tracer's number is at most 65535",
            }),
        },
        "SCMP_ACT_NOTIFY" => Err(Error::Unsupported(name.into())),
        other => Err(Error::Value {
            field: "the action",
            value: other.into(),
            reason: "it is one of SCMP_ACT_ALLOW, ERRNO, KILL, KILL_THREAD, KILL_PROCESS, TRAP, TRACE and LOG",
        }),
    }
}
