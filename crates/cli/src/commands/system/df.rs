//! `corten system df`: what takes the disk.

use corten_engine::system::{self, ContainerUsage, DiskUsage, ImageUsage, VolumeUsage};
use corten_model::{Reference, bytes};
use serde_json::{Value, json};

use crate::caller::Caller;
use crate::error::Result;
use crate::listing::{self, Field, Layout, Row, Style, field};
use crate::table::Table;
use crate::timestamps;

/// What stands for a name or tag that isn't there.
const NONE: &str = "<none>";
/// Letters of a command that the table shows.
const COMMAND_LETTERS: usize = 20;

/// Show disk usage
#[derive(clap::Args, Debug)]
#[command(override_usage = "corten system df [OPTIONS]")]
pub struct Args {
    /// Format output: json, or a template such as '{{.Type}}: {{.Size}}'
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
    /// Show detailed information on space usage
    #[arg(short, long)]
    verbose: bool,
}

/// Does it.
pub fn run(args: Args, caller: &mut Caller) -> Result<u8> {
    let usage = system::df(&mut caller.engine()?)?;
    let now_unix_s = timestamps::now_unix_s();
    match (&args.format, args.verbose) {
        (Some(format), true) => {
            listing::templated(format, &[Details { usage: &usage, now_unix_s }.object()], caller)
        }
        (None, true) => {
            Details { usage: &usage, now_unix_s }.write(&mut caller.out)?;
            Ok(0)
        }
        (format, false) => {
            let style = Style { format: format.as_deref(), quiet: false, columns: &COLUMNS };
            Layout::new::<Kind>(&style)?.print(&kinds(&usage), caller)
        }
    }
}

/// The columns of the summary.
const COLUMNS: [&str; 5] = ["Type", "TotalCount", "Active", "Size", "Reclaimable"];

impl Row for Kind {
    const TYPE: &'static str = "*formatter.diskUsageContext";
    const ID: &'static str = "Type";

    fn fields() -> Vec<Field<Self>> {
        vec![
            field("Active", "ACTIVE", |kind| kind.active.to_string()),
            field("Reclaimable", "RECLAIMABLE", Kind::reclaimable),
            field("Size", "SIZE", |kind| bytes::human(kind.size_bytes)),
            field("TotalCount", "TOTAL", |kind| kind.total.to_string()),
            field("Type", "TYPE", |kind| kind.name.to_owned()),
        ]
    }
}

/// A line of the summary.
struct Kind {
    name: &'static str,
    total: usize,
    active: usize,
    size_bytes: u64,
    reclaimable_bytes: u64,
}

impl Kind {
    fn reclaimable(&self) -> String {
        let size = bytes::human(self.reclaimable_bytes);
        match (self.reclaimable_bytes * 100).checked_div(self.size_bytes) {
            Some(share) => format!("{size} ({share}%)"),
            None => size,
        }
    }
}

fn kinds(usage: &DiskUsage) -> [Kind; 4] {
    let runs = |c: &&ContainerUsage| c.container.status.is_alive();
    let writable = |c: &ContainerUsage| c.writable_bytes;
    let used = |v: &&VolumeUsage| v.links > 0;
    let containers_bytes: u64 = usage.containers.iter().map(writable).sum();
    let volumes_bytes: u64 = usage.volumes.iter().map(|v| v.size_bytes).sum();
    [
        Kind {
            name: "Images",
            total: usage.images.len(),
            active: usage.images.iter().filter(|i| i.containers > 0).count(),
            size_bytes: usage.layer_bytes,
            reclaimable_bytes: usage.reclaimable_layer_bytes,
        },
        Kind {
            name: "Containers",
            total: usage.containers.len(),
            active: usage.containers.iter().filter(runs).count(),
            size_bytes: containers_bytes,
            reclaimable_bytes: containers_bytes
                - usage.containers.iter().filter(runs).map(writable).sum::<u64>(),
        },
        Kind {
            name: "Local Volumes",
            total: usage.volumes.len(),
            active: usage.volumes.iter().filter(used).count(),
            size_bytes: volumes_bytes,
            reclaimable_bytes: volumes_bytes
                - usage.volumes.iter().filter(used).map(|v| v.size_bytes).sum::<u64>(),
        },
        // Nothing builds yet.
        Kind { name: "Build Cache", total: 0, active: 0, size_bytes: 0, reclaimable_bytes: 0 },
    ]
}

/// `-v`: every object, and then every byte that belongs to none of them.
struct Details<'a> {
    usage: &'a DiskUsage,
    now_unix_s: i64,
}

impl Details<'_> {
    fn write(&self, out: &mut dyn std::io::Write) -> std::io::Result<()> {
        writeln!(out, "Images space usage:\n")?;
        self.images().write(out)?;
        writeln!(out, "\nContainers space usage:\n")?;
        self.containers().write(out)?;
        writeln!(out, "\nLocal Volumes space usage:\n")?;
        self.volumes().write(out)?;
        // Nothing builds yet.
        writeln!(out, "\nBuild cache usage: 0B\n")?;
        let cache = ["CACHE ID", "CACHE TYPE", "SIZE", "CREATED", "LAST USED", "USAGE", "SHARED"];
        Table::new(&cache).write(out)?;
        writeln!(out)?;
        writeln!(out, "Everything else:\n")?;
        let mut rest = Table::new(&["WHAT", "SIZE"]);
        for (what, size_bytes) in self.rest() {
            rest.push(vec![what.into(), bytes::human(size_bytes)]);
        }
        rest.write(out)?;
        writeln!(out, "\nAll of the store: {}", bytes::human(self.usage.total_bytes()))
    }

    fn images(&self) -> Table {
        let mut table = Table::new(&[
            "REPOSITORY",
            "TAG",
            "IMAGE ID",
            "CREATED",
            "SIZE",
            "SHARED SIZE",
            "UNIQUE SIZE",
            "CONTAINERS",
        ]);
        for image in &self.usage.images {
            for name in names(image) {
                table.push(vec![
                    repository(name),
                    tag(name),
                    image.image.id.short().to_owned(),
                    self.ago(image.image.created_unix_s),
                    bytes::human(image.shared_bytes + image.unique_bytes),
                    bytes::human(image.shared_bytes),
                    bytes::human(image.unique_bytes),
                    image.containers.to_string(),
                ]);
            }
        }
        table
    }

    fn containers(&self) -> Table {
        let heading =
            ["CONTAINER ID", "IMAGE", "COMMAND", "LOCAL VOLUMES", "SIZE", "CREATED", "STATUS", "NAMES"];
        let mut table = Table::new(&heading);
        for ContainerUsage { container, writable_bytes, volumes, .. } in &self.usage.containers {
            table.push(vec![
                container.id.short().to_owned(),
                container.image.clone(),
                format!("\"{}\"", crate::table::ellipsis(&container.command.join(" "), COMMAND_LETTERS)),
                volumes.to_string(),
                bytes::human(*writable_bytes),
                self.ago(container.created_unix_s),
                container.status.as_str().to_owned(),
                container.name.to_string(),
            ]);
        }
        table
    }

    fn volumes(&self) -> Table {
        let mut table = Table::new(&["VOLUME NAME", "LINKS", "SIZE"]);
        for VolumeUsage { volume, links, size_bytes } in &self.usage.volumes {
            table.push(vec![volume.name.to_string(), links.to_string(), bytes::human(*size_bytes)]);
        }
        table
    }

    fn rest(&self) -> [(&'static str, u64); 11] {
        let rest = &self.usage.rest;
        [
            ("Unnamed layers and blobs", rest.unnamed_bytes),
            ("Compressed layers", rest.compressed_bytes),
            ("Recipes of layers", rest.recipe_bytes),
            ("Manifests and configs", rest.metadata_bytes),
            ("Logs", rest.log_bytes),
            ("Journals", rest.journal_bytes),
            ("Database", rest.database_bytes),
            ("Unfinished downloads", rest.partial_bytes),
            ("Temporary files", rest.temporary_bytes),
            ("Directories", rest.store_bytes),
            ("Not made by corten", rest.foreign_bytes),
        ]
    }

    fn object(&self) -> Value {
        let images = self.usage.images.iter().flat_map(|image| {
            names(image).into_iter().map(move |name| {
                json!({
                    "Containers": image.containers.to_string(),
                    "CreatedSince": self.ago(image.image.created_unix_s),
                    "ID": image.image.id.as_str(),
                    "Repository": repository(name),
                    "SharedSize": bytes::human(image.shared_bytes),
                    "Size": bytes::human(image.shared_bytes + image.unique_bytes),
                    "Tag": tag(name),
                    "UniqueSize": bytes::human(image.unique_bytes),
                })
            })
        });
        let containers = self.usage.containers.iter().map(|c| {
            json!({
                "Command": c.container.command.join(" "),
                "ID": c.container.id.as_str(),
                "Image": c.container.image,
                "LocalVolumes": c.volumes.to_string(),
                "Logs": bytes::human(c.log_bytes),
                "Names": c.container.name.as_str(),
                "RunningFor": self.ago(c.container.created_unix_s),
                "Size": bytes::human(c.writable_bytes),
                "State": c.container.status.as_str(),
            })
        });
        let volumes = self.usage.volumes.iter().map(|v| {
            json!({
                "Driver": "local",
                "Labels": listing::labels(&v.volume.labels),
                "Links": v.links.to_string(),
                "Mountpoint": v.volume.mountpoint,
                "Name": v.volume.name.as_str(),
                "Size": bytes::human(v.size_bytes),
            })
        });
        let rest =
            self.rest().into_iter().map(|(what, size_bytes)| json!({ "What": what, "Bytes": size_bytes }));
        json!({
            "BuildCache": [],
            "Containers": containers.collect::<Vec<_>>(),
            "Images": images.collect::<Vec<_>>(),
            "Rest": rest.collect::<Vec<_>>(),
            "TotalBytes": self.usage.total_bytes(),
            "Volumes": volumes.collect::<Vec<_>>(),
        })
    }

    fn ago(&self, then_unix_s: i64) -> String {
        match then_unix_s {
            ..=0 => "N/A".into(),
            then => format!("{} ago", timestamps::span_since(then, self.now_unix_s)),
        }
    }
}

/// An image's names; one without a name has a line too.
fn names(image: &ImageUsage) -> Vec<Option<&Reference>> {
    if image.image.tags.is_empty() { vec![None] } else { image.image.tags.iter().map(Some).collect() }
}

fn repository(name: Option<&Reference>) -> String {
    name.map_or(NONE.into(), Reference::familiar_repository)
}

fn tag(name: Option<&Reference>) -> String {
    name.and_then(|name| name.tag.clone()).unwrap_or(NONE.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_dockers() {
        let check = |size_bytes, reclaimable_bytes, expected: &str| {
            let kind = Kind { name: "Images", total: 1, active: 0, size_bytes, reclaimable_bytes };
            assert_eq!(kind.reclaimable(), expected);
        };
        check(0, 0, "0B");
        check(16_430_000, 11_630_000, "11.6MB (70%)");
        check(212, 212, "212B (100%)");
        check(36, 0, "0B (0%)");
    }
}
