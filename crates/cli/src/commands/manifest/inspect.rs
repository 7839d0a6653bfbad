//! `corten manifest inspect`: a manifest or an index as it is, or with what it is about.

use std::io::Write as _;

use corten_engine::manifest_list::{self, Entry, Error};
use corten_engine::registry::{At, Client, MANIFEST_TYPES};
use corten_model::Reference;
use serde_json::Value;

use crate::caller::Caller;
use crate::error::Result;

/// Display an image manifest, or manifest list
#[derive(clap::Args, Debug)]
#[command(override_usage = "corten manifest inspect [OPTIONS] [MANIFEST_LIST] MANIFEST")]
pub struct Args {
    /// The image, behind the list that it is in, if it is one that is kept here
    #[arg(required = true, num_args = 1..=2, value_name = "MANIFEST", hide = true)]
    names: Vec<Reference>,
    /// Allow communication with an insecure registry
    #[arg(long)]
    insecure: bool,
    /// Output additional info including layers and platform
    #[arg(short, long)]
    verbose: bool,
}

/// Does it.
pub fn run(args: Args, caller: &mut Caller) -> Result<u8> {
    let lists = super::lists(caller)?;
    if let [list, image] = args.names.as_slice() {
        let mut list = lists.existing(list)?;
        let entry = list.entry_mut(image)?.clone();
        return if args.verbose {
            show(&verbose(&entry), caller)
        } else {
            raw(entry.manifest.as_bytes(), caller)
        };
    }
    let name = &args.names[0];
    if let Some(list) = lists.get(name)? {
        if args.verbose {
            return show(&Value::Array(list.entries.iter().map(verbose).collect()), caller);
        }
        return raw(&list.index().1, caller);
    }
    let client = super::client(caller, args.insecure, &[name])?;
    let fetched = client.repository(name)?.manifest(&At::of(name), &MANIFEST_TYPES)?;
    if !args.verbose {
        return raw(&fetched.bytes, caller);
    }
    match Entry::fetch(&client, name) {
        Ok(entry) => show(&verbose(&entry), caller),
        Err(Error::IsList(_)) => show(&Value::Array(below(&client, name, &fetched.bytes)?), caller),
        Err(error) => Err(error.into()),
    }
}

/// Every image of an index.
fn below(client: &Client, name: &Reference, index: &[u8]) -> Result<Vec<Value>> {
    let mut all = Vec::new();
    for descriptor in manifest_list::images(index)? {
        let image = Reference { tag: None, digest: Some(descriptor.digest.clone()), ..name.clone() };
        let mut entry = Entry::fetch(client, &image)?;
        // The index knows better what it offers it for.
        entry.descriptor.platform = descriptor.platform.or(entry.descriptor.platform);
        all.push(verbose(&entry));
    }
    Ok(all)
}

/// An image with what is known of it.
fn verbose(entry: &Entry) -> Value {
    let manifest: Value = serde_json::from_str(&entry.manifest).unwrap_or_default();
    let key = if entry.descriptor.media_type.contains("docker") { "SchemaV2Manifest" } else { "OCIManifest" };
    serde_json::json!({
        "Ref": entry.name.to_string(),
        "Descriptor": entry.descriptor,
        "Raw": entry.encoded(),
        key: manifest,
    })
}

fn show(value: &Value, caller: &mut Caller) -> Result<u8> {
    let text = serde_json::to_vec(value).expect("a value is JSON");
    raw(&text, caller)
}

/// A document in its own order, a tab for each level.
fn raw(bytes: &[u8], caller: &mut Caller) -> Result<u8> {
    writeln!(caller.out, "{}", indented(&String::from_utf8_lossy(bytes)))?;
    Ok(0)
}

/// JSON with a line for each value; keys stay where they are. What isn't JSON stays what it is.
fn indented(text: &str) -> String {
    let mut out = String::new();
    let (mut depth, mut quoted, mut escaped) = (0_usize, false, false);
    let mut chars = text.trim().chars().filter(|c| !c.is_control() || *c == ' ').peekable();
    let line = |out: &mut String, depth: usize| {
        out.push('\n');
        out.extend(std::iter::repeat_n('\t', depth));
    };
    while let Some(c) = chars.next() {
        if quoted {
            out.push(c);
            quoted = escaped || c != '"';
            escaped = !escaped && c == '\\';
            continue;
        }
        match c {
            ' ' => {}
            '"' => {
                quoted = true;
                out.push(c);
            }
            '{' | '[' => {
                out.push(c);
                while chars.next_if_eq(&' ').is_some() {}
                if let Some(close) = chars.next_if(|next| matches!(next, '}' | ']')) {
                    out.push(close);
                } else {
                    depth += 1;
                    line(&mut out, depth);
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                line(&mut out, depth);
                out.push(c);
            }
            ',' => {
                out.push(c);
                line(&mut out, depth);
            }
            ':' => out.push_str(": "),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_indented_in_its_own_order() {
        let check = |text: &str, expected: &str| assert_eq!(indented(text), expected);
        check(
            r#"{"b":1, "a":[ ],"c":[{}, "x:{,\"]"]}"#,
            "{\n\t\"b\": 1,\n\t\"a\": [],\n\t\"c\": [\n\t\t{},\n\t\t\"x:{,\\\"]\"\n\t]\n}",
        );
        check("{\n  \"a\": true\n}\n", "{\n\t\"a\": true\n}");
        check("\"\u{1b}[31m\"", "\"[31m\"");
    }
}
