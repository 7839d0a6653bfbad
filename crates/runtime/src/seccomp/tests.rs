//! Filters against profiles: every system call number is judged by the compiled program and, naively, by the
//! profile's own words.

use corten_model::capability::{CapSet, Capability};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::arch::Arch;
use super::interpret::{Data, run};
use super::*;

const KERNEL: (u32, u32) = (6, 1);
const ALLOW: u32 = 0x7fff_0000;
const KILL_PROCESS: u32 = 0x8000_0000;
const EPERM: u32 = 1;
const ENOSYS: u32 = 38;

fn errno(number: u32) -> u32 {
    0x0005_0000 | number
}

fn with(caps: &[&str]) -> CapSet {
    caps.iter().fold(CapSet::DEFAULT, |set, name| set.with(name.parse::<Capability>().unwrap()))
}

fn action(rule: &Value, key: &str, errno_key: &str) -> u32 {
    let number = rule[errno_key].as_u64().map(|n| n as u32);
    match rule[key].as_str().unwrap() {
        "SCMP_ACT_ALLOW" => ALLOW,
        "SCMP_ACT_LOG" => 0x7ffc_0000,
        "SCMP_ACT_TRAP" => 0x0003_0000,
        "SCMP_ACT_KILL" => 0,
        "SCMP_ACT_KILL_PROCESS" => KILL_PROCESS,
        "SCMP_ACT_TRACE" => 0x7ff0_0000 | number.unwrap_or(EPERM),
        "SCMP_ACT_ERRNO" => errno(number.unwrap_or(EPERM)),
        other => panic!("{other}"),
    }
}

fn holds(condition: &Value, data: &Data, arch: Arch) -> bool {
    let cut = |v: u64| if arch.is_32_bit() { v & 0xffff_ffff } else { v };
    let argument = cut(data.arguments[condition["index"].as_u64().unwrap() as usize]);
    let value = cut(condition["value"].as_u64().unwrap());
    match condition["op"].as_str().unwrap() {
        "SCMP_CMP_NE" => argument != value,
        "SCMP_CMP_LT" => argument < value,
        "SCMP_CMP_LE" => argument <= value,
        "SCMP_CMP_EQ" => argument == value,
        "SCMP_CMP_GE" => argument >= value,
        "SCMP_CMP_GT" => argument > value,
        "SCMP_CMP_MASKED_EQ" => argument & value == cut(condition["valueTwo"].as_u64().unwrap_or(0)),
        other => panic!("{other}"),
    }
}

fn list(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().map(|v| v.as_str().unwrap().to_owned()).collect()
}

fn applies(rule: &Value, caps: CapSet, native: Arch) -> bool {
    let (includes, excludes) = (&rule["includes"], &rule["excludes"]);
    let has = |name: &String| caps.contains(name.parse().unwrap());
    let is_native = |name: &String| name == native.docker();
    let old = |v: &Value| v.as_str().is_some_and(|t| t != "4.8");
    assert!(!old(&includes["minKernel"]), "the profile has only rules for kernels from 4.8");
    list(&includes["caps"]).iter().all(has)
        && (list(&includes["arches"]).is_empty() || list(&includes["arches"]).iter().any(is_native))
        && !list(&excludes["caps"]).iter().any(has)
        && !list(&excludes["arches"]).iter().any(is_native)
}

/// A profile's rules by the number of the call: what a naive reader makes of it.
struct Naive {
    arch: Arch,
    default: u32,
    highest: Option<u32>,
    rules: Vec<(u32, Vec<Value>, u32)>,
}

impl Naive {
    fn new(profile: &Value, caps: CapSet, native: Arch, arch: Arch) -> Naive {
        let mut rules = Vec::new();
        let mut highest = None;
        for rule in profile["syscalls"].as_array().unwrap() {
            for name in list(&rule["names"]) {
                let Some(number) = arch.number(&name) else { continue };
                highest = highest.max(Some(number));
                if applies(rule, caps, native) {
                    let conditions = rule["args"].as_array().cloned().unwrap_or_default();
                    rules.push((number, conditions, action(rule, "action", "errnoRet")));
                }
            }
        }
        let default = action(profile, "defaultAction", "defaultErrnoRet");
        rules.retain(|(_, _, action)| *action != default);
        Naive { arch, default, highest, rules }
    }

    fn judge(&self, data: &Data) -> u32 {
        if self.arch == Arch::X86_64 && data.number >= 0x4000_0000 {
            return errno(ENOSYS);
        }
        if self.highest.is_none_or(|h| data.number > h) {
            let lets_through = matches!(self.default & 0xffff_0000, 0x7fff_0000 | 0x7ffc_0000 | 0x7ff0_0000);
            return if lets_through { self.default } else { errno(ENOSYS) };
        }
        let of_call = || self.rules.iter().filter(|(number, _, _)| *number == data.number);
        let unconditional = of_call().find(|(_, conditions, _)| conditions.is_empty());
        let fits = || {
            of_call().find(|(_, conditions, _)| {
                let index = |c: &Value| c["index"].as_u64().unwrap();
                let mut indices: Vec<u64> = conditions.iter().map(index).collect();
                indices.sort_unstable();
                indices.dedup();
                let check = |c: &Value| holds(c, data, self.arch);
                if indices.len() == conditions.len() {
                    conditions.iter().all(check)
                } else {
                    conditions.iter().any(check)
                }
            })
        };
        unconditional.or_else(fits).map_or(self.default, |(_, _, action)| *action)
    }

    /// Values around those that the conditions name, and some that only a 64-bit comparison tells apart.
    fn interesting(&self, number: u32) -> Vec<u64> {
        let mut values = vec![0, 1, u64::MAX, 1 << 32, 0xffff_ffff];
        let conditions = self.rules.iter().filter(|(n, _, _)| *n == number).flat_map(|(_, c, _)| c);
        for condition in conditions {
            let value = condition["value"].as_u64().unwrap();
            let second = condition["valueTwo"].as_u64().unwrap_or(0);
            for v in [value, second, value | second] {
                values.extend([v, v.wrapping_add(1), v.wrapping_sub(1), v ^ (1 << 32), v ^ (1 << 17), !v]);
            }
        }
        values
    }
}

/// Judges every number of every architecture both ways; returns the number of instructions.
fn check(profile: &Value, caps: CapSet, native: Arch, arches: &[Arch]) -> usize {
    let filter = compiled(&profile.to_string(), caps, KERNEL, native).unwrap();
    for arch in arches {
        let naive = Naive::new(profile, caps, native, *arch);
        let far = [1 << 20, 0x3fff_ffff, 0x4000_0000, 0x4000_0001, 0x4000_0200, 0x8000_0000, u32::MAX];
        for number in (0..1024).chain(far) {
            for value in naive.interesting(number) {
                for index in 0..6 {
                    let mut arguments = [0; 6];
                    arguments[index] = value;
                    let data = Data { number, arch: arch.audit(), arguments };
                    let (got, _) = run(&filter.program, &data);
                    assert_eq!(got, naive.judge(&data), "{arch:?} {data:x?}");
                }
            }
        }
    }
    let foreign = Data { number: 0, arch: 0xc000_00f3, arguments: [0; 6] };
    assert_eq!(run(&filter.program, &foreign).0, KILL_PROCESS, "an architecture that isn't listed");
    filter.program.len()
}

fn docker() -> Value {
    serde_json::from_str(default_profile()).unwrap()
}

#[test]
fn dockers_profile_says_what_it_says() {
    let sets = [
        CapSet::DEFAULT,
        CapSet::default(),
        CapSet::ALL,
        with(&["SYS_ADMIN"]),
        with(&["SYS_PTRACE", "SYS_NICE"]),
    ];
    for caps in sets {
        let length = check(&docker(), caps, Arch::X86_64, &[Arch::X86_64, Arch::I386]);
        assert!(length <= 300, "{length} instructions with {caps:?}");
        check(&docker(), caps, Arch::Aarch64, &[Arch::Aarch64]);
    }
}

#[test]
fn a_common_call_takes_few_steps() {
    let filter = compiled(default_profile(), CapSet::DEFAULT, KERNEL, Arch::X86_64).unwrap();
    let longest = (0..470)
        .map(|number| run(&filter.program, &Data { number, arch: Arch::X86_64.audit(), arguments: [0; 6] }).1)
        .max();
    assert!(longest.unwrap() <= 24, "{longest:?}");
}

/// What no container gets by default.
const DENIED: [&str; 64] = [
    "acct",
    "add_key",
    "bpf",
    "clock_settime",
    "create_module",
    "delete_module",
    "fanotify_init",
    "finit_module",
    "fsconfig",
    "fsmount",
    "fsopen",
    "fspick",
    "get_kernel_syms",
    "get_mempolicy",
    "init_module",
    "io_uring_enter",
    "io_uring_register",
    "io_uring_setup",
    "ioperm",
    "iopl",
    "kcmp",
    "kexec_file_load",
    "kexec_load",
    "keyctl",
    "lookup_dcookie",
    "mbind",
    "migrate_pages",
    "mount",
    "mount_setattr",
    "move_mount",
    "move_pages",
    "nfsservctl",
    "open_by_handle_at",
    "open_tree",
    "perf_event_open",
    "pidfd_getfd",
    "pivot_root",
    "process_madvise",
    "query_module",
    "quotactl",
    "quotactl_fd",
    "reboot",
    "request_key",
    "set_mempolicy",
    "set_mempolicy_home_node",
    "setdomainname",
    "sethostname",
    "setns",
    "settimeofday",
    "stime",
    "swapoff",
    "swapon",
    "sysfs",
    "_sysctl",
    "syslog",
    "umount",
    "umount2",
    "unshare",
    "uselib",
    "userfaultfd",
    "ustat",
    "vhangup",
    "vm86",
    "vm86old",
];

/// What the default capabilities may not do (CVE-2022-0185, CVE-2020-14386, shocker and their kin), and a few
/// calls around it that have to work.
#[test]
fn sixty_calls_under_the_default_capabilities() {
    let filter = compiled(default_profile(), CapSet::DEFAULT, KERNEL, Arch::X86_64).unwrap();
    let check = |name: &str, arguments: &[u64], expected: u32| {
        let mut all = [0; 6];
        all[..arguments.len()].copy_from_slice(arguments);
        assert!(Arch::X86_64.number(name).or(Arch::I386.number(name)).is_some(), "there is no {name}");
        for arch in [Arch::X86_64, Arch::I386] {
            let Some(number) = arch.number(name) else { continue };
            let data = Data { number, arch: arch.audit(), arguments: all };
            assert_eq!(run(&filter.program, &data).0, expected, "{name}{arguments:?} on {arch:?}");
        }
    };
    for name in DENIED {
        check(name, &[], errno(EPERM));
    }
    check("clone3", &[], errno(ENOSYS));
    check("clone", &[0x11], ALLOW);
    for namespace in
        [0x1000_0000, 0x0002_0000, 0x4000_0000, 0x2000_0000, 0x0200_0000, 0x0800_0000, 0x0400_0000]
    {
        check("clone", &[namespace | 0x11], errno(EPERM));
    }
    check("socket", &[1], ALLOW);
    check("socket", &[38], errno(EPERM));
    check("socket", &[39], ALLOW);
    check("socket", &[40], errno(EPERM));
    check("personality", &[0], ALLOW);
    check("personality", &[0xffff_ffff], ALLOW);
    check("personality", &[0x40000], errno(EPERM));
    for name in
        ["read", "execve", "openat2", "futex", "ptrace", "chroot", "setuid", "landlock_create_ruleset"]
    {
        check(name, &[], ALLOW);
    }
}

#[test]
fn a_capability_opens_its_calls() {
    let check = |caps: &[&str], name: &str, expected: u32| {
        let filter = compiled(default_profile(), with(caps), KERNEL, Arch::X86_64).unwrap();
        let number = Arch::X86_64.number(name).unwrap();
        let data = Data { number, arch: Arch::X86_64.audit(), arguments: [u64::MAX; 6] };
        assert_eq!(run(&filter.program, &data).0, expected, "{name} with {caps:?}");
    };
    check(&["SYS_ADMIN"], "mount", ALLOW);
    check(&["SYS_ADMIN"], "clone3", ALLOW);
    check(&["SYS_ADMIN"], "clone", ALLOW);
    check(&["DAC_READ_SEARCH"], "open_by_handle_at", ALLOW);
    check(&["BPF"], "bpf", ALLOW);
    check(&["SYS_TIME"], "settimeofday", ALLOW);
    check(&["SYS_ADMIN"], "kexec_load", errno(EPERM));
}

#[test]
fn an_old_kernel_has_no_ptrace() {
    let check = |kernel, expected| {
        let filter = compiled(default_profile(), CapSet::DEFAULT, kernel, Arch::X86_64).unwrap();
        let data = Data { number: 101, arch: Arch::X86_64.audit(), arguments: [0; 6] };
        assert_eq!(run(&filter.program, &data).0, expected, "{kernel:?}");
    };
    check((4, 7), errno(EPERM));
    check((4, 8), ALLOW);
    check((5, 0), ALLOW);
}

#[test]
fn a_profile_that_allows_by_default_is_not_passed_by_the_back_doors() {
    let profile = json!({
        "defaultAction": "SCMP_ACT_ALLOW",
        "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
        "syscalls": [{ "names": ["socket", "shmat", "mkdir"], "action": "SCMP_ACT_ERRNO", "errnoRet": 13 }],
    });
    let filter = compiled(&profile.to_string(), CapSet::DEFAULT, KERNEL, Arch::X86_64).unwrap();
    let check = |arch: Arch, number, first, expected| {
        let data = Data { number, arch: arch.audit(), arguments: [first, 0, 0, 0, 0, 0] };
        assert_eq!(run(&filter.program, &data).0, expected, "{arch:?} {number} {first}");
    };
    check(Arch::X86_64, 83, 0, errno(13));
    check(Arch::X86_64, 0x4000_0000 + 83, 0, errno(ENOSYS));
    check(Arch::X86_64, 5000, 0, ALLOW);
    let (socketcall, ipc) = (Arch::I386.number("socketcall").unwrap(), Arch::I386.number("ipc").unwrap());
    check(Arch::I386, socketcall, 1, errno(13));
    check(Arch::I386, socketcall, 2, ALLOW);
    check(Arch::I386, ipc, 21, errno(13));
    check(Arch::I386, ipc, 22, ALLOW);
}

#[test]
fn without_architectures_only_the_native_one_runs() {
    let profile = json!({ "defaultAction": "SCMP_ACT_ALLOW" });
    let filter = compiled(&profile.to_string(), CapSet::DEFAULT, KERNEL, Arch::X86_64).unwrap();
    let data = |arch: Arch| Data { number: 1, arch: arch.audit(), arguments: [0; 6] };
    assert_eq!(run(&filter.program, &data(Arch::X86_64)).0, ALLOW);
    assert_eq!(run(&filter.program, &data(Arch::I386)).0, KILL_PROCESS);
}

#[test]
fn what_a_profile_may_not_say() {
    let rule = |rule: Value| json!({ "defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule] });
    let check = |profile: Value, kind: Kind, part: &str| {
        let error = compiled(&profile.to_string(), CapSet::DEFAULT, KERNEL, Arch::X86_64).unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(part), "{error}");
    };
    check(json!({}), Kind::Invalid, "parsed");
    check(json!({ "defaultAction": "ALLOW" }), Kind::Invalid, "ALLOW");
    check(json!({ "defaultAction": "SCMP_ACT_ALLOW", "defaultErrnoRet": 3 }), Kind::Invalid, "errno");
    check(json!({ "defaultAction": "SCMP_ACT_NOTIFY" }), Kind::Unsupported, "NOTIFY");
    check(rule(json!({ "names": ["a"], "action": "SCMP_ACT_NOTIFY" })), Kind::Unsupported, "NOTIFY");
    check(
        rule(json!({ "names": ["a"], "action": "SCMP_ACT_ERRNO", "errnoRet": 4096 })),
        Kind::Invalid,
        "4095",
    );
    check(rule(json!({ "name": "a", "names": ["a"], "action": "SCMP_ACT_LOG" })), Kind::Invalid, "names");
    let argument = |index: u32, op: &str| {
        rule(
            json!({ "names": ["a"], "action": "SCMP_ACT_LOG", "args": [{ "index": index, "value": 1, "op": op }] }),
        )
    };
    check(argument(6, "SCMP_CMP_EQ"), Kind::Invalid, "index");
    check(argument(0, "EQ"), Kind::Invalid, "operator");
    let flags = json!({ "defaultAction": "SCMP_ACT_ALLOW", "flags": ["SECCOMP_FILTER_FLAG_NEW_LISTENER"] });
    check(flags, Kind::Unsupported, "LISTENER");
    let both = json!({
        "defaultAction": "SCMP_ACT_ALLOW",
        "architectures": ["SCMP_ARCH_X86"],
        "archMap": [{ "architecture": "SCMP_ARCH_X86_64" }],
    });
    check(both, Kind::Invalid, "only one");
}

#[test]
fn a_profile_too_long_for_the_kernel_is_an_error() {
    let args = |n: u64| json!([{ "index": 0, "value": n, "op": "SCMP_CMP_EQ" }]);
    let rules: Vec<Value> = (0..2000)
        .map(|n| json!({ "names": ["read"], "action": "SCMP_ACT_ALLOW", "args": args(n) }))
        .collect();
    let profile = json!({ "defaultAction": "SCMP_ACT_ERRNO", "syscalls": rules });
    let error = compiled(&profile.to_string(), CapSet::DEFAULT, KERNEL, Arch::X86_64).unwrap_err();
    assert!(matches!(error, Error::TooLong(n) if n > 4096), "{error}");
}

#[test]
fn the_cache_gives_what_the_compiler_made() {
    let dir = tempfile::tempdir().unwrap();
    let cache = dir.path().join("seccomp");
    let fresh = filter(Some(&cache), default_profile(), CapSet::DEFAULT, KERNEL).unwrap();
    assert_eq!(filter(Some(&cache), default_profile(), CapSet::DEFAULT, KERNEL).unwrap(), fresh);
    assert_eq!(filter(None, default_profile(), CapSet::DEFAULT, KERNEL).unwrap(), fresh);
    let other = filter(Some(&cache), default_profile(), CapSet::ALL, KERNEL).unwrap();
    assert_ne!(other, fresh);
    assert_eq!(std::fs::read_dir(&cache).unwrap().count(), 2);
    let file = cache.join("x");
    std::fs::write(&file, "").unwrap();
    assert!(filter(Some(&file), default_profile(), CapSet::DEFAULT, KERNEL).is_ok(), "no directory");
}

const NAMES: [&str; 12] = [
    "read", "write", "open", "close", "mmap", "clone", "ioctl", "prctl", "mseal", "chown32", "keyctl",
    "no_such",
];
const ACTIONS: [&str; 5] =
    ["SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO", "SCMP_ACT_KILL", "SCMP_ACT_LOG", "SCMP_ACT_TRACE"];
const OPERATORS: [&str; 7] = [
    "SCMP_CMP_NE",
    "SCMP_CMP_LT",
    "SCMP_CMP_LE",
    "SCMP_CMP_EQ",
    "SCMP_CMP_GE",
    "SCMP_CMP_GT",
    "SCMP_CMP_MASKED_EQ",
];

fn any_profile() -> impl Strategy<Value = Value> {
    let number = prop_oneof![0..4u64, Just(u64::MAX), Just(1 << 32), Just(0x1_0000_0001), Just(0xffff_ffff)];
    let argument = (0..2u32, number.clone(), number, 0..OPERATORS.len()).prop_map(
        |(index, value, second, op)| json!({ "index": index, "value": value, "valueTwo": second, "op": OPERATORS[op] }),
    );
    let rule = (
        proptest::sample::subsequence(&NAMES[..], 1..5),
        0..ACTIONS.len(),
        proptest::collection::vec(argument, 0..3),
    )
        .prop_map(|(names, action, args)| json!({ "names": names, "action": ACTIONS[action], "args": args }));
    (0..ACTIONS.len(), proptest::collection::vec(rule, 0..12)).prop_map(|(default, rules)| {
        json!({
            "defaultAction": ACTIONS[default],
            "architectures": ["SCMP_ARCH_X86"],
            "syscalls": rules,
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn any_profile_compiles_to_what_it_says(profile in any_profile()) {
        check(&profile, CapSet::DEFAULT, Arch::X86_64, &[Arch::X86_64, Arch::I386]);
    }
}

/// Not a test of its own: what the kernel test below runs in a process that it can spoil with a filter.
#[test]
fn child_under_the_filter() {
    if std::env::var_os("CORTEN_TEST_SECCOMP_CHILD").is_none() {
        return;
    }
    let filter = filter(None, default_profile(), CapSet::DEFAULT, KERNEL).unwrap();
    rustix::thread::set_no_new_privs(true).unwrap();
    corten_sys::seccomp::load(&filter.program, filter.flags).unwrap();
    let mut said = Vec::new();
    let mut say = |name: &str, result: Result<(), rustix::io::Errno>| {
        said.push(format!("{name}={}", result.map_or_else(|e| e.raw_os_error(), |()| 0)));
    };
    use rustix::mount::{FsOpenFlags, UnmountFlags, fsopen, unmount};
    say("fsopen", fsopen("tmpfs", FsOpenFlags::empty()).map(drop));
    say("umount", unmount("/nonexistent", UnmountFlags::empty()));
    say("sethostname", rustix::system::sethostname(b"x"));
    say("getpriority", rustix::process::getpriority_process(None).map(drop));
    use rustix::net::{AddressFamily, SocketType, socket};
    say("vsock", socket(AddressFamily::from_raw(40), SocketType::STREAM, None).map(drop));
    say("unix", socket(AddressFamily::UNIX, SocketType::STREAM, None).map(drop));
    println!("\nunder the filter: {}", said.join(" "));
}

#[test]
fn the_kernel_takes_the_filter_and_follows_it() {
    let child = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "seccomp::tests::child_under_the_filter", "--nocapture", "--test-threads=1"])
        .env("CORTEN_TEST_SECCOMP_CHILD", "1")
        .output()
        .unwrap();
    let out = String::from_utf8_lossy(&child.stdout).into_owned();
    let line = out.lines().find(|l| l.starts_with("under the filter")).unwrap_or_else(|| panic!("{child:?}"));
    assert_eq!(line, "under the filter: fsopen=1 umount=1 sethostname=1 getpriority=0 vsock=1 unix=0");
    assert!(child.status.success());
}
