//! `--format`: `json`, or a text with `{{.Field.Field}}` and `{{json .Field}}` in it.
//!
//! Go's templates can more; whatever this doesn't know is an error, never a text that looks like an answer.

use serde_json::Value;

use crate::error::{Failure, Result};

/// What to print of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    text: String,
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    /// As it stands.
    Text(String),
    /// A field of the value; no name is the value itself.
    Field { path: Vec<String>, as_json: bool },
}

impl Template {
    /// Parses a format. In lists, `\t` and `\n` stand for what they mean.
    pub fn parse(text: &str, in_list: bool) -> Result<Self> {
        let fail = |why: &str| Failure::Template { template: text.to_owned(), why: why.to_owned() };
        if text == "json" {
            let whole = Part::Field { path: Vec::new(), as_json: true };
            return Ok(Self { text: text.to_owned(), parts: vec![whole] });
        }
        if text.is_empty() {
            return Err(fail("it is empty"));
        }
        if in_list && (text == "table" || text.starts_with("table ")) {
            return Err(fail("tables with chosen columns are not supported"));
        }
        let source = if in_list { text.replace("\\t", "\t").replace("\\n", "\n") } else { text.to_owned() };
        let mut parts = Vec::new();
        let mut rest = source.as_str();
        while let Some((before, after)) = rest.split_once("{{") {
            let (action, after) = after.split_once("}}").ok_or_else(|| fail("`{{` without `}}`"))?;
            parts.push(Part::Text(before.to_owned()));
            parts.push(
                action_of(action).ok_or_else(|| fail(&format!("`{{{{{action}}}}}` is not supported")))?,
            );
            rest = after;
        }
        parts.push(Part::Text(rest.to_owned()));
        parts.retain(|part| !matches!(part, Part::Text(text) if text.is_empty()));
        Ok(Self { text: text.to_owned(), parts })
    }

    /// The text for one value.
    pub fn render(&self, value: &Value) -> Result<String> {
        let fail = |why: String| Failure::Template { template: self.text.clone(), why };
        let mut text = String::new();
        for part in &self.parts {
            match part {
                Part::Text(part) => text.push_str(part),
                Part::Field { path, as_json } => {
                    let mut field = value;
                    for name in path {
                        field = field.get(name).ok_or_else(|| fail(format!("there is no field `{name}`")))?;
                    }
                    if *as_json {
                        text.push_str(&field.to_string());
                    } else {
                        let plain = plain(field);
                        text.push_str(
                            &plain
                                .ok_or_else(|| fail(format!("`.{}` is no single value", path.join("."))))?,
                        );
                    }
                }
            }
        }
        Ok(text)
    }
}

/// `.A.B` or `json .A.B`.
fn action_of(action: &str) -> Option<Part> {
    let words: Vec<&str> = action.split_whitespace().collect();
    let (field, as_json) = match words.as_slice() {
        [field] => (*field, false),
        ["json", field] => (*field, true),
        _ => return None,
    };
    let names = field.strip_prefix('.')?;
    if names.is_empty() {
        return as_json.then_some(Part::Field { path: Vec::new(), as_json });
    }
    let is_name = |name: &str| {
        let letters = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        letters && name.bytes().next().is_some_and(|b| !b.is_ascii_digit())
    };
    let path: Vec<String> = names.split('.').map(str::to_owned).collect();
    path.iter().all(|name| is_name(name)).then_some(Part::Field { path, as_json })
}

/// A value as Go prints it. What a list of lists, a map or a struct would print depends on types that aren't here.
fn plain(value: &Value) -> Option<String> {
    match value {
        Value::Null => Some("<no value>".into()),
        Value::Bool(on) => Some(on.to_string()),
        Value::Number(number) => Some(number.to_string()),
        Value::String(text) => Some(text.clone()),
        Value::Array(items) => {
            let single = |item: &Value| if item.is_array() { None } else { plain(item) };
            let items: Option<Vec<String>> = items.iter().map(single).collect();
            Some(format!("[{}]", items?.join(" ")))
        }
        Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn rendered(text: &str) -> Option<String> {
        let value = json!({
            "Id": "abc",
            "State": {"Status": "running", "Pid": 7, "Dead": false},
            "Config": {"Cmd": ["sh", "-c"], "Labels": {"a": "b"}, "Healthcheck": null},
        });
        Template::parse(text, true).ok()?.render(&value).ok()
    }

    #[test]
    fn fields_and_json() {
        let check =
            |text: &str, expected: &str| assert_eq!(rendered(text).as_deref(), Some(expected), "{text}");
        check("{{.Id}}", "abc");
        check("{{ .State.Status }}: {{.State.Pid}} {{.State.Dead}}!", "running: 7 false!");
        check("{{json .State.Status}}", "\"running\"");
        check("{{.Config.Cmd}}", "[sh -c]");
        check("{{json .Config.Labels}}", "{\"a\":\"b\"}");
        check("{{.Config.Healthcheck}}", "<no value>");
        check("plain\\t{{.Id}}\\n", "plain\tabc\n");
        let whole = rendered("json").unwrap();
        assert!(whole.starts_with('{') && whole.contains("\"Id\":\"abc\""));
        assert_eq!(rendered("{{json .}}").unwrap(), whole);
    }

    #[test]
    fn what_is_not_known_is_an_error() {
        for text in [
            "",
            "{{.No}}",
            "{{.Id.No}}",
            "{{.}}",
            "{{.State}}",
            "{{Id}}",
            "{{range .Config.Cmd}}x{{end}}",
            "{{.Id",
            "{{upper .Id}}",
            "{{.A..B}}",
            "{{- .Id}}",
            "table {{.Id}}",
            "{{index .Config.Cmd 0}}",
        ] {
            assert_eq!(rendered(text), None, "{text}");
        }
    }
}
