//! `corten events`: what happened, and what happens.

use std::io::Write as _;

use corten_engine::events::{self, Event, Span};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use crate::caller::Caller;
use crate::error::Result;
use crate::filter::{self, Filters};
use crate::shape;
use crate::template::Template;
use crate::timestamps;

/// Get real time events
#[derive(clap::Args, Debug)]
#[command(override_usage = "corten events [OPTIONS]")]
pub struct Args {
    /// Filter output based on conditions provided
    #[arg(short, long, value_name = "KEY=VALUE")]
    filter: Vec<String>,
    /// Format output: json, or a template such as '{{.Action}}'
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
    /// Show all events created since timestamp (e.g. "2013-01-02T13:23:37Z") or relative (e.g. "42m" for 42 minutes)
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Stream events until this timestamp
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
}

/// Does it.
pub fn run(args: Args, caller: &mut Caller) -> Result<u8> {
    let now = timestamps::now_unix_ns();
    let moment = |text: &Option<String>| -> Result<Option<i64>> {
        let moment = text.as_ref().map(|text| timestamps::parse("time", text, now)).transpose()?;
        Ok(moment.map(|ns| i64::try_from(ns).unwrap_or(i64::MAX)))
    };
    let span = Span { since_ns: moment(&args.since)?, until_ns: moment(&args.until)? };
    let filters = filter::parse(&args.filter, &KEYS)?;
    let template = match args.format.as_deref() {
        None => None,
        Some("json") => Some(Template::parse("{{json .}}")?),
        Some(text) => Some(Template::parse(text)?),
    };
    let mut engine = caller.engine()?;
    let mut follower = events::open(&mut engine, span)?;
    while let Some(event) = follower.next_event()? {
        if !matches(&filters, &event) {
            continue;
        }
        match &template {
            None => writeln!(caller.out, "{}", line(&event))?,
            Some(template) => writeln!(caller.out, "{}", template.render(&shape::any(&object(&event)))?)?,
        }
        // Whoever reads along sees each event when it happens.
        caller.out.flush()?;
    }
    Ok(0)
}

/// `2026-01-02T13:23:37.000000000Z container start 0123… (image=busybox, name=web)`, local time as in Docker.
fn line(event: &Event) -> String {
    let moment = Timestamp::from_nanosecond(i128::from(event.time_ns)).unwrap_or(Timestamp::UNIX_EPOCH);
    let time = moment.to_zoned(TimeZone::system()).strftime("%Y-%m-%dT%H:%M:%S.%9f%:z").to_string();
    let pairs: Vec<String> = event.attributes.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let pairs = if pairs.is_empty() { String::new() } else { format!(" ({})", pairs.join(", ")) };
    format!("{time} {} {} {}{pairs}", event.kind, event.action, event.object)
}

/// The event under the names of Docker's API.
fn object(event: &Event) -> Value {
    let mut object = json!({
        "Type": event.kind,
        "Action": event.action,
        "Actor": { "ID": event.object, "Attributes": event.attributes },
        "scope": "local",
        "time": event.time_ns.div_euclid(1_000_000_000),
        "timeNano": event.time_ns,
    });
    // Older names, which containers and images still have in the API.
    if event.kind == "container" || event.kind == "image" {
        object["status"] = json!(event.action);
        object["id"] = json!(event.object);
        let from = event.attributes.get("image").or(event.attributes.get("name"));
        object["from"] = json!(from.cloned().unwrap_or_default());
    }
    object
}

/// What a filter looks at.
pub const KEYS: [&str; 10] =
    ["container", "daemon", "event", "image", "label", "network", "plugin", "scope", "type", "volume"];

/// Whether one value fits, for every key.
fn matches(filters: &Filters, event: &Event) -> bool {
    let one_fits = |key: &&str| filters.values(key).iter().any(|value| fits(event, key, value));
    KEYS.iter().filter(|key| filters.has(key)).all(one_fits)
}

fn fits(event: &Event, key: &str, value: &str) -> bool {
    let attribute = |name: &str| event.attributes.get(name).map(String::as_str);
    let is_object = |kind: &str| {
        event.kind == kind
            && (event.object == value
                || attribute("name") == Some(value)
                || value.len() >= 4 && event.object.starts_with(value))
    };
    match key {
        "type" => event.kind == value,
        // `exec_start: sh` fits `exec_start`, as Docker has it.
        "event" => event.action == value || event.action.split(':').next() == Some(value),
        "scope" => value == "local",
        "label" => match value.split_once('=') {
            Some((name, wanted)) => attribute(name) == Some(wanted),
            None => attribute(value).is_some(),
        },
        "image" => {
            let same = |name: &str| name == value || name.split(':').next() == Some(value);
            is_object("image") || attribute("image").is_some_and(same) || {
                event.kind == "image" && attribute("name").is_some_and(same)
            }
        }
        kind => is_object(kind),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event() -> Event {
        let attributes = [("image", "busybox:latest"), ("name", "web"), ("tier", "front")];
        Event {
            seq: 1,
            time_ns: 1_000_000_001,
            kind: "container".into(),
            action: "start".into(),
            object: "0123456789abcdef".into(),
            attributes: attributes.map(|(k, v)| (k.to_owned(), v.to_owned())).into(),
        }
    }

    #[test]
    fn filters_of_one_key_are_alternatives_and_keys_add_up() {
        let check = |typed: &[&str], expected: bool| {
            let typed: Vec<String> = typed.iter().map(|t| (*t).to_owned()).collect();
            assert_eq!(matches(&filter::parse(&typed, &KEYS).unwrap(), &event()), expected, "{typed:?}");
        };
        check(&[], true);
        check(&["type=container"], true);
        check(&["type=image"], false);
        check(&["type=image", "type=container"], true);
        check(&["event=start", "container=web"], true);
        check(&["event=die", "container=web"], false);
        check(&["container=01234567"], true);
        check(&["image=busybox"], true);
        check(&["image=debian"], false);
        check(&["label=tier"], true);
        check(&["label=tier=back"], false);
        check(&["volume=web"], false);
    }

    #[test]
    fn lines_and_objects_are_dockers() {
        let line = line(&event());
        assert!(
            line.contains(" container start 0123456789abcdef (image=busybox:latest, name=web, tier=front)")
        );
        let object = object(&event());
        assert_eq!((&object["time"], &object["timeNano"]), (&json!(1), &json!(1_000_000_001)));
        assert_eq!((&object["status"], &object["from"]), (&json!("start"), &json!("busybox:latest")));
    }
}
