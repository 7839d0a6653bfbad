//! Tables as Docker prints them: columns of at least ten letters, three spaces between them.
//!
//! A column is a run of lines that all have a cell there with another behind it: what stands last in its line has no
//! width. That is Go's tabwriter, so any format of `--format table` is aligned as Docker aligns it.

use std::io::{self, Write};

/// The least width of a column, the space after it included.
const WIDTH_MIN: usize = 10;
/// Spaces after the longest cell of a column.
const PADDING: usize = 3;

/// Rows of cells below a heading, for what is no list of [`crate::listing::Row`]s.
pub struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with only its heading.
    pub fn new(heading: &[&str]) -> Self {
        Self { rows: vec![heading.iter().map(|cell| (*cell).to_owned()).collect()] }
    }

    /// One more row.
    pub fn push(&mut self, row: Vec<String>) {
        self.rows.push(row.iter().map(|cell| one_line(cell)).collect());
    }

    /// Writes all of it.
    pub fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        write(&self.rows, out)
    }
}

/// A break in a cell would be a row or a column of its own, so it becomes a space.
pub fn one_line(cell: &str) -> String {
    cell.replace(['\n', '\r', '\t'], " ")
}

/// The cells of a text: lines, cut at tabs.
pub fn lines(text: &str) -> Vec<Vec<String>> {
    text.split('\n').map(|line| line.split('\t').map(str::to_owned).collect()).collect()
}

/// Writes lines of cells, aligned.
pub fn write(lines: &[Vec<String>], out: &mut dyn Write) -> io::Result<()> {
    let widths = widths(lines);
    for (line, widths) in lines.iter().zip(widths) {
        for (index, cell) in line.iter().enumerate() {
            let gap = widths.get(index).map_or(0, |width| width - letters(cell));
            write!(out, "{cell}{:gap$}", "")?;
        }
        writeln!(out)?;
    }
    Ok(())
}

/// The width of each cell but the last of its line.
fn widths(lines: &[Vec<String>]) -> Vec<Vec<usize>> {
    let mut widths: Vec<Vec<usize>> =
        lines.iter().map(|line| vec![0; line.len().saturating_sub(1)]).collect();
    let deepest = widths.iter().map(Vec::len).max().unwrap_or(0);
    for column in 0..deepest {
        let mut start = 0;
        while start < lines.len() {
            if widths[start].len() <= column {
                start += 1;
                continue;
            }
            let end = (start..lines.len()).find(|line| widths[*line].len() <= column).unwrap_or(lines.len());
            let longest = lines[start..end].iter().map(|line| letters(&line[column])).max().unwrap_or(0);
            for line in &mut widths[start..end] {
                line[column] = (longest + PADDING).max(WIDTH_MIN);
            }
            start = end;
        }
    }
    widths
}

fn letters(cell: &str) -> usize {
    cell.chars().count()
}

/// At most `limit` letters; what is cut off shows as one `…`.
pub fn ellipsis(text: &str, limit: usize) -> String {
    if text.chars().count() <= limit {
        return text.to_owned();
    }
    text.chars().take(limit.saturating_sub(1)).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &str) -> String {
        let mut out = Vec::new();
        write(&lines(text), &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn columns_are_aligned_as_docker_aligns_them() {
        let check = |text: &str, expected: &str| assert_eq!(written(text), expected, "{text}");
        check(
            "CONTAINER ID\tIMAGE\tPORTS\tNAMES\n0123456789ab\ta/long/image:tag\t\tweb\nba9876543210\té\t\ttwo",
            "CONTAINER ID   IMAGE              PORTS     NAMES\n\
             0123456789ab   a/long/image:tag             web\n\
             ba9876543210   é                            two\n",
        );
        check("ID", "ID\n");
        check("ID\nabc", "ID\nabc\n");
        check("a\tb\n", "a         b\n\n");
    }

    #[test]
    fn a_line_without_a_cell_ends_its_column() {
        let check = |text: &str, expected: &str| assert_eq!(written(text), expected, "{text}");
        check("a\tb\nplain\nlonger than ten\tc", "a         b\nplain\nlonger than ten   c\n");
        check("a\tb\tc\nd\te", "a         b         c\nd         e\n");
    }

    #[test]
    fn long_text_ends_with_an_ellipsis() {
        let check = |text: &str, expected: &str| assert_eq!(ellipsis(text, 5), expected);
        check("12345", "12345");
        check("123456", "1234…");
        check("äöüäöü", "äöüä…");
    }
}
