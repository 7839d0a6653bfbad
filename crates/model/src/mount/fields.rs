//! What the flags have in common: fields between commas, each known and each once.

use crate::suggest::nearest;

/// Splits `a,"b,c",d` as Docker does: a field that begins with a quote ends with the next single one, `""` in it is one.
pub(super) fn split(text: &str) -> Result<Vec<String>, String> {
    let mut fields = Vec::new();
    let mut rest = text;
    loop {
        let (field, tail) = match rest.strip_prefix('"') {
            Some(quoted) => quoted_field(quoted)?,
            None => {
                let end = rest.find(',').unwrap_or(rest.len());
                if rest[..end].contains('"') {
                    return Err("a quote stands inside of a field that doesn't begin with one".into());
                }
                (rest[..end].to_owned(), &rest[end..])
            }
        };
        fields.push(field);
        match tail.strip_prefix(',') {
            Some(next) => rest = next,
            None if tail.is_empty() => return Ok(fields),
            None => return Err("something stands between a closing quote and the comma".into()),
        }
    }
}

fn quoted_field(quoted: &str) -> Result<(String, &str), String> {
    let mut field = String::new();
    let mut rest = quoted;
    loop {
        let end = rest.find('"').ok_or("a quote isn't closed")?;
        field.push_str(&rest[..end]);
        rest = &rest[end + 1..];
        match rest.strip_prefix('"') {
            Some(more) => {
                field.push('"');
                rest = more;
            }
            None => return Ok((field, rest)),
        }
    }
}

/// Puts a value that may be given once.
pub(super) fn once<T>(slot: &mut Option<T>, key: &str, value: T) -> Result<(), String> {
    if slot.replace(value).is_some() { Err(format!("`{key}` is given twice")) } else { Ok(()) }
}

/// A switch: alone, or with the words that Go takes for truth.
pub(super) fn switch(key: &str, value: Option<&str>) -> Result<bool, String> {
    match value {
        None | Some("true" | "1" | "t" | "T" | "TRUE" | "True") => Ok(true),
        Some("false" | "0" | "f" | "F" | "FALSE" | "False") => Ok(false),
        Some(other) => Err(format!("`{key}` is true or false, not `{other}`")),
    }
}

/// That a word isn't known, and which one may have been meant.
pub(super) fn unknown<'a>(what: &str, typed: &str, known: impl Iterator<Item = &'a str>) -> String {
    match nearest(typed, known) {
        Some(near) => format!("unknown {what} `{typed}`: did you mean `{near}`?"),
        None => format!("unknown {what} `{typed}`"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_with_and_without_quotes() {
        let check = |text: &str, expected: Option<&[&str]>| {
            let fields = split(text).ok();
            let fields = fields.as_ref().map(|f| f.iter().map(String::as_str).collect::<Vec<_>>());
            assert_eq!(fields.as_deref(), expected, "{text}");
        };
        check("a,b=c,,d", Some(&["a", "b=c", "", "d"]));
        check(r#"type=bind,"source=/a,b","x=""y""",z"#, Some(&["type=bind", "source=/a,b", "x=\"y\"", "z"]));
        check(r#""a""#, Some(&["a"]));
        for bad in [r#"a"b,c"#, r#""a"#, r#""a"b,c"#] {
            check(bad, None);
        }
    }
}
