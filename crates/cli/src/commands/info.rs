//! `corten info`: the host and the store.

use std::fmt::Write as _;
use std::io::Write as _;

use corten_engine::system;
use serde_json::Value;

use crate::caller::Caller;
use crate::error::Result;
use crate::format::{self, ObjectFormat};
use crate::shape::Shape;

/// Display system-wide information
#[derive(clap::Args, Debug)]
#[command(override_usage = "corten info [OPTIONS]")]
pub struct Args {
    /// Format output: json, or a template such as '{{.CgroupVersion}}'
    #[arg(short, long, value_name = "FORMAT")]
    format: Option<String>,
}

/// In which order fields are told, and what people call them; others follow by name.
const TITLES: [(&str, &str); 20] = [
    ("Containers", "Containers"),
    ("ContainersRunning", " Running"),
    ("ContainersPaused", " Paused"),
    ("ContainersStopped", " Stopped"),
    ("Images", "Images"),
    ("ServerVersion", "Version"),
    ("Driver", "Storage Driver"),
    ("LoggingDriver", "Logging Driver"),
    ("CgroupDriver", "Cgroup Driver"),
    ("CgroupVersion", "Cgroup Version"),
    ("Rootless", "Rootless"),
    ("SecurityOptions", "Security Options"),
    ("KernelVersion", "Kernel Version"),
    ("OperatingSystem", "Operating System"),
    ("OSType", "OS Type"),
    ("Architecture", "Architecture"),
    ("NCPU", "CPUs"),
    ("MemTotal", "Total Memory"),
    ("DockerRootDir", "Root Dir"),
    ("RunRoot", "Run Root"),
];

/// Does it.
pub fn run(args: Args, caller: &mut Caller) -> Result<u8> {
    let format = ObjectFormat::parse(args.format.as_deref())?;
    let info = system::info(&mut caller.engine()?)?;
    match format {
        ObjectFormat::Json => writeln!(caller.out, "{}", format::line(Shape::Any, &info))?,
        ObjectFormat::Template(template) => {
            writeln!(caller.out, "{}", format::render(&template, Shape::Any, &info)?)?;
        }
        ObjectFormat::Default => caller.out.write_all(text(&info).as_bytes())?,
    }
    Ok(0)
}

/// A line for each field; lists and objects indented below their name.
fn text(info: &Value) -> String {
    let mut out = String::new();
    lines(&mut out, info, 0);
    out
}

fn lines(out: &mut String, value: &Value, indent: usize) {
    let place = |key: &str| TITLES.iter().position(|(name, _)| *name == key);
    let mut fields: Vec<_> = value.as_object().into_iter().flatten().collect();
    // The sort keeps what is at no place in the order of its names.
    fields.sort_by_key(|(key, _)| place(key).unwrap_or(TITLES.len()));
    for (key, value) in fields {
        let title = place(key).map_or(key.as_str(), |place| TITLES[place].1);
        match value {
            Value::Null => {}
            Value::Object(fields) if fields.is_empty() => {}
            Value::Object(_) => {
                let _ = writeln!(out, "{:indent$}{title}:", "");
                lines(out, value, indent + 1);
            }
            Value::Array(items) if items.is_empty() => {}
            Value::Array(items) => {
                let _ = writeln!(out, "{:indent$}{title}:", "");
                for item in items {
                    let _ = writeln!(out, "{:indent$} {}", "", single(key, item));
                }
            }
            _ => {
                let _ = writeln!(out, "{:indent$}{title}: {}", "", single(key, value));
            }
        }
    }
}

fn single(key: &str, value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(bytes) if key == "MemTotal" => {
            bytes.as_u64().map_or(bytes.to_string(), corten_model::bytes::human_binary)
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn fields_are_lines() {
        let info = json!({
            "CgroupVersion": "hybrid",
            "Containers": 3,
            "MemTotal": 2_147_483_648_u64,
            "Missing": null,
            "None": [],
            "Store": {"Version": 1},
            "Warnings": ["no swap limit"],
        });
        let expected = "Containers: 3\n\
                        Cgroup Version: hybrid\n\
                        Total Memory: 2GiB\n\
                        Store:\n Version: 1\n\
                        Warnings:\n no swap limit\n";
        assert_eq!(text(&info), expected);
    }
}
