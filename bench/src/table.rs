//! A table, as text and as Markdown.

use std::fmt::Write as _;

/// A table with what there is to say of it.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) title: String,
    /// Below the title.
    pub(crate) note: String,
    pub(crate) header: Vec<String>,
    pub(crate) rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new(title: &str, note: &str, header: &[&str]) -> Self {
        let header = header.iter().map(|&cell| cell.to_owned()).collect();
        Self { title: title.to_owned(), note: note.to_owned(), header, rows: Vec::new() }
    }

    /// In columns, for a terminal.
    pub(crate) fn text(&self) -> String {
        let rows = || std::iter::once(&self.header).chain(&self.rows);
        let width = |column: usize| rows().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
        let mut text = format!("\n{}\n{}\n", self.title, self.note);
        for row in rows() {
            let mut line = String::new();
            for (column, cell) in row.iter().enumerate() {
                let width = width(column).unwrap_or(0);
                // Writing to a string can't fail.
                let _ = if column == 0 { write!(line, "{cell:width$}") } else { write!(line, "  {cell:>width$}") };
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }

    /// As Markdown.
    pub(crate) fn markdown(&self) -> String {
        let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
        let mut text = format!("\n## {}\n\n{}\n\n", self.title, self.note);
        text.push_str(&line(&self.header));
        let rule = |column: usize| if column == 0 { "---" } else { "--:" }.to_owned();
        text.push_str(&line(&(0..self.header.len()).map(rule).collect::<Vec<_>>()));
        for row in &self.rows {
            text.push_str(&line(row));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut table = Table::new("Speed", "In MB/s.", &["way", "µs"]);
        table.rows.push(vec!["longer".to_owned(), "1".to_owned()]);
        assert_eq!(table.text(), "\nSpeed\nIn MB/s.\nway     µs\nlonger   1\n");
        assert_eq!(table.markdown(), "\n## Speed\n\nIn MB/s.\n\n| way | µs |\n| --- | --: |\n| longer | 1 |\n");
    }
}
