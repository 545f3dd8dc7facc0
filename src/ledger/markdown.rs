//! A ledger as Markdown: a table, and below it where the figures stand and why verdicts are what they are, each once. Texts
//! of strangers cannot become markup.

use super::words::TITLES;
use super::{Ledger, Row};
use crate::run_report::{code, escaped};
use indexmap::IndexSet;

/// Texts that rows refer to by number.
#[derive(Default)]
struct Notes(IndexSet<String>);

impl Notes {
    /// The number of a text.
    fn number(&mut self, text: &str) -> usize {
        self.0.insert_full(text.to_string()).0 + 1
    }
}

impl Ledger {
    /// The text. Columns without content are left out.
    pub fn markdown(&self) -> String {
        let (labels, mut notes) = (self.labels(), Notes::default());
        let rows: Vec<Vec<String>> = self.rows.iter().map(|row| self.cells(row, &labels, &mut notes)).collect();
        let titles = labels.iter().map(|name| escaped(name)).chain(TITLES.map(escaped));
        let rules = labels.iter().map(|_| "---").chain(["--:", "--:", "---", "--:", "---", "--:"]);
        let is_used = |at: usize| rows.iter().any(|row| row.get(at).is_some_and(|cell| !cell.is_empty()));
        let used: Vec<usize> = (0..labels.len() + TITLES.len()).filter(|at| is_used(*at)).collect();
        let line = |cells: &[String]| {
            let cells = used.iter().filter_map(|at| cells.get(*at)).map(String::as_str);
            format!("| {} |\n", cells.collect::<Vec<_>>().join(" | "))
        };
        let mut page = line(&titles.collect::<Vec<_>>());
        page.push_str(&line(&rules.map(str::to_string).collect::<Vec<_>>()));
        rows.iter().for_each(|cells| page.push_str(&line(cells)));
        page.push_str(&format!("\n{}: {}.", escaped(&self.caption()), self.counts()));
        let made = self.made();
        if self.rows.iter().any(|row| row.measured.is_some()) {
            let made = if made.is_empty() { String::new() } else { format!(" {}", escaped(&made.join(" "))) };
            page.push_str(&format!(" Measured by {}{made}.", code(&self.command)));
        }
        page.push_str("\n\n");
        for (index, note) in notes.0.iter().enumerate() {
            page.push_str(&format!("{}. {}\n", index + 1, escaped(note)));
        }
        page
    }

    fn cells(&self, row: &Row, labels: &[String], notes: &mut Notes) -> Vec<String> {
        let source = notes.number(&row.published.source);
        let remarks: Vec<String> = row.remarks().iter().map(|text| notes.number(text).to_string()).collect();
        let remarks = if remarks.is_empty() { String::new() } else { format!(" \\[{}\\]", remarks.join(", ")) };
        let labels = labels.iter().map(|name| escaped(self.label(row, name)));
        let cells = [
            format!("{} \\[{source}\\]", escaped(&row.published_words())),
            escaped(&row.measured_words()),
            escaped(&row.n_words()),
            escaped(&row.difference_words()),
            format!("{}{remarks}", row.verdict.words()),
            escaped(&row.hours_words()),
        ];
        labels.chain(cells).collect()
    }
}
