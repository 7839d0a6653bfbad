//! `--change`: the instructions of a Dockerfile that only change the config, applied one after another.

use std::collections::BTreeMap;
use std::path::{Component, Path};

use corten_model::Invalid;
use corten_model::duration::parse_duration;
use corten_model::image::ImageDefaults;
use corten_model::signal::Signal;
use serde_json::{Value, json};

use crate::words;

const WHAT: &str = "change";
/// Ports that one EXPOSE may name.
const PORTS_MAX: usize = 65_536;

/// Applies `changes` in their order.
pub fn apply(config: &mut ImageDefaults, changes: &[String]) -> Result<(), Invalid> {
    changes.iter().try_for_each(|text| Change { text, config }.apply())
}

struct Change<'a> {
    text: &'a str,
    config: &'a mut ImageDefaults,
}

impl Change<'_> {
    fn apply(mut self) -> Result<(), Invalid> {
        let text = self.text.trim();
        let (word, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
        let rest = rest.trim();
        if rest.is_empty() {
            return Err(self.bad("an instruction and its argument are needed"));
        }
        match word.to_ascii_uppercase().as_str() {
            "CMD" => self.config.cmd = Some(self.command(rest)?),
            "ENTRYPOINT" => {
                self.config.entrypoint = Some(self.command(rest)?);
            }
            "ENV" => self.env(rest)?,
            "LABEL" => {
                let pairs = self.pairs(rest)?;
                self.config.labels.get_or_insert_default().extend(pairs);
            }
            "EXPOSE" => self.expose(rest)?,
            "VOLUME" => self.volume(rest)?,
            "USER" => self.config.user = self.expand(rest)?,
            "WORKDIR" => self.working_dir(rest)?,
            "STOPSIGNAL" => {
                let name = self.expand(rest)?;
                name.parse::<Signal>().map_err(|e| self.bad(&e.why))?;
                self.config.stop_signal = Some(name);
            }
            "HEALTHCHECK" => self.health_check(rest)?,
            "ONBUILD" => self.config.on_build.get_or_insert_default().push(rest.to_owned()),
            "SHELL" => {
                let shell = json_list(rest).filter(|l| !l.is_empty());
                self.config.shell = Some(shell.ok_or_else(|| self.bad("SHELL takes a JSON list"))?);
            }
            _ => return Err(self.bad("not an instruction that changes only the config")),
        }
        Ok(())
    }

    fn bad(&self, why: &str) -> Invalid {
        Invalid::new(WHAT, self.text, why).hint(
            "use CMD, ENTRYPOINT, ENV, EXPOSE, HEALTHCHECK, LABEL, ONBUILD, SHELL, STOPSIGNAL, USER, VOLUME or WORKDIR",
        )
    }

    /// The JSON form as it is, the shell form behind the image's shell.
    fn command(&self, text: &str) -> Result<Vec<String>, Invalid> {
        if let Some(list) = json_list(text) {
            return Ok(list);
        }
        let shell = self.config.shell.clone().unwrap_or_else(|| vec!["/bin/sh".into(), "-c".into()]);
        Ok(shell.into_iter().chain([text.to_owned()]).collect())
    }

    fn expand(&self, text: &str) -> Result<String, Invalid> {
        let env = self.config.env.as_deref().unwrap_or_default();
        let lookup = |name: &str| {
            let mut values = env.iter().filter_map(|e| e.split_once('=').filter(|(k, _)| *k == name));
            values.next_back().map(|(_, value)| value.to_owned())
        };
        words::expand(text, &lookup).ok_or_else(|| self.bad("a quote or a brace is not closed"))
    }

    fn words(&self, text: &str) -> Result<Vec<String>, Invalid> {
        words::split(text).ok_or_else(|| self.bad("a quote is not closed"))
    }

    /// `KEY=value …`, or the old `KEY value with blanks`.
    fn pairs(&self, text: &str) -> Result<Vec<(String, String)>, Invalid> {
        let words = self.words(text)?;
        let first = words.first().map(String::as_str).unwrap_or_default();
        if !first.contains('=') {
            let (key, value) = text.split_once(char::is_whitespace).ok_or_else(|| self.bad("no `=`"))?;
            return Ok(vec![(self.expand(key)?, self.expand(value.trim())?)]);
        }
        let mut pairs = Vec::new();
        for word in &words {
            let (key, value) = word.split_once('=').ok_or_else(|| self.bad("a word without `=`"))?;
            let key = self.expand(key)?;
            if key.is_empty() {
                return Err(self.bad("an empty name"));
            }
            pairs.push((key, self.expand(value)?));
        }
        Ok(pairs)
    }

    fn env(&mut self, text: &str) -> Result<(), Invalid> {
        let pairs = self.pairs(text)?;
        let env = self.config.env.get_or_insert_default();
        for (key, value) in pairs {
            let entry = format!("{key}={value}");
            match env.iter_mut().find(|e| e.split_once('=').is_some_and(|(k, _)| k == key)) {
                Some(old) => *old = entry,
                None => env.push(entry),
            }
        }
        Ok(())
    }

    fn expose(&mut self, text: &str) -> Result<(), Invalid> {
        let mut ports = BTreeMap::new();
        for word in self.words(text)? {
            let word = self.expand(&word)?;
            let (range, protocol) = word.split_once('/').unwrap_or((&word, "tcp"));
            let protocol = protocol.to_ascii_lowercase();
            let (low, high) = range.split_once('-').unwrap_or((range, range));
            let number = |n: &str| n.parse::<u16>().ok().filter(|n| *n > 0);
            match (number(low), number(high), protocol.as_str()) {
                (Some(low), Some(high), "tcp" | "udp" | "sctp") if low <= high => {
                    ports.extend((low..=high).map(|port| (format!("{port}/{protocol}"), json!({}))));
                }
                _ => return Err(self.bad("a port is `NUMBER[-NUMBER][/tcp|udp|sctp]`")),
            }
            debug_assert!(ports.len() <= 3 * PORTS_MAX);
        }
        self.config.exposed_ports.get_or_insert_default().extend(ports);
        Ok(())
    }

    fn volume(&mut self, text: &str) -> Result<(), Invalid> {
        let paths = match json_list(text) {
            Some(list) => list,
            None => self.words(text)?,
        };
        let mut volumes: BTreeMap<String, Value> = BTreeMap::new();
        for path in paths {
            let path = self.expand(&path)?;
            if !path.starts_with('/') {
                return Err(self.bad("a volume's path is absolute"));
            }
            volumes.insert(path, json!({}));
        }
        self.config.volumes.get_or_insert_default().extend(volumes);
        Ok(())
    }

    /// A relative path goes on from the working directory so far.
    fn working_dir(&mut self, text: &str) -> Result<(), Invalid> {
        let wanted = Path::new("/").join(&self.config.working_dir).join(self.expand(text)?);
        let mut parts: Vec<&str> = Vec::new();
        for component in wanted.components() {
            match component {
                Component::Normal(part) => parts.push(part.to_str().expect("made of strings")),
                Component::ParentDir => drop(parts.pop()),
                _ => {}
            }
        }
        self.config.working_dir = format!("/{}", parts.join("/"));
        Ok(())
    }

    /// Docker's config of it: durations in nanoseconds.
    fn health_check(&mut self, text: &str) -> Result<(), Invalid> {
        let mut check = serde_json::Map::new();
        let mut rest = text;
        while let Some(option) = rest.strip_prefix("--") {
            let (option, after) = option.split_once(char::is_whitespace).unwrap_or((option, ""));
            let (name, value) =
                option.split_once('=').ok_or_else(|| self.bad("an option is `--NAME=VALUE`"))?;
            let key = match name {
                "interval" => "Interval",
                "timeout" => "Timeout",
                "start-period" => "StartPeriod",
                "start-interval" => "StartInterval",
                "retries" => "Retries",
                _ => return Err(self.bad("HEALTHCHECK has no such option")),
            };
            let number = if name == "retries" {
                value.parse::<u32>().map(u64::from).map_err(|_| self.bad("retries is a number"))?
            } else {
                let span = parse_duration("duration", value).map_err(|e| self.bad(&e.why))?;
                u64::try_from(span.as_nanos()).map_err(|_| self.bad("a duration is too long"))?
            };
            check.insert(key.to_owned(), json!(number));
            rest = after.trim_start();
        }
        let (word, command) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        let command = command.trim();
        let test = match (word.to_ascii_uppercase().as_str(), command) {
            ("NONE", "") if check.is_empty() => vec!["NONE".to_owned()],
            ("CMD", command) if !command.is_empty() => match json_list(command) {
                Some(list) => [vec!["CMD".to_owned()], list].concat(),
                None => vec!["CMD-SHELL".to_owned(), command.to_owned()],
            },
            _ => return Err(self.bad("HEALTHCHECK takes `[OPTIONS] CMD COMMAND` or `NONE`")),
        };
        check.insert("Test".to_owned(), json!(test));
        self.config.healthcheck = Some(Value::Object(check));
        Ok(())
    }
}

/// `["a", "b"]`; anything else is the shell form.
fn json_list(text: &str) -> Option<Vec<String>> {
    text.starts_with('[').then(|| serde_json::from_str(text).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changed(changes: &[&str]) -> Result<ImageDefaults, Invalid> {
        let mut config = ImageDefaults::default();
        let changes: Vec<_> = changes.iter().map(|c| (*c).to_owned()).collect();
        apply(&mut config, &changes).map(|()| config)
    }

    #[test]
    fn commands_in_both_forms() {
        let config = changed(&[r#"CMD ["a", "b c"]"#, "entrypoint echo $HOME 'x y'"]).unwrap();
        assert_eq!(config.cmd.unwrap(), ["a", "b c"]);
        assert_eq!(config.entrypoint.unwrap(), ["/bin/sh", "-c", "echo $HOME 'x y'"]);
        let config = changed(&[r#"SHELL ["/bin/bash","-ec"]"#, "CMD [not json"]).unwrap();
        assert_eq!(config.cmd.unwrap(), ["/bin/bash", "-ec", "[not json"]);
    }

    #[test]
    fn environment_labels_and_variables() {
        let config =
            changed(&["ENV A=1 B=\"x y\"", "ENV A 2 z", "ENV C=$A-${B}", "LABEL l=$C \"m n\"=o"]).unwrap();
        assert_eq!(config.env.unwrap(), ["A=2 z", "B=x y", "C=2 z-x y"]);
        let labels = config.labels.unwrap();
        assert_eq!(labels["l"], "2 z-x y");
        assert_eq!(labels["m n"], "o");
    }

    #[test]
    fn ports_volumes_paths_user_and_signal() {
        let config = changed(&[
            "ENV P=90",
            "EXPOSE 80 443/TCP 53/udp $P 8000-8002",
            r#"VOLUME ["/a", "/b c"]"#,
            "VOLUME /d /e",
            "WORKDIR /x/y",
            "WORKDIR ../z",
            "USER 1:2",
            "STOPSIGNAL SIGUSR1",
            "ONBUILD RUN x",
        ])
        .unwrap();
        let ports: Vec<_> = config.exposed_ports.unwrap().into_keys().collect();
        assert_eq!(ports, ["443/tcp", "53/udp", "80/tcp", "8000/tcp", "8001/tcp", "8002/tcp", "90/tcp"]);
        assert_eq!(config.volumes.unwrap().into_keys().collect::<Vec<_>>(), ["/a", "/b c", "/d", "/e"]);
        assert_eq!(config.working_dir, "/x/z");
        assert_eq!((config.user.as_str(), config.stop_signal.as_deref()), ("1:2", Some("SIGUSR1")));
        assert_eq!(config.on_build.unwrap(), ["RUN x"]);
    }

    #[test]
    fn health_checks() {
        let check = |text: &str| changed(&[text]).unwrap().healthcheck.unwrap();
        assert_eq!(
            check("HEALTHCHECK --interval=5s --retries=3 CMD curl -f /"),
            json!({"Interval": 5_000_000_000u64, "Retries": 3, "Test": ["CMD-SHELL", "curl -f /"]})
        );
        assert_eq!(check(r#"HEALTHCHECK CMD ["a"]"#), json!({"Test": ["CMD", "a"]}));
        assert_eq!(check("HEALTHCHECK NONE"), json!({"Test": ["NONE"]}));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for bad in [
            "",
            "CMD",
            "RUN x",
            "FROM scratch",
            "ENV",
            "ENV A",
            "ENV =x",
            "ENV A='x",
            "EXPOSE 0",
            "EXPOSE 9-8",
            "EXPOSE 1/x",
            "EXPOSE 99999",
            "VOLUME a",
            "STOPSIGNAL x",
            "HEALTHCHECK x",
            "HEALTHCHECK --foo=1 CMD x",
            "HEALTHCHECK --retries=x CMD x",
            "HEALTHCHECK CMD",
            "SHELL x",
            "USER ${",
        ] {
            let error = changed(&[bad]).unwrap_err();
            assert_eq!(error.value, bad);
            assert!(error.hint.is_some());
        }
    }
}
