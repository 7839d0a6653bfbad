//! What a process can learn about the container that it runs in.

use corten_model::capability::{CapSet, Capability};
use rustix::process::{Resource, getrlimit};

use crate::commands::run::TYPED_AT_VARIABLE;
use crate::timings::Moment;

/// The kernel's names of namespaces below /proc/self/ns.
const NAMESPACES: [&str; 8] = ["user", "mnt", "pid", "net", "ipc", "uts", "cgroup", "time"];
/// Mounts that are named; of more, only the number is told.
const MOUNTS_NAMED: usize = 24;
/// The most lines of an id map that are told.
const EXTENTS_NAMED: usize = 3;

/// What was learned; what couldn't be is absent.
pub struct Facts {
    pid: i32,
    uid: u32,
    gid: u32,
    uid_map: Option<String>,
    hostname: String,
    namespaces: Vec<String>,
    status: Option<String>,
    mountinfo: Option<String>,
    typed_at_ns: Option<u64>,
    now_ns: u64,
}

impl Facts {
    /// Learns all; `read` reads a file below /proc.
    pub fn gather(read: impl Fn(&str) -> Option<String>) -> Self {
        // First: what follows takes time, too.
        let now_ns = Moment::now().monotonic_ns;
        let status = read("/proc/self/status");
        let link = |name: &str| std::fs::read_link(format!("/proc/self/ns/{name}")).ok();
        let namespaces = match status {
            Some(_) => NAMESPACES.iter().filter_map(|name| namespace(name, link(name)?.to_str()?)).collect(),
            None => Vec::new(),
        };
        Self {
            pid: rustix::process::getpid().as_raw_nonzero().get(),
            uid: rustix::process::geteuid().as_raw(),
            gid: rustix::process::getegid().as_raw(),
            uid_map: read("/proc/self/uid_map"),
            hostname: rustix::system::uname().nodename().to_string_lossy().into_owned(),
            namespaces,
            status,
            mountinfo: read("/proc/self/mountinfo"),
            typed_at_ns: std::env::var(TYPED_AT_VARIABLE).ok().and_then(|text| text.parse().ok()),
            now_ns,
        }
    }

    /// Label and value of each fact that is known.
    pub fn lines(&self) -> Vec<(&'static str, String)> {
        let pid = if self.pid == 1 { "1: the first process in here".into() } else { self.pid.to_string() };
        let mut lines = vec![("pid", pid), ("user", self.user())];
        lines.extend(self.uid_map.as_deref().and_then(map).map(|map| ("uid map", map)));
        lines.push(("hostname", self.hostname.clone()));
        if !self.namespaces.is_empty() {
            lines.push(("namespaces", self.namespaces.join(", ")));
        }
        if let Some(status) = &self.status {
            lines.extend(capabilities(status).map(|text| ("capabilities", text)));
            lines.extend(seccomp(status).map(|text| ("seccomp", text)));
            lines.extend(no_new_privileges(status).map(|text| ("new privileges", text)));
        }
        lines.push(("limits", limits()));
        lines.extend(self.mountinfo.as_deref().map(|text| ("mounts", mounts(text))));
        if let Some(typed) = self.typed_at_ns
            && self.now_ns >= typed
        {
            let ms = (self.now_ns - typed) as f64 / 1e6;
            lines.push(("started", format!("{ms:.1} ms after `corten run` was typed")));
        }
        lines
    }

    fn user(&self) -> String {
        let who = format!("uid {}, gid {}", self.uid, self.gid);
        match self.uid_map.as_deref().and_then(|map| outside(map, self.uid)) {
            Some(outside) if outside != self.uid => format!("{who}: outside it is uid {outside}"),
            Some(_) => format!("{who}: the same outside"),
            None => who,
        }
    }
}

/// `net:[4026531840]` as `net 4026531840`.
fn namespace(name: &str, link: &str) -> Option<String> {
    let id = link.split_once(":[")?.1.strip_suffix(']')?;
    Some(format!("{name} {id}"))
}

/// The lines of a uid_map: inside, outside, how many.
fn extents(map: &str) -> Vec<(u32, u32, u32)> {
    let extent = |line: &str| {
        let mut numbers = line.split_whitespace().map(|number| number.parse().ok());
        Some((numbers.next()??, numbers.next()??, numbers.next()??))
    };
    map.lines().filter_map(extent).collect()
}

fn outside(map: &str, uid: u32) -> Option<u32> {
    let holds = |(inside, _, count): &&(u32, u32, u32)| uid >= *inside && uid - inside < *count;
    extents(map).iter().find(holds).map(|(inside, outside, _)| outside + (uid - inside))
}

fn map(map: &str) -> Option<String> {
    let extents = extents(map);
    if extents.as_slice() == [(0, 0, u32::MAX)] {
        return Some("none: the host's user namespace".into());
    }
    let one = |(inside, outside, count): &(u32, u32, u32)| match count {
        1 => format!("{inside} is {outside}"),
        _ => format!("{inside}-{} are {outside}-{}", inside + (count - 1), outside + (count - 1)),
    };
    let mut parts: Vec<String> = extents.iter().take(EXTENTS_NAMED).map(one).collect();
    if extents.len() > EXTENTS_NAMED {
        parts.push(format!("and {} more", extents.len() - EXTENTS_NAMED));
    }
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// The value of a line of /proc/self/status.
fn field<'a>(status: &'a str, name: &str) -> Option<&'a str> {
    status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
}

fn capabilities(status: &str) -> Option<String> {
    let bits = u64::from_str_radix(field(status, "CapEff")?, 16).ok()?;
    let set = CapSet::from_bits(bits);
    if set == CapSet::ALL {
        return Some("all".into());
    }
    let names: Vec<&str> = set.iter().map(Capability::short_name).collect();
    if names.is_empty() {
        return Some("none".into());
    }
    Some(format!("{}: {}", names.len(), names.join(" ").to_ascii_lowercase()))
}

fn seccomp(status: &str) -> Option<String> {
    Some(match field(status, "Seccomp")? {
        "0" => "off".into(),
        "1" => "strict".into(),
        "2" => match field(status, "Seccomp_filters") {
            Some("1") | None => "filtered".into(),
            Some(filters) => format!("filtered, {filters} times"),
        },
        other => format!("mode {other}"),
    })
}

fn no_new_privileges(status: &str) -> Option<String> {
    Some(match field(status, "NoNewPrivs")? {
        "1" => "none can be gained (no_new_privs)".into(),
        _ => "may be gained by setuid programs".into(),
    })
}

fn limits() -> String {
    let limits = [
        ("open files", Resource::Nofile),
        ("processes", Resource::Nproc),
        ("core", Resource::Core),
        ("locked memory", Resource::Memlock),
    ];
    let one = |(name, resource): (&str, Resource)| {
        let limit = getrlimit(resource).current;
        format!("{name} {}", limit.map_or("unlimited".into(), |limit| limit.to_string()))
    };
    limits.map(one).join(", ")
}

/// Where something is mounted, and of which type the root is.
fn mounts(mountinfo: &str) -> String {
    let mount = |line: &str| {
        let (left, right) = line.split_once(" - ")?;
        Some((left.split(' ').nth(4)?.to_owned(), right.split(' ').next()?.to_owned()))
    };
    let all: Vec<(String, String)> = mountinfo.lines().filter_map(mount).collect();
    let named = all.iter().take(MOUNTS_NAMED).map(|(target, kind)| match target.as_str() {
        "/" => format!("/ ({kind})"),
        target => target.to_owned(),
    });
    let mut text = format!("{}: {}", all.len(), named.collect::<Vec<_>>().join(" "));
    if all.len() > MOUNTS_NAMED {
        text.push_str(" …");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn id_maps() {
        let check = |text: &str, expected: Option<&str>| assert_eq!(map(text).as_deref(), expected, "{text}");
        check("         0     100000      65536\n", Some("0-65535 are 100000-165535"));
        check("0 1000 1\n", Some("0 is 1000"));
        check("0 0 4294967295\n", Some("none: the host's user namespace"));
        check("0 1 1\n1 2 1\n2 3 1\n3 4 1\n", Some("0 is 1, 1 is 2, 2 is 3, and 1 more"));
        check("", None);
        assert_eq!(outside("0 100000 65536\n", 1000), Some(101_000));
        assert_eq!(outside("0 100000 65536\n", 65_536), None);
    }

    #[test]
    fn the_status_file() {
        let status =
            "Name:\tx\nCapEff:\t0000000000000401\nNoNewPrivs:\t1\nSeccomp:\t2\nSeccomp_filters:\t2\n";
        assert_eq!(capabilities(status).as_deref(), Some("2: chown net_bind_service"));
        assert_eq!(seccomp(status).as_deref(), Some("filtered, 2 times"));
        assert_eq!(no_new_privileges(status).as_deref(), Some("none can be gained (no_new_privs)"));
        assert_eq!(capabilities("CapEff:\t0000000000000000\n").as_deref(), Some("none"));
        assert_eq!(capabilities("CapEff:\t000001ffffffffff\n").as_deref(), Some("all"));
        assert_eq!((capabilities(""), seccomp(""), no_new_privileges("")), (None, None, None));
    }

    #[test]
    fn namespaces_and_mounts() {
        assert_eq!(namespace("net", "net:[4026531840]").as_deref(), Some("net 4026531840"));
        assert_eq!(namespace("net", "garbage"), None);
        let mountinfo = "1 0 0:1 / / rw - overlay overlay rw,lowerdir=/x\n2 1 0:2 / /proc rw,nosuid shared:1 - proc proc rw\n";
        assert_eq!(mounts(mountinfo), "2: / (overlay) /proc");
    }
}
