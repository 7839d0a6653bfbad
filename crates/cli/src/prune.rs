//! What the prune commands share: the question before, the filters, and what is told after.

use std::io::{BufRead as _, Write as _};

use corten_engine::image::Removed;
use corten_engine::prune::{Filter, Label, Pruned};
use corten_model::{Invalid, bytes};

use crate::caller::Caller;
use crate::error::Result;
use crate::timestamps;

/// The longest answer that is read.
const ANSWER_BYTES_MAX: u64 = 1 << 10;

/// Keys of `--filter`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keys {
    /// `until`, `label`, `label!`.
    UntilAndLabel,
    /// `label`, `label!`, `all`.
    LabelAndAll,
}

/// What `--filter` was given.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Filters {
    /// What the engine compares.
    pub filter: Filter,
    /// `all=true` of volumes.
    pub all: bool,
}

/// Parses the values of `--filter`.
pub fn filters(texts: &[String], keys: Keys, now_unix_ns: i128) -> std::result::Result<Filters, Invalid> {
    let mut parsed = Filters::default();
    for text in texts {
        let bad = |why: &str| Invalid::new("filter", text.as_str(), why);
        let (key, value) = text.split_once('=').ok_or_else(|| bad("no `=`").hint("write `KEY=VALUE`"))?;
        match (key.trim(), keys) {
            ("label", _) => parsed.filter.labels.push(label(value).ok_or_else(|| bad("the label is empty"))?),
            ("label!", _) => {
                parsed.filter.without_labels.push(label(value).ok_or_else(|| bad("the label is empty"))?);
            }
            ("until", Keys::UntilAndLabel) => {
                let until = timestamps::parse("time", value, now_unix_ns)?;
                if parsed.filter.until_unix_ns.replace(until).is_some() {
                    return Err(bad("`until` is there more than once"));
                }
            }
            ("all", Keys::LabelAndAll) => match value {
                "1" | "true" => parsed.all = true,
                "0" | "false" => parsed.all = false,
                _ => return Err(bad("neither true nor false")),
            },
            _ => {
                let known = match keys {
                    Keys::UntilAndLabel => "`until`, `label` and `label!`",
                    Keys::LabelAndAll => "`label`, `label!` and `all`",
                };
                return Err(bad("there is no such filter here").hint(format!("there are {known}")));
            }
        }
    }
    Ok(parsed)
}

fn label(text: &str) -> Option<Label> {
    let (key, value) = text.split_once('=').map_or((text, None), |(key, value)| (key, Some(value)));
    (!key.is_empty()).then(|| Label { key: key.to_owned(), value: value.map(str::to_owned) })
}

/// Tells what is about to go and asks. Only a `y` is a yes: silence is a no.
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
        let parse = |texts: &[&str], keys| {
            let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
            filters(&texts, keys, now).ok()
        };
        let both = parse(&["until=10s", "label=a=b", "label!=c"], Keys::UntilAndLabel).unwrap();
        assert_eq!(both.filter.until_unix_ns, Some(990_000_000_000));
        assert_eq!(both.filter.labels, [Label { key: "a".into(), value: Some("b".into()) }]);
        assert_eq!(both.filter.without_labels, [Label { key: "c".into(), value: None }]);
        assert!(parse(&["all=1", "label=x"], Keys::LabelAndAll).unwrap().all);
        for bad in
            [&["until=1", "until=2"][..], &["until=never"], &["x=1"], &["label"], &["label="], &["all=1"]]
        {
            assert_eq!(parse(bad, Keys::UntilAndLabel), None, "{bad:?}");
        }
        assert_eq!(parse(&["until=1"], Keys::LabelAndAll), None);
        assert_eq!(parse(&["all=maybe"], Keys::LabelAndAll), None);
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
