//! What Docker's API calls a struct, a map or a list: with it JSON becomes values for templates, and is printed in
//! the order of Docker's fields.
//!
//! JSON alone doesn't say whether an object is a struct or a map, what a missing field would be, or in which order its
//! fields stand. What has no shape is taken as it comes.

mod container;
mod image;
mod version;
mod volume;

use std::rc::Rc;

use serde_json::Value as Json;

pub use container::CONTAINER;
pub use image::IMAGE;
pub use version::VERSION;
pub use volume::VOLUME;

use crate::template::value::{List, Map, Struct, StructField, Value};

/// What a piece of JSON is.
#[derive(Debug, Clone, Copy)]
pub enum Shape {
    /// Whatever it is.
    Any,
    /// A boolean.
    Bool,
    /// A whole number.
    Int,
    /// A string.
    Text,
    /// A list: Go's name of its type, and its items.
    List(&'static str, &'static Shape),
    /// A map from strings: Go's name of its type, and its values.
    Map(&'static str, &'static Shape),
    /// A struct: Go's name of its type, and its fields in order.
    Struct(&'static str, &'static [Member]),
    /// Something or null: Go's name of the pointer, and what it points to.
    Pointer(&'static str, &'static Shape),
}

/// A field of a struct.
#[derive(Debug, Clone, Copy)]
pub struct Member {
    /// What templates call it.
    pub name: &'static str,
    /// What JSON calls it.
    pub key: &'static str,
    /// What it is.
    pub shape: Shape,
}

/// A field that templates and JSON call the same.
pub const fn member(name: &'static str, shape: Shape) -> Member {
    Member { name, key: name, shape }
}

/// A field that templates call by another name than JSON.
pub const fn renamed(name: &'static str, key: &'static str, shape: Shape) -> Member {
    Member { name, key, shape }
}

/// A list of strings.
pub const TEXTS: Shape = Shape::List("[]string", &Shape::Text);
/// A map from strings to strings.
pub const TEXT_MAP: Shape = Shape::Map("map[string]string", &Shape::Text);

/// A set, as Go writes one: a map to empty structs.
const EMPTY_MAP: Shape = Shape::Map("map[string]struct {}", &Shape::Struct("struct {}", &[]));
/// What a health check runs.
const HEALTHCHECK: Shape = Shape::Struct(
    "*container.HealthConfig",
    &[
        member("Test", TEXTS),
        member("Interval", Shape::Int),
        member("Timeout", Shape::Int),
        member("StartPeriod", Shape::Int),
        member("StartInterval", Shape::Int),
        member("Retries", Shape::Int),
    ],
);
/// How the files of a container or an image are kept.
const GRAPH_DRIVER: Shape =
    Shape::Struct("storage.DriverData", &[member("Data", TEXT_MAP), member("Name", Shape::Text)]);

/// JSON as templates see it.
pub fn value(shape: Shape, json: Option<&Json>) -> Value {
    let json = json.filter(|json| !json.is_null());
    match shape {
        Shape::Any => json.map_or(Value::Null, any),
        Shape::Bool => Value::Bool(json.and_then(Json::as_bool).unwrap_or_default()),
        Shape::Int => json.map_or(Value::Int(0), any),
        Shape::Text => Value::text(json.and_then(Json::as_str).unwrap_or_default()),
        Shape::List(type_name, item) => {
            let items = json.and_then(Json::as_array);
            let is_nil = items.is_none();
            let items = items.into_iter().flatten().map(|json| value(*item, Some(json))).collect();
            Value::List(Rc::new(List { type_name, items, is_nil }))
        }
        Shape::Map(type_name, item) => {
            let entries = json.and_then(Json::as_object);
            let is_nil = entries.is_none();
            let entries = entries.into_iter().flatten();
            Value::Map(Rc::new(Map {
                type_name,
                entries: entries.map(|(key, json)| (key.clone(), value(*item, Some(json)))).collect(),
                zero: value(*item, None),
                is_nil,
                has_heading_of_label: false,
            }))
        }
        Shape::Struct(type_name, members) => {
            let empty = serde_json::Map::new();
            let entries = json.and_then(Json::as_object).unwrap_or(&empty);
            let field = |member: &Member| StructField {
                name: member.name,
                key: member.key,
                value: value(member.shape, entries.get(member.key)),
                is_in_json: entries.contains_key(member.key),
            };
            let is_known = |key: &str| members.iter().any(|member| member.key == key);
            let rest = entries.iter().filter(|(key, _)| !is_known(key));
            Value::Struct(Rc::new(Struct {
                type_name,
                fields: members.iter().map(field).collect(),
                rest: rest.map(|(key, json)| (key.clone(), any(json))).collect(),
                is_row: false,
                labels: None,
            }))
        }
        Shape::Pointer(type_name, _) if json.is_none() => Value::NilPointer(type_name),
        Shape::Pointer(_, inner) => value(*inner, json),
    }
}

/// JSON of no known shape: objects are maps.
pub fn any(json: &Json) -> Value {
    match json {
        Json::Null => Value::Null,
        Json::Bool(on) => Value::Bool(*on),
        Json::Number(number) => match number.as_i64() {
            Some(whole) => Value::Int(whole),
            None => Value::Float(number.as_f64().unwrap_or(f64::NAN)),
        },
        Json::String(text) => Value::text(text),
        Json::Array(items) => {
            let items = items.iter().map(any).collect();
            Value::List(Rc::new(List { type_name: "[]interface {}", items, is_nil: false }))
        }
        Json::Object(entries) => {
            Value::map(entries.iter().map(|(key, json)| (key.clone(), any(json))).collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::template::Template;
    use serde_json::json;

    const INNER: Shape = Shape::Struct("api.Inner", &[member("B", Shape::Text), member("A", Shape::Int)]);
    const OUTER: Shape = Shape::Struct(
        "*api.Outer",
        &[
            renamed("ID", "Id", Shape::Text),
            member("Labels", TEXT_MAP),
            member("Inner", INNER),
            member("Maybe", Shape::Pointer("*api.Inner", &INNER)),
            member("Cmd", TEXTS),
            member("Limit", Shape::Pointer("*int64", &Shape::Int)),
        ],
    );

    #[test]
    fn structs_maps_and_what_is_missing() {
        let json = json!({"Id": "x", "Labels": {"a.b": "c"}, "Inner": {"A": 3}, "Extra": 1, "Limit": 0});
        let typed = value(OUTER, Some(&json));
        let check = |template: &str, expected: &str| {
            let rendered = Template::parse(template).unwrap().render(&typed);
            assert_eq!(rendered.unwrap_or_else(|error| error.why), expected, "{template}");
        };
        check("{{.ID}} {{.Inner}} {{.Cmd}} {{.Limit}}", "x { 3} [] 0");
        check(
            "{{.Labels}} {{index .Labels \"a.b\"}} [{{index .Labels \"z\"}}] {{.Labels.z}}",
            "map[a.b:c] c [] <no value>",
        );
        check("{{.Maybe}} {{json .Maybe}} {{json .Cmd}}", "<nil> null null");
        check("{{.Maybe.B}}", "nil pointer evaluating *api.Inner.B");
        check("{{.Extra}}", "can't evaluate field Extra in type *api.Outer");
        check("{{json .Inner}}", "{\"A\":3}");
    }

    #[test]
    fn printed_in_the_order_of_the_fields() {
        let json = json!({"Zed": 1, "Inner": {"A": 3, "B": "b"}, "Id": "x", "Cmd": null});
        let text = serde_json::to_string(&value(OUTER, Some(&json))).unwrap();
        assert_eq!(text, r#"{"Id":"x","Inner":{"B":"b","A":3},"Cmd":null,"Zed":1}"#);
    }
}
