//! The shape of Docker's `GET /containers/{id}/json`.

use super::Shape::{Any, Bool, Int, List, Map, Pointer, Struct, Text};
use super::{EMPTY_MAP, HEALTHCHECK, Shape, TEXT_MAP, TEXTS, member, renamed};

/// One container.
pub const CONTAINER: Shape = Struct(
    "*container.InspectResponse",
    &[
        renamed("ID", "Id", Text),
        member("Created", Text),
        member("Path", Text),
        member("Args", TEXTS),
        member("State", Pointer("*container.State", &STATE)),
        member("Image", Text),
        member("ResolvConfPath", Text),
        member("HostnamePath", Text),
        member("HostsPath", Text),
        member("LogPath", Text),
        member("Name", Text),
        member("RestartCount", Int),
        member("Driver", Text),
        member("Platform", Text),
        member("MountLabel", Text),
        member("ProcessLabel", Text),
        member("AppArmorProfile", Text),
        member("ExecIDs", TEXTS),
        member("HostConfig", Pointer("*container.HostConfig", &HOST_CONFIG)),
        member("GraphDriver", super::GRAPH_DRIVER),
        member("SizeRw", Pointer("*int64", &Int)),
        member("SizeRootFs", Pointer("*int64", &Int)),
        member("Mounts", List("[]container.MountPoint", &MOUNT_POINT)),
        member("Config", Pointer("*container.Config", &CONFIG)),
        member("NetworkSettings", Pointer("*container.NetworkSettings", &NETWORK_SETTINGS)),
    ],
);

const STATE: Shape = Struct(
    "*container.State",
    &[
        member("Status", Text),
        member("Running", Bool),
        member("Paused", Bool),
        member("Restarting", Bool),
        member("OOMKilled", Bool),
        member("Dead", Bool),
        member("Pid", Int),
        member("ExitCode", Int),
        member("Error", Text),
        member("StartedAt", Text),
        member("FinishedAt", Text),
        member("Health", Pointer("*container.Health", &HEALTH)),
    ],
);

const HEALTH: Shape = Struct(
    "*container.Health",
    &[
        member("Status", Text),
        member("FailingStreak", Int),
        member("Log", List("[]*container.HealthcheckResult", &HEALTH_RESULT)),
    ],
);

const HEALTH_RESULT: Shape = Struct(
    "*container.HealthcheckResult",
    &[member("Start", Text), member("End", Text), member("ExitCode", Int), member("Output", Text)],
);

const MOUNT_POINT: Shape = Struct(
    "container.MountPoint",
    &[
        member("Type", Text),
        member("Name", Text),
        member("Source", Text),
        member("Destination", Text),
        member("Driver", Text),
        member("Mode", Text),
        member("RW", Bool),
        member("Propagation", Text),
    ],
);

const PORT_BINDINGS: Shape = List(
    "[]nat.PortBinding",
    &Struct("nat.PortBinding", &[renamed("HostIP", "HostIp", Text), member("HostPort", Text)]),
);
const PORT_MAP: Shape = Map("nat.PortMap", &PORT_BINDINGS);

const CONFIG: Shape = Struct(
    "*container.Config",
    &[
        member("Hostname", Text),
        member("Domainname", Text),
        member("User", Text),
        member("AttachStdin", Bool),
        member("AttachStdout", Bool),
        member("AttachStderr", Bool),
        member("ExposedPorts", EMPTY_MAP),
        member("Tty", Bool),
        member("OpenStdin", Bool),
        member("StdinOnce", Bool),
        member("Env", TEXTS),
        member("Cmd", TEXTS),
        member("Healthcheck", Pointer("*container.HealthConfig", &HEALTHCHECK)),
        member("ArgsEscaped", Bool),
        member("Image", Text),
        member("Volumes", EMPTY_MAP),
        member("WorkingDir", Text),
        member("Entrypoint", TEXTS),
        member("NetworkDisabled", Bool),
        member("MacAddress", Text),
        member("OnBuild", TEXTS),
        member("Labels", TEXT_MAP),
        member("StopSignal", Text),
        member("StopTimeout", Pointer("*int", &Int)),
        member("Shell", TEXTS),
    ],
);

const HOST_CONFIG: Shape = Struct(
    "*container.HostConfig",
    &[
        member("Binds", TEXTS),
        member("ContainerIDFile", Text),
        member(
            "LogConfig",
            Struct("container.LogConfig", &[member("Type", Text), member("Config", TEXT_MAP)]),
        ),
        member("NetworkMode", Text),
        member("PortBindings", PORT_MAP),
        member("RestartPolicy", RESTART_POLICY),
        member("AutoRemove", Bool),
        member("VolumeDriver", Text),
        member("VolumesFrom", TEXTS),
        member("ConsoleSize", List("[2]uint", &Int)),
        member("Annotations", TEXT_MAP),
        member("CapAdd", TEXTS),
        member("CapDrop", TEXTS),
        member("CgroupnsMode", Text),
        renamed("DNS", "Dns", TEXTS),
        renamed("DNSOptions", "DnsOptions", TEXTS),
        renamed("DNSSearch", "DnsSearch", TEXTS),
        member("ExtraHosts", TEXTS),
        member("GroupAdd", TEXTS),
        member("IpcMode", Text),
        member("Cgroup", Text),
        member("Links", TEXTS),
        member("OomScoreAdj", Int),
        member("PidMode", Text),
        member("Privileged", Bool),
        member("PublishAllPorts", Bool),
        member("ReadonlyRootfs", Bool),
        member("SecurityOpt", TEXTS),
        member("StorageOpt", TEXT_MAP),
        member("Tmpfs", TEXT_MAP),
        member("UTSMode", Text),
        member("UsernsMode", Text),
        member("ShmSize", Int),
        member("Sysctls", TEXT_MAP),
        member("Runtime", Text),
        member("Isolation", Text),
        renamed("CPUShares", "CpuShares", Int),
        member("Memory", Int),
        renamed("NanoCPUs", "NanoCpus", Int),
        member("CgroupParent", Text),
        member("BlkioWeight", Int),
        member("BlkioWeightDevice", List("[]*blkiodev.WeightDevice", &Any)),
        member("BlkioDeviceReadBps", THROTTLES),
        member("BlkioDeviceWriteBps", THROTTLES),
        member("BlkioDeviceReadIOps", THROTTLES),
        member("BlkioDeviceWriteIOps", THROTTLES),
        renamed("CPUPeriod", "CpuPeriod", Int),
        renamed("CPUQuota", "CpuQuota", Int),
        renamed("CPURealtimePeriod", "CpuRealtimePeriod", Int),
        renamed("CPURealtimeRuntime", "CpuRealtimeRuntime", Int),
        member("CpusetCpus", Text),
        member("CpusetMems", Text),
        member("Devices", List("[]container.DeviceMapping", &DEVICE)),
        member("DeviceCgroupRules", TEXTS),
        member("DeviceRequests", List("[]container.DeviceRequest", &Any)),
        member("MemoryReservation", Int),
        member("MemorySwap", Int),
        member("MemorySwappiness", Pointer("*int64", &Int)),
        member("OomKillDisable", Pointer("*bool", &Bool)),
        member("PidsLimit", Pointer("*int64", &Int)),
        member("Ulimits", List("[]*container.Ulimit", &ULIMIT)),
        renamed("CPUCount", "CpuCount", Int),
        renamed("CPUPercent", "CpuPercent", Int),
        member("IOMaximumIOps", Int),
        member("IOMaximumBandwidth", Int),
        member("Mounts", List("[]mount.Mount", &Any)),
        member("MaskedPaths", TEXTS),
        member("ReadonlyPaths", TEXTS),
        member("Init", Pointer("*bool", &Bool)),
    ],
);

const THROTTLES: Shape = List("[]*blkiodev.ThrottleDevice", &Any);

const RESTART_POLICY: Shape =
    Struct("container.RestartPolicy", &[member("Name", Text), member("MaximumRetryCount", Int)]);

const DEVICE: Shape = Struct(
    "container.DeviceMapping",
    &[member("PathOnHost", Text), member("PathInContainer", Text), member("CgroupPermissions", Text)],
);

const ULIMIT: Shape =
    Struct("*container.Ulimit", &[member("Name", Text), member("Hard", Int), member("Soft", Int)]);

const ADDRESSES: Shape = List("[]network.Address", &Any);

const NETWORK_SETTINGS: Shape = Struct(
    "*container.NetworkSettings",
    &[
        member("Bridge", Text),
        member("SandboxID", Text),
        member("SandboxKey", Text),
        member("Ports", PORT_MAP),
        member("HairpinMode", Bool),
        member("LinkLocalIPv6Address", Text),
        member("LinkLocalIPv6PrefixLen", Int),
        member("SecondaryIPAddresses", ADDRESSES),
        member("SecondaryIPv6Addresses", ADDRESSES),
        member("EndpointID", Text),
        member("Gateway", Text),
        member("GlobalIPv6Address", Text),
        member("GlobalIPv6PrefixLen", Int),
        member("IPAddress", Text),
        member("IPPrefixLen", Int),
        member("IPv6Gateway", Text),
        member("MacAddress", Text),
        member(
            "Networks",
            Map("map[string]*network.EndpointSettings", &Pointer("*network.EndpointSettings", &ENDPOINT)),
        ),
    ],
);

const ENDPOINT: Shape = Struct(
    "*network.EndpointSettings",
    &[
        member("IPAMConfig", Any),
        member("Links", TEXTS),
        member("Aliases", TEXTS),
        member("MacAddress", Text),
        member("DriverOpts", TEXT_MAP),
        member("GwPriority", Int),
        member("NetworkID", Text),
        member("EndpointID", Text),
        member("Gateway", Text),
        member("IPAddress", Text),
        member("IPPrefixLen", Int),
        member("IPv6Gateway", Text),
        member("GlobalIPv6Address", Text),
        member("GlobalIPv6PrefixLen", Int),
        member("DNSNames", TEXTS),
    ],
);
