//! One value for one verb; lists, maps and structs print what they hold with the same verb.

use super::directive::Directive;
use super::number;
use crate::template::escape;
use crate::template::exec::Budget;
use crate::template::value::{StructField, Value};

/// Collects text and pays for it.
pub struct Printer<'b> {
    /// What was printed.
    pub out: String,
    budget: &'b mut Budget,
}

impl<'b> Printer<'b> {
    /// Nothing printed yet.
    pub fn new(budget: &'b mut Budget) -> Self {
        Self { out: String::new(), budget }
    }

    /// Prints a text as it is.
    pub fn push(&mut self, text: &str) -> Result<(), String> {
        self.budget.spend(text.len())?;
        self.out.push_str(text);
        Ok(())
    }

    /// Prints a text at the directive's width.
    pub fn padded(&mut self, text: &str, directive: &Directive) -> Result<(), String> {
        let missing = directive.width.unwrap_or(0).saturating_sub(text.chars().count());
        self.budget.spend(missing)?;
        if directive.minus {
            self.push(text)?;
        }
        let filler = if directive.zero && !directive.minus { "0" } else { " " };
        self.out.push_str(&filler.repeat(missing));
        if directive.minus { Ok(()) } else { self.push(text) }
    }

    /// Prints a value.
    pub fn value(&mut self, value: &Value, directive: &Directive, verb: char) -> Result<(), String> {
        self.budget.spend(1)?;
        let in_syntax = verb == 'v' && directive.sharp;
        match value {
            Value::Missing | Value::Null if in_syntax => self.push("interface {}(nil)"),
            Value::Missing | Value::Null => self.padded("<nil>", directive),
            Value::NilPointer(name) if in_syntax => self.push(&format!("({name})(nil)")),
            Value::NilPointer(_) if verb == 'v' => self.padded("<nil>", directive),
            Value::NilPointer(name) => self.push(&format!("%!{verb}({name}=<nil>)")),
            Value::Bool(on) if matches!(verb, 't' | 'v') => self.padded(&on.to_string(), directive),
            Value::Bool(_) => self.bad(value, verb),
            Value::Int(number) => self.integer(*number, value, directive, verb),
            Value::Float(number) => self.float(*number, value, directive, verb),
            Value::Text(text) => self.text(text, value, directive, verb),
            Value::List(list) if in_syntax && list.is_nil => self.push(&format!("{}(nil)", list.type_name)),
            Value::List(list) => {
                let open = if in_syntax { format!("{}{{", list.type_name) } else { "[".to_owned() };
                let items = list.items.iter().map(|item| (None, item));
                self.several(&open, items, if in_syntax { "}" } else { "]" }, directive, verb)
            }
            Value::Map(map) if in_syntax && map.is_nil => self.push(&format!("{}(nil)", map.type_name)),
            Value::Map(map) => {
                let keys: Vec<Value> = map.entries.keys().map(Value::text).collect();
                let entries = keys.iter().map(Some).zip(map.entries.values());
                let open = if in_syntax { format!("{}{{", map.type_name) } else { "map[".to_owned() };
                self.several(&open, entries, if in_syntax { "}" } else { "]" }, directive, verb)
            }
            Value::Struct(fields) => self.fields(&fields.fields, fields.type_name, directive, verb),
        }
    }

    fn several<'v>(
        &mut self,
        open: &str,
        entries: impl Iterator<Item = (Option<&'v Value>, &'v Value)>,
        close: &str,
        directive: &Directive,
        verb: char,
    ) -> Result<(), String> {
        let in_syntax = verb == 'v' && directive.sharp;
        self.push(open)?;
        for (index, (key, value)) in entries.enumerate() {
            if index > 0 {
                self.push(if in_syntax { ", " } else { " " })?;
            }
            if let Some(key) = key {
                self.value(key, directive, verb)?;
                self.push(":")?;
            }
            self.value(value, directive, verb)?;
        }
        self.push(close)
    }

    fn fields(
        &mut self,
        fields: &[StructField],
        type_name: &str,
        directive: &Directive,
        verb: char,
    ) -> Result<(), String> {
        let in_syntax = verb == 'v' && directive.sharp;
        let named = in_syntax || verb == 'v' && directive.plus;
        if in_syntax {
            self.push(type_name.trim_start_matches('*'))?;
        }
        self.push("{")?;
        for (index, field) in fields.iter().enumerate() {
            if index > 0 {
                self.push(if in_syntax { ", " } else { " " })?;
            }
            if named {
                self.push(field.name)?;
                self.push(":")?;
            }
            self.value(&field.value, directive, verb)?;
        }
        self.push("}")
    }

    /// What is said of a verb that this kind of value doesn't have.
    fn bad(&mut self, value: &Value, verb: char) -> Result<(), String> {
        self.push(&format!("%!{verb}({}=", value.type_name()))?;
        self.value(value, &Directive::plain(), 'v')?;
        self.push(")")
    }

    fn integer(
        &mut self,
        number: i64,
        value: &Value,
        directive: &Directive,
        verb: char,
    ) -> Result<(), String> {
        let letter = || u32::try_from(number).ok().and_then(char::from_u32).unwrap_or('\u{fffd}');
        match verb {
            'v' | 'd' | 'b' | 'o' | 'O' | 'x' | 'X' => {
                let verb = if verb == 'v' { 'd' } else { verb };
                let directive = &Directive { sharp: directive.sharp && verb != 'd', ..directive.clone() };
                let plus = directive.plus;
                self.digits(
                    &number::integer(number, &Directive { plus, ..directive.clone() }, verb),
                    directive,
                )
            }
            'c' => self.padded(&letter().to_string(), directive),
            'q' => self.padded(&escape::quoted_letter(letter(), directive.plus), directive),
            'U' => {
                let code = format!("U+{number:04X}");
                let text = if directive.sharp { format!("{code} '{}'", letter()) } else { code };
                self.padded(&text, directive)
            }
            _ => self.bad(value, verb),
        }
    }

    fn float(&mut self, number: f64, value: &Value, directive: &Directive, verb: char) -> Result<(), String> {
        match verb {
            'v' | 'e' | 'E' | 'f' | 'F' | 'g' | 'G' => {
                // Digits are made before they are paid for: the most that a number can have.
                self.budget.spend(directive.precision.unwrap_or(0))?;
                let verb = if verb == 'v' { 'g' } else { verb };
                self.digits(&number::float(number, directive, verb), directive)
            }
            _ => self.bad(value, verb),
        }
    }

    /// A number's text: zeros are inside already.
    fn digits(&mut self, text: &str, directive: &Directive) -> Result<(), String> {
        self.padded(text, &Directive { zero: false, ..directive.clone() })
    }

    fn text(&mut self, text: &str, value: &Value, directive: &Directive, verb: char) -> Result<(), String> {
        let cut = |text: &str| -> String {
            directive.precision.map_or(text.to_owned(), |most| text.chars().take(most).collect())
        };
        match verb {
            'v' if directive.sharp => self.padded(&escape::quoted(text, false), directive),
            's' | 'v' => self.padded(&cut(text), directive),
            'q' => {
                let cut = cut(text);
                let raw = directive.sharp && !cut.contains(['`', '\u{feff}', '\u{7f}']);
                let raw = raw && !cut.chars().any(|c| c.is_control() && c != '\t');
                let text = if raw { format!("`{cut}`") } else { escape::quoted(&cut, directive.plus) };
                self.padded(&text, directive)
            }
            'x' | 'X' => {
                let most = directive.precision.unwrap_or(usize::MAX);
                self.budget.spend(text.len().saturating_mul(4))?;
                let hex = hex(text.as_bytes().get(..most).unwrap_or(text.as_bytes()), directive, verb);
                self.padded(&hex, directive)
            }
            _ => self.bad(value, verb),
        }
    }
}

/// Bytes as hex digits; with a space flag apart, with a sharp flag behind `0x`.
fn hex(bytes: &[u8], directive: &Directive, verb: char) -> String {
    let prefix = match (directive.sharp, verb) {
        (false, _) => "",
        (true, 'x') => "0x",
        (true, _) => "0X",
    };
    let mut out = String::new();
    for (index, byte) in bytes.iter().enumerate() {
        if directive.space && index > 0 {
            out.push(' ');
        }
        if index == 0 || directive.space {
            out.push_str(prefix);
        }
        out.push_str(&if verb == 'x' { format!("{byte:02x}") } else { format!("{byte:02X}") });
    }
    out
}
