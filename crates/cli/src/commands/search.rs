//! `corten search`: repositories of Docker Hub, or of another registry that can be searched.

use corten_engine::registry::{Cancel, Found, SEARCH_LIMIT};
use corten_model::reference::DEFAULT_REGISTRY;

use crate::caller::Caller;
use crate::error::{Failure, Result};
use crate::filter;
use crate::listing::{Field, Layout, Row, Style, field};
use crate::table;

/// Search Docker Hub for images
///
/// A TERM that begins with a registry's name is searched for there.
#[derive(clap::Args, Debug)]
#[command(override_usage = "corten search [OPTIONS] TERM")]
pub struct Args {
    /// What is searched for
    #[arg(required = true, value_name = "TERM", hide = true)]
    term: String,
    /// Filter output based on conditions provided
    #[arg(short, long, value_name = "FILTER")]
    filter: Vec<String>,
    /// Format output: json, or a template such as '{{.Name}}'
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
    /// Max number of search results
    #[arg(long, value_name = "NUMBER", default_value_t = 0, hide_default_value = true)]
    limit: u32,
    /// Don't truncate output
    #[arg(long)]
    no_trunc: bool,
}

/// The keys of `--filter`.
const KEYS: [&str; 3] = ["is-automated", "is-official", "stars"];
/// The columns of the table.
const COLUMNS: [&str; 4] = ["Name", "Description", "StarCount", "IsOfficial"];
/// The most results that an index gives.
const LIMIT_MAX: u32 = 100;
/// Letters of a description in a table.
const DESCRIPTION_MAX: usize = 45;

/// Does it.
pub fn run(args: Args, caller: &mut Caller) -> Result<u8> {
    let style = Style { format: args.format.as_deref(), quiet: false, columns: &COLUMNS };
    let layout = Layout::new::<Line>(&style)?;
    let filters = filter::parse(&args.filter, &KEYS)?;
    let (official, automated) = (filters.flag("is-official")?, filters.flag("is-automated")?);
    let mut stars = 0;
    for value in filters.values("stars") {
        let why =
            || corten_model::Invalid::new("filter", format!("stars={value}"), "it is a number of stars");
        stars = stars.max(value.parse::<i64>().map_err(|_| why())?);
    }
    let limit = match args.limit {
        0 => SEARCH_LIMIT,
        limit if limit <= LIMIT_MAX => limit,
        limit => {
            let why = format!("limit {limit} is outside the range of [1, {LIMIT_MAX}]");
            return Err(Failure::FlagValue { verb: "corten search".into(), flag: "--limit".into(), why });
        }
    };
    let (registry, term) = place(&args.term);
    let mut found = caller.registries(&Cancel::new())?.search(registry, term, limit)?;
    found.retain(|one| {
        one.stars >= stars
            && official.is_none_or(|wanted| one.official == wanted)
            && automated.is_none_or(|wanted| one.automated == wanted)
    });
    found.sort_by_key(|one| std::cmp::Reverse(one.stars));
    let lines: Vec<Line> = found.into_iter().map(|found| Line { found, whole: args.no_trunc }).collect();
    layout.print(&lines, caller)
}

/// The registry that a term names, and the rest.
fn place(term: &str) -> (&str, &str) {
    match term.split_once('/') {
        Some((first, rest)) if first.contains(['.', ':']) || first == "localhost" => (first, rest),
        _ => (DEFAULT_REGISTRY, term.strip_prefix("library/").unwrap_or(term)),
    }
}

/// A repository that was found, and how it is shown.
struct Line {
    found: Found,
    whole: bool,
}

impl Row for Line {
    const TYPE: &'static str = "*search.searchContext";
    const ID: &'static str = "Name";

    fn fields() -> Vec<Field<Self>> {
        vec![
            field("Description", "DESCRIPTION", |line| {
                let text = line.found.description.replace(['\n', '\r'], " ");
                if line.whole { text } else { table::ellipsis(&text, DESCRIPTION_MAX) }
            }),
            field("IsAutomated", "AUTOMATED", |line| ok(line.found.automated)),
            field("IsOfficial", "OFFICIAL", |line| ok(line.found.official)),
            field("Name", "NAME", |line| line.found.name.clone()),
            field("StarCount", "STARS", |line| line.found.stars.to_string()),
        ]
    }
}

fn ok(yes: bool) -> String {
    if yes { "[OK]".to_owned() } else { String::new() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::listing::testing;

    #[test]
    fn the_table_is_dockers() {
        let line = |name: &str, stars: i64, official: bool| Line {
            found: Found {
                name: name.into(),
                description: "Busybox\nbase image, which is made to be as small as it can be".into(),
                stars,
                official,
                automated: false,
            },
            whole: false,
        };
        let lines = [line("busybox", 316, true), line("me/busybox", 1, false)];
        let style = Style { format: None, quiet: false, columns: &COLUMNS };
        let shown = testing::shown(&lines, &style);
        assert_eq!(shown.lines().count(), 3);
        assert!(shown.contains("NAME         DESCRIPTION") && shown.contains("316       [OK]"), "{shown}");
        let style = Style { format: Some("{{.Name}}: {{.StarCount}}"), quiet: false, columns: &COLUMNS };
        assert_eq!(testing::shown(&lines, &style), "busybox: 316\nme/busybox: 1\n");
    }

    #[test]
    fn a_term_may_name_its_registry() {
        assert_eq!(place("busybox"), ("docker.io", "busybox"));
        assert_eq!(place("library/busybox"), ("docker.io", "busybox"));
        assert_eq!(place("me/app"), ("docker.io", "me/app"));
        assert_eq!(place("localhost:5000/team/app"), ("localhost:5000", "team/app"));
        assert_eq!(place("quay.io/podman"), ("quay.io", "podman"));
    }
}
