//! The functions that every template has: Go's own and Docker's.

use super::compare;
use super::escape;
use super::exec::Budget;
use super::print;
use super::value::{List, Value};
use std::rc::Rc;

/// One function.
pub struct Function {
    /// What it is called.
    pub name: &'static str,
    /// How many arguments it takes.
    pub arity: Arity,
    /// Does it.
    pub call: fn(&[Value], &mut Budget) -> Outcome,
}

/// How many arguments a function takes.
#[derive(Debug, Clone, Copy)]
pub enum Arity {
    /// So many.
    Exactly(usize),
    /// So many or more.
    AtLeast(usize),
    /// One or more, and those after the first that is (or isn't) true are not looked at.
    ShortCircuit {
        /// What ends it.
        stops_at: bool,
    },
}

/// What a function gives.
pub type Outcome = Result<Value, Wrong>;

/// Why a function gives nothing.
#[derive(Debug, PartialEq, Eq)]
pub enum Wrong {
    /// An argument is of the wrong kind.
    Argument(String),
    /// The function can't do it.
    Call(String),
}

impl From<String> for Wrong {
    fn from(why: String) -> Self {
        Wrong::Call(why)
    }
}

impl From<&str> for Wrong {
    fn from(why: &str) -> Self {
        Wrong::Call(why.to_owned())
    }
}

use Arity::{AtLeast, Exactly, ShortCircuit};

const fn function(name: &'static str, arity: Arity, call: fn(&[Value], &mut Budget) -> Outcome) -> Function {
    Function { name, arity, call }
}

/// All of them.
static FUNCTIONS: &[Function] = &[
    function("and", ShortCircuit { stops_at: false }, last),
    function("call", AtLeast(1), call),
    function("eq", AtLeast(1), |given, _| compare::equals_any(given).map(Value::Bool)),
    function("ge", Exactly(2), |given, _| Ok(Value::Bool(!compare::is_less(given)?))),
    function("gt", Exactly(2), |given, _| {
        Ok(Value::Bool(!compare::is_less(given)? && !compare::equals_any(given)?))
    }),
    function("html", AtLeast(0), |given, budget| text_of(given, budget, escape::html)),
    function("index", AtLeast(1), index),
    function("join", Exactly(2), join),
    function("js", AtLeast(0), |given, budget| text_of(given, budget, escape::js)),
    function("json", Exactly(1), |given, budget| spent(json(&given[0]), budget)),
    function("le", Exactly(2), |given, _| {
        Ok(Value::Bool(compare::is_less(given)? || compare::equals_any(given)?))
    }),
    function("len", Exactly(1), len),
    function("lower", Exactly(1), |given, budget| spent(text(&given[0])?.to_lowercase(), budget)),
    function("lt", Exactly(2), |given, _| compare::is_less(given).map(Value::Bool)),
    function("ne", Exactly(2), |given, _| Ok(Value::Bool(!compare::equals_any(given)?))),
    function("not", Exactly(1), |given, _| Ok(Value::Bool(!given[0].is_true()))),
    function("or", ShortCircuit { stops_at: true }, last),
    function("pad", Exactly(3), pad),
    function("print", AtLeast(0), |given, budget| Ok(Value::text(print::print(given, budget)?))),
    function("printf", AtLeast(1), |given, budget| {
        Ok(Value::text(print::printf(text(&given[0])?, &given[1..], budget)?))
    }),
    function("println", AtLeast(0), |given, budget| Ok(Value::text(print::println(given, budget)?))),
    function("slice", AtLeast(1), slice),
    function("split", Exactly(2), split),
    function("title", Exactly(1), |given, budget| spent(title(text(&given[0])?), budget)),
    function("truncate", Exactly(2), truncate),
    function("upper", Exactly(1), |given, budget| spent(text(&given[0])?.to_uppercase(), budget)),
    function("urlquery", AtLeast(0), |given, budget| text_of(given, budget, escape::url_query)),
];

/// The function of this name.
pub fn find(name: &str) -> Option<&'static Function> {
    FUNCTIONS.iter().find(|function| function.name == name)
}

/// Text that was made is paid for.
fn spent(text: String, budget: &mut Budget) -> Outcome {
    budget.spend(text.len())?;
    Ok(Value::text(text))
}

fn text(value: &Value) -> Result<&str, Wrong> {
    match value {
        Value::Text(text) => Ok(text),
        other => Err(wrong_kind(other, "string")),
    }
}

fn int(value: &Value) -> Result<i64, Wrong> {
    match value {
        Value::Int(number) => Ok(*number),
        other => Err(wrong_kind(other, "int")),
    }
}

fn wrong_kind(value: &Value, expected: &str) -> Wrong {
    Wrong::Argument(match value {
        Value::Missing | Value::Null => format!("invalid value; expected {expected}"),
        other => format!("wrong type for value; expected {expected}; got {}", other.type_name()),
    })
}

fn last(given: &[Value], _: &mut Budget) -> Outcome {
    Ok(given.last().cloned().unwrap_or(Value::Missing))
}

fn call(given: &[Value], _: &mut Budget) -> Outcome {
    Err(match &given[0] {
        Value::Missing | Value::Null => "call of nil".into(),
        other => format!("non-function of type {}", other.type_name()).into(),
    })
}

/// The arguments as one text, escaped.
fn text_of(given: &[Value], budget: &mut Budget, escape: fn(&str) -> String) -> Outcome {
    let text = print::print(given, budget)?;
    spent(escape(&text), budget)
}

fn json(value: &Value) -> String {
    match value {
        // A row writes its own JSON, the rest is written by the function: only the second leaves HTML's letters alone.
        Value::Struct(fields) if fields.is_row => escape::json_for_html(value),
        _ => escape::json(value),
    }
}

fn index(given: &[Value], _: &mut Budget) -> Outcome {
    let mut value = given[0].clone();
    if value.is_nil() && !matches!(value, Value::List(_) | Value::Map(_)) {
        return Err("index of untyped nil".into());
    }
    for key in &given[1..] {
        value = match (&value, key) {
            (Value::List(list), Value::Int(index)) => {
                let item = usize::try_from(*index).ok().and_then(|index| list.items.get(index));
                item.cloned().ok_or_else(|| format!("index out of range: {index}"))?
            }
            (Value::Text(text), Value::Int(index)) => {
                let byte = usize::try_from(*index).ok().and_then(|index| text.as_bytes().get(index));
                let byte = byte.ok_or_else(|| format!("index out of range: {index}"))?;
                Value::Int(i64::from(*byte))
            }
            (Value::Map(map), Value::Text(key)) => map.get(key).unwrap_or(&map.zero).clone(),
            (Value::List(_) | Value::Text(_), Value::Missing | Value::Null) => {
                return Err("cannot index slice/array with nil".into());
            }
            (Value::List(_) | Value::Text(_), key) => {
                return Err(format!("cannot index slice/array with type {}", key.type_name()).into());
            }
            (Value::Map(_), key) => {
                return Err(format!("value has type {}; should be string", key.type_name()).into());
            }
            (Value::Missing | Value::Null | Value::NilPointer(_), _) => {
                return Err("index of nil pointer".into());
            }
            (value, _) => return Err(format!("can't index item of type {}", value.type_name()).into()),
        };
    }
    Ok(value)
}

fn slice(given: &[Value], budget: &mut Budget) -> Outcome {
    let (value, bounds) = (&given[0], &given[1..]);
    let (length, most) = match value {
        Value::Text(text) => (text.len(), 2),
        Value::List(list) => (list.items.len(), 3),
        Value::Missing | Value::Null => return Err("slice of untyped nil".into()),
        other => return Err(format!("can't slice item of type {}", other.type_name()).into()),
    };
    if bounds.len() > 3 {
        return Err(format!("too many slice indexes: {}", bounds.len()).into());
    }
    if bounds.len() > most {
        return Err("cannot 3-index slice a string".into());
    }
    let mut places = Vec::new();
    for bound in bounds {
        let Value::Int(place) = bound else {
            return Err(format!("cannot index slice/array with type {}", bound.type_name()).into());
        };
        let in_range = usize::try_from(*place).ok().filter(|place| *place <= length);
        places.push(in_range.ok_or_else(|| format!("index out of range: {place}"))?);
    }
    let start = places.first().copied().unwrap_or(0);
    let end = places.get(1).copied().unwrap_or(length);
    if start > end || places.get(2).is_some_and(|cap| end > *cap) {
        return Err(format!("invalid slice index: {start} > {end}").into());
    }
    Ok(match value {
        Value::Text(text) => return spent(whole_letters(text, start, end).to_owned(), budget),
        Value::List(list) => {
            budget.spend(end - start)?;
            let items = list.items[start..end].to_vec();
            Value::List(Rc::new(List { type_name: list.type_name, items, is_nil: false }))
        }
        other => other.clone(),
    })
}

/// The letters that lie wholly between two bytes: what Go would cut in two is left out.
fn whole_letters(text: &str, mut start: usize, mut end: usize) -> &str {
    while !text.is_char_boundary(start) {
        start += 1;
    }
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(start..end).unwrap_or("")
}

fn len(given: &[Value], _: &mut Budget) -> Outcome {
    let length = match &given[0] {
        Value::Text(text) => text.len(),
        Value::List(list) => list.items.len(),
        Value::Map(map) => map.entries.len(),
        Value::Missing | Value::Null | Value::NilPointer(_) => return Err("len of nil pointer".into()),
        other => return Err(format!("len of type {}", other.type_name()).into()),
    };
    Ok(Value::Int(length as i64))
}

fn split(given: &[Value], budget: &mut Budget) -> Outcome {
    let (whole, separator) = (text(&given[0])?, text(&given[1])?);
    // Each part costs more than its letters.
    budget.spend(whole.len().saturating_mul(4))?;
    Ok(match separator {
        "" => Value::texts(whole.chars().map(String::from)),
        _ => Value::texts(whole.split(separator)),
    })
}

fn join(given: &[Value], budget: &mut Budget) -> Outcome {
    let separator = text(&given[1])?;
    let Value::List(list) = &given[0] else {
        return Err(wrong_kind(&given[0], "[]string"));
    };
    let mut joined = String::new();
    for (index, item) in list.items.iter().enumerate() {
        let Value::Text(item) = item else {
            return Err(wrong_kind(&given[0], "[]string"));
        };
        budget.spend(item.len() + separator.len())?;
        if index > 0 {
            joined.push_str(separator);
        }
        joined.push_str(item);
    }
    Ok(Value::text(joined))
}

fn pad(given: &[Value], budget: &mut Budget) -> Outcome {
    let source = text(&given[0])?;
    let blanks = |value: &Value| match int(value)? {
        0.. if source.is_empty() => Ok(0),
        count @ 0.. => Ok(usize::try_from(count).unwrap_or(usize::MAX)),
        _ => Err(Wrong::from("strings: negative Repeat count")),
    };
    let (before, after) = (blanks(&given[1])?, blanks(&given[2])?);
    budget.spend(before)?;
    budget.spend(after)?;
    spent(format!("{}{source}{}", " ".repeat(before), " ".repeat(after)), budget)
}

fn truncate(given: &[Value], budget: &mut Budget) -> Outcome {
    let (source, length) = (text(&given[0])?, int(&given[1])?);
    let length = usize::try_from(length).map_err(|_| format!("the length {length} is negative"))?;
    spent(whole_letters(source, 0, length.min(source.len())).to_owned(), budget)
}

/// The first letter of each word as a capital; letters, digits and underscores make words.
fn title(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut in_word = false;
    for letter in text.chars() {
        if in_word {
            out.push(letter);
        } else {
            out.extend(letter.to_uppercase());
        }
        let separates = if letter.is_ascii() {
            !letter.is_ascii_alphanumeric() && letter != '_'
        } else {
            letter.is_whitespace()
        };
        in_word = !separates;
    }
    out
}
