//! `corten images`: the images in a table, a line for each name.

use std::io::Write as _;

use corten_engine::image::{self, Summary};
use corten_model::{Reference, bytes};
use serde_json::{Value, json};

use crate::caller::Caller;
use crate::error::Result;
use crate::table::Table;
use crate::{listing, timestamps};

/// What stands for a name, tag or digest that isn't there.
const NONE: &str = "<none>";

/// List images
#[derive(clap::Args, Debug)]
#[command(override_usage = "corten images [OPTIONS] [REPOSITORY[:TAG]]")]
pub struct Args {
    /// Show all images (default hides those without a name)
    #[arg(short, long)]
    all: bool,
    /// Show digests
    #[arg(long)]
    digests: bool,
    /// Format output: json, or a template such as '{{.Repository}}:{{.Tag}}'
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
    /// Don't truncate output
    #[arg(long)]
    no_trunc: bool,
    /// Only show image IDs
    #[arg(short, long)]
    quiet: bool,
    /// Only images of this name
    #[arg(value_name = "REPOSITORY[:TAG]", hide = true)]
    reference: Option<String>,
}

/// Does it.
pub fn run(args: Args, caller: &mut Caller) -> Result<u8> {
    let wanted = args.reference.as_deref().map(Wanted::parse).transpose()?;
    let summaries = image::list(&mut caller.engine()?)?;
    let view = View { now_unix_s: timestamps::now_unix_s(), no_trunc: args.no_trunc, digests: args.digests };
    let rows = rows(&summaries, args.all, wanted.as_ref());
    if args.quiet {
        let mut last = None;
        for row in &rows {
            // An image with several names is one image.
            if last.replace(&row.image.id) != Some(&row.image.id) {
                writeln!(caller.out, "{}", view.id(row))?;
            }
        }
        return Ok(0);
    }
    if let Some(format) = &args.format {
        let objects: Vec<Value> = rows.iter().map(|row| view.object(row)).collect();
        return listing::templated(format, &objects, caller);
    }
    view.table(&rows).write(&mut caller.out)?;
    Ok(0)
}

/// What was named: a repository, with or without its tag.
struct Wanted {
    reference: Reference,
    any_tag: bool,
}

impl Wanted {
    fn parse(text: &str) -> Result<Self> {
        let reference: Reference = text.parse()?;
        let last = text.rsplit('/').next().unwrap_or(text);
        Ok(Self { reference, any_tag: !last.contains([':', '@']) })
    }

    fn is(&self, tag: &Reference) -> bool {
        tag.registry == self.reference.registry
            && tag.repository == self.reference.repository
            && (self.any_tag || tag.tag == self.reference.tag)
    }
}

/// One line: an image and one of its names.
struct Row<'a> {
    image: &'a Summary,
    name: Option<&'a Reference>,
}

fn rows<'a>(summaries: &'a [Summary], all: bool, wanted: Option<&Wanted>) -> Vec<Row<'a>> {
    let mut rows = Vec::new();
    for image in summaries {
        let names = image.tags.iter().filter(|name| wanted.is_none_or(|wanted| wanted.is(name)));
        rows.extend(names.map(|name| Row { image, name: Some(name) }));
        if image.tags.is_empty() && all && wanted.is_none() {
            rows.push(Row { image, name: None });
        }
    }
    rows
}

/// How rows are shown.
struct View {
    now_unix_s: i64,
    no_trunc: bool,
    digests: bool,
}

impl View {
    fn table(&self, rows: &[Row<'_>]) -> Table {
        let heading: &[&str] = match self.digests {
            true => &["REPOSITORY", "TAG", "DIGEST", "IMAGE ID", "CREATED", "SIZE"],
            false => &["REPOSITORY", "TAG", "IMAGE ID", "CREATED", "SIZE"],
        };
        let mut table = Table::new(heading);
        for row in rows {
            let mut cells = vec![repository(row), tag(row)];
            if self.digests {
                cells.push(row.image.manifest.to_string());
            }
            cells.extend([self.id(row), self.created(row), bytes::human(row.image.size_bytes)]);
            table.push(cells);
        }
        table
    }

    fn object(&self, row: &Row<'_>) -> Value {
        json!({
            "CreatedAt": timestamps::local(row.image.created_unix_s),
            "CreatedSince": self.created(row),
            "Digest": row.image.manifest,
            "ID": self.id(row),
            "Repository": repository(row),
            "Size": bytes::human(row.image.size_bytes),
            "Tag": tag(row),
        })
    }

    fn id(&self, row: &Row<'_>) -> String {
        if self.no_trunc { row.image.id.to_string() } else { row.image.id.short().to_owned() }
    }

    fn created(&self, row: &Row<'_>) -> String {
        // Reproducible images carry no date, or the epoch: an age of fifty years would be no news.
        match row.image.created_unix_s {
            ..=0 => "N/A".into(),
            created => format!("{} ago", timestamps::span_since(created, self.now_unix_s)),
        }
    }
}

fn repository(row: &Row<'_>) -> String {
    row.name.map_or(NONE.into(), Reference::familiar_repository)
}

fn tag(row: &Row<'_>) -> String {
    row.name.and_then(|name| name.tag.clone()).unwrap_or(NONE.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use corten_model::Digest;

    const NOW: i64 = 1_000_000;

    fn summary(byte: u8, tags: &[&str]) -> Summary {
        Summary {
            id: Digest::from_sha256([byte; 32]),
            tags: tags.iter().map(|tag| tag.parse().unwrap()).collect(),
            manifest: Digest::from_sha256([byte + 1; 32]),
            created_unix_s: NOW - 7_200,
            size_bytes: 4_420_000,
        }
    }

    fn shown(summaries: &[Summary], all: bool, digests: bool, wanted: Option<&str>) -> String {
        let wanted = wanted.map(|text| Wanted::parse(text).unwrap());
        let mut out = Vec::new();
        let view = View { now_unix_s: NOW, no_trunc: false, digests };
        view.table(&rows(summaries, all, wanted.as_ref())).write(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_line_for_each_name() {
        let images = [summary(0xa5, &["busybox", "localhost:5000/a/b:1"]), summary(0xc3, &[])];
        let expected = "\
REPOSITORY           TAG       IMAGE ID       CREATED       SIZE
busybox              latest    a5a5a5a5a5a5   2 hours ago   4.42MB
localhost:5000/a/b   1         a5a5a5a5a5a5   2 hours ago   4.42MB
<none>               <none>    c3c3c3c3c3c3   2 hours ago   4.42MB
";
        assert_eq!(shown(&images, true, false, None), expected);
        assert_eq!(shown(&images, false, false, None).lines().count(), 3);
        assert!(shown(&images, true, true, None).contains("DIGEST"));
    }

    #[test]
    fn only_the_named_ones() {
        let images = [summary(0xa5, &["busybox", "busybox:1.36", "alpine"]), summary(0xc3, &[])];
        let check = |wanted: &str, lines: usize| {
            assert_eq!(shown(&images, true, false, Some(wanted)).lines().count(), 1 + lines, "{wanted}");
        };
        check("busybox", 2);
        check("busybox:1.36", 1);
        check("docker.io/library/alpine:latest", 1);
        check("debian", 0);
    }
}
