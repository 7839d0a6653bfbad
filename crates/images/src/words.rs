//! Words of a Dockerfile instruction: quotes, escapes and `$VARIABLE`.

/// Splits at blanks outside of quotes; each word keeps its quotes for [`expand`]. `None`: a quote is not closed.
pub(crate) fn split(text: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut quote = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (None | Some('"'), '\\') => {
                word.push(c);
                word.extend(chars.next());
            }
            (None, '\'' | '"') => {
                quote = Some(c);
                word.push(c);
            }
            (Some(q), c) if q == c => {
                quote = None;
                word.push(c);
            }
            (None, c) if c.is_whitespace() => {
                if !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
            }
            (_, c) => word.push(c),
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    quote.is_none().then_some(words)
}

/// Removes quotes and escapes, and puts in what `lookup` knows of `$NAME`, `${NAME}`, `${NAME:-default}` and
/// `${NAME:+other}`; an unknown name is empty. `None`: a quote or brace is not closed.
pub(crate) fn expand(text: &str, lookup: &dyn Fn(&str) -> Option<String>) -> Option<String> {
    let mut out = String::new();
    let mut quote = None;
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        match (quote, c) {
            (None, '\'' | '"') => quote = Some(c),
            (Some(q), c) if q == c => quote = None,
            (Some('\''), c) => out.push(c),
            (_, '\\') => {
                let next = rest.chars().next()?;
                rest = &rest[next.len_utf8()..];
                // Inside double quotes a backslash only escapes what is special there.
                if quote.is_some() && !matches!(next, '"' | '\\' | '$') {
                    out.push('\\');
                }
                out.push(next);
            }
            (_, '$') => {
                let (value, after) = variable(rest, lookup)?;
                out.push_str(&value);
                rest = after;
            }
            (_, c) => out.push(c),
        }
    }
    quote.is_none().then_some(out)
}

/// What stands behind a `$`, and the text after it.
fn variable<'t>(text: &'t str, lookup: &dyn Fn(&str) -> Option<String>) -> Option<(String, &'t str)> {
    let name_end = |t: &str| t.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(t.len());
    let Some(braced) = text.strip_prefix('{') else {
        let (name, after) = text.split_at(name_end(text));
        let value = if name.is_empty() { "$".to_owned() } else { lookup(name).unwrap_or_default() };
        return Some((value, after));
    };
    let (name, after) = braced.split_at(name_end(braced));
    let value = lookup(name).filter(|v| !v.is_empty());
    if name.is_empty() {
        return None;
    }
    if let Some(after) = after.strip_prefix('}') {
        return Some((value.unwrap_or_default(), after));
    }
    let end = closing_brace(after)?;
    let (modifier, word) = after[..end].split_at_checked(2)?;
    let word = || expand(word, lookup);
    let value = match modifier {
        ":-" => value.map_or_else(word, Some)?,
        ":+" => {
            if value.is_some() {
                word()?
            } else {
                String::new()
            }
        }
        _ => return None,
    };
    Some((value, &after[end + 1..]))
}

fn closing_brace(text: &str) -> Option<usize> {
    let mut depth = 0;
    for (at, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => return Some(at),
            '}' => depth -= 1,
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_variables() {
        let known = |name: &str| (name == "A").then(|| "x y".to_owned());
        let check = |text: &str, expected: &[&str]| {
            let words = split(text).unwrap();
            let words: Vec<_> = words.iter().map(|w| expand(w, &known).unwrap()).collect();
            assert_eq!(words, expected, "{text}");
        };
        check("", &[]);
        check(" a  b=c ", &["a", "b=c"]);
        check(r#"a="b c" 'd e' f\ g"#, &["a=b c", "d e", "f g"]);
        check(r#"$A "${A}z" '$A' \$A $B."#, &["x y", "x yz", "$A", "$A", "."]);
        check("${B:-d} ${A:-d} ${A:+e} ${B:+e}f $", &["d", "x y", "e", "f", "$"]);
        check("${B:-${A}}", &["x y"]);
        assert_eq!(split("'a"), None);
        assert_eq!(expand("${A", &known), None);
        assert_eq!(expand("${A?x}", &known), None);
        assert_eq!(expand("${}", &known), None);
    }
}
