//! One file: from TOML to settings, with the line of each, and everything that is wrong in it.

use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};

use toml_edit::{Document, Table, TableLike};

use super::{Error, KEYS, Loaded, Place, Setting, unknown};

/// The longest file that is read.
pub const FILE_MAX_BYTES: u64 = 1 << 20;
/// The most drop-ins that are read.
const DROP_INS_MAX: usize = 1000;

/// Adds what the file says; `false`: it isn't there.
pub fn read_into(path: &Path, loaded: &mut Loaded) -> bool {
    match read(path) {
        Ok(Some(text)) => parse_into(&text, path, loaded),
        Ok(None) => return false,
        Err(error) => loaded.problems.push(error),
    }
    true
}

/// The text of a file; `None`: it isn't there.
pub fn read(path: &Path) -> Result<Option<String>, Error> {
    let failed = |source| Error::File { what: "read the configuration", path: path.to_owned(), source };
    let file = match std::fs::File::open(path) {
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        opened => opened.map_err(failed)?,
    };
    let mut text = String::new();
    file.take(FILE_MAX_BYTES + 1).read_to_string(&mut text).map_err(failed)?;
    if text.len() as u64 > FILE_MAX_BYTES {
        return Err(failed(std::io::Error::new(ErrorKind::FileTooLarge, "it is longer than 1 MiB")));
    }
    Ok(Some(text))
}

/// The drop-ins of a directory, in the order of their names.
pub fn drop_ins(dir: &Path, loaded: &mut Loaded) -> Vec<PathBuf> {
    let failed = |source| Error::File { what: "list", path: dir.to_owned(), source };
    let entries = match std::fs::read_dir(dir) {
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Vec::new();
        }
        Err(error) => {
            loaded.problems.push(failed(error));
            return Vec::new();
        }
        Ok(entries) => entries,
    };
    let mut paths: Vec<PathBuf> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|end| end == "toml"))
        .take(DROP_INS_MAX + 1)
        .collect();
    if paths.len() > DROP_INS_MAX {
        loaded.problems.push(failed(std::io::Error::other("there are more than 1000 files in it")));
    }
    paths.sort();
    paths
}

/// Adds what a text says.
pub fn parse_into(text: &str, path: &Path, loaded: &mut Loaded) {
    let line =
        |offset: usize| 1 + text.as_bytes()[..offset.min(text.len())].iter().filter(|b| **b == b'\n').count();
    let place = |offset| Place { path: path.to_owned(), line: line(offset) };
    match Document::parse(text) {
        Ok(document) => walk(document.as_table(), "", &place, loaded),
        Err(error) => loaded.problems.push(Error::Syntax {
            place: place(error.span().map_or(0, |span| span.start)),
            message: error.message().lines().collect::<Vec<_>>().join("; "),
        }),
    }
}

fn walk(table: &dyn TableLike, prefix: &str, place: &dyn Fn(usize) -> Place, loaded: &mut Loaded) {
    for (word, item) in table.iter() {
        let name = if prefix.is_empty() { word.to_owned() } else { format!("{prefix}.{word}") };
        let key = table.get_key_value(word).and_then(|(key, _)| key.span());
        let place_of = || place(key.or_else(|| item.span()).map_or(0, |span| span.start));
        if let Some(key) = KEYS.iter().find(|key| key.name == name) {
            let place = place_of();
            match key.shape.read(item) {
                Ok(value) => loaded.settings.push(Setting { key, value, place }),
                Err(why) => loaded.problems.push(Error::Value { place: Some(place), key: key.name, why }),
            }
            continue;
        }
        let is_group =
            KEYS.iter().any(|key| key.name.strip_prefix(&name).is_some_and(|rest| rest.starts_with('.')));
        match item.as_table_like() {
            Some(inner) if is_group => walk(inner, &name, place, loaded),
            _ => loaded.problems.push(unknown(name, Some(place_of()))),
        }
    }
}

/// The table of a dotted name, made if it isn't there; the last word is what is left.
pub fn table_of<'t, 'n>(root: &'t mut Table, name: &'n str) -> Option<(&'t mut dyn TableLike, &'n str)> {
    let Some((group, word)) = name.rsplit_once('.') else { return Some((root, name)) };
    let mut table: &mut dyn TableLike = root;
    for part in group.split('.') {
        let item = table.entry(part).or_insert_with(toml_edit::table);
        table = item.as_table_like_mut()?;
    }
    Some((table, word))
}
