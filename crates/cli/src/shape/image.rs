//! The shape of Docker's `GET /images/{name}/json`.

use super::Shape::{Any, Bool, Int, Pointer, Struct, Text};
use super::{EMPTY_MAP, HEALTHCHECK, Shape, TEXT_MAP, TEXTS, member, renamed};

/// One image.
pub const IMAGE: Shape = Struct(
    "*image.InspectResponse",
    &[
        renamed("ID", "Id", Text),
        member("RepoTags", TEXTS),
        member("RepoDigests", TEXTS),
        member("Parent", Text),
        member("Comment", Text),
        member("Created", Text),
        member("DockerVersion", Text),
        member("Author", Text),
        member("Config", Pointer("*v1.DockerOCIImageConfig", &CONFIG)),
        member("Architecture", Text),
        member("Variant", Text),
        member("Os", Text),
        member("OsVersion", Text),
        member("Size", Int),
        member("VirtualSize", Int),
        member("GraphDriver", super::GRAPH_DRIVER),
        member("RootFS", Struct("image.RootFS", &[member("Type", Text), member("Layers", TEXTS)])),
        member("Metadata", Struct("image.Metadata", &[member("LastTagTime", Text)])),
        member("Descriptor", Pointer("*v1.Descriptor", &Any)),
    ],
);

const CONFIG: Shape = Struct(
    "*v1.DockerOCIImageConfig",
    &[
        member("User", Text),
        member("ExposedPorts", EMPTY_MAP),
        member("Env", TEXTS),
        member("Entrypoint", TEXTS),
        member("Cmd", TEXTS),
        member("Volumes", EMPTY_MAP),
        member("WorkingDir", Text),
        member("Labels", TEXT_MAP),
        member("StopSignal", Text),
        member("ArgsEscaped", Bool),
        member("Healthcheck", Pointer("*v1.HealthcheckConfig", &HEALTHCHECK)),
        member("OnBuild", TEXTS),
        member("Shell", TEXTS),
    ],
);
