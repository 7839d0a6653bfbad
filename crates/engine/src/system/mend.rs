//! Doing what a [`Remedy`] says. Each can be done twice: the second time changes nothing.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::needs::{Remedy, sysctl_file};
use crate::error::OnFile;
use crate::{Result, ids};

/// Does what a remedy says. `false`: it is nobody's to do but the administrator's.
pub fn mend(remedy: &Remedy) -> Result<bool> {
    match remedy {
        Remedy::Yours(_) => return Ok(false),
        Remedy::Ids { file, line } => add_line(Path::new(file), line)?,
        Remedy::Sysctl { name, value } => {
            write(&sysctl_file(name), &format!("{name} = {value}\n"))?;
            let path = Path::new("/proc/sys").join(name.replace('.', "/"));
            fs::write(&path, value).on("write", &path)?;
        }
        Remedy::DropIn { path, text } => {
            write(path, text)?;
            run(&["systemctl", "daemon-reload"].map(str::to_owned))?;
        }
        Remedy::Run { words, .. } => run(words)?,
        Remedy::Directory(path) => fs::create_dir_all(path).on("make the directory", path)?,
    }
    Ok(true)
}

/// Replaces the file: whoever reads it sees the old text or the new one.
fn write(path: &Path, text: &str) -> Result<()> {
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir).on("make the directory", dir)?;
    }
    let fresh = beside(path, "corten-new");
    let written = File::create(&fresh).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()
    });
    written.and_then(|()| fs::rename(&fresh, path)).on("write", path)
}

fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(end);
    name.into()
}

/// Adds a line to a file of the shadow suite, whose own programs keep away while its lock is there.
fn add_line(path: &Path, line: &str) -> Result<()> {
    let lock = beside(path, "lock");
    let mut held = File::options().write(true).create_new(true).open(&lock).on("lock", &lock)?;
    let added = held.write_all(std::process::id().to_string().as_bytes()).on("lock", &lock).and_then(|()| {
        let mut text = ids::read(&path.to_string_lossy())?;
        if text.lines().any(|there| there == line) {
            return Ok(());
        }
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        text.push_str(line);
        text.push('\n');
        write(path, &text)
    });
    fs::remove_file(&lock).on("unlock", &lock)?;
    added
}

fn run(words: &[String]) -> Result<()> {
    let path = Path::new(&words[0]);
    let ran = Command::new(path).args(&words[1..]).stdin(Stdio::null()).output().on("run", path)?;
    if ran.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&ran.stderr).trim().to_owned();
    Err(io::Error::other(if said.is_empty() { ran.status.to_string() } else { said })).on("run", path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_added_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("subuid");
        for (before, expected) in [("", "me:1:2\n"), ("a:1:1", "a:1:1\nme:1:2\n"), ("me:1:2\n", "me:1:2\n")] {
            fs::write(&path, before).unwrap();
            add_line(&path, "me:1:2").unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), expected);
        }
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "the lock and the fresh file are gone");
        fs::write(beside(&path, "lock"), "1").unwrap();
        assert!(add_line(&path, "x").is_err(), "somebody else is at it");
    }

    #[test]
    fn files_directories_and_programs() {
        let dir = tempfile::tempdir().unwrap();
        let deep = dir.path().join("a/b");
        for _ in 0..2 {
            assert!(mend(&Remedy::Directory(deep.clone())).unwrap());
            write(&deep.join("c/d.conf"), "text\n").unwrap();
        }
        assert_eq!(fs::read_to_string(deep.join("c/d.conf")).unwrap(), "text\n");
        let words = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let run = |line: &str| mend(&Remedy::Run { words: words(line), undo: words("true") });
        assert!(run("true").unwrap());
        let failed = run("ls /no/such/place").unwrap_err();
        assert!(failed.told().contains("No such file"), "{}", failed.told());
        assert!(!mend(&Remedy::Yours("x".into())).unwrap());
    }
}
