//! Tables as Docker prints them: columns of at least ten letters, three spaces between them.

use std::io::{self, Write};

/// The least width of a column, the space after it included.
const WIDTH_MIN: usize = 10;
/// Spaces after the longest cell of a column.
const PADDING: usize = 3;

/// Rows of cells below a heading.
pub struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with only its heading.
    pub fn new(heading: &[&str]) -> Self {
        Self { rows: vec![heading.iter().map(|cell| (*cell).to_owned()).collect()] }
    }

    /// One more row. A line break in a cell would be a row of its own, so it becomes a space.
    pub fn push(&mut self, row: Vec<String>) {
        self.rows.push(row.into_iter().map(|cell| cell.replace(['\n', '\r', '\t'], " ")).collect());
    }

    /// Writes all of it. The last column has no width: nothing stands behind it.
    pub fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        let columns = self.rows.first().map_or(0, Vec::len);
        let width = |column: usize| {
            let longest = self.rows.iter().filter_map(|row| row.get(column)).map(|cell| letters(cell)).max();
            (longest.unwrap_or(0) + PADDING).max(WIDTH_MIN)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        for row in &self.rows {
            for (column, cell) in row.iter().enumerate() {
                let gap = if column + 1 < row.len() { widths[column] - letters(cell) } else { 0 };
                write!(out, "{cell}{:gap$}", "")?;
            }
            writeln!(out)?;
        }
        Ok(())
    }
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

    #[test]
    fn columns_are_aligned_as_docker_aligns_them() {
        let mut table = Table::new(&["CONTAINER ID", "IMAGE", "PORTS", "NAMES"]);
        table.push(vec!["0123456789ab".into(), "a/long/image:tag".into(), String::new(), "web".into()]);
        table.push(vec!["ba9876543210".into(), "é".into(), String::new(), "two\nlines".into()]);
        let mut out = Vec::new();
        table.write(&mut out).unwrap();
        let expected = "CONTAINER ID   IMAGE              PORTS     NAMES\n\
                        0123456789ab   a/long/image:tag             web\n\
                        ba9876543210   é                            two lines\n";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn long_text_ends_with_an_ellipsis() {
        let check = |text: &str, expected: &str| assert_eq!(ellipsis(text, 5), expected);
        check("12345", "12345");
        check("123456", "1234…");
        check("äöüäöü", "äöüä…");
    }
}
