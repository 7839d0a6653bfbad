//! `--security-opt`: seccomp profile, new privileges, masked paths, labels.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::Invalid;

/// One `--security-opt`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SecurityOpt {
    /// `no-new-privileges[=true|false]`.
    NoNewPrivileges(bool),
    /// `seccomp=unconfined`.
    SeccompUnconfined,
    /// `seccomp=builtin`.
    SeccompBuiltin,
    /// `seccomp=PATH`: a profile in Docker's JSON format.
    SeccompProfile(String),
    /// `systempaths=unconfined`: nothing in /proc and /sys is masked or read-only.
    SystemPathsUnconfined,
    /// `apparmor=PROFILE`; `unconfined` is none.
    AppArmor(String),
    /// `label=…`: SELinux.
    Label(String),
}

impl FromStr for SecurityOpt {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let bad = |why: &str| {
            Invalid::new("security option", text, why)
                .hint("use `no-new-privileges`, `seccomp=unconfined|PATH`, `systempaths=unconfined`, `apparmor=PROFILE` or `label=…`")
        };
        let (key, value) = match text.split_once('=').or_else(|| text.split_once(':')) {
            Some((key, value)) => (key, Some(value)),
            None => (text, None),
        };
        match (key, value) {
            ("no-new-privileges", None | Some("true")) => Ok(Self::NoNewPrivileges(true)),
            ("no-new-privileges", Some("false")) => Ok(Self::NoNewPrivileges(false)),
            ("seccomp", Some("unconfined")) => Ok(Self::SeccompUnconfined),
            ("seccomp", Some("builtin")) => Ok(Self::SeccompBuiltin),
            ("seccomp", Some(path)) if !path.is_empty() => Ok(Self::SeccompProfile(path.to_owned())),
            ("systempaths", Some("unconfined")) => Ok(Self::SystemPathsUnconfined),
            ("apparmor", Some(profile)) if !profile.is_empty() => Ok(Self::AppArmor(profile.to_owned())),
            ("label", Some(label)) if !label.is_empty() => Ok(Self::Label(label.to_owned())),
            ("seccomp" | "apparmor" | "label" | "systempaths" | "no-new-privileges", _) => {
                Err(bad("unknown value"))
            }
            _ => Err(bad("unknown option")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_parse() {
        assert_eq!("no-new-privileges".parse(), Ok(SecurityOpt::NoNewPrivileges(true)));
        assert_eq!("no-new-privileges:false".parse(), Ok(SecurityOpt::NoNewPrivileges(false)));
        assert_eq!("seccomp=/p.json".parse(), Ok(SecurityOpt::SeccompProfile("/p.json".into())));
        for bad in ["", "x", "seccomp", "seccomp=", "no-new-privileges=maybe", "systempaths=x"] {
            assert!(bad.parse::<SecurityOpt>().is_err(), "{bad}");
        }
    }
}
