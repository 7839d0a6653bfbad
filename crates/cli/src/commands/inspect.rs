//! `corten inspect`: everything about objects of any kind, as JSON.

use std::io::Write as _;

use corten_engine::volume::{self, Volume};
use corten_engine::{Engine, container, image};
use corten_model::Invalid;
use corten_model::platform::Platform;
use serde_json::{Value, json};

use crate::caller::Caller;
use crate::error::{Failure, Result};
use crate::format::{self, ObjectFormat};
use crate::shape::{self, Shape};
use crate::{several, timestamps};

/// Docker's width of an indent.
const INDENT: &[u8] = b"    ";

/// Return low-level information on Corten objects
#[derive(clap::Args, Debug)]
#[command(override_usage = "corten inspect [OPTIONS] NAME|ID [NAME|ID...]")]
pub struct Args {
    /// Format output: json, or a template such as '{{.State.Status}}'
    #[arg(short, long, value_name = "FORMAT")]
    format: Option<String>,
    /// Only inspect objects of the given type: container, image or volume
    #[arg(long = "type", value_name = "TYPE")]
    kind: Option<ObjectKind>,
    /// Display total file sizes if the type is container
    #[arg(short, long)]
    size: bool,
    /// The objects
    #[arg(required = true, value_name = "NAME|ID", hide = true)]
    targets: Vec<String>,
}

/// What can be inspected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ObjectKind {
    /// A container.
    Container,
    /// An image.
    Image,
    /// A volume.
    Volume,
}

impl std::str::FromStr for ObjectKind {
    type Err = Invalid;

    fn from_str(text: &str) -> std::result::Result<Self, Invalid> {
        match text {
            "container" => Ok(Self::Container),
            "image" => Ok(Self::Image),
            "volume" => Ok(Self::Volume),
            _ => Err(Invalid::new("type", text, "no such type of object")
                .hint("use `container`, `image` or `volume`")),
        }
    }
}

/// Does it.
pub fn run(args: Args, caller: &mut Caller) -> Result<u8> {
    let kinds: &[ObjectKind] = match &args.kind {
        Some(kind) => std::slice::from_ref(kind),
        None => &[ObjectKind::Container, ObjectKind::Image, ObjectKind::Volume],
    };
    print(
        &args.targets,
        kinds,
        Style { format: args.format.as_deref(), size: args.size, platform: None },
        caller,
    )
}

/// How objects are printed.
#[derive(Debug, Clone, Copy, Default)]
pub struct Style<'a> {
    /// `--format`.
    pub format: Option<&'a str>,
    /// `-s`: a container's files are walked.
    pub size: bool,
    /// `--platform`: of several below an image's name.
    pub platform: Option<&'a Platform>,
}

/// Prints what is found, then fails for what isn't.
pub fn print(targets: &[String], kinds: &[ObjectKind], style: Style<'_>, caller: &mut Caller) -> Result<u8> {
    let format = ObjectFormat::parse(style.format)?;
    let mut engine = caller.engine()?;
    let mut found = Vec::new();
    let mut failures = Vec::new();
    for target in targets {
        match look_up(&mut engine, target, kinds, style) {
            Ok(object) => found.push(object),
            Err(failure) => failures.push(failure),
        }
    }
    match &format {
        ObjectFormat::Default => caller.out.write_all(&array(&found))?,
        ObjectFormat::Json => {
            for (shape, json) in &found {
                writeln!(caller.out, "{}", format::line(*shape, json))?;
            }
        }
        ObjectFormat::Template(template) => {
            for (shape, json) in &found {
                match format::render(template, *shape, json) {
                    Ok(line) => writeln!(caller.out, "{line}")?,
                    Err(failure) => failures.push(failure),
                }
            }
        }
    }
    several::all(failures).map(|()| 0)
}

/// The first kind that has an object of this name.
fn look_up(
    engine: &mut Engine,
    target: &str,
    kinds: &[ObjectKind],
    style: Style<'_>,
) -> Result<(Shape, Value)> {
    for kind in kinds {
        let outcome = match kind {
            ObjectKind::Container => container::inspect(engine, target).map(|json| (shape::CONTAINER, json)),
            ObjectKind::Image => {
                image::inspect(engine, target, style.platform).map(|json| (shape::IMAGE, json))
            }
            ObjectKind::Volume => {
                volume::inspect(engine, target).map(|volume| (shape::VOLUME, volume_value(&volume)))
            }
        };
        match outcome.map_err(Failure::from) {
            Err(failure) if failure.is_not_found() && kinds.len() > 1 => {}
            // What is no name of a volume may still be the name of nothing.
            Err(Failure::Engine(error)) if kinds.len() > 1 && error.kind() == corten_model::Kind::Invalid => {
            }
            Ok((shape, json)) if style.size && *kind == ObjectKind::Container => {
                return Ok((shape, with_size(engine, json)?));
            }
            outcome => return outcome,
        }
    }
    Err(Failure::NoSuchObject(target.to_owned()))
}

/// A container with the size of its files.
fn with_size(engine: &mut Engine, mut json: Value) -> Result<Value> {
    let text = |key: &str| json[key].as_str().unwrap_or_default().to_owned();
    // A row that can't be understood has no image that could be measured.
    if let (Ok(id), Ok(image)) = (text("Id").parse(), text("Image").parse())
        && let [size] = container::sizes(engine, &[(id, image)])?[..]
    {
        json["SizeRw"] = size.writable_bytes.into();
        json["SizeRootFs"] = size.total_bytes.into();
    }
    Ok(json)
}

/// A volume in the shape of Docker's `GET /volumes/{name}`.
fn volume_value(volume: &Volume) -> Value {
    json!({
        "CreatedAt": timestamps::rfc3339(volume.created_unix_s),
        "Driver": "local",
        "Labels": volume.labels,
        "Mountpoint": volume.mountpoint,
        "Name": volume.name,
        "Options": (!volume.options.is_empty()).then_some(&volume.options),
        "Scope": "local",
    })
}

fn array(objects: &[(Shape, Value)]) -> Vec<u8> {
    document(&objects.iter().map(|(shape, json)| shape::value(*shape, Some(json))).collect::<Vec<_>>())
}

/// A JSON array with Docker's indents.
pub fn document(values: &[impl serde::Serialize]) -> Vec<u8> {
    let mut out = Vec::new();
    let formatter = serde_json::ser::PrettyFormatter::with_indent(INDENT);
    let mut serializer = serde_json::Serializer::with_formatter(&mut out, formatter);
    serde::Serialize::serialize(values, &mut serializer).expect("values are JSON already, memory takes them");
    out.push(b'\n');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_array_with_four_spaces() {
        let check = |objects: &[(Shape, Value)], expected: &str| {
            assert_eq!(String::from_utf8(array(objects)).unwrap(), expected)
        };
        check(&[], "[]\n");
        let expected = "[\n    {\n        \"Id\": \"a\",\n        \"Names\": [\n            \"<b>\"\n        ]\n    }\n]\n";
        check(&[(Shape::Any, json!({"Id": "a", "Names": ["<b>"]}))], expected);
    }

    #[test]
    fn a_volume_has_dockers_fields() {
        let volume = Volume {
            name: "data".parse().unwrap(),
            mountpoint: "/v/data".into(),
            created_unix_s: 0,
            labels: [("a".into(), "b".into())].into(),
            anonymous: false,
            options: Default::default(),
        };
        let value = volume_value(&volume);
        assert_eq!(value["Name"], "data");
        assert_eq!(value["Mountpoint"], "/v/data");
        assert_eq!(value["CreatedAt"], "1970-01-01T00:00:00Z");
        assert_eq!(value["Labels"]["a"], "b");
    }
}
