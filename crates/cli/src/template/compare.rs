//! `eq`, `lt` and what is made of them: values of one kind only, as Go compares them.

use std::cmp::Ordering;

use super::functions::Wrong;
use super::value::Value;

/// Whether the first is equal to any other.
pub fn equals_any(given: &[Value]) -> Result<bool, Wrong> {
    let (first, others) = (&given[0], &given[1..]);
    if others.is_empty() {
        return Err("missing argument for comparison".into());
    }
    for other in others {
        if equals(first, other)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn equals(one: &Value, other: &Value) -> Result<bool, Wrong> {
    match (one, other) {
        (Value::Bool(one), Value::Bool(other)) => Ok(one == other),
        (Value::Int(one), Value::Int(other)) => Ok(one == other),
        (Value::Float(one), Value::Float(other)) => Ok(one == other),
        (Value::Text(one), Value::Text(other)) => Ok(one == other),
        _ if is_nothing(one) || is_nothing(other) => Ok(one.is_nil() && other.is_nil()),
        (Value::List(_) | Value::Map(_) | Value::Struct(_), _) if one.type_name() == other.type_name() => {
            Err(format!("values of type {} can't be compared", one.type_name()).into())
        }
        _ => Err(incompatible(one, other)),
    }
}

/// Nothing can be compared with anything.
fn is_nothing(value: &Value) -> bool {
    matches!(value, Value::Missing | Value::Null | Value::NilPointer(_))
}

/// Whether the first of two is less than the second.
pub fn is_less(given: &[Value]) -> Result<bool, Wrong> {
    let [one, other] = given else { return Err("missing argument for comparison".into()) };
    let order = match (one, other) {
        (Value::Int(one), Value::Int(other)) => one.cmp(other),
        (Value::Float(one), Value::Float(other)) => one.partial_cmp(other).unwrap_or(Ordering::Greater),
        (Value::Text(one), Value::Text(other)) => one.cmp(other),
        (
            Value::Int(_) | Value::Float(_) | Value::Text(_) | Value::Bool(_),
            Value::Int(_) | Value::Float(_) | Value::Text(_) | Value::Bool(_),
        ) if one.type_name() != other.type_name() => {
            return Err(incompatible(one, other));
        }
        _ => return Err("invalid type for comparison".into()),
    };
    Ok(order == Ordering::Less)
}

fn incompatible(one: &Value, other: &Value) -> Wrong {
    format!("incompatible types for comparison: {} and {}", one.type_name(), other.type_name()).into()
}
