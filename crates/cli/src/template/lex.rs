//! A template's text cut into tokens: texts, and what stands between `{{` and `}}`.
//!
//! Trim markers and comments are gone after this; what a token means is the parser's part.

use super::error::Fault;
use super::literal;

/// What a token is.
#[derive(Debug, Clone, PartialEq)]
pub enum Token {
    /// Text outside of actions.
    Text(String),
    /// `{{`
    Open,
    /// `}}`
    Close,
    /// Blanks inside an action: they keep arguments apart.
    Space,
    /// `:=`
    Declare,
    /// `=`
    Assign,
    /// `|`
    Pipe,
    /// `(`
    LeftParen,
    /// `)`
    RightParen,
    /// `,`
    Comma,
    /// `.`
    Dot,
    /// `.name`
    Field(String),
    /// `$` or `$name`, with the dollar.
    Variable(String),
    /// A word: a function or a keyword.
    Word(String),
    /// A number.
    Number(Number),
    /// A string, a raw string.
    Quoted(String),
    /// The end of the template.
    End,
}

/// A number as it was typed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Number {
    /// A whole number, or a character.
    Int(i64),
    /// Any other.
    Float(f64),
}

/// A token and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Placed {
    /// What it is.
    pub token: Token,
    /// The first byte.
    pub at: usize,
}

const LEFT: &str = "{{";
const RIGHT: &str = "}}";
const LEFT_COMMENT: &str = "/*";
const RIGHT_COMMENT: &str = "*/";
/// What a trim marker takes away, and what has to stand between it and the action.
const BLANKS: [char; 4] = [' ', '\t', '\r', '\n'];

/// Cuts a template into tokens.
pub fn tokens(source: &str) -> Result<Vec<Placed>, Fault> {
    let mut lexer = Lexer { source, at: 0, tokens: Vec::new() };
    lexer.run()?;
    Ok(lexer.tokens)
}

struct Lexer<'a> {
    source: &'a str,
    at: usize,
    tokens: Vec<Placed>,
}

impl<'a> Lexer<'a> {
    fn rest(&self) -> &'a str {
        &self.source[self.at..]
    }

    fn push(&mut self, token: Token, at: usize) {
        self.tokens.push(Placed { token, at });
    }

    fn run(&mut self) -> Result<(), Fault> {
        let mut trim = false;
        while let Some(length) = self.rest().find(LEFT) {
            let opened_at = self.at + length;
            let inside = &self.source[opened_at + LEFT.len()..];
            let trims_before = has_trim_marker(inside);
            self.text(length, trim, trims_before);
            self.at = opened_at + LEFT.len() + if trims_before { 2 } else { 0 };
            trim = if self.rest().starts_with(LEFT_COMMENT) {
                self.comment()?
            } else {
                self.push(Token::Open, opened_at);
                self.action(opened_at)?
            };
        }
        self.text(self.rest().len(), trim, false);
        self.push(Token::End, self.source.len());
        Ok(())
    }

    fn text(&mut self, length: usize, trim_start: bool, trim_end: bool) {
        let mut text = &self.rest()[..length];
        if trim_start {
            text = text.trim_start_matches(BLANKS);
        }
        if trim_end {
            text = text.trim_end_matches(BLANKS);
        }
        if !text.is_empty() {
            self.push(Token::Text(text.to_owned()), self.at);
        }
        self.at += length;
    }

    /// Skips a comment with its delimiters; gives whether the text after it is trimmed.
    fn comment(&mut self) -> Result<bool, Fault> {
        let started_at = self.at;
        let length =
            self.rest().find(RIGHT_COMMENT).ok_or_else(|| Fault::syntax(started_at, "unclosed comment"))?;
        self.at += length + RIGHT_COMMENT.len();
        match self.close() {
            Some(trims) => Ok(trims),
            None => Err(Fault::syntax(self.at, "comment ends before closing delimiter")),
        }
    }

    /// Goes behind `}}` or ` -}}` if that stands here; gives whether it trims.
    fn close(&mut self) -> Option<bool> {
        let rest = self.rest();
        let trims = rest.starts_with(BLANKS) && rest[1..].starts_with("-}}");
        if trims {
            self.at += 2 + RIGHT.len();
        } else if rest.starts_with(RIGHT) {
            self.at += RIGHT.len();
        } else {
            return None;
        }
        Some(trims)
    }

    /// The tokens up to the end of the action; gives whether the text after it is trimmed.
    fn action(&mut self, opened_at: usize) -> Result<bool, Fault> {
        let mut parens = 0usize;
        loop {
            let at = self.at;
            if let Some(trims) = self.close() {
                if parens > 0 {
                    return Err(Fault::syntax(at, "unclosed left paren"));
                }
                self.push(Token::Close, at);
                return Ok(trims);
            }
            let Some(letter) = self.rest().chars().next() else {
                return Err(Fault::syntax(opened_at, "unclosed action"));
            };
            let token = match letter {
                '(' => {
                    parens += 1;
                    self.single(Token::LeftParen)
                }
                ')' => {
                    parens =
                        parens.checked_sub(1).ok_or_else(|| Fault::syntax(at, "unexpected right paren"))?;
                    self.single(Token::RightParen)
                }
                _ => self.in_action(letter)?,
            };
            self.push(token, at);
        }
    }

    fn single(&mut self, token: Token) -> Token {
        self.at += 1;
        token
    }

    fn in_action(&mut self, letter: char) -> Result<Token, Fault> {
        let second = self.rest().chars().nth(1);
        match letter {
            ' ' | '\t' | '\r' | '\n' => {
                let rest = self.rest();
                let length = rest.len() - rest.trim_start_matches(BLANKS).len();
                // The last blank before `-}}` belongs to the marker.
                let marker = rest[length..].starts_with("-}}");
                self.at += if marker { length - 1 } else { length };
                Ok(Token::Space)
            }
            ':' if second == Some('=') => {
                self.at += 2;
                Ok(Token::Declare)
            }
            ':' => Err(Fault::syntax(self.at, "expected :=")),
            '=' => Ok(self.single(Token::Assign)),
            '|' => Ok(self.single(Token::Pipe)),
            ',' => Ok(self.single(Token::Comma)),
            '"' => self.taken(literal::quoted).map(Token::Quoted),
            '`' => self.taken(literal::raw).map(Token::Quoted),
            '\'' => self.taken(literal::character).map(Token::Number),
            '$' => self.name(1).map(|name| Token::Variable(format!("${name}"))),
            '.' if second.is_some_and(|c| c.is_ascii_digit()) => {
                self.taken(literal::number).map(Token::Number)
            }
            '.' => {
                let name = self.name(1)?;
                Ok(if name.is_empty() { Token::Dot } else { Token::Field(name) })
            }
            '+' | '-' | '0'..='9' => self.taken(literal::number).map(Token::Number),
            c if is_word(c) => self.name(0).map(Token::Word),
            c => Err(Fault::syntax(self.at, format!("unrecognized character in action: {}", code_point(c)))),
        }
    }

    /// The name that begins `skipped` bytes on.
    fn name(&mut self, skipped: usize) -> Result<String, Fault> {
        self.at += skipped;
        let length = self.rest().find(|c| !is_word(c)).unwrap_or(self.rest().len());
        let name = self.rest()[..length].to_owned();
        self.at += length;
        match self.rest().chars().next() {
            Some(next) if !ends_a_name(next) && !self.rest().starts_with(RIGHT) => {
                Err(Fault::syntax(self.at, format!("bad character {}", code_point(next))))
            }
            _ => Ok(name),
        }
    }

    /// What [`literal`] takes here, and how long it is.
    fn taken<T>(&mut self, take: fn(&str) -> Result<(T, usize), String>) -> Result<T, Fault> {
        let (value, length) = take(self.rest()).map_err(|why| Fault::syntax(self.at, why))?;
        self.at += length;
        Ok(value)
    }
}

/// Whether the text behind `{{` begins with `-` and a blank.
fn has_trim_marker(inside: &str) -> bool {
    inside.starts_with('-') && inside[1..].starts_with(BLANKS)
}

fn is_word(letter: char) -> bool {
    letter == '_' || letter.is_alphanumeric()
}

fn ends_a_name(letter: char) -> bool {
    BLANKS.contains(&letter) || matches!(letter, '.' | ',' | '|' | ':' | '(' | ')')
}

/// A character as Go's `%#U` names it: `U+0023 '#'`.
fn code_point(letter: char) -> String {
    let code = format!("U+{:04X}", u32::from(letter));
    if letter.is_control() { code } else { format!("{code} '{letter}'") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lexed(source: &str) -> Vec<Token> {
        tokens(source).unwrap().into_iter().map(|placed| placed.token).collect()
    }

    #[test]
    fn texts_and_trim_markers() {
        let check = |source: &str, expected: &[&str]| {
            let texts: Vec<String> = lexed(source)
                .into_iter()
                .filter_map(|token| if let Token::Text(text) = token { Some(text) } else { None })
                .collect();
            assert_eq!(texts, expected, "{source:?}");
        };
        check("a {{.}} b", &["a ", " b"]);
        check("a {{- .}} b", &["a", " b"]);
        check("a {{. -}} b", &["a ", "b"]);
        check("a \n{{- . -}}\n\t b", &["a", "b"]);
        check("a {{- /* x */ -}} b", &["a", "b"]);
        check("a{{/* }} */}}b", &["a", "b"]);
        check("{{-3}}", &[]);
        check("}} {", &["}} {"]);
        check("", &[]);
    }

    #[test]
    fn what_stands_in_an_action() {
        let check = |inside: &str, expected: &[Token]| {
            let all = lexed(&format!("{{{{{inside}}}}}"));
            assert_eq!(&all[1..all.len() - 2], expected, "{inside}");
        };
        let text = str::to_owned;
        check(".a.b", &[Token::Field(text("a")), Token::Field(text("b"))]);
        check("$", &[Token::Variable(text("$"))]);
        check("$x:=-1", &[Token::Variable(text("$x")), Token::Declare, Token::Number(Number::Int(-1))]);
        check(
            "(. | f)",
            &[
                Token::LeftParen,
                Token::Dot,
                Token::Space,
                Token::Pipe,
                Token::Space,
                Token::Word(text("f")),
                Token::RightParen,
            ],
        );
        check("\"a\\n\"`\\n`", &[Token::Quoted(text("a\n")), Token::Quoted(text("\\n"))]);
        check("'a'", &[Token::Number(Number::Int(97))]);
        check(".5", &[Token::Number(Number::Float(0.5))]);
    }

    #[test]
    fn faults_and_their_places() {
        let check = |source: &str, at: usize, why: &str| {
            assert_eq!(tokens(source).unwrap_err(), Fault::syntax(at, why), "{source}");
        };
        check("a{{.x", 1, "unclosed action");
        check("{{(.x}}", 5, "unclosed left paren");
        check("{{.x)}}", 4, "unexpected right paren");
        check("{{/* a", 2, "unclosed comment");
        check("{{/* a */ .}}", 9, "comment ends before closing delimiter");
        check("{{#}}", 2, "unrecognized character in action: U+0023 '#'");
        check("{{.a#}}", 4, "bad character U+0023 '#'");
        check("{{\"a}}", 2, "unterminated quoted string");
        check("{{`a}}", 2, "unterminated raw quoted string");
        check("{{'a}}", 2, "unterminated character constant");
        check("{{3x}}", 2, "bad number syntax: \"3x\"");
        check("{{.x : 1}}", 5, "expected :=");
    }
}
