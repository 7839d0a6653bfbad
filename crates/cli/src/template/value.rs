//! What a template works on: values that know whether they are a struct or a map, as Go's do.
//!
//! A missing key of a map is nothing (`<no value>`), a missing field of a struct is an error; a null in a map and a
//! pointer that points nowhere print differently. [`super::shape`] makes these values of JSON.

use std::collections::BTreeMap;
use std::rc::Rc;

use serde::{Serialize, Serializer};

/// One value.
#[derive(Debug, Clone)]
pub enum Value {
    /// Nothing: what a missing key gives.
    Missing,
    /// A null whose type nobody knows.
    Null,
    /// A pointer of this type that points nowhere.
    NilPointer(&'static str),
    /// A boolean.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Any other number.
    Float(f64),
    /// A string.
    Text(Rc<str>),
    /// A list.
    List(Rc<List>),
    /// A map.
    Map(Rc<Map>),
    /// A struct.
    Struct(Rc<Struct>),
}

/// A list.
#[derive(Debug)]
pub struct List {
    /// Go's name of its type.
    pub type_name: &'static str,
    /// Its items.
    pub items: Vec<Value>,
    /// Whether it is JSON's null.
    pub is_nil: bool,
}

/// A map.
#[derive(Debug)]
pub struct Map {
    /// Go's name of its type.
    pub type_name: &'static str,
    /// Its entries.
    pub entries: BTreeMap<String, Value>,
    /// What `index` gives for a missing key.
    pub zero: Value,
    /// Whether it is JSON's null.
    pub is_nil: bool,
    /// Whether `.Label "a.b_c"` makes a heading, as in the first line of a table.
    pub has_heading_of_label: bool,
}

/// A struct.
#[derive(Debug)]
pub struct Struct {
    /// Go's name of its type.
    pub type_name: &'static str,
    /// Its fields, in order.
    pub fields: Vec<StructField>,
    /// What only JSON has of it.
    pub rest: Vec<(String, Value)>,
    /// Whether it is a line of a list.
    pub is_row: bool,
    /// What `.Label "key"` looks in; absent where the struct has no such method.
    pub labels: Option<BTreeMap<String, String>>,
}

/// A field of a struct.
#[derive(Debug)]
pub struct StructField {
    /// What templates call it.
    pub name: &'static str,
    /// What JSON calls it.
    pub key: &'static str,
    /// Its value.
    pub value: Value,
    /// Whether JSON has it: what is empty is often left out there.
    pub is_in_json: bool,
}

impl Value {
    /// A string.
    pub fn text(text: impl AsRef<str>) -> Self {
        Value::Text(Rc::from(text.as_ref()))
    }

    /// A list of strings.
    pub fn texts(texts: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        let items = texts.into_iter().map(Value::text).collect();
        Value::List(Rc::new(List { type_name: "[]string", items, is_nil: false }))
    }

    /// A map from strings to values of no known type.
    pub fn map(entries: BTreeMap<String, Value>) -> Self {
        let type_name = "map[string]interface {}";
        Value::Map(Rc::new(Map {
            type_name,
            entries,
            zero: Value::Null,
            is_nil: false,
            has_heading_of_label: false,
        }))
    }

    /// Go's name of the type.
    pub fn type_name(&self) -> &'static str {
        match self {
            Value::Missing | Value::Null => "interface {}",
            Value::NilPointer(name) => name,
            Value::Bool(_) => "bool",
            Value::Int(_) => "int",
            Value::Float(_) => "float64",
            Value::Text(_) => "string",
            Value::List(list) => list.type_name,
            Value::Map(map) => map.type_name,
            Value::Struct(fields) => fields.type_name,
        }
    }

    /// Whether `if` takes it for true: not zero, not empty.
    pub fn is_true(&self) -> bool {
        match self {
            Value::Missing | Value::Null | Value::NilPointer(_) => false,
            Value::Bool(on) => *on,
            Value::Int(number) => *number != 0,
            Value::Float(number) => *number != 0.0,
            Value::Text(text) => !text.is_empty(),
            Value::List(list) => !list.items.is_empty(),
            Value::Map(map) => !map.entries.is_empty(),
            Value::Struct(_) => true,
        }
    }

    /// Whether there is nothing.
    pub fn is_nil(&self) -> bool {
        match self {
            Value::Missing | Value::Null | Value::NilPointer(_) => true,
            Value::List(list) => list.is_nil,
            Value::Map(map) => map.is_nil,
            _ => false,
        }
    }

    /// A null that came out of a pipeline is nothing.
    pub fn settled(self) -> Self {
        if matches!(self, Value::Null) { Value::Missing } else { self }
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Value::Missing | Value::Null | Value::NilPointer(_) => serializer.serialize_unit(),
            Value::Bool(on) => serializer.serialize_bool(*on),
            Value::Int(number) => serializer.serialize_i64(*number),
            // JSON knows one kind of number: Go writes 1.0 as 1.
            Value::Float(number) if number.fract() == 0.0 && number.abs() < 1e21 => {
                serializer.serialize_i128(*number as i128)
            }
            Value::Float(number) => serializer.serialize_f64(*number),
            Value::Text(text) => serializer.serialize_str(text),
            Value::List(list) if list.is_nil => serializer.serialize_unit(),
            Value::List(list) => serializer.collect_seq(&list.items),
            Value::Map(map) if map.is_nil => serializer.serialize_unit(),
            Value::Map(map) => serializer.collect_map(&map.entries),
            Value::Struct(fields) => {
                let told = fields.fields.iter().filter(|field| field.is_in_json);
                let rest = fields.rest.iter().map(|(key, value)| (key.as_str(), value));
                serializer.collect_map(told.map(|field| (field.key, &field.value)).chain(rest))
            }
        }
    }
}

impl Map {
    /// The entry, or what stands for a missing one.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.entries.get(key)
    }
}

impl Struct {
    /// The field.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.fields.iter().find(|field| field.name == name).map(|field| &field.value)
    }
}
