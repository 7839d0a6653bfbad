//! The shape of Docker's `GET /volumes/{name}`.

use super::Shape::{Any, Int, Map, Pointer, Struct, Text};
use super::{Shape, TEXT_MAP, member};

/// One volume.
pub const VOLUME: Shape = Struct(
    "*volume.Volume",
    &[
        member("CreatedAt", Text),
        member("Driver", Text),
        member("Labels", TEXT_MAP),
        member("Mountpoint", Text),
        member("Name", Text),
        member("Options", TEXT_MAP),
        member("Scope", Text),
        member("Status", Map("map[string]interface {}", &Any)),
        member("UsageData", Pointer("*volume.UsageData", &USAGE)),
    ],
);

const USAGE: Shape = Struct("*volume.UsageData", &[member("RefCount", Int), member("Size", Int)]);
