//! How lists are printed: a table, ids only, or a template for each object.

use std::io::Write as _;

use serde_json::Value;

use crate::caller::Caller;
use crate::error::Result;
use crate::template::Template;

/// Prints a line for each object.
pub fn templated(format: &str, objects: &[Value], caller: &mut Caller) -> Result<u8> {
    let template = Template::parse(format, true)?;
    for object in objects {
        writeln!(caller.out, "{}", template.render(object)?)?;
    }
    Ok(0)
}

/// Labels as `KEY=value` between commas.
pub fn labels(labels: &std::collections::BTreeMap<String, String>) -> String {
    let pairs: Vec<String> = labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    pairs.join(",")
}
