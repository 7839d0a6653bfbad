//! What a key may hold: its shape, and a value of it. Pure.

use corten_model::{Invalid, bytes};
use toml_edit::{Array, Item};

/// What values a key takes.
#[derive(Clone, Copy)]
pub enum Shape {
    /// Bytes: `"10m"`, or a whole number.
    Size {
        /// The least.
        min: u64,
        /// The most.
        max: u64,
    },
    /// A whole number.
    Number {
        /// The least.
        min: i64,
        /// The most.
        max: i64,
    },
    /// `true` or `false`.
    Flag,
    /// A text.
    Text {
        /// How people write it: `PATH`.
        form: &'static str,
        /// What is wrong with one.
        check: fn(&str) -> Result<(), Invalid>,
    },
    /// A list of texts.
    List {
        /// How people write one of them: `KEY=VALUE`.
        form: &'static str,
        /// What is wrong with one of them.
        check: fn(&str) -> Result<(), Invalid>,
    },
}

/// A value of some shape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Of [`Shape::Size`].
    Size(u64),
    /// Of [`Shape::Number`].
    Number(i64),
    /// Of [`Shape::Flag`].
    Flag(bool),
    /// Of [`Shape::Text`].
    Text(String),
    /// Of [`Shape::List`].
    List(Vec<String>),
}

impl Shape {
    /// What the file has, if it is of this shape; else why not.
    pub fn read(&self, item: &Item) -> Result<Value, String> {
        let other = || format!("it is {}, and {} is expected", found(item), self.expected());
        match self {
            Shape::Size { .. } => match (item.as_integer(), item.as_str()) {
                (Some(number), _) => self.in_range(Value::Size(number.try_into().map_err(|_| other())?)),
                (None, Some(text)) => self.parse(&[text.to_owned()]),
                (None, None) => Err(other()),
            },
            Shape::Number { .. } => self.in_range(Value::Number(item.as_integer().ok_or_else(other)?)),
            Shape::Flag => item.as_bool().map(Value::Flag).ok_or_else(other),
            Shape::Text { .. } => self.parse(&[item.as_str().ok_or_else(other)?.to_owned()]),
            Shape::List { .. } => {
                let array = item.as_array().ok_or_else(other)?;
                let text = |value: &toml_edit::Value| value.as_str().map(str::to_owned);
                self.parse(&array.iter().map(text).collect::<Option<Vec<_>>>().ok_or_else(other)?)
            }
        }
    }

    /// What was typed, if it is of this shape; else why not.
    pub fn parse(&self, words: &[String]) -> Result<Value, String> {
        if let Shape::List { check, .. } = self {
            words.iter().try_for_each(|word| check(word)).map_err(|invalid| invalid.to_string())?;
            return Ok(Value::List(words.to_vec()));
        }
        let [word] = words else { return Err(format!("one value is expected, not {}", words.len())) };
        let expected = || format!("`{word}` is given, and {} is expected", self.expected());
        match self {
            Shape::Size { .. } => {
                self.in_range(Value::Size(bytes::parse_size("size", word).map_err(|e| e.to_string())?))
            }
            Shape::Number { .. } => self.in_range(Value::Number(word.parse().map_err(|_| expected())?)),
            Shape::Flag => Ok(Value::Flag(word.parse().map_err(|_| expected())?)),
            Shape::Text { check, .. } | Shape::List { check, .. } => {
                check(word).map_err(|invalid| invalid.to_string())?;
                Ok(Value::Text(word.clone()))
            }
        }
    }

    fn in_range(&self, value: Value) -> Result<Value, String> {
        let within = match (self, &value) {
            (Shape::Size { min, max }, Value::Size(bytes)) => (min..=max).contains(&bytes),
            (Shape::Number { min, max }, Value::Number(number)) => (min..=max).contains(&number),
            _ => true,
        };
        if within {
            Ok(value)
        } else {
            Err(format!("{} is out of range: {}", value.plain(), self.expected()))
        }
    }

    /// What a value looks like, in words.
    pub fn expected(&self) -> String {
        match self {
            Shape::Size { min, max } => format!("a size from {} to {}", size(*min), size(*max)),
            Shape::Number { min, max } => format!("a number from {min} to {max}"),
            Shape::Flag => "true or false".into(),
            Shape::Text { form, .. } => format!("a text: {form}"),
            Shape::List { form, .. } => format!("a list of texts: {form}"),
        }
    }
}

/// What a TOML value is, with its article.
fn found(item: &Item) -> &'static str {
    match item.type_name() {
        "string" => "a text",
        "integer" => "a number",
        "float" => "a number with a fraction",
        "boolean" => "true or false",
        "datetime" => "a date",
        "array" => "a list of something else",
        _ => "a table",
    }
}

impl Value {
    /// The bytes of a size.
    pub fn size(&self) -> u64 {
        if let Value::Size(bytes) = self { *bytes } else { 0 }
    }

    /// The number.
    pub fn number(&self) -> i64 {
        if let Value::Number(number) = self { *number } else { 0 }
    }

    /// The flag.
    pub fn flag(&self) -> bool {
        *self == Value::Flag(true)
    }

    /// The text.
    pub fn text(self) -> String {
        if let Value::Text(text) = self { text } else { String::new() }
    }

    /// The list.
    pub fn list(self) -> Vec<String> {
        if let Value::List(list) = self { list } else { Vec::new() }
    }

    /// As a script reads it: without quotes, a list a line each.
    pub fn plain(&self) -> String {
        match self {
            Value::Size(bytes) => size(*bytes),
            Value::Number(number) => number.to_string(),
            Value::Flag(flag) => flag.to_string(),
            Value::Text(text) => text.clone(),
            Value::List(list) => list.join("\n"),
        }
    }

    /// As it stands in the file.
    pub fn toml(&self) -> toml_edit::Value {
        match self {
            Value::Size(bytes) => size(*bytes).into(),
            Value::Number(number) => (*number).into(),
            Value::Flag(flag) => (*flag).into(),
            Value::Text(text) => text.as_str().into(),
            Value::List(list) => toml_edit::Value::Array(list.iter().map(String::as_str).collect::<Array>()),
        }
    }

    /// As it stands in a JSON document.
    pub fn json(&self) -> serde_json::Value {
        match self {
            Value::Size(bytes) => (*bytes).into(),
            Value::Number(number) => (*number).into(),
            Value::Flag(flag) => (*flag).into(),
            Value::Text(text) => text.as_str().into(),
            Value::List(list) => list.clone().into(),
        }
    }
}

/// Bytes with the largest unit that says them exactly: `10m`.
fn size(bytes: u64) -> String {
    let units = [(50, "p"), (40, "t"), (30, "g"), (20, "m"), (10, "k")];
    let fits = units.iter().find(|(shift, _)| bytes > 0 && bytes.trailing_zeros() >= *shift);
    fits.map_or(bytes.to_string(), |(shift, unit)| format!("{}{unit}", bytes >> shift))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: Shape = Shape::Size { min: 4096, max: 1 << 40 };
    const NUMBER: Shape = Shape::Number { min: -1, max: 10 };

    fn read(shape: Shape, text: &str) -> Result<Value, String> {
        let document: toml_edit::DocumentMut = format!("k = {text}").parse().unwrap();
        shape.read(&document["k"])
    }

    #[test]
    fn values_of_each_shape() {
        let check =
            |shape, text: &str, expected: Value| assert_eq!(read(shape, text), Ok(expected), "{text}");
        check(SIZE, "\"10m\"", Value::Size(10 << 20));
        check(SIZE, "8192", Value::Size(8192));
        check(NUMBER, "-1", Value::Number(-1));
        check(Shape::Flag, "true", Value::Flag(true));
        let any = |_: &str| Ok(());
        check(Shape::Text { form: "PATH", check: any }, "'x'", Value::Text("x".into()));
        let list = Value::List(vec!["a".into(), "b".into()]);
        check(Shape::List { form: "KEY", check: any }, "['a', 'b']", list);
    }

    #[test]
    fn what_is_of_another_shape_is_said() {
        let check = |shape, text: &str, expected: &str| {
            assert_eq!(read(shape, text), Err(expected.to_owned()), "{text}");
        };
        check(SIZE, "true", "it is true or false, and a size from 4k to 1t is expected");
        check(SIZE, "1", "1 is out of range: a size from 4k to 1t");
        check(SIZE, "-1", "it is a number, and a size from 4k to 1t is expected");
        check(SIZE, "\"10x\"", "invalid size `10x`: unknown unit");
        check(NUMBER, "11", "11 is out of range: a number from -1 to 10");
        check(NUMBER, "\"1\"", "it is a text, and a number from -1 to 10 is expected");
        check(Shape::Flag, "1.5", "it is a number with a fraction, and true or false is expected");
        let list = Shape::List { form: "KEY", check: |_| Ok(()) };
        check(list, "[1]", "it is a list of something else, and a list of texts: KEY is expected");
        assert_eq!(NUMBER.parse(&[]), Err("one value is expected, not 0".into()));
        assert_eq!(
            Shape::Flag.parse(&["on".into()]),
            Err("`on` is given, and true or false is expected".into())
        );
    }

    #[test]
    fn sizes_are_written_with_the_largest_unit() {
        let check = |bytes, expected: &str| assert_eq!(size(bytes), expected);
        check(0, "0");
        check(1000, "1000");
        check(10 << 20, "10m");
        check((3 << 30) + (1 << 20), "3073m");
    }
}
