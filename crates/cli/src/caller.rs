//! Who called us: the environment, the working directory, standard output, and the engine on the caller's state.

use std::cell::OnceCell;
use std::ffi::OsString;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;

use corten_engine::Engine;
use corten_engine::config::{Places, Settings};
use corten_engine::roots::{Roots, Surroundings};
use corten_model::detach_keys::Keys;

use crate::error::{Failure, Result};
use crate::global::Globals;
use crate::screen::Screen;
use crate::timings::{Moment, Timings};

/// What this program is called.
pub const PROGRAM: &str = "corten";
/// What it is called where it stands in for another one: a link with this name is enough.
pub const DOCKER: &str = "docker";
/// The name of the variable that stands for `--root`.
pub const ROOT_VARIABLE: &str = "CORTEN_ROOT";
/// The name of the variable that stands for `--run-root`.
pub const RUN_ROOT_VARIABLE: &str = "CORTEN_RUN_ROOT";

/// The name of the variable that stands for `--config`.
pub const CONFIG_VARIABLE: &str = "CORTEN_CONFIG";

/// What a command has to do with.
pub struct Caller {
    /// Standard output; flushed at the end.
    pub out: BufWriter<Box<dyn Write>>,
    /// What we were called: `corten`, or `docker`.
    pub program: &'static str,
    /// The flags before the command.
    pub globals: Globals,
    settings: OnceCell<Settings>,
    /// When what was done.
    pub timings: Timings,
    #[cfg(test)]
    shown: std::rc::Rc<std::cell::RefCell<Vec<u8>>>,
}

impl Caller {
    /// The caller of this process.
    pub fn new(globals: Globals, typed_at: Moment) -> Self {
        let timings = Timings::new(globals.timings, typed_at);
        Self {
            out: BufWriter::new(Box::new(io::stdout())),
            program: PROGRAM,
            globals,
            settings: OnceCell::new(),
            timings,
            #[cfg(test)]
            shown: std::rc::Rc::default(),
        }
    }

    /// Opens the engine where the flags, the environment or the defaults say.
    pub fn engine(&mut self) -> Result<Engine> {
        let roots = self.roots()?;
        Ok(Engine::open(roots, self.settings()?.clone())?)
    }

    /// The configuration, wherever the flags, the environment or the defaults say that it is.
    pub fn settings(&self) -> Result<&Settings> {
        if let Some(settings) = self.settings.get() {
            return Ok(settings);
        }
        let chosen = self.globals.config.clone().or_else(|| path_variable(CONFIG_VARIABLE));
        let places = match chosen {
            // Docker's `--config` names a directory: so may ours.
            Some(path) if path.is_dir() => Some(Places::of_directory(&absolute(path)?)),
            Some(path) => Some(Places::of_file(absolute(path)?)),
            None => config_directory(&surroundings()).map(|dir| Places::of_directory(&dir)),
        };
        Ok(self.settings.get_or_init(|| places.map_or_else(Settings::without_files, Settings::at)))
    }

    /// The keys that leave a container: those that were typed, else the configured ones.
    pub fn detach_keys(&self, typed: Option<Keys>) -> Result<Vec<u8>> {
        match typed {
            Some(keys) => Ok(keys.into_bytes()),
            None => Ok(self.settings()?.config()?.detach_keys.clone().into_bytes()),
        }
    }

    /// Takes over when the engine did what.
    pub fn timed(&mut self, engine: &mut Engine) {
        self.timings.add(engine.timings().stages());
    }

    /// Where the state lies.
    pub fn roots(&self) -> Result<Roots> {
        let chosen =
            |flag: &Option<PathBuf>, variable: &str| flag.clone().or_else(|| path_variable(variable));
        let data = chosen(&self.globals.root, ROOT_VARIABLE);
        let run = chosen(&self.globals.run_root, RUN_ROOT_VARIABLE);
        let roots = match (data, run) {
            (Some(data), Some(run)) => Roots { data, run },
            (data, run) => {
                let config = self.settings()?.config()?;
                let (data, run) = (data.or(config.root.clone()), run.or(config.run_root.clone()));
                let usual = || Roots::defaults(&surroundings()).ok_or(Failure::NoHome);
                Roots {
                    data: data.map_or_else(|| usual().map(|roots| roots.data), Ok)?,
                    run: run.map_or_else(|| usual().map(|roots| roots.run), Ok)?,
                }
            }
        };
        // The engine doesn't know our working directory.
        Ok(Roots { data: absolute(roots.data)?, run: absolute(roots.run)? })
    }

    /// Prints a text and ends well.
    pub fn show(&mut self, text: &str) -> Result<u8> {
        self.out.write_all(text.as_bytes())?;
        Ok(0)
    }

    /// Tells what was asked for and can't be had.
    pub fn warn(&mut self, warnings: &[String]) -> Result<()> {
        for warning in warnings {
            let line = format!("warning: {warning}\n");
            io::stderr().write_all(Screen::of(io::stderr()).painted(&line).as_bytes())?;
        }
        Ok(())
    }
}

fn absolute(path: PathBuf) -> Result<PathBuf> {
    std::path::absolute(&path).map_err(|source| Failure::Read { path, source })
}

/// /etc/corten for root, below the user's own directories for others. `None`: an ordinary user without a home.
fn config_directory(around: &Surroundings) -> Option<PathBuf> {
    if around.uid == 0 {
        return Some("/etc/corten".into());
    }
    let own = path_variable("XDG_CONFIG_HOME").or_else(|| Some(around.home.as_ref()?.join(".config")));
    Some(own?.join("corten"))
}

/// A variable of our environment, if it is text.
pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// A variable that holds a path; an empty one counts as unset.
pub fn path_variable(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).filter(|value: &OsString| !value.is_empty()).map(PathBuf::from)
}

fn surroundings() -> Surroundings {
    Surroundings {
        uid: rustix::process::geteuid().as_raw(),
        home: path_variable("HOME"),
        data_home: path_variable("XDG_DATA_HOME"),
        runtime_dir: path_variable("XDG_RUNTIME_DIR"),
    }
}

#[cfg(test)]
mod testing {
    use super::*;
    use std::cell::RefCell;
    use std::rc::Rc;

    struct Shared(Rc<RefCell<Vec<u8>>>);

    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.borrow_mut().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Caller {
        /// A caller whose output is kept.
        pub fn for_test(globals: Globals) -> Self {
            let shown: Rc<RefCell<Vec<u8>>> = Rc::default();
            let out: Box<dyn Write> = Box::new(Shared(Rc::clone(&shown)));
            Self {
                out: BufWriter::new(out),
                program: PROGRAM,
                globals,
                settings: OnceCell::new(),
                timings: Timings::new(false, Moment::now()),
                shown,
            }
        }

        /// What was printed.
        pub fn shown(&mut self) -> String {
            self.out.flush().unwrap();
            String::from_utf8(self.shown.borrow().clone()).unwrap()
        }
    }
}
