//! `corten config …`: one file per verb, here what they share.

use std::fmt;
use std::path::Path;

use corten_engine::config::{self, Key, Loaded, Place, Places, Value};

use crate::caller::{Caller, ROOT_VARIABLE, RUN_ROOT_VARIABLE, variable};
use crate::error::{Failure, Result};

pub mod check;
pub mod explain;
pub mod get;
pub mod import;
pub mod set;
pub mod show;
pub mod unset;

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A flag before the command.
    Flag(&'static str),
    /// A variable of the environment.
    Variable(&'static str),
    /// A line of a file.
    File(Place),
    /// Nobody says otherwise.
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Flag(flag) => f.write_str(flag),
            Origin::Variable(name) => write!(f, "environment variable {name}"),
            Origin::File(place) => place.fmt(f),
            Origin::Default => f.write_str("default"),
        }
    }
}

/// Where the files are.
fn places(caller: &Caller) -> Result<&Places> {
    caller.settings()?.places().ok_or(Failure::NoHome)
}

/// All files. What is wrong in one of them is an error, so that nothing is told that doesn't hold.
fn loaded(caller: &Caller) -> Result<Loaded> {
    let mut loaded = config::load(places(caller)?);
    if loaded.problems.is_empty() { Ok(loaded) } else { Err(loaded.problems.swap_remove(0).into()) }
}

/// The value of a key now, and where it comes from.
fn effective(key: &Key, loaded: &Loaded, caller: &Caller) -> Result<(Value, Origin)> {
    let from_file =
        loaded.setting(key).map_or(Origin::Default, |setting| Origin::File(setting.place.clone()));
    let is_set = |name: &str| variable(name).is_some_and(|value| !value.is_empty());
    let (flag, name, is_typed) = match key.name {
        "root" => ("--root", ROOT_VARIABLE, caller.globals.root.is_some()),
        "run_root" => ("--run-root", RUN_ROOT_VARIABLE, caller.globals.run_root.is_some()),
        _ => return Ok(((key.get)(&loaded.config()), from_file)),
    };
    let roots = caller.roots()?;
    let path = if key.name == "root" { &roots.data } else { &roots.run };
    let origin = match (is_typed, is_set(name)) {
        (true, _) => Origin::Flag(flag),
        (false, true) => Origin::Variable(name),
        (false, false) => from_file,
    };
    Ok((Value::Text(path.to_string_lossy().into_owned()), origin))
}

/// What goes before the line of `file` that was just written, in a sentence.
fn overridden(key: &Key, file: &Path, caller: &Caller) -> Result<Option<String>> {
    let file = file.canonicalize().unwrap_or_else(|_| file.to_owned());
    let origin = effective(key, &loaded(caller)?, caller)?.1;
    let is_file = |place: &Place| place.path.canonicalize().is_ok_and(|path| path == file);
    Ok(match origin {
        Origin::File(place) if is_file(&place) => None,
        Origin::Default => None,
        other => Some(format!("`{}` has another value: {other} goes before this file", key.name)),
    })
}
