//! `corten info`: the host and the store, and what is missing.

use std::fmt::Write as _;
use std::io::Write as _;

use corten_engine::system;
use corten_model::bytes;
use serde_json::{Value, json};

use crate::caller::Caller;
use crate::commands::version::VERSION;
use crate::error::Result;
use crate::format::{self, ObjectFormat};
use crate::remote;
use crate::shape::Shape;

/// Display system-wide information
#[derive(clap::Args, Debug)]
#[command(override_usage = "corten info [OPTIONS]")]
pub struct Args {
    /// Format output: json, or a template such as '{{.CgroupVersion}}'
    #[arg(short, long, value_name = "FORMAT")]
    format: Option<String>,
}

/// What stands behind a title.
enum Part {
    /// Nothing: what comes below it does.
    Title,
    /// What is at this place; words of a list between blanks.
    At(&'static str),
    /// What is made of all of it; without a line it has no title either.
    Of(fn(&Value) -> Option<String>),
    /// Lines below it.
    Lines(fn(&Value) -> Vec<String>),
}

use Part::{At, Lines, Of, Title};

/// Titles in Docker's order and words, with their indents.
const PARTS: [(&str, Part); 42] = [
    ("Client", Title),
    (" Version", At("/ClientInfo/Version")),
    (" Context", At("/ClientInfo/Context")),
    (" Debug Mode", At("/ClientInfo/Debug")),
    ("\nServer", Title),
    (" Containers", At("/Containers")),
    ("  Running", At("/ContainersRunning")),
    ("  Paused", At("/ContainersPaused")),
    ("  Stopped", At("/ContainersStopped")),
    (" Images", At("/Images")),
    (" Server Version", At("/ServerVersion")),
    (" Storage Driver", At("/Driver")),
    ("  Backing Filesystem", At("/DriverStatus/0/1")),
    (" Logging Driver", At("/LoggingDriver")),
    (" Cgroup Driver", At("/CgroupDriver")),
    (" Cgroup Version", Of(cgroup_version)),
    (" Limits", Of(limits)),
    (" Plugins", Title),
    ("  Volume", At("/Plugins/Volume")),
    ("  Network", At("/Plugins/Network")),
    ("  Log", At("/Plugins/Log")),
    (" Swarm", At("/Swarm/LocalNodeState")),
    (" Default Runtime", At("/DefaultRuntime")),
    (" Init Binary", At("/InitBinary")),
    (" Security Options", Lines(security_options)),
    (" Rootless", At("/Rootless")),
    (" Kernel Version", At("/KernelVersion")),
    (" Kernel Features", Lines(kernel_features)),
    (" IPv4 Forwarding", At("/IPv4Forwarding")),
    (" Operating System", At("/OperatingSystem")),
    (" OSType", At("/OSType")),
    (" Architecture", At("/Architecture")),
    (" CPUs", At("/NCPU")),
    (" Total Memory", Of(memory)),
    (" Name", At("/Name")),
    (" Docker Root Dir", At("/DockerRootDir")),
    (" Run Root Dir", At("/RunRoot")),
    (" Debug Mode", At("/Debug")),
    (" Experimental", At("/ExperimentalBuild")),
    (" Live Restore Enabled", At("/LiveRestoreEnabled")),
    ("\nWarnings", Lines(warnings)),
    ("\nMissing", Lines(missing)),
];

/// Does it.
pub fn run(args: Args, caller: &mut Caller) -> Result<u8> {
    let format = ObjectFormat::parse(args.format.as_deref())?;
    let client = json!({
        "Context": remote::chosen(caller)?.context,
        "Debug": caller.globals.debug,
        "Plugins": [],
        "Version": VERSION,
        "Warnings": null,
    });
    let mut info = system::info(&mut caller.engine()?)?;
    info["ClientInfo"] = client;
    match format {
        ObjectFormat::Json => writeln!(caller.out, "{}", format::line(Shape::Any, &info))?,
        ObjectFormat::Template(template) => {
            writeln!(caller.out, "{}", format::render(&template, Shape::Any, &info)?)?;
        }
        ObjectFormat::Default => caller.out.write_all(text(&info).as_bytes())?,
    }
    Ok(0)
}

fn text(info: &Value) -> String {
    let mut out = String::new();
    for (title, part) in &PARTS {
        let _ = match part {
            Title => writeln!(out, "{title}:"),
            At(place) => writeln!(out, "{title}: {}", info.pointer(place).map_or(String::new(), words)),
            Of(what) => what(info).map_or(Ok(()), |line| writeln!(out, "{title}: {line}")),
            Lines(lines) => {
                let lines = lines(info);
                let indent = title.trim_start_matches('\n').chars().take_while(|c| *c == ' ').count() + 1;
                let below = lines.iter().map(|line| format!("{:indent$}{line}\n", ""));
                if lines.is_empty() { Ok(()) } else { write!(out, "{title}:\n{}", below.collect::<String>()) }
            }
        };
    }
    out
}

fn words(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(words).collect::<Vec<_>>().join(" "),
        other => other.to_string(),
    }
}

fn cgroup_version(info: &Value) -> Option<String> {
    let (version, mode) = (info["CgroupVersion"].as_str()?, info["CgroupMode"].as_str()?);
    Some(if version == mode { version.to_owned() } else { format!("{version} ({mode})") })
}

fn limits(info: &Value) -> Option<String> {
    let names =
        [("MemoryLimit", "memory"), ("SwapLimit", "swap"), ("CPUShares", "cpu"), ("CPUSet", "cpuset")];
    let all = names.into_iter().chain([("PidsLimit", "pids")]);
    let had: Vec<&str> = all.filter(|(field, _)| info[field] == true).map(|(_, name)| name).collect();
    Some(if had.is_empty() { "none".into() } else { had.join(" ") })
}

fn memory(info: &Value) -> Option<String> {
    info["MemTotal"].as_u64().map(bytes::human_binary)
}

/// `name=seccomp,profile=builtin` is a line and one below it.
fn security_options(info: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    for option in info["SecurityOptions"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        for (key, value) in option.split(',').filter_map(|pair| pair.split_once('=')) {
            lines.push(match key {
                "name" => value.to_owned(),
                "profile" => format!(" Profile: {value}"),
                other => format!(" {other}: {value}"),
            });
        }
    }
    lines
}

fn kernel_features(info: &Value) -> Vec<String> {
    let line = |feature: &Value| {
        let name = words(&feature["Name"]);
        match feature["Available"] == true {
            true => format!("{name}: yes"),
            false => format!("{name}: no, since Linux {}", words(&feature["Since"])),
        }
    };
    info["KernelFeatures"].as_array().into_iter().flatten().map(line).collect()
}

/// Those that nothing is known to mend.
fn warnings(info: &Value) -> Vec<String> {
    let missing = info["Missing"].as_array().map(Vec::as_slice).unwrap_or_default();
    let is_mended = |warning: &Value| missing.iter().any(|need| need["What"] == *warning);
    let all = info["Warnings"].as_array().into_iter().flatten();
    all.filter(|warning| !is_mended(warning)).map(words).collect()
}

/// What is missing, with what mends it below.
fn missing(info: &Value) -> Vec<String> {
    let needs = info["Missing"].as_array().into_iter().flatten();
    let mut lines: Vec<String> =
        needs.flat_map(|need| [words(&need["What"]), format!(" {}", words(&need["Remedy"]))]).collect();
    if !lines.is_empty() {
        lines.push("`corten system setup` shows it, and does as root what can be done".into());
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_layout_is_dockers() {
        let info = json!({
            "CgroupMode": "hybrid",
            "CgroupVersion": "1",
            "ClientInfo": { "Context": "default", "Debug": false, "Version": "1.2.3" },
            "Containers": 3,
            "KernelFeatures": [
                { "Name": "a", "Available": true, "Since": "6.1" },
                { "Name": "b", "Available": false, "Since": "6.2" },
            ],
            "MemTotal": 2_147_483_648_u64,
            "MemoryLimit": true,
            "Missing": [{ "What": "no ids", "Remedy": "add some" }],
            "Plugins": { "Network": ["host", "null"] },
            "SecurityOptions": ["name=seccomp,profile=builtin", "name=userns"],
            "Warnings": ["no ids", "one more"],
        });
        let text = text(&info);
        let check = |part: &str| assert!(text.contains(part), "{part}\n{text}");
        check(
            "Client:\n Version: 1.2.3\n Context: default\n Debug Mode: false\n\nServer:\n Containers: 3\n  Running: ",
        );
        check("\n Cgroup Version: 1 (hybrid)\n Limits: memory\n Plugins:\n");
        check("\n  Network: host null\n");
        check("\n Security Options:\n  seccomp\n   Profile: builtin\n  userns\n");
        check("\n Kernel Features:\n  a: yes\n  b: no, since Linux 6.2\n");
        check("\n Total Memory: 2GiB\n");
        check("\n\nWarnings:\n one more\n\nMissing:\n no ids\n  add some\n `corten system setup`");
        assert!(!super::text(&json!({})).contains("Missing"));
    }
}
