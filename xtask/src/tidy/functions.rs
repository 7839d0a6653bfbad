//! Functions: at most 70 lines of code, blank lines and comments not counted.

use super::House;
use super::exceptions::LONG_FUNCTIONS;

/// Lines of a function's body.
const LINES: usize = 70;

/// Every function of every Rust file.
pub fn check(house: &mut House) {
    let mut found: Vec<(String, String)> = Vec::new();
    let mut needed = Vec::new();
    for source in house.rust() {
        for function in functions(&source.code) {
            if function.lines <= LINES {
                continue;
            }
            let listed = LONG_FUNCTIONS.iter().find(|(p, n, _, _)| *p == source.path && *n == function.name);
            match listed {
                Some((path, name, most, _)) => {
                    needed.push((*path, *name));
                    if function.lines > *most {
                        let what =
                            format!("`{name}` has {} lines; it was let grow to {most} only", function.lines);
                        found.push((format!("{path}:{}", function.line), what));
                    }
                }
                None => {
                    let what =
                        format!("`{}` has {} lines; {LINES} is the most", function.name, function.lines);
                    found.push((format!("{}:{}", source.path, function.line), what));
                }
            }
        }
    }
    for (path, name, _, _) in LONG_FUNCTIONS {
        if !needed.contains(&(path, name)) {
            found.push((path.into(), format!("`{name}` is in tidy/exceptions.rs and needs no exception")));
        }
    }
    for (place, what) in found {
        house.finding(&place, what);
    }
}

struct Function {
    name: String,
    line: usize,
    lines: usize,
}

/// The functions in blanked code. One inside another counts for both.
fn functions(code: &str) -> Vec<Function> {
    let mut all = Vec::new();
    for (at, _) in code.match_indices("fn ") {
        let starts_word =
            at == 0 || !code.as_bytes()[at - 1].is_ascii_alphanumeric() && code.as_bytes()[at - 1] != b'_';
        let rest = code[at + 3..].trim_start();
        let name: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        if !starts_word || name.is_empty() {
            continue;
        }
        let Some(body) = body(&code[at..]) else { continue };
        let lines = body.lines().filter(|l| !l.trim().is_empty()).count().saturating_sub(2);
        all.push(Function { name, line: code[..at].matches('\n').count() + 1, lines });
    }
    all
}

/// From the first brace to the one that closes it; nothing for a declaration without a body.
fn body(code: &str) -> Option<&str> {
    let mut depth = 0usize;
    let mut nested = 0usize;
    let mut start = None;
    for (at, byte) in code.bytes().enumerate() {
        match byte {
            // `[u8; 4]` in the signature has a semicolon of its own.
            b'[' | b'(' if depth == 0 => nested += 1,
            b']' | b')' if depth == 0 => nested = nested.saturating_sub(1),
            b';' if depth == 0 && nested == 0 => return None,
            b'{' => {
                start.get_or_insert(at);
                depth += 1;
            }
            b'}' => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return Some(&code[start?..=at]);
                }
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::super::rust_text;
    use super::*;

    fn check(text: &str, expected: &[(&str, usize, usize)]) {
        let found: Vec<_> =
            functions(&rust_text::code(text)).into_iter().map(|f| (f.name, f.line, f.lines)).collect();
        let expected: Vec<_> = expected.iter().map(|(n, at, lines)| (n.to_string(), *at, *lines)).collect();
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn functions_are_counted_without_comments_and_blank_lines() {
        check("fn a() {\n    b();\n\n    // why\n    c();\n}\n", &[("a", 1, 2)]);
        check("trait T {\n    fn a(x: [u8; 4]);\n    fn b() {\n        c(\"}\");\n    }\n}", &[("b", 3, 1)]);
        check("type F = fn (u8) -> u8;\n", &[]);
        check("fn a() { b() }", &[("a", 1, 0)]);
    }
}
