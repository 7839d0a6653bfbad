//! `corten images`: the images in a table, a line for each name.

use corten_engine::image::{self, Summary};
use corten_model::{Reference, bytes};

use crate::caller::Caller;
use crate::error::{Failure, Result};
use crate::listing::{Field, Layout, Row, Style, field};
use crate::{filter, image_tree, table, timestamps};

/// What stands for a name, tag or digest that isn't there.
const NONE: &str = "<none>";

/// What Docker knows of no image unless it is asked for more.
const NOT_APPLICABLE: &str = "N/A";
/// The columns of the table.
const COLUMNS: [&str; 5] = ["Repository", "Tag", "ID", "CreatedSince", "Size"];
/// The same with `--digests`.
const COLUMNS_WITH_DIGESTS: [&str; 6] = ["Repository", "Tag", "Digest", "ID", "CreatedSince", "Size"];

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
    /// Filter output based on conditions provided
    #[arg(short, long, value_name = "FILTER")]
    filter: Vec<String>,
    /// Format output: json, or a template such as '{{.Repository}}:{{.Tag}}'
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
    /// Don't truncate output
    #[arg(long)]
    no_trunc: bool,
    /// Only show image IDs
    #[arg(short, long)]
    quiet: bool,
    /// List the platforms below each name
    #[arg(long)]
    tree: bool,
    /// Only images of this name
    #[arg(value_name = "REPOSITORY[:TAG]", hide = true)]
    reference: Option<String>,
}

/// Does it.
pub fn run(args: Args, caller: &mut Caller) -> Result<u8> {
    if args.tree {
        return show_tree(&args, caller);
    }
    let wanted = args.reference.as_deref().map(Wanted::parse).transpose()?;
    let columns: &[&str] = if args.digests { &COLUMNS_WITH_DIGESTS } else { &COLUMNS };
    let layout =
        Layout::new::<Line<'_>>(&Style { format: args.format.as_deref(), quiet: args.quiet, columns })?;
    let filter = filter::images::Wanted::parse(&args.filter, timestamps::now_unix_ns())?;
    let mut engine = caller.engine()?;
    let summaries = filter.list(&mut engine)?;
    let all = args.all || filter.only_dangling();
    let view = View { now_unix_s: timestamps::now_unix_s(), no_trunc: args.no_trunc };
    let mut lines = lines(&summaries, all, wanted.as_ref(), &view);
    lines.retain(|line| filter.takes_name(line.name));
    if layout.is_ids() {
        // An image with several names is one image.
        lines.dedup_by_key(|line| &line.image.id);
    }
    layout.print(&lines, caller)
}

fn show_tree(args: &Args, caller: &mut Caller) -> Result<u8> {
    if args.quiet
        || args.format.is_some()
        || args.digests
        || args.reference.is_some()
        || !args.filter.is_empty()
    {
        return Err(Failure::Conflict("`--tree` shows everything: only `--no-trunc` and `--all` go with it"));
    }
    let mut trees = image::tree(&mut caller.engine()?)?;
    trees.retain(|tree| args.all || !tree.names.is_empty());
    table::write(&image_tree::table(&trees, args.no_trunc), &mut caller.out)?;
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

/// An image, one of its names, and how it is shown.
struct Line<'a> {
    image: &'a Summary,
    name: Option<&'a Reference>,
    view: &'a View,
}

impl Row for Line<'_> {
    const TYPE: &'static str = "*formatter.imageContext";
    const ID: &'static str = "ID";
    const RAW: &'static str = "repository: {{.Repository}}\ntag: {{.Tag}}\nimage_id: {{.ID}}\n\
        created_at: {{.CreatedAt}}\nvirtual_size: {{.Size}}\n";

    fn fields() -> Vec<Field<Self>> {
        vec![
            field("Containers", "CONTAINERS", |_| NOT_APPLICABLE.into()),
            field("CreatedAt", "CREATED AT", |line| timestamps::local(line.image.created_unix_s)),
            field("CreatedSince", "CREATED", |line| line.view.created(line)),
            field("Digest", "DIGEST", |line| line.image.manifest.to_string()),
            field("ID", "IMAGE ID", |line| line.view.id(line)),
            field("Repository", "REPOSITORY", |line| {
                line.name.map_or(NONE.into(), Reference::familiar_repository)
            }),
            field("SharedSize", "SHARED SIZE", |_| NOT_APPLICABLE.into()),
            field("Size", "SIZE", |line| bytes::human(line.image.size_bytes)),
            field("Tag", "TAG", |line| line.name.and_then(|name| name.tag.clone()).unwrap_or(NONE.into())),
            field("UniqueSize", "UNIQUE SIZE", |_| NOT_APPLICABLE.into()),
            field("VirtualSize", "SIZE", |line| bytes::human(line.image.size_bytes)),
        ]
    }
}

fn lines<'a>(summaries: &'a [Summary], all: bool, wanted: Option<&Wanted>, view: &'a View) -> Vec<Line<'a>> {
    let mut lines = Vec::new();
    for image in summaries {
        let names = image.tags.iter().filter(|name| wanted.is_none_or(|wanted| wanted.is(name)));
        lines.extend(names.map(|name| Line { image, name: Some(name), view }));
        if image.tags.is_empty() && all && wanted.is_none() {
            lines.push(Line { image, name: None, view });
        }
    }
    lines
}

/// How images are shown.
struct View {
    now_unix_s: i64,
    no_trunc: bool,
}

impl View {
    fn id(&self, row: &Line<'_>) -> String {
        if self.no_trunc { row.image.id.to_string() } else { row.image.id.short().to_owned() }
    }

    fn created(&self, row: &Line<'_>) -> String {
        // Reproducible images carry no date, or the epoch: an age of fifty years would be no news.
        match row.image.created_unix_s {
            ..=0 => "N/A".into(),
            created => format!("{} ago", timestamps::span_since(created, self.now_unix_s)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use corten_model::Digest;

    use crate::listing::testing;

    const NOW: i64 = 1_000_000;

    fn summary(byte: u8, tags: &[&str]) -> Summary {
        Summary {
            id: Digest::from_sha256([byte; 32]),
            tags: tags.iter().map(|tag| tag.parse().unwrap()).collect(),
            manifest: Digest::from_sha256([byte + 1; 32]),
            created_unix_s: NOW - 7_200,
            size_bytes: 4_420_000,
            labels: Default::default(),
            containers: 0,
        }
    }

    fn shown(summaries: &[Summary], all: bool, digests: bool, wanted: Option<&str>) -> String {
        let wanted = wanted.map(|text| Wanted::parse(text).unwrap());
        let view = View { now_unix_s: NOW, no_trunc: false };
        let columns: &[&str] = if digests { &COLUMNS_WITH_DIGESTS } else { &COLUMNS };
        let style = Style { format: None, quiet: false, columns };
        testing::shown(&lines(summaries, all, wanted.as_ref(), &view), &style)
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
