//! `inspect`: everything about one container, in the shape of Docker's `GET /containers/{id}/json`.

use std::collections::BTreeMap;
use std::path::Path;

use corten_model::container::ContainerConfig;
use corten_model::health::Health;
use corten_model::image::ImageDefaults;
use corten_model::log::LogDriver;
use corten_model::namespace::{CgroupnsMode, IpcMode, NetworkMode, PidMode, UsernsMode, UtsMode};
use corten_model::resources::{OnDevice, Resources};
use corten_model::state::Status;
use serde_json::{Value, json};

use super::details::network_name;
use super::{reconcile, resolve, spec};
use crate::call::{self, Line};
use crate::db::containers::Container;
use crate::db::images::{self, Image};
use crate::db::sandboxes;
use crate::image::lowers_top_first;
use crate::keeper::protocol::{Reply, Request};
use crate::{Engine, Error, Result};

mod mounts;

/// Everything about one container, in the shape of Docker's `GET /containers/{id}/json`.
pub fn inspect(engine: &mut Engine, target: &str) -> Result<Value> {
    let container = match resolve(engine, target) {
        Err(error) if error.is_broken() => return broken(engine, target, &error),
        other => other?,
    };
    let gone = || Error::NoSuch { what: "container", name: target.to_owned() };
    let container = match reconcile(engine, container.clone()) {
        Err(error) if error.is_of_one_container() => without_journal(container, &error),
        other => other?.ok_or_else(gone)?,
    };
    let unfolded = engine.unfolded(&container.id);
    let container = match unfolded {
        Some(error) => without_journal(container, error),
        None => container,
    };
    let image = images::by_id(engine.database()?.read(), &container.image_id)?;
    let range = sandboxes::range(engine.database()?.read(), &container.sandbox)?;
    let dir = engine.store().container_dir(&container.id);
    let mounts = mounts::points(engine, &container)?;
    let (path, args) = container.command.split_first().map_or(("", &[][..]), |(p, a)| (p.as_str(), a));
    Ok(json!({
        "Id": container.id.as_str(),
        "Created": time(Some(container.created_ns)),
        "Path": path,
        "Args": args,
        "State": state(&container, health(engine, &container).as_ref()),
        "Image": container.image_id.as_str(),
        "LogPath": log_path(&container, &dir),
        "Name": format!("/{}", container.name),
        "RestartCount": container.state.restarts,
        "Driver": "overlay",
        "Platform": "linux",
        "HostConfig": host_config(&container),
        "Mounts": mounts,
        "Config": config(&container, image.as_ref()),
        "NetworkSettings": network_settings(&container),
        "GraphDriver": graph_driver(engine, &dir, image.as_ref()),
        "MountLabel": "",
        "ProcessLabel": "",
        "AppArmorProfile": "",
        "ExecIDs": null,
        "Sandbox": {
            "Id": container.sandbox.as_str(),
            "HostIds": range.map(|(first, count)| json!({ "First": first, "Count": count })),
            "HostUsernsBecauseOf": container.host_powers,
        },
    }))
}

/// What stands in the row of a container whose journal can't be read, and that it can't.
fn without_journal(mut container: Container, error: &Error) -> Container {
    container.state.error = Some(error.told());
    container
}

/// What can be told of a container whose row can't be understood.
fn broken(engine: &mut Engine, target: &str, error: &Error) -> Result<Value> {
    let found = crate::db::broken::find(engine.database()?.read(), target)?;
    let id = found.and_then(|f| f.id);
    Ok(json!({
        "Id": id.as_ref().map(|id| id.as_str()),
        "Name": format!("/{target}"),
        "State": { "Status": Status::Dead.as_str(), "Dead": true, "Running": false, "Error": error.told() },
    }))
}

/// RFC 3339 in UTC; what never happened is Go's zero time.
fn time(ns: Option<i64>) -> String {
    let time = ns.and_then(|ns| jiff::Timestamp::from_nanosecond(ns.into()).ok());
    time.map_or_else(|| "0001-01-01T00:00:00Z".to_owned(), |t| format!("{t:.9}"))
}

/// What its keeper knows of its health, else what was last journalled.
fn health(engine: &Engine, container: &Container) -> Option<Health> {
    let known = container.state.health.as_ref()?;
    let ask = || -> std::result::Result<Reply, call::Error> {
        Line::connect(&engine.roots().run, &container.id)?.ask(&Request::Health)
    };
    match ask() {
        Ok(Reply::Health { health: Some(health) }) if container.state.status.is_alive() => Some(*health),
        // It ended meanwhile, or its keeper is of another version.
        _ => Some(known.as_ref().clone()),
    }
}

fn state(container: &Container, health: Option<&Health>) -> Value {
    let state = &container.state;
    let running = state.status.is_alive();
    let mut value = json!({
        "Status": state.status.as_str(),
        "Running": running,
        "Paused": state.status == Status::Paused,
        "Restarting": state.status == Status::Restarting,
        "OOMKilled": state.exit.is_some_and(|e| e.oom_killed),
        "Dead": state.status == Status::Dead,
        "Pid": if running { state.pid.unwrap_or(0) } else { 0 },
        "ExitCode": state.exit.map_or(0, |e| e.code),
        "Error": state.error.clone().unwrap_or_default(),
        "StartedAt": time(state.started_ns),
        "FinishedAt": time(state.finished_ns),
    });
    if let Some(health) = health {
        let log = health.log.iter().map(|result| {
            json!({
                "Start": time(Some(result.start_ns)),
                "End": time(Some(result.end_ns)),
                "ExitCode": result.exit_code,
                "Output": result.output,
            })
        });
        value["Health"] = json!({
            "Status": health.status.as_str(),
            "FailingStreak": health.failing_streak,
            "Log": log.collect::<Vec<_>>(),
        });
    }
    value
}

/// A container has an address only on a bridge, and there are none yet; one that shares another's network tells of
/// none.
fn network_settings(container: &Container) -> Value {
    let unset = json!({
        "IPAMConfig": null, "Links": null, "Aliases": null, "MacAddress": "", "DriverOpts": null, "GwPriority": 0,
        "NetworkID": "", "EndpointID": "", "Gateway": "", "IPAddress": "", "IPPrefixLen": 0, "IPv6Gateway": "",
        "GlobalIPv6Address": "", "GlobalIPv6PrefixLen": 0, "DNSNames": null,
    });
    let networks = match &container.config.network {
        NetworkMode::Container(_) => json!({}),
        network => json!({ network_name(network): unset }),
    };
    json!({
        "Bridge": "", "SandboxID": container.sandbox.as_str(), "SandboxKey": "", "Ports": {}, "HairpinMode": false,
        "LinkLocalIPv6Address": "", "LinkLocalIPv6PrefixLen": 0, "SecondaryIPAddresses": null,
        "SecondaryIPv6Addresses": null, "EndpointID": "", "Gateway": "", "GlobalIPv6Address": "",
        "GlobalIPv6PrefixLen": 0, "IPAddress": "", "IPPrefixLen": 0, "IPv6Gateway": "", "MacAddress": "",
        "Networks": networks,
    })
}

/// Where the files are.
fn graph_driver(engine: &Engine, dir: &Path, image: Option<&Image>) -> Value {
    let lowers = image.map(|image| lowers_top_first(engine, image)).unwrap_or_default();
    let lowers: Vec<String> = lowers.iter().map(|lower| lower.to_string_lossy().into_owned()).collect();
    json!({
        "Name": "overlay",
        "Data": {
            "LowerDir": lowers.join(":"),
            "UpperDir": dir.join("upper"),
            "WorkDir": dir.join("work"),
        },
    })
}

fn config(container: &Container, image: Option<&Image>) -> Value {
    let asked = &container.config;
    let defaults = image.map(|i| i.config.config.clone()).unwrap_or_default();
    let typed_user = asked.user.clone().map(String::from);
    let mut labels = defaults.labels.clone().unwrap_or_default();
    labels.extend(asked.labels.clone());
    let stop_signal = asked.stop_signal.map(|s| s.to_string()).or(defaults.stop_signal.clone());
    let entrypoint = match &asked.entrypoint {
        Some(text) => Some(vec![text.clone()]),
        None => defaults.entrypoint.clone(),
    };
    let [stdin, stdout, stderr] = asked.attached();
    json!({
        "Hostname": spec::hostname(&container.id, asked),
        "Domainname": asked.more.domainname.clone().unwrap_or_default(),
        "User": typed_user.unwrap_or(defaults.user.clone()),
        "Tty": asked.tty,
        "OpenStdin": asked.open_stdin,
        "StdinOnce": asked.open_stdin && stdin,
        "AttachStdin": stdin,
        "AttachStdout": stdout,
        "AttachStderr": stderr,
        "ExposedPorts": exposed_ports(asked, &defaults),
        "Env": spec::environment(&container.id, asked, &defaults),
        "Cmd": if asked.cmd.is_empty() { defaults.cmd.clone() } else { Some(asked.cmd.clone()) },
        "Image": container.image,
        "Volumes": volumes(asked, &defaults),
        "WorkingDir": asked.working_dir.clone().unwrap_or(defaults.working_dir.clone()),
        "Entrypoint": entrypoint,
        "Labels": labels,
        "Healthcheck": super::start::health(asked, &defaults),
        "StopSignal": stop_signal,
        "StopTimeout": asked.stop_timeout_s,
    })
}

/// Where volumes without a name are, the image's and those that were asked for.
fn volumes(asked: &ContainerConfig, defaults: &ImageDefaults) -> Option<BTreeMap<String, Value>> {
    let own = asked.mounts.iter().filter(|mount| mount.gives_way()).map(|mount| &mount.target);
    let all = own.chain(defaults.volumes.iter().flatten().map(|(target, _)| target));
    let all: BTreeMap<String, Value> = all.map(|target| (target.clone(), json!({}))).collect();
    (!all.is_empty()).then_some(all)
}

fn host_config(container: &Container) -> Value {
    let asked = &container.config;
    let shared = |kind: &str, target: &String| format!("{kind}:{target}");
    let pid = match &asked.pid {
        PidMode::Private => String::new(),
        PidMode::Host => "host".to_owned(),
        PidMode::Container(target) => shared("container", target),
    };
    let ipc = match &asked.ipc {
        IpcMode::Private => "private".to_owned(),
        IpcMode::Shareable => "shareable".to_owned(),
        IpcMode::None => "none".to_owned(),
        IpcMode::Host => "host".to_owned(),
        IpcMode::Container(target) => shared("container", target),
    };
    let userns = match asked.userns {
        _ if !container.host_powers.is_empty() => "host",
        UsernsMode::Host => "host",
        UsernsMode::Default | UsernsMode::Auto => "auto",
    };
    let changes = |list: &[corten_model::capability::CapChange]| -> Vec<String> {
        use corten_model::capability::CapChange;
        let word = |c: &CapChange| match c {
            CapChange::All => "ALL".to_owned(),
            CapChange::One(capability) => capability.to_string(),
        };
        list.iter().map(word).collect()
    };
    let mut host = json!({
        "PortBindings": {},
        "PublishAllPorts": false,
        "NetworkMode": network_name(&asked.network),
        "PidMode": pid,
        "IpcMode": ipc,
        "UTSMode": if asked.uts == UtsMode::Host { "host" } else { "" },
        "UsernsMode": userns,
        "CgroupnsMode": if asked.cgroupns == CgroupnsMode::Host { "host" } else { "private" },
        "AutoRemove": asked.auto_remove,
        "Privileged": asked.privileged,
        "ReadonlyRootfs": asked.read_only,
        "Init": asked.init,
        "CapAdd": changes(&asked.cap_add),
        "CapDrop": changes(&asked.cap_drop),
        "SecurityOpt": asked.security,
        "ShmSize": asked.shm_size_bytes,
        "Sysctls": asked.sysctls,
        "Ulimits": asked.ulimits.iter().map(|u| json!({ "Name": u.name, "Soft": u.soft, "Hard": u.hard })).collect::<Vec<_>>(),
        "Devices": asked.devices.iter().map(|d| json!({
            "PathOnHost": d.host, "PathInContainer": d.container, "CgroupPermissions": d.access })).collect::<Vec<_>>(),
        "RestartPolicy": {
            "Name": asked.more.restart.name(),
            "MaximumRetryCount": asked.more.restart.retries_max(),
        },
        "LogConfig": { "Type": asked.more.log.driver.name(), "Config": asked.more.log.options },
        "ContainerIDFile": asked.more.cidfile.clone().unwrap_or_default(),
        "Annotations": asked.more.annotations,
        "GroupAdd": some_list(asked.more.group_add.iter().cloned().map(String::from)),
        "DeviceCgroupRules": some_list(asked.more.device_cgroup_rules.iter().cloned().map(String::from)),
        "CgroupParent": asked.more.cgroup_parent.as_ref().map_or("", |parent| parent.as_str()),
        "Dns": asked.more.dns,
        "DnsSearch": asked.more.dns_search,
        "DnsOptions": asked.more.dns_options,
        "ExtraHosts": some_list(asked.more.extra_hosts.iter().map(|h| format!("{}:{}", h.name, h.address))),
        "Isolation": asked.more.isolation.clone().unwrap_or_default(),
        "OomScoreAdj": asked.oom_score_adj.unwrap_or(0),
    });
    if let (Some(all), Value::Object(limits)) = (host.as_object_mut(), limits(&asked.resources)) {
        all.extend(limits);
        all.extend(mounts::of_host_config(asked));
    }
    host
}

/// A list as Go's JSON has one that nothing was put in.
fn some_list(list: impl Iterator<Item = String>) -> Option<Vec<String>> {
    Some(list.collect::<Vec<_>>()).filter(|list| !list.is_empty())
}

/// The image's and those of `--expose`.
fn exposed_ports(asked: &ContainerConfig, image: &ImageDefaults) -> Option<Value> {
    let mut ports = image.exposed_ports.clone().unwrap_or_default();
    ports.extend(asked.more.exposed_ports.iter().map(|port| (port.clone(), json!({}))));
    (!ports.is_empty()).then(|| json!(ports))
}

/// Where the log is, unless nobody keeps one or its form is nobody's business.
fn log_path(container: &Container, dir: &Path) -> String {
    match container.config.more.log.driver {
        LogDriver::Default | LogDriver::JsonFile => {
            crate::keeper::log::path(dir, &container.id).to_string_lossy().into_owned()
        }
        LogDriver::Local | LogDriver::None => String::new(),
    }
}

/// The limits, under Docker's names.
fn limits(r: &Resources) -> Value {
    let rates = |list: &[OnDevice], key: &str| -> Vec<Value> {
        list.iter().map(|d| json!({ "Path": d.path, key: d.value })).collect()
    };
    json!({
        "Memory": r.memory_bytes.unwrap_or(0),
        "MemorySwap": r.memory_swap_bytes.unwrap_or(0),
        "MemoryReservation": r.memory_reservation_bytes.unwrap_or(0),
        "MemorySwappiness": r.memory_swappiness,
        "OomKillDisable": r.oom_kill_disable,
        "NanoCpus": r.nano_cpus.unwrap_or(0),
        "CpuShares": r.cpu_shares.unwrap_or(0),
        "CpuQuota": r.cpu_quota_us.unwrap_or(0),
        "CpuPeriod": r.cpu_period_us.unwrap_or(0),
        "CpuRealtimeRuntime": r.cpu_rt_runtime_us.unwrap_or(0),
        "CpuRealtimePeriod": r.cpu_rt_period_us.unwrap_or(0),
        "CpusetCpus": r.cpuset_cpus.clone().unwrap_or_default(),
        "CpusetMems": r.cpuset_mems.clone().unwrap_or_default(),
        "PidsLimit": r.pids_limit,
        "BlkioWeight": r.blkio_weight.unwrap_or(0),
        "BlkioWeightDevice": rates(&r.blkio_weight_devices, "Weight"),
        "BlkioDeviceReadBps": rates(&r.device_read_bps, "Rate"),
        "BlkioDeviceWriteBps": rates(&r.device_write_bps, "Rate"),
        "BlkioDeviceReadIOps": rates(&r.device_read_iops, "Rate"),
        "BlkioDeviceWriteIOps": rates(&r.device_write_iops, "Rate"),
    })
}
