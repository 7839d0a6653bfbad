//! Machines as trees of files.

use super::*;

/// A machine of these mount lines and this /proc/self/cgroup.
fn machine(mounts: &[&str], own: &[&str], systemd: bool) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("proc/self");
    std::fs::create_dir_all(&dir).unwrap();
    let numbered: Vec<String> = mounts.iter().map(|m| format!("31 23 0:28 {m}\n")).collect();
    let other = "22 1 8:1 / / rw shared:1 - ext4 /dev/root rw\n";
    std::fs::write(dir.join("mountinfo"), format!("{other}{}", numbered.concat())).unwrap();
    std::fs::write(dir.join("cgroup"), own.join("\n") + "\n").unwrap();
    if systemd {
        std::fs::create_dir_all(root.path().join("run/systemd/system")).unwrap();
    }
    root
}

/// Version, driver, and each hierarchy as `controllers=base`.
fn check(mounts: &[&str], own: &[&str], systemd: bool, version: &str, driver: Driver, expected: &[&str]) {
    let root = machine(mounts, own, systemd);
    let host = Host::detect_at(root.path()).unwrap();
    let plain = |path: &Path| format!("/{}", path.strip_prefix(root.path()).unwrap().display());
    let mut found: Vec<String> =
        host.v1.iter().map(|h| format!("{}={}", h.controllers.join(","), plain(&h.base))).collect();
    found.extend(host.v2.iter().map(|u| format!("v2={}", plain(&u.base))));
    let scopes = host.v1.iter().map(|h| &h.scope).chain(host.v2.iter().map(|u| &u.scope));
    assert!(scopes.into_iter().all(|s| s.is_some() == systemd));
    assert_eq!((host.version(), host.driver()), (version, driver));
    assert_eq!(found, expected);
}

#[test]
fn hybrid_without_systemd() {
    check(
        &[
            "/ /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu",
            "/ /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory",
            "/ /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,name=systemd",
            "/ /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw",
        ],
        &["9:name=systemd:/", "4:memory:/own/group", "1:cpu:/", "0::/"],
        false,
        "hybrid",
        Driver::Cgroupfs,
        &["memory=/sys/fs/cgroup/memory/own/group", "cpu=/sys/fs/cgroup/cpu", "v2=/sys/fs/cgroup/unified"],
    );
}

#[test]
fn v1_with_controllers_mounted_together() {
    check(
        &[
            "/ /sys/fs/cgroup/cpu,cpuacct rw shared:9 - cgroup cgroup rw,cpu,cpuacct",
            "/ /sys/fs/cgroup/memory rw shared:10 - cgroup cgroup rw,memory",
        ],
        &["2:cpu,cpuacct:/user.slice", "1:memory:/user.slice", "3:pids:/not/mounted"],
        false,
        "1",
        Driver::Cgroupfs,
        &["cpu,cpuacct=/sys/fs/cgroup/cpu,cpuacct/user.slice", "memory=/sys/fs/cgroup/memory/user.slice"],
    );
}

#[test]
fn v2_alone_and_under_systemd() {
    let mounts = ["/ /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate"];
    check(&mounts, &["0::/"], false, "2", Driver::Cgroupfs, &["v2=/sys/fs/cgroup"]);
    check(
        &mounts,
        &["0::/user.slice/user-0.slice/session-3.scope"],
        true,
        "2",
        Driver::Systemd,
        &["v2=/sys/fs/cgroup/user.slice/user-0.slice/session-3.scope"],
    );
}

#[test]
fn the_scope_of_a_host_and_of_a_user() {
    let check = |mounts: &[&str], own: &[&str], uid, expected: &[&str], tracking: &str| {
        let root = machine(mounts, own, true);
        let plain = |path: &Path| format!("/{}", path.strip_prefix(root.path()).unwrap().display());
        let host = Host::look(root.path(), root.path().join("proc/self/cgroup"), uid).unwrap();
        let scopes = host.v1.iter().map(|h| &h.scope).chain(host.v2.iter().map(|u| &u.scope));
        let scopes: Vec<String> = scopes.map(|s| plain(s.as_ref().unwrap())).collect();
        assert_eq!(scopes, expected);
        let systemd = host.systemd.as_ref().unwrap();
        assert_eq!(plain(systemd.tracking.as_ref().unwrap()), tracking);
        assert_eq!(host.without_systemd().driver(), Driver::Cgroupfs);
    };
    let v2 = ["/ /sys/fs/cgroup rw - cgroup2 cgroup2 rw"];
    let session = ["0::/user.slice/user-1000.slice/session-1.scope"];
    let of_host = "/sys/fs/cgroup/system.slice/corten.scope";
    check(&v2, &session, 0, &[of_host], of_host);
    let of_user = "/sys/fs/cgroup/user.slice/user-1000.slice/user@1000.service/app.slice/corten.scope";
    check(&v2, &session, 1000, &[of_user], of_user);
    let hybrid = [
        "/ /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids",
        "/ /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd",
        "/ /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw",
    ];
    let own = ["2:pids:/user.slice", "1:name=systemd:/user.slice/x.scope", "0::/user.slice/x.scope"];
    let pids = "/sys/fs/cgroup/pids/system.slice/corten.scope";
    let unified = "/sys/fs/cgroup/unified/system.slice/corten.scope";
    check(&hybrid, &own, 0, &[pids, unified], unified);
    let named = "/sys/fs/cgroup/systemd/system.slice/corten.scope";
    check(&hybrid[..2], &own[..2], 0, &[pids], named);
}

#[test]
fn inside_of_a_container_that_sees_its_own_group_as_the_top() {
    check(
        &["/docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory"],
        &["4:memory:/docker/abc", "3:pids:/docker/abc"],
        false,
        "1",
        Driver::Cgroupfs,
        &["memory=/sys/fs/cgroup/memory"],
    );
    // `/docker/abcdef` is not below `/docker/abc`.
    check(
        &["/docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory"],
        &["4:memory:/docker/abcdef"],
        false,
        "none",
        Driver::Cgroupfs,
        &[],
    );
}

#[test]
fn outside_of_the_namespaces_top_nothing_is_ours() {
    let mounts = ["/ /sys/fs/cgroup rw - cgroup2 cgroup2 rw"];
    check(&mounts, &["0::/../other"], false, "none", Driver::Cgroupfs, &[]);
}

#[test]
fn our_own_groups_are_stepped_out_of() {
    let mounts = [
        "/ /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids",
        "/ /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw",
    ];
    let at = |own: &[&str], expected: &[&str]| {
        check(&mounts, own, false, "hybrid", Driver::Cgroupfs, expected);
    };
    at(
        &["8:pids:/a/corten", "0::/b/corten/0123/keeper"],
        &["pids=/sys/fs/cgroup/pids/a", "v2=/sys/fs/cgroup/unified/b"],
    );
    at(
        &["8:pids:/corten/0123", "0::/corten.scope/corten/0123/payload"],
        &["pids=/sys/fs/cgroup/pids", "v2=/sys/fs/cgroup/unified/corten.scope"],
    );
    at(&["8:pids:/cortenx/y", "0::/"], &["pids=/sys/fs/cgroup/pids/cortenx/y", "v2=/sys/fs/cgroup/unified"]);
}

#[test]
fn what_v1_lacks_is_looked_for_on_v2() {
    let check = |v1: &str, on_v2: &str, expected: bool| {
        let mount = format!("/ /sys/fs/cgroup/x rw - cgroup cgroup rw,{v1}");
        let mounts = [mount.as_str(), "/ /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw"];
        let own = format!("2:{v1}:/");
        let root = machine(&mounts, &[&own, "0::/"], false);
        let dir = root.path().join("sys/fs/cgroup/unified");
        std::fs::create_dir_all(&dir).unwrap();
        std::fs::write(dir.join("cgroup.controllers"), format!("{on_v2}\n")).unwrap();
        let host = Host::detect_at(root.path()).unwrap();
        assert_eq!(host.unified().is_some(), expected, "{v1} / {on_v2}");
    };
    check("devices,cpu", "hugetlb", false);
    check("devices,cpu", "", false);
    check("devices,cpu", "memory hugetlb", true);
    check("cpu", "", true);
}

#[test]
fn names_with_blanks_and_a_line_that_makes_no_sense() {
    check(
        &["/ /sys/fs/my\\040cgroup rw - cgroup2 cgroup2 rw"],
        &["0::/"],
        false,
        "2",
        Driver::Cgroupfs,
        &["v2=/sys/fs/my cgroup"],
    );
    let root = machine(&[], &["nonsense"], false);
    assert!(matches!(Host::detect_at(root.path()), Err(Error::Parse { line, .. }) if line == "nonsense"));
    assert!(matches!(Host::detect_at(&root.path().join("none")), Err(Error::Read { .. })));
}

#[test]
fn no_hierarchy_at_all_is_no_error_until_something_is_asked_of_it() {
    use super::super::{Limits, Resources};
    let root = machine(&[], &["0::/"], false);
    let host = Host::detect_at(root.path()).unwrap();
    assert_eq!(host.version(), "none");
    let (group, warnings) = host.create("corten/x", &Limits::default()).unwrap();
    assert!(warnings.is_empty() && group.directories().is_empty());
    assert_eq!((group.pids().unwrap(), group.is_populated().unwrap()), (vec![], false));
    group.kill_all().unwrap();
    group.remove().unwrap();
    let limits =
        Limits { resources: Resources { pids_limit: Some(5), ..Default::default() }, ..Default::default() };
    let (_, warnings) = host.create("corten/x", &limits).unwrap();
    assert_eq!(warnings.len(), 1);
    assert!(warnings[0].contains("pids"), "{warnings:?}");
}
