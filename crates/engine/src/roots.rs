//! Where the state lies: the data root (survives a boot) and the run root (doesn't).

use std::path::PathBuf;

/// Both roots; two stores with different roots live side by side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Roots {
    /// Images, layers, volumes, containers, the database.
    pub data: PathBuf,
    /// Keeper sockets, pipes and locks.
    pub run: PathBuf,
}

/// What the defaults depend on; the caller reads the environment.
#[derive(Debug, Clone, Default)]
pub struct Surroundings {
    /// The effective uid.
    pub uid: u32,
    /// `$HOME`.
    pub home: Option<PathBuf>,
    /// `$XDG_DATA_HOME`.
    pub data_home: Option<PathBuf>,
    /// `$XDG_RUNTIME_DIR`.
    pub runtime_dir: Option<PathBuf>,
}

impl Roots {
    /// `/var/lib/corten` and `/run/corten` for root, below the user's own directories for others.
    ///
    /// `None` if an ordinary user has no home.
    pub fn defaults(around: &Surroundings) -> Option<Roots> {
        if around.uid == 0 {
            return Some(Roots { data: "/var/lib/corten".into(), run: "/run/corten".into() });
        }
        let data_home =
            around.data_home.clone().or_else(|| Some(around.home.as_ref()?.join(".local/share")))?;
        let run = match &around.runtime_dir {
            Some(dir) => dir.join("corten"),
            None => PathBuf::from(format!("/tmp/corten-run-{}", around.uid)),
        };
        Some(Roots { data: data_home.join("corten"), run })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(around: Surroundings, expected: Option<(&str, &str)>) {
        let roots = expected.map(|(data, run)| Roots { data: data.into(), run: run.into() });
        assert_eq!(Roots::defaults(&around), roots);
    }

    #[test]
    fn root_and_users_have_their_own_places() {
        check(Surroundings::default(), Some(("/var/lib/corten", "/run/corten")));
        let user = Surroundings { uid: 1000, home: Some("/home/me".into()), ..Default::default() };
        check(user.clone(), Some(("/home/me/.local/share/corten", "/tmp/corten-run-1000")));
        let user =
            Surroundings { data_home: Some("/d".into()), runtime_dir: Some("/run/user/1000".into()), ..user };
        check(user, Some(("/d/corten", "/run/user/1000/corten")));
        check(Surroundings { uid: 1000, ..Default::default() }, None);
    }
}
