//! What the filters of `images` mean.

use corten_engine::Engine;
use corten_engine::image::{self, Summary};
use corten_model::Reference;

use crate::error::Result;
use crate::filter::{self, Filters};
use crate::timestamps;

/// The keys of `images --filter`.
pub const KEYS: [&str; 7] = ["before", "dangling", "label", "label!", "reference", "since", "until"];
/// Nanoseconds in a second.
const NS: i128 = 1_000_000_000;

/// Which images are wanted.
pub struct Wanted {
    filters: Filters,
    dangling: Option<bool>,
    until_unix_ns: Option<i128>,
}

impl Wanted {
    /// Parses the filters.
    pub fn parse(texts: &[String], now_unix_ns: i128) -> Result<Self> {
        let filters = filter::parse(texts, &KEYS)?;
        let until = filters.values("until").iter().map(|text| timestamps::parse("time", text, now_unix_ns));
        // Of several times all are wanted, so the earliest counts.
        let until_unix_ns = until.collect::<std::result::Result<Vec<_>, _>>()?.into_iter().min();
        Ok(Self { dangling: filters.flag("dangling")?, until_unix_ns, filters })
    }

    /// Whether images without a name are wanted, and no others.
    pub fn only_dangling(&self) -> bool {
        self.dangling == Some(true)
    }

    /// The images, newest first.
    pub fn list(&self, engine: &mut Engine) -> Result<Vec<Summary>> {
        let created = |engine: &mut Engine, key: &str| -> Result<Vec<i64>> {
            let targets = self.filters.values(key).iter();
            targets.map(|target| Ok(image::created(engine, target)?.1)).collect()
        };
        let before = created(engine, "before")?.into_iter().min();
        let since = created(engine, "since")?.into_iter().max();
        let mut images = image::list(engine)?;
        images.retain(|image| {
            let made = image.created_unix_s;
            before.is_none_or(|before| made < before)
                && since.is_none_or(|since| made > since)
                && self.until_unix_ns.is_none_or(|until| i128::from(made) * NS <= until)
                && self.dangling.is_none_or(|dangling| image.tags.is_empty() == dangling)
                && self.filters.take_labels(&image.labels)
        });
        Ok(images)
    }

    /// Whether a line with this name is wanted.
    pub fn takes_name(&self, name: Option<&Reference>) -> bool {
        let patterns = self.filters.values("reference");
        let Some(name) = name else { return patterns.is_empty() };
        let (whole, repository) = (name.familiar(), name.familiar_repository());
        let matches = |pattern: &String| filter::glob(pattern, &whole) || filter::glob(pattern, &repository);
        patterns.is_empty() || patterns.iter().any(matches)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_shell_patterns() {
        let check = |pattern: &str, name: &str, expected: bool| {
            let wanted = Wanted::parse(&[format!("reference={pattern}")], 0).unwrap();
            assert_eq!(wanted.takes_name(Some(&name.parse().unwrap())), expected, "{pattern} {name}");
        };
        check("busybox", "busybox:1.36", true);
        check("busybox:1*", "busybox:1.36", true);
        check("busy*", "busybox", true);
        check("*:latest", "busybox", true);
        check("alpine", "busybox", false);
        check("*", "localhost:5000/a/b", false);
        check("localhost:5000/*/*", "localhost:5000/a/b:1", true);
        check("docker.io/library/busybox", "busybox", false);
    }

    #[test]
    fn what_makes_no_sense_is_an_error() {
        for good in ["dangling=1", "until=24h", "until=2026-01-02", "label=a=b", "before=x"] {
            assert!(Wanted::parse(&[good.to_owned()], 0).is_ok(), "{good}");
        }
        for bad in ["dangling=maybe", "until=never", "color=red", "label"] {
            assert!(Wanted::parse(&[bad.to_owned()], 0).is_err(), "{bad}");
        }
    }
}
