//! The image that is always there: one layer with our own static binary, which greets when it runs as `/corten-hello`.

use std::fs::File;
use std::io::{self, Cursor, Read, Seek};

use corten_model::image::{History, ImageDefaults};
use corten_model::platform::Platform;
use corten_storage::Store;
use corten_storage::archive::{END, Entry, Kind, header, padding};

use crate::import::one_layer;
use crate::{Error, Stored, Unpack};

const PROGRAM: &str = "corten-hello";
/// The same binary makes the same image, so its time is none.
const CREATED: &str = "1970-01-01T00:00:00Z";

const PASSWD: &[u8] = b"root:x:0:0:root:/:/sbin/nologin\nnobody:x:65534:65534:nobody:/:/sbin/nologin\n";
const GROUP: &[u8] = b"root:x:0:\nnobody:x:65534:\n";

/// Makes the image from `binary`, which is read from its start.
pub fn hello(store: &Store, unpack: &dyn Unpack, binary: &mut File) -> Result<Stored, Error> {
    let mut tar = archive(binary).map_err(Error::Program)?;
    let unpacked = unpack.unpack(&mut tar, None, None).map_err(Error::Unpack)?;
    let defaults =
        ImageDefaults { entrypoint: Some(vec![format!("/{PROGRAM}")]), ..ImageDefaults::default() };
    let history = History {
        created: Some(CREATED.to_owned()),
        created_by: Some(format!("COPY {PROGRAM} /")),
        ..History::default()
    };
    one_layer(store, unpacked, Platform::host(), defaults, CREATED.to_owned(), history)
}

/// The layer's archive, streamed.
fn archive(binary: &mut File) -> io::Result<impl Read + '_> {
    binary.rewind()?;
    let size = binary.metadata()?.len();
    let mut before = Vec::new();
    for (name, mode) in [
        (&b"."[..], 0o755),
        (b"dev", 0o755),
        (b"etc", 0o755),
        (b"proc", 0o555),
        (b"sys", 0o555),
        (b"tmp", 0o1777),
    ] {
        before.extend(header(&Entry::new(name, Kind::Dir, mode)));
    }
    for (name, content) in
        [(&b"etc/group"[..], GROUP), (b"etc/hostname", b""), (b"etc/hosts", b""), (b"etc/passwd", PASSWD)]
    {
        before.extend(header(&Entry { size: content.len() as u64, ..Entry::new(name, Kind::File, 0o644) }));
        before.extend(content);
        before.extend(padding(content.len() as u64));
    }
    before.extend(header(&Entry { size, ..Entry::new(PROGRAM.as_bytes(), Kind::File, 0o755) }));
    Ok(Cursor::new(before).chain(binary.take(size)).chain(padding(size)).chain(&END[..]))
}
