//! What a container's log is to be: its own options, else the configuration's. Pure.

use corten_model::Invalid;
use corten_model::log::{LogConfig, LogDriver};
use regex_lite::Regex;
use serde_json::{Map, Value};

use crate::db::containers::Container;
use crate::keeper::protocol::{LogLimits, Logging};

/// The options that say what stands beside each line.
const TELLING: [&str; 5] = ["labels", "labels-regex", "env", "env-regex", "tag"];

/// Checks everything that can be wrong in the options.
pub fn check(log: &LogConfig) -> Result<(), Invalid> {
    log.validate()?;
    for key in ["labels-regex", "env-regex"] {
        regex(log, key)?;
    }
    log.option("tag").map(tag_parts).transpose().map(drop)
}

/// Whether the environment and the labels have to be known for it.
pub fn tells(log: &LogConfig) -> bool {
    TELLING.iter().any(|key| log.option(key).is_some())
}

/// What its keeper is told; `env` and `labels` have the image's merged in.
pub fn logging(
    container: &Container,
    env: &[String],
    labels: &std::collections::BTreeMap<String, String>,
    configured: LogLimits,
) -> Result<Logging, Invalid> {
    let log = &container.config.more.log;
    if log == &LogConfig::default() {
        return Ok(Logging { limits: configured, ..Logging::default() });
    }
    let files = log.validate()?;
    let limits = LogLimits {
        file_bytes: files
            .file_bytes
            .map_or(configured.file_bytes, |bytes| if bytes == 0 { u64::MAX } else { bytes }),
        files: files.files.unwrap_or(configured.files),
    };
    let mut told = Map::new();
    if tells(log) {
        add(&mut told, log, "labels", labels.iter().map(|(key, value)| (key.as_str(), value.as_str())))?;
        add(&mut told, log, "env", env.iter().filter_map(|variable| variable.split_once('=')))?;
        let tag = log.option("tag").map(|text| tag(text, container)).transpose()?;
        told.extend(tag.filter(|tag| !tag.is_empty()).map(|tag| ("tag".to_owned(), Value::String(tag))));
    }
    let attributes = if told.is_empty() { String::new() } else { Value::Object(told).to_string() };
    Ok(Logging { limits, off: log.driver == LogDriver::None, attributes })
}

fn regex(log: &LogConfig, key: &'static str) -> Result<Option<Regex>, Invalid> {
    let typed = log.option(key).map(Regex::new).transpose();
    typed.map_err(|error| {
        Invalid::new(
            "log option",
            format!("{key}={}", log.option(key).unwrap_or_default()),
            error.to_string(),
        )
    })
}

/// The pairs whose keys are listed, and those whose keys fit the pattern.
fn add<'a>(
    told: &mut Map<String, Value>,
    log: &LogConfig,
    what: &'static str,
    pairs: impl Iterator<Item = (&'a str, &'a str)>,
) -> Result<(), Invalid> {
    let listed: Vec<&str> = log.option(what).map(|keys| keys.split(',').collect()).unwrap_or_default();
    let pattern = regex(log, if what == "env" { "env-regex" } else { "labels-regex" })?;
    for (key, value) in pairs {
        if listed.contains(&key) || pattern.as_ref().is_some_and(|pattern| pattern.is_match(key)) {
            told.insert(key.to_owned(), value.into());
        }
    }
    Ok(())
}

/// A piece of a tag: text, or what stands between two pairs of braces.
enum Part<'a> {
    Text(&'a str),
    Field(&'a str),
}

const FIELDS: [&str; 8] =
    ["ID", "FullID", "Name", "ImageID", "ImageFullID", "ImageName", "ImageFullName", "DaemonName"];

fn tag_parts(text: &str) -> Result<Vec<Part<'_>>, Invalid> {
    let bad = |why: String| Invalid::new("log tag", text, why);
    let (mut parts, mut rest) = (Vec::new(), text);
    while let Some((before, after)) = rest.split_once("{{") {
        let (inner, behind) = after.split_once("}}").ok_or_else(|| bad("a `{{` has no end".into()))?;
        let field = inner.trim().strip_prefix('.').filter(|field| FIELDS.contains(field));
        let known = || format!("`{{{{{inner}}}}}` is none of {}", FIELDS.map(|f| format!(".{f}")).join(" "));
        parts.extend([Part::Text(before), Part::Field(field.ok_or_else(|| bad(known()))?)]);
        rest = behind;
    }
    parts.push(Part::Text(rest));
    Ok(parts)
}

fn tag(text: &str, container: &Container) -> Result<String, Invalid> {
    let value = |part: &Part<'_>| -> String {
        match part {
            Part::Text(text) => (*text).to_owned(),
            Part::Field("ID") => container.id.short().to_owned(),
            Part::Field("FullID") => container.id.to_string(),
            Part::Field("Name") => container.name.to_string(),
            Part::Field("ImageID") => container.image_id.short().to_owned(),
            Part::Field("ImageFullID") => container.image_id.to_string(),
            Part::Field("ImageName" | "ImageFullName") => container.image.clone(),
            Part::Field(_) => "corten".to_owned(),
        }
    };
    Ok(tag_parts(text)?.iter().map(value).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::containers::State;
    use corten_model::container::ContainerConfig;
    use corten_model::{ContainerId, Digest, SandboxId};

    fn container(options: &[(&str, &str)]) -> Container {
        let mut config = ContainerConfig::default();
        config.more.log.options = options.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        Container {
            id: ContainerId::from_bytes([0xab; 32]),
            name: "web".parse().unwrap(),
            image: "busybox".into(),
            image_id: Digest::from_sha256([0xcd; 32]),
            sandbox: SandboxId::from_bytes([0; 32]),
            config,
            command: Vec::new(),
            host_powers: Vec::new(),
            state: State::created(),
            created_ns: 0,
            journal_offset: 0,
        }
    }

    fn told(options: &[(&str, &str)]) -> Logging {
        let env = ["A=1".to_owned(), "APP_X=2".into()];
        let labels = [("tier".to_owned(), "front".to_owned()), ("app.y".into(), "3".into())].into();
        logging(&container(options), &env, &labels, LogLimits { file_bytes: 7, files: 2 }).unwrap()
    }

    #[test]
    fn what_is_not_said_is_the_configurations() {
        assert_eq!(told(&[]).limits, LogLimits { file_bytes: 7, files: 2 });
        assert_eq!(told(&[("max-size", "1k")]).limits, LogLimits { file_bytes: 1024, files: 2 });
        assert_eq!(told(&[("max-size", "-1"), ("max-file", "5")]).limits.file_bytes, u64::MAX);
        assert!(!told(&[]).off && told(&[]).attributes.is_empty());
    }

    #[test]
    fn what_stands_beside_each_line() {
        let check = |options: &[(&str, &str)], expected: &str| assert_eq!(told(options).attributes, expected);
        check(&[("labels", "tier,none"), ("env", "A")], r#"{"A":"1","tier":"front"}"#);
        check(&[("labels-regex", "^app"), ("env-regex", "^APP_")], r#"{"APP_X":"2","app.y":"3"}"#);
        check(&[("tag", "{{.Name}}/{{ .ID }}-x")], r#"{"tag":"web/abababababab-x"}"#);
        check(&[("tag", ""), ("labels", "none")], "");
    }

    #[test]
    fn tags_and_patterns_that_mean_nothing() {
        for (key, value) in
            [("tag", "{{.Nmae}}"), ("tag", "{{.Name"), ("env-regex", "("), ("labels-regex", "[")]
        {
            assert!(check(&container(&[(key, value)]).config.more.log).is_err(), "{key}={value}");
        }
    }
}
