//! How values print: Go's default format, and `printf` with its verbs (package fmt).

mod directive;
mod number;
mod value;

use directive::{Directive, Reader};
use value::Printer;

use super::exec::Budget;
use super::value::Value;

/// What `{{value}}` prints.
pub fn printed(value: &Value, budget: &mut Budget) -> Result<String, String> {
    if matches!(value, Value::Missing | Value::Null) {
        budget.spend("<no value>".len())?;
        return Ok("<no value>".into());
    }
    let mut printer = Printer::new(budget);
    printer.value(value, &Directive::plain(), 'v')?;
    Ok(printer.out)
}

/// `print`: a space between two operands when neither is a string.
pub fn print(values: &[Value], budget: &mut Budget) -> Result<String, String> {
    let mut printer = Printer::new(budget);
    let is_text = |value: &Value| matches!(value, Value::Text(_));
    for (index, value) in values.iter().enumerate() {
        if index > 0 && !is_text(value) && !is_text(&values[index - 1]) {
            printer.push(" ")?;
        }
        printer.value(value, &Directive::plain(), 'v')?;
    }
    Ok(printer.out)
}

/// `println`: a space between all operands, and a newline.
pub fn println(values: &[Value], budget: &mut Budget) -> Result<String, String> {
    let mut printer = Printer::new(budget);
    for (index, value) in values.iter().enumerate() {
        if index > 0 {
            printer.push(" ")?;
        }
        printer.value(value, &Directive::plain(), 'v')?;
    }
    printer.push("\n")?;
    Ok(printer.out)
}

/// `printf`.
pub fn printf(format: &str, values: &[Value], budget: &mut Budget) -> Result<String, String> {
    let mut printer = Printer::new(budget);
    let mut reader = Reader::new(values);
    let mut rest = format;
    while let Some(length) = rest.find('%') {
        printer.push(&rest[..length])?;
        rest = &rest[length + 1..];
        let (directive, verb, after) = reader.directive(rest);
        rest = after;
        for fault in &directive.faults {
            printer.push(fault)?;
        }
        let Some(verb) = verb else {
            printer.push("%!(NOVERB)")?;
            break;
        };
        match verb {
            '%' => printer.push("%")?,
            _ if !directive.index_is_good => printer.push(&format!("%!{verb}(BADINDEX)"))?,
            _ => match reader.next_value() {
                None => printer.push(&format!("%!{verb}(MISSING)"))?,
                Some(Value::Missing | Value::Null) if matches!(verb, 'v' | 'T') => {
                    printer.padded("<nil>", &directive)?;
                }
                Some(Value::Missing | Value::Null) => printer.push(&format!("%!{verb}(<nil>)"))?,
                Some(value) if verb == 'T' => printer.padded(value.type_name(), &directive)?,
                Some(value) => printer.value(value, &directive, verb)?,
            },
        }
    }
    printer.push(rest)?;
    extra(&reader, values, &mut printer)?;
    Ok(printer.out)
}

/// What is said of operands that no verb took.
fn extra(reader: &Reader<'_>, values: &[Value], printer: &mut Printer<'_>) -> Result<(), String> {
    let left = reader.left_over();
    if left == 0 {
        return Ok(());
    }
    printer.push("%!(EXTRA ")?;
    for (index, value) in values[values.len() - left..].iter().enumerate() {
        if index > 0 {
            printer.push(", ")?;
        }
        if !matches!(value, Value::Missing | Value::Null) {
            printer.push(value.type_name())?;
            printer.push("=")?;
        }
        printer.value(value, &Directive::plain(), 'v')?;
    }
    printer.push(")")
}
