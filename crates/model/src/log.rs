//! Where a container's output is kept: `--log-driver`, `--log-opt`.

use std::collections::BTreeMap;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{Invalid, bytes};

/// Drivers that Docker has and that need a service to send to.
pub const SENDING: [&str; 8] =
    ["awslogs", "etwlogs", "fluentd", "gcplogs", "gelf", "journald", "splunk", "syslog"];
/// What Docker's `local` keeps unless it is told otherwise.
const LOCAL: (u64, u32) = (20 << 20, 5);
/// The most files of a log.
const FILES_MAX: u32 = 1000;
/// The smallest size at which a file is followed by the next.
const FILE_BYTES_MIN: u64 = 1;

/// Who keeps the output.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogDriver {
    /// The configured one, which is `json-file`.
    #[default]
    Default,
    /// Lines of JSON in files.
    JsonFile,
    /// Files whose form is nobody's business: ours are the same ones.
    Local,
    /// Nobody.
    None,
}

impl LogDriver {
    /// Docker's word.
    pub fn name(self) -> &'static str {
        match self {
            LogDriver::Default | LogDriver::JsonFile => "json-file",
            LogDriver::Local => "local",
            LogDriver::None => "none",
        }
    }
}

impl FromStr for LogDriver {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        match text {
            "" => Ok(LogDriver::Default),
            "json-file" => Ok(LogDriver::JsonFile),
            "local" => Ok(LogDriver::Local),
            "none" => Ok(LogDriver::None),
            known if SENDING.contains(&known) => {
                let why = "sending logs to a service is not built yet";
                Err(Invalid::new("log driver", text, why).hint("`json-file`, `local` or `none`"))
            }
            _ => Err(Invalid::new("log driver", text, "error looking up logging plugin: not found")
                .hint("`json-file`, `local` or `none`")),
        }
    }
}

/// The driver and its options.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LogConfig {
    /// Who keeps the output.
    pub driver: LogDriver,
    /// As they were typed.
    pub options: BTreeMap<String, String>,
}

/// What of the options is about files; what isn't said is the configuration's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogFiles {
    /// Bytes of one file; `Some(0)` is without end.
    pub file_bytes: Option<u64>,
    /// How many.
    pub files: Option<u32>,
}

impl LogConfig {
    /// Checks the options, as the driver of that name takes them.
    pub fn validate(&self) -> Result<LogFiles, Invalid> {
        let bad = |key: &str, why: &str| {
            let typed = self.options.get(key).map(|value| format!("{key}={value}")).unwrap_or_default();
            Invalid::new("log option", typed, why)
        };
        let mut files = LogFiles::default();
        if self.driver == LogDriver::Local {
            files = LogFiles { file_bytes: Some(LOCAL.0), files: Some(LOCAL.1) };
        }
        for (key, value) in &self.options {
            let tells = ["labels", "labels-regex", "env", "env-regex", "tag"].contains(&key.as_str());
            match key.as_str() {
                "mode" if value == "blocking" => {}
                "mode" if value == "non-blocking" => {
                    return Err(bad(
                        key,
                        "a log that drops lines is not built: it never waits but for the disk",
                    ));
                }
                "mode" => return Err(bad(key, "neither `blocking` nor `non-blocking`")),
                "max-buffer-size" => {
                    return Err(bad(key, "it is only supported with `mode=non-blocking`"));
                }
                _ if self.driver == LogDriver::None => {
                    return Err(bad(key, "the driver `none` has no options"));
                }
                "max-size" => files.file_bytes = Some(max_size(value).map_err(|why| bad(key, why))?),
                "max-file" => files.files = Some(max_file(value).map_err(|why| bad(key, why))?),
                "compress" => match value.as_str() {
                    "0" | "f" | "F" | "false" | "FALSE" | "False" => {}
                    "1" | "t" | "T" | "true" | "TRUE" | "True" => {
                        return Err(bad(key, "compressing older files is not built yet"));
                    }
                    _ => return Err(bad(key, "neither `true` nor `false`")),
                },
                _ if tells && self.driver != LogDriver::Local => {}
                _ => {
                    let why = format!("unknown log opt '{key}' for {} log driver", self.driver.name());
                    return Err(bad(key, &why));
                }
            }
        }
        Ok(files)
    }

    /// An option's value, unless it is empty.
    pub fn option(&self, key: &str) -> Option<&str> {
        self.options.get(key).map(String::as_str).filter(|value| !value.is_empty())
    }
}

fn max_size(text: &str) -> Result<u64, &'static str> {
    if text == "-1" {
        return Ok(0);
    }
    match bytes::parse_size("max-size", text) {
        Ok(size) if size >= FILE_BYTES_MIN => Ok(size),
        Ok(_) => Err("max-size must be a positive number"),
        Err(_) => Err("not a size, such as `10m`"),
    }
}

fn max_file(text: &str) -> Result<u32, &'static str> {
    match text.parse::<i64>() {
        Ok(count) if count < 1 => Err("max-file cannot be less than 1"),
        Ok(count) => {
            u32::try_from(count).ok().filter(|count| *count <= FILES_MAX).ok_or("more than 1000 files")
        }
        Err(_) => Err("not a number"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(driver: &str, options: &[(&str, &str)]) -> LogConfig {
        let options = options.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        LogConfig { driver: driver.parse().unwrap(), options }
    }

    #[test]
    fn drivers() {
        assert_eq!("".parse(), Ok(LogDriver::Default));
        assert_eq!("local".parse(), Ok(LogDriver::Local));
        assert!("syslog".parse::<LogDriver>().unwrap_err().why.contains("not built"));
        assert!("papyrus".parse::<LogDriver>().unwrap_err().why.contains("not found"));
    }

    #[test]
    fn options_of_files() {
        let check = |driver: &str, options: &[(&str, &str)], bytes: Option<u64>, files: Option<u32>| {
            let expected = LogFiles { file_bytes: bytes, files };
            assert_eq!(config(driver, options).validate(), Ok(expected), "{driver} {options:?}");
        };
        check("", &[], None, None);
        check("", &[("max-size", "10k"), ("max-file", "2")], Some(10 << 10), Some(2));
        check("json-file", &[("max-size", "-1")], Some(0), None);
        check("local", &[], Some(20 << 20), Some(5));
        check("local", &[("max-file", "1"), ("compress", "false")], Some(20 << 20), Some(1));
        check("json-file", &[("labels", "a,b"), ("tag", "{{.Name}}"), ("mode", "blocking")], None, None);
        check("none", &[], None, None);
    }

    #[test]
    fn options_that_cant_be() {
        for (driver, key, value) in [
            ("", "max-size", "0"),
            ("", "max-size", "much"),
            ("", "max-file", "0"),
            ("", "max-file", "x"),
            ("", "compress", "true"),
            ("", "compress", "maybe"),
            ("", "colour", "red"),
            ("", "mode", "non-blocking"),
            ("", "mode", "x"),
            ("", "max-buffer-size", "1m"),
            ("local", "labels", "a"),
            ("none", "max-size", "1m"),
        ] {
            assert!(config(driver, &[(key, value)]).validate().is_err(), "{driver} {key}={value}");
        }
    }
}
