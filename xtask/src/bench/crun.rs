//! The other side: crun with bundles of the same files, plain and with the duties that we always have.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::failure::{Context, Failure, Outcome};

/// First host id of the user namespace; any range that nobody uses.
const HOST_ID: u32 = 700_000;

/// Where set-up puts Debian 12's crun, below the project.
pub const DEBIAN_12: &str = "target/bench/crun-1.8.1";
/// Its shared libraries that today's Debian may lack.
const LIBRARIES: &str = "usr/lib/x86_64-linux-gnu";

/// Which crun, and what it says its version is.
#[derive(Debug, Clone)]
pub struct Which {
    program: PathBuf,
    libraries: Option<PathBuf>,
    /// Its name for the report.
    pub name: String,
}

impl Which {
    /// The one of the machine.
    pub fn installed() -> Outcome<Self> {
        Self::new(PathBuf::from("crun"), None)
    }

    /// The one that set-up put below `project`. `None`: it isn't there.
    pub fn of_debian_12(project: &Path) -> Outcome<Option<Self>> {
        let dir = project.join(DEBIAN_12);
        if !dir.join("usr/bin/crun").exists() {
            return Ok(None);
        }
        Self::new(dir.join("usr/bin/crun"), Some(dir.join(LIBRARIES))).map(Some)
    }

    fn new(program: PathBuf, libraries: Option<PathBuf>) -> Outcome<Self> {
        let mut which = Self { program, libraries, name: String::new() };
        let said = which.command().arg("--version").output().context("run crun")?;
        let text = String::from_utf8_lossy(&said.stdout).into_owned();
        let version = text.split_whitespace().nth(2).filter(|_| said.status.success());
        let why =
            || Failure::new(format!("`crun --version`: {text}{}", String::from_utf8_lossy(&said.stderr)));
        which.name = format!("crun {}", version.ok_or_else(why)?);
        Ok(which)
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        if let Some(libraries) = &self.libraries {
            command.env("LD_LIBRARY_PATH", libraries);
        }
        command
    }
}

/// A bundle, and where crun keeps its state.
pub struct Crun {
    which: Which,
    bundle: PathBuf,
    state: PathBuf,
}

impl Crun {
    /// What `crun spec` says, and nothing more: no limits, no filter, no user namespace.
    pub fn plain(which: &Which, dir: &Path, rootfs: &Path, args: &[&str]) -> Outcome<Self> {
        Self::new(which, dir, rootfs, args, |_| Ok(()))
    }

    /// With limits, Docker's seccomp profile, and a user namespace of 65,536 ids.
    pub fn with_duties(
        which: &Which,
        dir: &Path,
        rootfs: &Path,
        args: &[&str],
        profile: &Path,
    ) -> Outcome<Self> {
        Self::new(which, dir, rootfs, args, |config| {
            let text = std::fs::read_to_string(profile).context("read the seccomp profile")?;
            let profile: Value = serde_json::from_str(&text).context("understand the seccomp profile")?;
            let linux = &mut config["linux"];
            linux["seccomp"] = seccomp(&profile);
            linux["resources"]["memory"] = json!({ "limit": 512 << 20 });
            linux["resources"]["pids"] = json!({ "limit": 512 });
            linux["resources"]["cpu"] = json!({ "quota": 100_000, "period": 100_000 });
            let map = json!([{ "containerID": 0, "hostID": HOST_ID, "size": 65_536 }]);
            linux["uidMappings"] = map.clone();
            linux["gidMappings"] = map;
            let namespaces = linux["namespaces"].as_array_mut();
            namespaces
                .ok_or_else(|| Failure::new("`crun spec` names no namespaces"))?
                .push(json!({ "type": "user" }));
            Ok(())
        })
    }

    fn new(
        which: &Which,
        dir: &Path,
        rootfs: &Path,
        args: &[&str],
        change: impl FnOnce(&mut Value) -> Outcome,
    ) -> Outcome<Self> {
        std::fs::create_dir_all(dir).context("make a bundle")?;
        let said = which.command().arg("spec").current_dir(dir).output().context("run crun")?;
        if !said.status.success() {
            return Err(Failure::new(format!("`crun spec`: {}", String::from_utf8_lossy(&said.stderr))));
        }
        let file = dir.join("config.json");
        let text = std::fs::read_to_string(&file).context("read what `crun spec` wrote")?;
        let mut config: Value = serde_json::from_str(&text).context("understand what `crun spec` wrote")?;
        config["ociVersion"] = json!("1.0.0");
        config["process"]["terminal"] = json!(false);
        config["process"]["args"] = json!(args);
        config["root"] = json!({ "path": rootfs, "readonly": false });
        change(&mut config)?;
        std::fs::write(&file, config.to_string()).context("write the bundle")?;
        Ok(Self { which: which.clone(), bundle: dir.to_path_buf(), state: dir.join("state") })
    }

    fn crun(&self, words: &[&str]) -> Outcome {
        let mut command = self.which.command();
        command.arg("--root").arg(&self.state).args(words).stdin(Stdio::null()).stdout(Stdio::null());
        let output = command.stderr(Stdio::null()).status().context("run crun")?;
        if output.success() {
            return Ok(());
        }
        Err(Failure::new(format!("`crun {}` ended with {output}", words.join(" "))))
    }

    /// `crun run`, to the end of the app.
    pub fn run(&self, id: &str) -> Outcome {
        self.crun(&["run", "--bundle", &self.bundle.to_string_lossy(), id])
    }

    /// `crun run --detach`.
    pub fn start(&self, id: &str) -> Outcome {
        self.crun(&["run", "--detach", "--bundle", &self.bundle.to_string_lossy(), id])
    }

    /// `crun exec`.
    pub fn exec(&self, id: &str, program: &str) -> Outcome {
        self.crun(&["exec", id, program])
    }

    /// `crun delete --force`.
    pub fn delete(&self, id: &str) -> Outcome {
        self.crun(&["delete", "--force", id])
    }
}

/// Docker's profile as the runtime's specification has it: the conditions resolved for a default container.
fn seccomp(profile: &Value) -> Value {
    const DEFAULT: [&str; 14] = [
        "CAP_CHOWN",
        "CAP_DAC_OVERRIDE",
        "CAP_FOWNER",
        "CAP_FSETID",
        "CAP_KILL",
        "CAP_SETGID",
        "CAP_SETUID",
        "CAP_SETPCAP",
        "CAP_NET_BIND_SERVICE",
        "CAP_NET_RAW",
        "CAP_SYS_CHROOT",
        "CAP_MKNOD",
        "CAP_AUDIT_WRITE",
        "CAP_SETFCAP",
    ];
    let names = |value: &Value| -> Vec<String> {
        let list = value.as_array().into_iter().flatten();
        list.filter_map(|v| v.as_str().map(str::to_owned)).collect()
    };
    let have = |caps: &Value| names(caps).iter().all(|c| DEFAULT.contains(&c.as_str()));
    let here = |arches: &Value| names(arches).iter().any(|a| a == "amd64" || a == "x86" || a == "x32");
    let applies = |rule: &Value| {
        let (includes, excludes) = (&rule["includes"], &rule["excludes"]);
        (includes["caps"].is_null() || have(&includes["caps"]))
            && (includes["arches"].is_null() || here(&includes["arches"]))
            && (excludes["caps"].is_null() || !have(&excludes["caps"]))
            && (excludes["arches"].is_null() || !here(&excludes["arches"]))
    };
    let rules: Vec<Value> =
        profile["syscalls"].as_array().into_iter().flatten().filter(|r| applies(r)).map(plain).collect();
    json!({
        "defaultAction": profile["defaultAction"],
        "defaultErrnoRet": 1,
        "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
        "syscalls": rules,
    })
}

/// A rule without the parts that only Docker knows.
fn plain(rule: &Value) -> Value {
    let mut plain = json!({ "names": rule["names"], "action": rule["action"] });
    if rule["args"].as_array().is_some_and(|a| !a.is_empty()) {
        plain["args"] = rule["args"].clone();
    }
    if !rule["errnoRet"].is_null() {
        plain["errnoRet"] = rule["errnoRet"].clone();
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_s_conditions_are_resolved() {
        let rule = |includes: Value, excludes: Value| json!({ "names": ["x"], "action": "SCMP_ACT_ALLOW", "includes": includes, "excludes": excludes });
        let check = |includes: Value, excludes: Value, expected: usize| {
            let profile =
                json!({ "defaultAction": "SCMP_ACT_ERRNO", "syscalls": [rule(includes, excludes)] });
            assert_eq!(seccomp(&profile)["syscalls"].as_array().unwrap().len(), expected);
        };
        check(Value::Null, Value::Null, 1);
        check(json!({ "caps": ["CAP_SYS_ADMIN"] }), Value::Null, 0);
        check(json!({ "caps": ["CAP_CHOWN"] }), Value::Null, 1);
        check(Value::Null, json!({ "caps": ["CAP_SYS_ADMIN"] }), 1);
        check(json!({ "arches": ["s390x"] }), Value::Null, 0);
        check(Value::Null, json!({ "arches": ["s390x"] }), 1);
    }
}
