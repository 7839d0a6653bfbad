//! What is wrong with a template, and where.

/// Letters of the template that are shown before and after the fault.
const EXCERPT_LETTERS: usize = 60;

/// Why a template can't be used, or can't be rendered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("template at line {line}, column {column}: {why}")]
pub struct TemplateError {
    /// The line, from 1.
    pub line: usize,
    /// The letter in that line, from 1.
    pub column: usize,
    /// What is wrong.
    pub why: String,
    /// Whether the text itself is wrong; else what it was used on is.
    pub in_syntax: bool,
    /// The line, cut around the fault, with a caret below it.
    pub excerpt: String,
}

/// A fault at a byte of the source; [`Fault::locate`] makes an error of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The byte.
    pub at: usize,
    /// What is wrong.
    pub why: String,
    /// Whether the text itself is wrong.
    pub in_syntax: bool,
}

impl Fault {
    /// The text is wrong.
    pub fn syntax(at: usize, why: impl Into<String>) -> Self {
        Self { at, why: why.into(), in_syntax: true }
    }

    /// What it was used on is wrong.
    pub fn rendering(at: usize, why: impl Into<String>) -> Self {
        Self { at, why: why.into(), in_syntax: false }
    }

    /// The same fault with the place that people see.
    pub fn locate(self, source: &str) -> TemplateError {
        let mut at = self.at.min(source.len());
        while !source.is_char_boundary(at) {
            at -= 1;
        }
        let line_start = source[..at].rfind('\n').map_or(0, |newline| newline + 1);
        let line_end = source[at..].find('\n').map_or(source.len(), |newline| at + newline);
        let before: Vec<char> = source[line_start..at].chars().map(shown).collect();
        let after: Vec<char> = source[at..line_end].chars().map(shown).collect();
        let skipped = before.len().saturating_sub(EXCERPT_LETTERS);
        let lead = if skipped > 0 { "…" } else { "" };
        let head: String = before[skipped..].iter().collect();
        let tail: String = after.iter().take(EXCERPT_LETTERS).collect();
        let trail = if after.len() > EXCERPT_LETTERS { "…" } else { "" };
        let indent = lead.chars().count() + before.len() - skipped;
        TemplateError {
            line: source[..at].matches('\n').count() + 1,
            column: before.len() + 1,
            why: self.why,
            in_syntax: self.in_syntax,
            excerpt: format!("  {lead}{head}{tail}{trail}\n  {:indent$}^", ""),
        }
    }
}

/// A tab has no width of its own, and a control character would be obeyed by the terminal.
fn shown(letter: char) -> char {
    if letter.is_control() { ' ' } else { letter }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_caret_stands_below_the_fault() {
        let check = |source: &str, at: usize, line: usize, column: usize, excerpt: &str| {
            let error = Fault::syntax(at, "wrong").locate(source);
            assert_eq!(
                (error.line, error.column, error.excerpt.as_str()),
                (line, column, excerpt),
                "{source}"
            );
        };
        check("{{.a}}", 2, 1, 3, "  {{.a}}\n    ^");
        check("é\t{{x}}\nb", 5, 1, 5, "  é {{x}}\n      ^");
        check("one\ntwo {{", 8, 2, 5, "  two {{\n      ^");
        check("", 0, 1, 1, "  \n  ^");
        let long = format!("{}{{{{x}}}}{}", "a".repeat(100), "b".repeat(100));
        let error = Fault::syntax(102, "wrong").locate(&long);
        assert_eq!(error.column, 103);
        let mut lines = error.excerpt.lines();
        assert!(lines.next().unwrap().starts_with("  …aaa"));
        assert_eq!(lines.next().unwrap().len(), 2 + 1 + EXCERPT_LETTERS + 1);
    }
}
