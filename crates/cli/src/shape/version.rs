//! The shape of what Docker's `version` prints: its client, and `GET /version`.

use super::Shape::{Bool, List, Pointer, Struct, Text};
use super::{Shape, TEXT_MAP, member, renamed};

/// Both halves.
pub const VERSION: Shape = Struct(
    "system.versionInfo",
    &[
        member("Client", CLIENT),
        member("Server", Pointer("*system.serverVersion", &SERVER)),
        // Not Docker's: of the one binary.
        member("Version", Text),
    ],
);

const PLATFORM: Shape = Struct("struct { Name string }", &[member("Name", Text)]);

const CLIENT: Shape = Struct(
    "system.clientVersion",
    &[
        member("Platform", Pointer("*system.platformInfo", &PLATFORM)),
        member("Version", Text),
        renamed("APIVersion", "ApiVersion", Text),
        member("DefaultAPIVersion", Text),
        member("GitCommit", Text),
        member("GoVersion", Text),
        member("Os", Text),
        member("Arch", Text),
        member("BuildTime", Text),
        member("Context", Text),
    ],
);

const SERVER: Shape = Struct(
    "*types.Version",
    &[
        member("Platform", PLATFORM),
        member("Components", List("[]types.ComponentVersion", &COMPONENT)),
        member("Version", Text),
        renamed("APIVersion", "ApiVersion", Text),
        member("MinAPIVersion", Text),
        member("GitCommit", Text),
        member("GoVersion", Text),
        member("Os", Text),
        member("Arch", Text),
        member("KernelVersion", Text),
        member("Experimental", Bool),
        member("BuildTime", Text),
    ],
);

const COMPONENT: Shape = Struct(
    "types.ComponentVersion",
    &[member("Name", Text), member("Version", Text), member("Details", TEXT_MAP)],
);
