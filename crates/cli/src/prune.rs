//! What the prune commands share: their flags, the question before, the filters, and what is told after.

use std::io::{BufRead as _, Write as _};

use corten_engine::image::Removed;
use corten_engine::prune::{Filter, Label, Pruned};
use corten_model::{Invalid, bytes};

use crate::caller::Caller;
use crate::error::Result;
use crate::filter::{self, Filters};
use crate::timestamps;

/// The longest answer that is read.
const ANSWER_BYTES_MAX: u64 = 1 << 10;
/// Keys of `--filter` where age counts.
pub const KEYS: [&str; 3] = ["until", "label", "label!"];
/// Keys of `--filter` of volumes.
pub const VOLUME_KEYS: [&str; 3] = ["label", "label!", "all"];

/// The flags of every prune command.
#[derive(clap::Args, Debug)]
pub struct Flags {
    /// Provide filter values (e.g. "label=KEY=VALUE", "label!=KEY", and but for volumes "until=24h")
    #[arg(long, value_name = "FILTER")]
    pub filter: Vec<String>,
    /// Do not prompt for confirmation
    #[arg(short, long)]
    pub force: bool,
}

impl Flags {
    /// What `--filter` was given, of these keys.
    pub fn filters(&self, keys: &[&'static str]) -> Result<Filters> {
        Ok(filter::parse(&self.filter, keys)?)
    }

    /// Tells what is about to go and asks, unless `--force` says yes.
    pub fn are_confirmed(&self, warning: &str, caller: &mut Caller) -> Result<bool> {
        Ok(self.force || is_confirmed(warning, caller)?)
    }
}

/// What the engine compares.
pub fn wanted(filters: &Filters, now_unix_ns: i128) -> std::result::Result<Filter, Invalid> {
    let labels = |key: &str| -> std::result::Result<Vec<Label>, Invalid> {
        filters.values(key).iter().map(|text| label(key, text)).collect()
    };
    let until_unix_ns = match filters.values("until") {
        [] => None,
        [one] => Some(timestamps::parse("time", one, now_unix_ns)?),
        several => {
            return Err(Invalid::new("filter", several.join(", "), "`until` is there more than once"));
        }
    };
    Ok(Filter { until_unix_ns, labels: labels("label")?, without_labels: labels("label!")? })
}

fn label(filter: &str, text: &str) -> std::result::Result<Label, Invalid> {
    let (key, value) = text.split_once('=').map_or((text, None), |(key, value)| (key, Some(value)));
    if key.is_empty() {
        return Err(Invalid::new("filter", format!("{filter}={text}"), "the label is empty"));
    }
    Ok(Label { key: key.to_owned(), value: value.map(str::to_owned) })
}

/// Tells what is about to happen and asks. Only a `y` is a yes: silence is a no.
pub fn is_confirmed(warning: &str, caller: &mut Caller) -> Result<bool> {
    write!(caller.out, "WARNING! {warning}\nAre you sure you want to continue? [y/N] ")?;
    caller.out.flush()?;
    let mut answer = String::new();
    let stdin = std::io::stdin().lock();
    // What can't be read, or isn't text, is no yes.
    let _ = std::io::Read::take(stdin, ANSWER_BYTES_MAX).read_line(&mut answer);
    Ok(matches!(answer.trim(), "y" | "Y"))
}

/// A heading and a line for each thing that went; nothing if none did.
pub fn tell<T>(
    heading: &str,
    pruned: &Pruned<T>,
    line: impl Fn(&T) -> String,
    caller: &mut Caller,
) -> Result<()> {
    if pruned.removed.is_empty() {
        return Ok(());
    }
    writeln!(caller.out, "{heading}:")?;
    for removed in &pruned.removed {
        writeln!(caller.out, "{}", line(removed))?;
    }
    writeln!(caller.out)?;
    Ok(())
}

/// An image's name or id that went, as the prune commands write it.
pub fn image_line(removed: &Removed) -> String {
    match removed {
        Removed::Untagged(name) => format!("untagged: {name}"),
        Removed::Deleted(id) => format!("deleted: {id}"),
    }
}

/// The last line.
pub fn total(reclaimed_bytes: u64, caller: &mut Caller) -> Result<u8> {
    writeln!(caller.out, "Total reclaimed space: {}", bytes::human(reclaimed_bytes))?;
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_dockers() {
        let now = 1_000_000_000_000;
        let parse = |texts: &[&str], keys: &[&'static str]| {
            let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
            let filters = filter::parse(&texts, keys).ok()?;
            Some((wanted(&filters, now).ok()?, filters.flag("all").ok()?))
        };
        let (both, _) = parse(&["until=10s", "label=a=b", "label!=c"], &KEYS).unwrap();
        assert_eq!(both.until_unix_ns, Some(990_000_000_000));
        assert_eq!(both.labels, [Label { key: "a".into(), value: Some("b".into()) }]);
        assert_eq!(both.without_labels, [Label { key: "c".into(), value: None }]);
        assert_eq!(parse(&["all=1", "label=x"], &VOLUME_KEYS).unwrap().1, Some(true));
        for bad in
            [&["until=1", "until=2"][..], &["until=never"], &["x=1"], &["label"], &["label="], &["all=1"]]
        {
            assert_eq!(parse(bad, &KEYS), None, "{bad:?}");
        }
        assert_eq!(parse(&["until=1"], &VOLUME_KEYS), None);
        assert_eq!(parse(&["all=maybe"], &VOLUME_KEYS), None);
    }

    #[test]
    fn nothing_is_no_section() {
        let mut caller = Caller::for_test(crate::global::Globals::default());
        let some = Pruned { removed: vec!["a".to_owned(), "b".to_owned()], reclaimed_bytes: 212 };
        tell("Deleted Containers", &some, String::clone, &mut caller).unwrap();
        tell("Deleted Volumes", &Pruned::<String>::default(), String::clone, &mut caller).unwrap();
        total(212, &mut caller).unwrap();
        assert_eq!(caller.shown(), "Deleted Containers:\na\nb\n\nTotal reclaimed space: 212B\n");
    }
}
