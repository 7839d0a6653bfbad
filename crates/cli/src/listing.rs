//! How lists are printed: a table, ids only, JSON, or a template for each row.
//!
//! A command describes its rows by [`Row`] once; everything that `--format` and `-q` can do follows from that.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::rc::Rc;

use serde_json::Value as Json;

use crate::caller::Caller;
use crate::error::Result;
use crate::shape;
use crate::table;
use crate::template::value::{Map, Struct, StructField, Value};
use crate::template::{Template, escape};

/// A row of a list.
pub trait Row: Sized {
    /// What an error of a template calls it.
    const TYPE: &'static str;
    /// The field that `-q` prints.
    const ID: &'static str;
    /// The template of `--format raw`; empty where Docker has none.
    const RAW: &'static str = "";

    /// All fields that templates have.
    fn fields() -> Vec<Field<Self>>;

    /// What `.Label "key"` looks in.
    fn labels(&self) -> Option<&BTreeMap<String, String>> {
        None
    }
}

/// One field of a row.
pub struct Field<R> {
    /// What templates and JSON call it.
    pub name: &'static str,
    /// What stands above it in a table.
    pub heading: &'static str,
    /// Its text.
    pub cell: fn(&R) -> String,
}

/// A field, in one line.
pub const fn field<R>(name: &'static str, heading: &'static str, cell: fn(&R) -> String) -> Field<R> {
    Field { name, heading, cell }
}

/// What was asked for.
pub struct Style<'a> {
    /// `--format`.
    pub format: Option<&'a str>,
    /// `-q`.
    pub quiet: bool,
    /// The columns of the table, by field.
    pub columns: &'a [&'static str],
}

/// How rows are printed: what [`Style`] comes to. A template is parsed here, before anything is looked up.
pub struct Layout<'a> {
    kind: Kind,
    columns: &'a [&'static str],
}

enum Kind {
    Ids,
    Table,
    Json,
    Lines(Template),
    TemplateTable(Template),
}

impl<'a> Layout<'a> {
    /// Parses the format.
    pub fn new<R: Row>(style: &Style<'a>) -> Result<Self> {
        let kind = match style.format.unwrap_or("table") {
            "" | "table" if style.quiet => Kind::Ids,
            "" | "table" => Kind::Table,
            "json" => Kind::Json,
            "raw" if !R::RAW.is_empty() => Kind::Lines(Template::parse(R::RAW)?),
            text => match text.strip_prefix("table") {
                Some(rest) => Kind::TemplateTable(Template::parse(&unescaped(rest))?),
                None => Kind::Lines(Template::parse(&unescaped(text))?),
            },
        };
        Ok(Self { kind, columns: style.columns })
    }

    /// Whether only ids are printed.
    pub fn is_ids(&self) -> bool {
        matches!(self.kind, Kind::Ids)
    }

    /// Whether a field is printed, or may be.
    pub fn uses(&self, name: &str) -> bool {
        matches!(self.kind, Kind::Json) || self.columns_have(name) || self.names(name)
    }

    fn columns_have(&self, name: &str) -> bool {
        matches!(self.kind, Kind::Table) && self.columns.contains(&name)
    }

    /// Whether a template asks for a field: then it is worth some work that JSON as such isn't.
    pub fn names(&self, name: &str) -> bool {
        match &self.kind {
            Kind::Lines(template) | Kind::TemplateTable(template) => template.uses(name),
            Kind::Ids | Kind::Table | Kind::Json => false,
        }
    }

    /// Prints the rows.
    pub fn print<R: Row>(&self, rows: &[R], caller: &mut Caller) -> Result<u8> {
        let fields = R::fields();
        match &self.kind {
            Kind::Ids => {
                let id = column(&fields, R::ID);
                for row in rows {
                    writeln!(caller.out, "{}", (id.cell)(row))?;
                }
            }
            Kind::Table => {
                let columns: Vec<&Field<R>> = self.columns.iter().map(|name| column(&fields, name)).collect();
                let heading = columns.iter().map(|field| field.heading.to_owned()).collect();
                let cells = |row: &R| columns.iter().map(|f| table::one_line(&(f.cell)(row))).collect();
                let lines: Vec<_> = std::iter::once(heading).chain(rows.iter().map(cells)).collect();
                table::write(&lines, &mut caller.out)?;
            }
            Kind::Json => {
                for row in rows {
                    writeln!(caller.out, "{}", escape::json_for_html(&value(&fields, row, |_| true)))?;
                }
            }
            Kind::Lines(template) => {
                for row in rows {
                    writeln!(
                        caller.out,
                        "{}",
                        template.render(&value(&fields, row, |name| template.uses(name)))?
                    )?;
                }
            }
            Kind::TemplateTable(template) => {
                let mut text = template.heading(&headings(&fields));
                for row in rows {
                    text.push('\n');
                    text.push_str(&template.render(&value(&fields, row, |name| template.uses(name)))?);
                }
                table::write(&table::lines(&text), &mut caller.out)?;
            }
        }
        Ok(0)
    }
}

/// Prints a line for each object that is JSON already and has no table.
pub fn templated(format: &str, objects: &[Json], caller: &mut Caller) -> Result<u8> {
    let template = Template::parse(&if format == "json" { "{{json .}}".into() } else { unescaped(format) })?;
    for object in objects {
        writeln!(caller.out, "{}", template.render(&shape::any(object))?)?;
    }
    Ok(0)
}

/// In formats of lists, `\t` and `\n` stand for what they mean.
fn unescaped(format: &str) -> String {
    format.trim_matches(' ').replace("\\t", "\t").replace("\\n", "\n")
}

fn column<'f, R>(fields: &'f [Field<R>], name: &str) -> &'f Field<R> {
    fields.iter().find(|field| field.name == name).expect("columns and ids are among the fields of their row")
}

/// A row as templates see it, with the fields that are asked for. JSON has them by name, as all of Go's maps.
fn value<R: Row>(fields: &[Field<R>], row: &R, is_used: impl Fn(&str) -> bool) -> Value {
    let used = fields.iter().filter(|field| is_used(field.name));
    let mut fields: Vec<StructField> = used
        .map(|field| StructField {
            name: field.name,
            key: field.name,
            value: Value::text((field.cell)(row)),
            is_in_json: true,
        })
        .collect();
    fields.sort_by_key(|field| field.name);
    Value::Struct(Rc::new(Struct {
        type_name: R::TYPE,
        fields,
        rest: Vec::new(),
        is_row: true,
        labels: row.labels().cloned(),
    }))
}

fn headings<R: Row>(fields: &[Field<R>]) -> Value {
    let entries = fields.iter().map(|field| (field.name.to_owned(), Value::text(field.heading))).collect();
    Value::Map(Rc::new(Map {
        type_name: "formatter.SubHeaderContext",
        entries,
        zero: Value::text(""),
        is_nil: false,
        has_heading_of_label: true,
    }))
}

/// Labels as `KEY=value` between commas.
pub fn labels(labels: &BTreeMap<String, String>) -> String {
    let pairs: Vec<String> = labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    pairs.join(",")
}

#[cfg(test)]
pub mod testing {
    //! For the tests of commands.

    use super::*;
    use crate::global::Globals;

    /// What is printed.
    pub fn shown<R: Row>(rows: &[R], style: &Style<'_>) -> String {
        let mut caller = Caller::for_test(Globals::default());
        Layout::new::<R>(style).unwrap().print(rows, &mut caller).unwrap();
        caller.shown()
    }
}
