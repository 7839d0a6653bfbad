//! What the filters of `ps` mean.

use corten_engine::container::{self, Details, ListFilter, Summary};
use corten_engine::{Engine, Error, MATCHES_MAX, image};
use corten_model::state::Status;
use corten_model::{Digest, Invalid};

use crate::error::Result;
use crate::filter::{self, Filters, Patterns};

/// The keys of `ps --filter`.
pub const KEYS: [&str; 16] = [
    "ancestor",
    "before",
    "exited",
    "expose",
    "health",
    "id",
    "is-task",
    "isolation",
    "label",
    "label!",
    "name",
    "network",
    "publish",
    "since",
    "status",
    "volume",
];
/// What `status` may be.
pub const STATUSES: [Status; 7] = [
    Status::Created,
    Status::Restarting,
    Status::Running,
    Status::Removing,
    Status::Paused,
    Status::Exited,
    Status::Dead,
];
/// What `health` may be.
pub const HEALTHS: [&str; 4] = ["starting", "healthy", "unhealthy", "none"];

/// Which containers are wanted.
pub struct Wanted {
    filters: Filters,
    ids: Patterns,
    names: Patterns,
    exit_codes: Vec<u8>,
    exposed: Vec<Ports>,
    is_task: Option<bool>,
}

impl Wanted {
    /// Parses the filters, and checks whatever can be checked without looking.
    pub fn parse(texts: &[String]) -> Result<Self> {
        let filters = filter::parse(texts, &KEYS)?;
        let bad = |key: &str, value: &str, why: &str| Invalid::new("filter", format!("{key}={value}"), why);
        for status in filters.values("status") {
            if !STATUSES.iter().any(|known| known.as_str() == status) {
                let known: Vec<&str> = STATUSES.iter().map(|status| status.as_str()).collect();
                return Err(bad("status", status, "no such status").hint(known.join(", ")).into());
            }
        }
        for health in filters.values("health") {
            if !HEALTHS.contains(&health.as_str()) {
                return Err(bad("health", health, "no such health").hint(HEALTHS.join(", ")).into());
            }
        }
        let ports = |key: &str| -> std::result::Result<Vec<Ports>, Invalid> {
            let parsed = filters.values(key).iter().map(|text| {
                Ports::parse(text).ok_or_else(|| {
                    bad(key, text, "no port").hint("for example `80`, `80/udp` or `8000-8080/tcp`")
                })
            });
            parsed.collect()
        };
        // Nothing is published yet, but what is asked for has to make sense.
        ports("publish")?;
        let exit_codes = filters.values("exited").iter().map(|text| {
            text.parse::<i64>()
                .map(|code| u8::try_from(code).ok())
                .map_err(|_| bad("exited", text, "an exit code is a number"))
        });
        let exit_codes: Vec<Option<u8>> = exit_codes.collect::<std::result::Result<_, _>>()?;
        Ok(Self {
            ids: filters.patterns("id")?,
            names: filters.patterns("name")?,
            exit_codes: exit_codes.into_iter().flatten().collect(),
            exposed: ports("expose")?,
            is_task: filters.flag("is-task")?,
            filters,
        })
    }

    /// The containers, newest first; living ones only unless `all` or a status was asked for.
    pub fn list(&self, engine: &mut Engine, all: bool) -> Result<Vec<Summary>> {
        let all = all || self.filters.has("status");
        let neighbours = self.filters.has("before") || self.filters.has("since");
        let mut summaries = container::list(engine, &ListFilter { all: all || neighbours })?;
        if neighbours {
            summaries = self.between(summaries)?;
            summaries.retain(|summary| all || summary.status.is_alive());
        }
        let images = self.images(engine)?;
        summaries.retain(|summary| self.takes(summary, images.as_deref()));
        if ["expose", "network", "volume"].iter().any(|key| self.filters.has(key)) {
            let ids: Vec<_> = summaries.iter().map(|summary| summary.id.clone()).collect();
            let mut details = container::details(engine, &ids)?.into_iter();
            summaries.retain(|summary| {
                details.next().is_some_and(|details| self.takes_details(summary, &details))
            });
        }
        Ok(summaries)
    }

    /// Those that were made before, or since, the named ones.
    fn between(&self, summaries: Vec<Summary>) -> Result<Vec<Summary>> {
        let place = |target: &String| place(&summaries, target);
        // The newest come first.
        let mut range = 0..summaries.len();
        for target in self.filters.values("before") {
            range.start = range.start.max(place(target)? + 1);
        }
        for target in self.filters.values("since") {
            range.end = range.end.min(place(target)?);
        }
        let keep = |(index, summary)| range.contains(&index).then_some(summary);
        Ok(summaries.into_iter().enumerate().filter_map(keep).collect())
    }

    /// The images that `ancestor` means, and those made of them.
    fn images(&self, engine: &mut Engine) -> Result<Option<Vec<Digest>>> {
        let mut images = Vec::new();
        for target in self.filters.values("ancestor") {
            images.extend(image::descendants(engine, target)?);
        }
        Ok(self.filters.has("ancestor").then_some(images))
    }

    fn takes(&self, summary: &Summary, images: Option<&[Digest]>) -> bool {
        let filters = &self.filters;
        let name = format!("/{}", summary.name);
        let ended = !summary.status.is_alive() && summary.started_unix_s.is_some();
        let exited = || ended && summary.exit.is_some_and(|exit| self.exit_codes.contains(&exit.code));
        self.ids.take(&[summary.id.as_str()])
            && self.names.take(&[&name[1..], &name])
            && filters.take_labels(&summary.labels)
            && filters.takes("status", summary.status.as_str())
            && (!filters.has("exited") || exited())
            && images.is_none_or(|images| images.contains(&summary.image_id))
            && filters.takes("health", summary.health.map_or("none", |health| health.as_str()))
            // No port is published, no container is a task of a swarm; isolation is a word of Windows that means
            // nothing here.
            && !filters.has("publish")
            && self.is_task != Some(true)
    }

    fn takes_details(&self, summary: &Summary, details: &Details) -> bool {
        let mounted =
            |value: &String| summary.mounts.contains(value) || details.mount_targets.contains(value);
        let exposes = |ports: &Ports| details.exposed_ports.iter().any(|port| ports.contain(port));
        self.filters.takes("network", &details.network)
            && (!self.filters.has("volume") || self.filters.values("volume").iter().any(mounted))
            && (!self.filters.has("expose") || self.exposed.iter().any(exposes))
    }
}

/// Where the container stands that `target` means: a name, an id or a prefix of one.
fn place(summaries: &[Summary], target: &str) -> Result<usize> {
    let target = target.strip_prefix('/').unwrap_or(target);
    if let Some(named) = summaries.iter().position(|summary| summary.name.as_str() == target) {
        return Ok(named);
    }
    let begins =
        |(_, summary): &(usize, &Summary)| !target.is_empty() && summary.id.as_str().starts_with(target);
    let found: Vec<_> = summaries.iter().enumerate().filter(begins).take(MATCHES_MAX).collect();
    let prefix = target.to_owned();
    match found.as_slice() {
        [] => Err(Error::NoSuch { what: "container", name: prefix }.into()),
        [(index, _)] => Ok(*index),
        several => {
            let matches = several.iter().map(|(_, s)| format!("{} ({})", s.id.short(), s.name)).collect();
            Err(Error::Ambiguous { what: "container", prefix, matches }.into())
        }
    }
}

/// `80`, `80/udp`, `8000-8080/tcp`.
#[derive(Debug, PartialEq, Eq)]
struct Ports {
    first: u16,
    last: u16,
    protocol: String,
}

impl Ports {
    fn parse(text: &str) -> Option<Self> {
        let (range, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
        let protocol = protocol.to_lowercase();
        if !matches!(protocol.as_str(), "tcp" | "udp" | "sctp") {
            return None;
        }
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last) = (first.parse().ok()?, last.parse().ok()?);
        (first <= last).then_some(Self { first, last, protocol })
    }

    /// Whether an exposed port is among them.
    fn contain(&self, port: &str) -> bool {
        Self::parse(port).is_some_and(|port| {
            port.protocol == self.protocol && self.first <= port.first && port.last <= self.last
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(text: &str) -> Result<Wanted> {
        Wanted::parse(&[text.to_owned()])
    }

    #[test]
    fn what_makes_no_sense_is_an_error() {
        for good in [
            "status=running",
            "health=none",
            "exited=0",
            "exited=-1",
            "publish=80",
            "expose=1-2/udp",
            "is-task=0",
        ] {
            assert!(wanted(good).is_ok(), "{good}");
        }
        for bad in [
            "status=asleep",
            "health=fine",
            "exited=x",
            "publish=x",
            "expose=80/abc",
            "expose=9-1",
            "is-task=maybe",
            "color=red",
            "name",
            "name=(",
            "publish=70000",
        ] {
            assert!(wanted(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn ports_and_ranges() {
        let check = |ports: &str, port: &str, expected: bool| {
            assert_eq!(Ports::parse(ports).unwrap().contain(port), expected, "{ports} {port}");
        };
        check("80", "80/tcp", true);
        check("80", "80/udp", false);
        check("80/UDP", "80/udp", true);
        check("8000-8080", "8042/tcp", true);
        check("8000-8080", "8081/tcp", false);
        check("80", "nonsense", false);
    }
}
