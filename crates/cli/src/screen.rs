//! What a screen can show: how wide it is, whether it has colours, and texts made for it. A pipe or a file gets every text as
//! it is.
//!
//! `NO_COLOR` and `TERM=dumb` are honoured. Tables are not cut to the width: Docker doesn't cut them either.

use std::os::fd::{AsFd, BorrowedFd};

use corten_sys::terminal;

use crate::caller::variable;

/// A screen that is narrower than this shows broken lines whatever is done.
const WIDTH_MIN: usize = 30;
/// The most letters of a hanging indent.
const INDENT_MAX: usize = 44;

/// First words of lines about what went wrong, and their colours (ECMA-48).
const COLOURS: [(&str, &str); 4] =
    [("error:", "1;31"), ("caused by:", "31"), ("hint:", "36"), ("warning:", "33")];

/// What is behind a descriptor.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Screen {
    /// Columns; absent: nobody looks at it, or it doesn't tell.
    columns: Option<usize>,
    colours: bool,
}

impl Screen {
    /// Looks.
    pub fn of(fd: impl AsFd) -> Self {
        let fd: BorrowedFd<'_> = fd.as_fd();
        if !rustix::termios::isatty(fd) {
            return Self::default();
        }
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        Self {
            columns: terminal::size(fd).map(|(_, columns)| columns.into()),
            colours: set("NO_COLOR").is_none() && set("TERM").is_some_and(|term| term != "dumb"),
        }
    }

    /// A text about what went wrong.
    pub fn painted(&self, text: &str) -> String {
        if !self.colours {
            return text.to_owned();
        }
        text.split_inclusive('\n').map(paint).collect()
    }

    /// A text of words, its lines folded.
    pub fn folded(&self, text: &str) -> String {
        match self.columns {
            Some(columns) if columns >= WIDTH_MIN => {
                text.lines().flat_map(|line| fold(line, columns)).map(|line| line + "\n").collect()
            }
            _ => text.to_owned(),
        }
    }
}

fn paint(line: &str) -> String {
    match COLOURS.iter().find(|(word, _)| line.starts_with(word)) {
        Some((word, colour)) => format!("\x1b[{colour}m{word}\x1b[0m{}", &line[word.len()..]),
        None => line.to_owned(),
    }
}

/// A line in pieces of at most `columns` letters, if its words allow it. In `  -f, --flag   About it` the further ones
/// begin where the last column of words does.
fn fold(line: &str, columns: usize) -> Vec<String> {
    if line.chars().count() <= columns {
        return vec![line.to_owned()];
    }
    let start = last_column(line).unwrap_or(line.len() - line.trim_start().len());
    let indent = " ".repeat(line[..start].chars().count());
    let mut pieces = vec![line[..start].to_owned()];
    let mut is_empty = true;
    for word in line[start..].split(' ') {
        let piece = pieces.last_mut().expect("it begins with one");
        let room = columns.saturating_sub(piece.chars().count());
        if !is_empty && word.chars().count() >= room {
            pieces.push(format!("{indent}{word}"));
            continue;
        }
        if !is_empty {
            piece.push(' ');
        }
        piece.push_str(word);
        is_empty = false;
    }
    pieces
}

/// Where the text stands after the first gap between columns.
fn last_column(line: &str) -> Option<usize> {
    let text = line.len() - line.trim_start().len();
    let gap = text + line[text..].find("  ")?;
    let start = gap + (line[gap..].len() - line[gap..].trim_start().len());
    (start < line.len() && line[..start].chars().count() <= INDENT_MAX).then_some(start)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_folded_below_their_last_column() {
        let check = |text: &str, expected: &str| {
            let screen = Screen { columns: Some(30), colours: false };
            assert_eq!(screen.folded(text), expected, "{text}");
            assert_eq!(Screen::default().folded(text), text);
        };
        check("short\n\nlines\n", "short\n\nlines\n");
        check(
            "  -f, --flag   About this flag in some words\n",
            "  -f, --flag   About this flag\n               in some words\n",
        );
        check(
            "A sentence that is longer than the screen.\n",
            "A sentence that is longer than\nthe screen.\n",
        );
        check("  indented words that are folded below\n", "  indented words that are\n  folded below\n");
        check("one-word-that-is-longer-than-the-screen x\n", "one-word-that-is-longer-than-the-screen\nx\n");
        check("  --ä   größer als der Schirm ist er\n", "  --ä   größer als der Schirm\n        ist er\n");
    }

    #[test]
    fn a_narrow_screen_and_a_pipe_get_the_text_as_it_is() {
        let long = "words ".repeat(30);
        for screen in [Screen { columns: Some(10), colours: false }, Screen::default()] {
            assert_eq!(screen.folded(&long), long);
        }
    }

    #[test]
    fn what_went_wrong_has_colours() {
        let text = "error: a\ncaused by: b\nhint: c\n  hint: d\n";
        let screen = Screen { columns: None, colours: true };
        let expected =
            "\x1b[1;31merror:\x1b[0m a\n\x1b[31mcaused by:\x1b[0m b\n\x1b[36mhint:\x1b[0m c\n  hint: d\n";
        assert_eq!(screen.painted(text), expected);
        assert_eq!(Screen::default().painted(text), text);
    }
}
