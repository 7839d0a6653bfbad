//! `cargo xtask dist`: the one binary that is shipped, at target/dist/corten, and the proof that it is what it
//! should be: static, not position-independent, without the C library's doors to the host's name services, and
//! able to run where nothing else is.

use std::path::{Path, PathBuf};

use crate::elf;
use crate::failure::{Context, Failure, Outcome, no_arguments};
use crate::machine;
use crate::program::Program;
use crate::project;

/// What a static binary must not have in it: each loads the name service's shared objects of the host's C library,
/// and crashes where that is another version.
const BANNED: [&str; 11] = [
    "getaddrinfo",
    "gethostbyname",
    "gethostbyname_r",
    "getpwnam",
    "getpwnam_r",
    "getpwuid",
    "getpwuid_r",
    "getgrnam",
    "getgrnam_r",
    "getgrgid",
    "getgrgid_r",
];

/// The same for `dlopen`. The C library refers to it itself (as `__dlopen`, for character sets), so the symbol is in
/// every static binary: wrapping it makes the linker fail when anybody else calls it.
const NO_DLOPEN: &str = "link-arg=-Wl,--wrap=dlopen";

/// Builds, checks, strips.
pub fn run(words: &[String]) -> Outcome {
    no_arguments("dist", words)?;
    build().map(|path| eprintln!("{}", path.display()))
}

/// Builds target/dist/corten and returns its path. The dependencies are those of an ordinary release build: only
/// the last crate is compiled and linked otherwise.
pub fn build() -> Outcome<PathBuf> {
    Program::cargo()
        .args(["rustc", "--release", "-p", "corten", "--bin", "corten", "--"])
        .args(["-C", "target-feature=+crt-static", "-C", "relocation-model=static"])
        .args(["-C", "panic=abort", "-C", "strip=none", "-C", NO_DLOPEN])
        .check()?;
    let built = project::target().join("release/corten");
    inspect(&built)?;
    let binary = project::binary();
    let directory = binary.parent().expect("target/dist/corten has a parent");
    std::fs::create_dir_all(directory).context("make target/dist")?;
    // Renamed into place: containers of an older build may be running from the path.
    let fresh = directory.join(".corten.new");
    Program::new("strip").arg("-o").arg(&fresh).arg(&built).quiet().check()?;
    runs_alone(&fresh)?;
    std::fs::rename(&fresh, &binary).context("put the binary into target/dist")?;
    Ok(binary)
}

fn inspect(path: &Path) -> Outcome {
    let file = std::fs::read(path).context(format_args!("read {}", path.display()))?;
    let elf = elf::parse(&file).context(format_args!("understand {}", path.display()))?;
    let wrong = faults(&elf);
    if wrong.is_empty() {
        return Ok(());
    }
    Err(Failure::new(format!("{} can't be shipped:\n  {}", path.display(), wrong.join("\n  "))))
}

fn faults(elf: &elf::Elf) -> Vec<String> {
    let mut faults = Vec::new();
    if let Some(interpreter) = &elf.interpreter {
        faults.push(format!("it is not static: it asks for {interpreter}"));
    }
    if elf.position_independent {
        faults.push("it is position-independent, which costs relocations at each start".into());
    }
    if elf.symbols.is_empty() {
        faults.push("it has no symbol table, so what it calls can't be checked".into());
    }
    let mut called: Vec<_> = BANNED.into_iter().filter(|b| elf.symbols.iter().any(|s| s == b)).collect();
    called.sort_unstable();
    for symbol in called {
        faults.push(format!("it has {symbol} in it, which loads the host's shared objects"));
    }
    faults
}

/// Runs it in a root directory with nothing but itself: no /proc, no /dev, no /etc.
fn runs_alone(binary: &Path) -> Outcome {
    let empty = std::env::temp_dir().join(format!("corten-alone-{}", std::process::id()));
    std::fs::create_dir(&empty).context("make an empty root directory")?;
    let ran = std::fs::copy(binary, empty.join("corten")).context("copy the binary").and_then(|_| {
        let chroot = machine::find_program("chroot").ok_or_else(|| Failure::new("there is no chroot"))?;
        let program = if machine::is_root() {
            Program::new(chroot)
        } else {
            Program::new("unshare").args(["--user", "--map-root-user", "--"]).arg(chroot)
        };
        program.arg(&empty).args(["/corten", "version"]).clean_env().output()
    });
    std::fs::remove_dir_all(&empty).context("remove the empty root directory")?;
    match ran {
        Ok(said) if !said.is_empty() => Ok(()),
        Ok(_) => Err(Failure::new("`corten version` says nothing")),
        Err(failure) => {
            Err(Failure::new(format!("the binary doesn't run in an empty root directory: {failure}")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(position_independent: bool, interpreter: Option<&str>, symbols: &[&str], expected: &[&str]) {
        let symbols = symbols.iter().map(|s| s.to_string()).collect();
        let elf = elf::Elf { position_independent, interpreter: interpreter.map(str::to_owned), symbols };
        let faults = faults(&elf);
        assert_eq!(faults.len(), expected.len(), "{faults:?}");
        for (fault, word) in faults.iter().zip(expected) {
            assert!(fault.contains(word), "{fault} lacks {word}");
        }
    }

    #[test]
    fn what_is_wrong_with_a_binary_is_named() {
        check(false, None, &["main"], &[]);
        check(true, Some("/lib64/ld-linux-x86-64.so.2"), &["main"], &["ld-linux", "position-independent"]);
        check(false, None, &[], &["symbol table"]);
        check(false, None, &["main", "getpwuid_r", "getaddrinfo"], &["getaddrinfo", "getpwuid_r"]);
    }
}
