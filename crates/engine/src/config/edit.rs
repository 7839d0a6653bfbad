//! Changing the file: what else stands in it, comments too, stays as it is.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use toml_edit::DocumentMut;

use super::{Error, Key, Place, Value, file};

/// Sets a key in a file, which is made if it isn't there.
pub fn set(path: &Path, key: &Key, value: &Value) -> Result<(), Error> {
    set_all(path, &[(key, value.clone())])
}

/// Sets several keys at once.
pub(super) fn set_all(path: &Path, settings: &[(&Key, Value)]) -> Result<(), Error> {
    change(path, |document| {
        for (key, value) in settings {
            let mut new = value.toml();
            let Some((table, word)) = file::table_of(document.as_table_mut(), key.name) else {
                // It is in the way, and loading the file says so with its line.
                continue;
            };
            match table.get_mut(word).and_then(|item| item.as_value_mut()) {
                Some(old) => {
                    *new.decor_mut() = old.decor().clone();
                    *old = new;
                }
                None => drop(table.insert(word, new.into())),
            }
        }
        true
    })
    .map(drop)
}

/// Removes a key from a file; `false`: it wasn't there.
pub fn unset(path: &Path, key: &Key) -> Result<bool, Error> {
    change(path, |document| {
        let Some((table, word)) = file::table_of(document.as_table_mut(), key.name) else { return false };
        table.remove(word).is_some()
    })
}

/// Changes the file, if `act` says so: whoever reads it sees it before or after, and a crash leaves one of both.
fn change(path: &Path, act: impl FnOnce(&mut DocumentMut) -> bool) -> Result<bool, Error> {
    // Where the file is a symlink, what it points to is changed.
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let dir = path.parent().unwrap_or(Path::new("/"));
    let failed = |what| {
        let path = path.clone();
        move |source| Error::File { what, path, source }
    };
    std::fs::create_dir_all(dir).map_err(failed("make the directory of"))?;
    // Two changes at the same time: the second begins where the first ended.
    let lock =
        File::open(dir).and_then(|dir| dir.lock().map(|()| dir)).map_err(failed("lock the directory of"))?;
    let text = file::read(&path)?.unwrap_or_default();
    let mut document: DocumentMut = text.parse().map_err(|error: toml_edit::TomlError| {
        let offset = error.span().map_or(0, |span| span.start).min(text.len());
        let line = 1 + text[..offset].matches('\n').count();
        Error::Syntax { place: Place { path: path.clone(), line }, message: error.message().to_owned() }
    })?;
    if !act(&mut document) {
        return Ok(false);
    }
    let fresh: PathBuf = dir.join(format!(".config.{}.new", std::process::id()));
    let written = File::create(&fresh).and_then(|mut file| {
        if let Ok(old) = std::fs::metadata(&path) {
            file.set_permissions(old.permissions())?;
        }
        file.write_all(document.to_string().as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&fresh, &path)?;
        lock.sync_all()
    });
    if written.is_err() {
        // The error at hand says more than one about a file of ours that is left.
        let _ = std::fs::remove_file(&fresh);
    }
    written.map_err(failed("write"))?;
    Ok(true)
}
