//! Tables of figures, as text and as Markdown.

use std::fmt::{self, Write};

/// All tables of a run.
#[derive(Default)]
pub struct Report {
    tables: Vec<Table>,
}

/// One table; the first column is text, the others are figures.
pub struct Table {
    title: &'static str,
    rows: Vec<Vec<String>>,
    notes: Vec<String>,
}

impl Report {
    /// Adds a table.
    pub fn table<const N: usize>(&mut self, title: &'static str, head: [&str; N]) -> &mut Table {
        self.tables.push(Table {
            title,
            rows: vec![head.map(str::to_owned).to_vec()],
            notes: Vec::new(),
        });
        let last = self.tables.len() - 1;
        &mut self.tables[last]
    }

    /// The tables as Markdown.
    pub fn markdown(&self) -> String {
        self.tables.iter().fold(String::new(), |mut out, table| {
            let _ = write!(out, "\n## {}\n\n", table.title);
            for (n, row) in table.rows.iter().enumerate() {
                let _ = writeln!(out, "| {} |", row.join(" | "));
                if n == 0 {
                    let _ = writeln!(out, "|---{}|", "|---:".repeat(row.len() - 1));
                }
            }
            for note in &table.notes {
                let _ = write!(out, "\n{note}\n");
            }
            out
        })
    }
}

impl Table {
    /// Adds a row.
    pub fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.rows.push(cells.to_vec());
    }

    /// Adds what a reader must know to read the figures.
    pub fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }

    fn width(&self, column: usize) -> usize {
        let cells = self.rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.title)?;
        for row in &self.rows {
            for (column, cell) in row.iter().enumerate() {
                let width = self.width(column);
                match column {
                    0 => write!(f, "  {cell:width$}")?,
                    _ => write!(f, "  {cell:>width$}")?,
                }
            }
            writeln!(f)?;
        }
        self.notes
            .iter()
            .try_for_each(|note| writeln!(f, "  ({note})"))
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.tables
            .iter()
            .try_for_each(|table| writeln!(f, "{table}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_told_in_both_forms() {
        let mut report = Report::default();
        let table = report.table("Speed", ["what", "ns"]);
        table.row(["write".to_owned(), "120".to_owned()]);
        table.note("Best of 3.");
        let text = "Speed\n  what    ns\n  write  120\n  (Best of 3.)\n\n";
        assert_eq!(report.to_string(), text);
        let markdown = "\n## Speed\n\n| what | ns |\n|---|---:|\n| write | 120 |\n\nBest of 3.\n";
        assert_eq!(report.markdown(), markdown);
    }
}
