//! A ledger for a terminal: a line for each row, below it where the figure stands and what else there is to know.

use super::Ledger;
use super::words::TITLES;
use crate::table::Table;

impl Ledger {
    /// The text.
    pub fn text(&self) -> String {
        let labels = self.labels();
        let mut table = Table::new(labels.iter().map(String::as_str).chain(TITLES));
        for row in &self.rows {
            let mut cells: Vec<String> = labels.iter().map(|name| self.label(row, name).to_string()).collect();
            cells.extend([
                row.published_words(),
                row.measured_words(),
                row.n_words(),
                row.difference_words(),
                row.verdict.words().to_string(),
                row.hours_words(),
            ]);
            table.row(cells);
            let parts: Vec<String> = row.remarks().into_iter().chain([row.published.source.clone()]).collect();
            table.note(parts.join(". "));
        }
        let made = self.made();
        let made = if made.is_empty() { String::new() } else { format!(" {}", made.join(" ")) };
        let (caption, counts) = (self.caption(), self.counts());
        format!("{caption}\n\n{}\n{counts}\nmeasured by {}{made}\n", table.text(), self.command)
    }
}
