//! What a spec becomes, and what is refused before anything is done.

use super::*;
use crate::spec::{Device, IdMapping, Linux, Namespace, Process, Rlimit};

fn facts() -> Facts {
    Facts { rootless: false, kernel: (6, 18), joins: Vec::new(), shm: false, fallbacks: Fallbacks::default() }
}

fn mount(destination: &str, kind: &str, source: &str, options: &[&str]) -> Mount {
    Mount {
        destination: destination.into(),
        kind: kind.into(),
        source: source.into(),
        options: options.iter().map(|o| (*o).to_owned()).collect(),
        ..Mount::default()
    }
}

fn spec() -> Spec {
    let kinds =
        [NsKind::Mount, NsKind::Pid, NsKind::Ipc, NsKind::Uts, NsKind::Net, NsKind::Cgroup, NsKind::User];
    let mapping = vec![IdMapping { container_id: 0, host_id: 200_000, size: 65_536 }];
    Spec {
        process: Process { args: vec!["sh".into()], cwd: "/".into(), ..Process::default() },
        hostname: "box".into(),
        mounts: vec![
            mount("/proc", "proc", "proc", &[]),
            mount("/dev", "tmpfs", "tmpfs", &["nosuid", "mode=755"]),
            mount("/dev/pts", "devpts", "devpts", &["newinstance", "gid=5"]),
            mount("/sys", "sysfs", "sysfs", &["ro"]),
            mount("/sys/fs/cgroup", "cgroup", "cgroup", &["nosuid"]),
            mount("/data", "bind", "/srv", &["rbind", "ro"]),
        ],
        linux: Linux {
            namespaces: kinds.map(|kind| Namespace { kind, path: String::new() }).to_vec(),
            uid_mappings: mapping.clone(),
            gid_mappings: mapping,
            ..Linux::default()
        },
        ..Spec::default()
    }
}

#[test]
fn a_default_container() {
    use ChildStep::*;
    let spec = spec();
    let plan = plan(&spec, &facts()).unwrap();
    assert_eq!(plan.new, [NsKind::Mount, NsKind::User, NsKind::Pid, NsKind::Ipc, NsKind::Uts]);
    assert_eq!(
        plan.child,
        [
            Prepare,
            OwnNetwork,
            AwaitMaps,
            BecomeRoot,
            MakeFileSystem(0),
            MakeFileSystem(2),
            MakeFileSystem(3),
            AwaitFds,
            JoinCgroup,
            OwnCgroups,
            Attach(0),
            Attach(1),
            Attach(2),
            Attach(3),
            Attach(4),
            Attach(5),
            Mask,
            ReadOnlyPaths,
            MakeCwd,
            AttachRoot,
            Pivot,
            Hostname,
        ]
    );
    assert_eq!(
        plan.parent,
        [
            ParentStep::Clone { joining: false },
            ParentStep::WriteMaps,
            ParentStep::OwnPipes,
            ParentStep::MakeRoot,
            ParentStep::MakeDev(1),
            ParentStep::MakeCgroupView(4),
            ParentStep::MakeBind(5),
            ParentStep::OpenCgroup,
            ParentStep::SendGo,
            ParentStep::AwaitExec,
        ]
    );
    let text = plan.to_string();
    assert!(text.contains("mount 5: /data from Bind") && text.contains("child: Pivot"), "{text}");
}

#[test]
fn older_kernels_attach_the_root_first() {
    let spec = spec();
    let before = |plan: &Plan<'_>, a, b| {
        let place = |step| plan.child.iter().position(|s| *s == step).unwrap();
        place(a) < place(b)
    };
    let check = |facts: Facts, first| {
        let plan = plan(&spec, &facts).unwrap();
        assert_eq!(before(&plan, ChildStep::AttachRoot, ChildStep::Attach(0)), first);
    };
    check(facts(), false);
    check(Facts { kernel: (5, 15), ..facts() }, true);
    let fallbacks = Fallbacks { attached_mounts: true, ..Fallbacks::default() };
    check(Facts { fallbacks, ..facts() }, true);
}

#[test]
fn rootless_and_the_hosts_user_namespace() {
    let mut spec = spec();
    let rootless = plan(&spec, &Facts { rootless: true, ..facts() }).unwrap();
    assert!(
        rootless.child.contains(&ChildStep::MakeRoot) && rootless.child.contains(&ChildStep::MakeBind(5))
    );
    assert!(
        !rootless.parent.contains(&ParentStep::MakeRoot) && !rootless.parent.contains(&ParentStep::OwnPipes)
    );
    spec.linux.uid_mappings.clear();
    spec.linux.gid_mappings.clear();
    assert!(plan(&spec, &facts()).is_err(), "a user namespace without maps");
    spec.linux.namespaces.retain(|n| n.kind != NsKind::User);
    let plain = plan(&spec, &facts()).unwrap();
    assert!(
        plain.child.contains(&ChildStep::CutPropagation) && !plain.child.contains(&ChildStep::BecomeRoot)
    );
    assert!(!plain.parent.contains(&ParentStep::WriteMaps));
    assert!(plan(&spec, &Facts { rootless: true, ..facts() }).is_err(), "rootless without a user namespace");
}

#[test]
fn a_sandbox_is_joined_user_namespace_first() {
    let spec = spec();
    let joins = vec![NsKind::Net, NsKind::Uts, NsKind::User, NsKind::Ipc];
    let plan = plan(&spec, &Facts { joins, ..facts() }).unwrap();
    assert_eq!(plan.joins, [NsKind::User, NsKind::Ipc, NsKind::Uts, NsKind::Net]);
    assert_eq!(plan.new, [NsKind::Mount, NsKind::Pid]);
    assert!(plan.in_userns && !plan.writes_maps);
    let absent = [ChildStep::OwnNetwork, ChildStep::AwaitMaps, ChildStep::Hostname];
    assert!(absent.iter().all(|step| !plan.child.contains(step)));
    assert!(matches!(plan.mounts[3].source, Source::FileSystem { fstype: "sysfs", .. }));
}

#[test]
fn a_namespace_of_another_owner_gets_the_hosts_tree() {
    let mut spec = spec();
    spec.linux.namespaces.retain(|n| !matches!(n.kind, NsKind::Net | NsKind::Pid));
    let plan = plan(&spec, &facts()).unwrap();
    assert!(matches!(plan.mounts[0].source, Source::Bind { path: "/proc", idmap: false, .. }));
    let Source::Bind { path: "/sys", recursive_attributes, .. } = &plan.mounts[3].source else { panic!() };
    assert!(recursive_attributes.contains(MountAttrFlags::MOUNT_ATTR_RDONLY));
}

#[test]
fn binds_and_cgroups_are_read_only_all_the_way_down() {
    let spec = spec();
    let plan = plan(&spec, &facts()).unwrap();
    let Source::Bind { recursive: true, recursive_attributes, .. } = &plan.mounts[5].source else { panic!() };
    assert!(recursive_attributes.contains(MountAttrFlags::MOUNT_ATTR_RDONLY));
    assert!(plan.mounts[4].attributes.contains(MountAttrFlags::MOUNT_ATTR_RDONLY));
}

#[test]
fn ids_that_a_small_map_lacks_are_left_out() {
    let mut spec = spec();
    spec.linux.gid_mappings[0].size = 1;
    let plan = plan(&spec, &facts()).unwrap();
    let Source::FileSystem { parameters, .. } = &plan.mounts[2].source else { panic!() };
    assert_eq!(*parameters, [("newinstance", None)]);
}

#[test]
fn what_cannot_be_is_refused() {
    let refused = |name: &str, change: &dyn Fn(&mut Spec)| {
        let mut spec = spec();
        change(&mut spec);
        assert!(plan(&spec, &facts()).is_err(), "{name}");
    };
    refused("no command", &|s| s.process.args.clear());
    refused("an empty command", &|s| s.process.args = vec![String::new()]);
    refused("a NUL", &|s| s.process.args.push("a\0b".into()));
    refused("a relative cwd", &|s| s.process.cwd = "srv".into());
    refused("no mount namespace", &|s| s.linux.namespaces.retain(|n| n.kind != NsKind::Mount));
    refused("half a map", &|s| s.linux.gid_mappings.clear());
    refused("the host's name", &|s| s.linux.namespaces.retain(|n| n.kind != NsKind::Uts));
    refused("a volume on proc", &|s| s.mounts.push(mount("/proc", "bind", "/srv", &[])));
    refused("a volume in proc", &|s| s.mounts.push(mount("/proc/sys", "bind", "/srv", &[])));
    refused("a tmpfs on proc", &|s| s.mounts.push(mount("//proc/.", "tmpfs", "", &[])));
    refused("a volume on sys", &|s| s.mounts.push(mount("/sys", "bind", "/srv", &[])));
    refused("a mount on the root", &|s| s.mounts.push(mount("/", "tmpfs", "", &[])));
    refused("a mount with ..", &|s| s.mounts.push(mount("/a/../b", "tmpfs", "", &[])));
    refused("a relative source", &|s| s.mounts.push(mount("/a", "bind", "srv", &[])));
    refused("no type", &|s| s.mounts.push(mount("/a", "", "", &[])));
    refused("a device elsewhere", &|s| {
        s.linux.devices.push(Device { path: "/etc/x".into(), kind: "c".into(), ..Device::default() });
    });
    refused("a strange device", &|s| {
        s.linux.devices.push(Device { path: "/dev/x".into(), kind: "x".into(), ..Device::default() });
    });
    refused("a limit twice", &|s| {
        let limit = Rlimit { kind: "RLIMIT_CORE".into(), soft: 0, hard: 0 };
        s.process.rlimits = vec![limit.clone(), limit];
    });
    refused("a masked path with ..", &|s| s.linux.masked_paths.push("/proc/../etc".into()));
    refused("an OOM score", &|s| s.process.oom_score_adj = Some(1001));
    refused("a root propagation", &|s| s.linux.rootfs_propagation = "wild".into());
}

#[test]
fn kernel_parameters_are_of_the_containers_namespaces() {
    let check = |key: &str, expected| {
        let mut spec = spec();
        spec.linux.sysctl.insert(key.into(), "1".into());
        assert_eq!(plan(&spec, &facts()).is_ok(), expected, "{key}");
    };
    check("net.ipv4.ip_forward", true);
    check("net/ipv4/conf/eth0.1/forwarding", true);
    check("kernel.shmmax", true);
    check("fs.mqueue.msg_max", true);
    check("kernel.hostname", true);
    for bad in [
        "kernel.core_pattern",
        "vm.swappiness",
        "net",
        "",
        "net.ipv4..x",
        "net/../kernel/core_pattern",
        "net/./x",
    ] {
        check(bad, false);
    }
    assert_eq!(sysctl_path("net.ipv4.conf.eth0/1.forwarding"), "net/ipv4/conf/eth0.1/forwarding");
}
