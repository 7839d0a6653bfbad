//! Hosts under names: one file each, in the shape of Docker's, beside the configuration.
//!
//! ```text
//! <configuration>/contexts/NAME.json    where it is and what it is for
//! <configuration>/contexts/current      the name that `context use` chose
//! ```

use std::fs;
use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::Address;
use crate::caller::Caller;
use crate::error::{Failure, Result};

/// The name of this host.
pub const DEFAULT: &str = "default";
/// The longest file that is read.
const FILE_MAX_BYTES: u64 = 1 << 20;
/// The longest name.
const NAME_MAX_BYTES: usize = 200;

/// A host under a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Context {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// Where it is; `None`: here.
    pub address: Option<Address>,
}

/// The directory; a user without a home has none.
pub struct Contexts(Option<PathBuf>);

impl Contexts {
    /// Those beside the caller's configuration.
    pub fn of(caller: &Caller) -> Result<Self> {
        let file = caller.settings()?.places().map(|places| places.file.clone());
        Ok(Self(file.and_then(|file| Some(file.parent()?.join("contexts")))))
    }

    fn path(&self, name: &str) -> Result<PathBuf> {
        Ok(self.0.as_ref().ok_or(Failure::NoHome)?.join(name))
    }

    /// The name that `context use` chose.
    pub fn current(&self) -> Result<Option<String>> {
        let Some(dir) = &self.0 else { return Ok(None) };
        let name = read(&dir.join("current"))?.map(|text| text.trim().to_owned());
        Ok(name.filter(|name| !name.is_empty() && name != DEFAULT))
    }

    /// Chooses a name.
    pub fn choose(&self, name: &str) -> Result<()> {
        self.get(name)?;
        let path = self.path("current")?;
        if name != DEFAULT {
            return write(&path, name);
        }
        match fs::remove_file(&path) {
            Err(source) if source.kind() != ErrorKind::NotFound => Err(Failure::Write { path, source }),
            _ => Ok(()),
        }
    }

    /// The context with this name.
    pub fn get(&self, name: &str) -> Result<Context> {
        if name == DEFAULT {
            return Ok(Context { name: DEFAULT.into(), description: "this host".into(), address: None });
        }
        check_name(name)?;
        let path = self.path(&format!("{name}.json"))?;
        match read(&path)? {
            Some(text) => from_json(name, &text, &path.display().to_string()),
            None => Err(Failure::NoSuchContext(name.to_owned())),
        }
    }

    /// All of them, this host first, then by name.
    pub fn all(&self) -> Result<Vec<Context>> {
        let entries = self.0.iter().filter_map(|dir| fs::read_dir(dir).ok()).flatten().flatten();
        let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        let mut names: Vec<String> =
            names.filter_map(|name| name.strip_suffix(".json").map(str::to_owned)).collect();
        names.sort();
        names.insert(0, DEFAULT.to_owned());
        names.iter().map(|name| self.get(name)).collect()
    }

    /// Keeps a new one, or with `replace` one that is there.
    pub fn keep(&self, context: &Context, replace: bool) -> Result<()> {
        check_name(&context.name)?;
        if context.name == DEFAULT {
            return Err(refused(DEFAULT, "it is this host, and stays so"));
        }
        let path = self.path(&format!("{}.json", context.name))?;
        if !replace && path.exists() {
            return Err(refused(&context.name, "it is there already"));
        }
        write(&path, &to_json(context).to_string())
    }

    /// Removes one; with `force` also the one that is in use.
    pub fn remove(&self, name: &str, force: bool) -> Result<()> {
        if name == DEFAULT {
            return Err(refused(DEFAULT, "it is this host, and stays so"));
        }
        check_name(name)?;
        let path = self.path(&format!("{name}.json"))?;
        if !path.exists() {
            return Err(Failure::NoSuchContext(name.to_owned()));
        }
        if self.current()?.as_deref() == Some(name) {
            if !force {
                return Err(refused(name, "it is in use: `--force` removes it all the same"));
            }
            self.choose(DEFAULT)?;
        }
        fs::remove_file(&path).map_err(|source| Failure::Write { path, source })
    }
}

fn refused(name: &str, why: &'static str) -> Failure {
    Failure::Context { name: name.to_owned(), why }
}

fn check_name(name: &str) -> Result<()> {
    let good = |c: char| c.is_ascii_alphanumeric() || "_.+-".contains(c);
    let first = name.chars().next().is_some_and(|c| c.is_ascii_alphanumeric());
    if first && name.len() <= NAME_MAX_BYTES && name.chars().all(good) {
        return Ok(());
    }
    Err(refused(name, "a name is letters, digits and `_.+-`, a letter or a digit first"))
}

/// The text of Docker's meta.json.
pub fn to_json(context: &Context) -> Value {
    let host = context.address.as_ref().map_or_else(|| super::HERE.to_owned(), Address::to_string);
    json!({
        "Name": context.name,
        "Metadata": { "Description": context.description },
        "Endpoints": { "docker": { "Host": host, "SkipTLSVerify": false } },
    })
}

/// The context in such a text.
pub fn from_json(name: &str, text: &str, from: &str) -> Result<Context> {
    let damaged = || refused(name, "its file is not a context's");
    let value: Value = serde_json::from_str(text).map_err(|_| damaged())?;
    let host = value["Endpoints"]["docker"]["Host"].as_str().ok_or_else(damaged)?;
    let address = if host == super::HERE { None } else { Some(Address::parse(host, from)?) };
    let description = value["Metadata"]["Description"].as_str().unwrap_or_default().to_owned();
    Ok(Context { name: name.to_owned(), description, address })
}

fn read(path: &Path) -> Result<Option<String>> {
    let failed = |source| Failure::Read { path: path.to_owned(), source };
    let file = match fs::File::open(path) {
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        opened => opened.map_err(failed)?,
    };
    let mut text = String::new();
    file.take(FILE_MAX_BYTES).read_to_string(&mut text).map_err(failed)?;
    Ok(Some(text))
}

/// Replaces the file: whoever reads it sees the old text or the new one.
fn write(path: &Path, text: &str) -> Result<()> {
    let failed = |source| Failure::Write { path: path.to_owned(), source };
    let dir = path.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(dir).map_err(failed)?;
    let fresh = dir.join(format!(".{}.new", std::process::id()));
    fs::write(&fresh, text).and_then(|()| fs::rename(&fresh, path)).map_err(failed)
}
