//! Aligned tables on a terminal: as wide as their content, numbers to the right. Knows not what is in them.

use crate::visible::visible;
use unicode_width::UnicodeWidthStr;

/// Between two columns.
const GAP: &str = "  ";

/// A table in the making.
#[derive(Debug, Default)]
pub struct Table {
    head: Vec<String>,
    rows: Vec<Row>,
}

#[derive(Debug)]
struct Row {
    cells: Vec<String>,
    /// A text that takes the room of the further columns.
    rest: Option<String>,
    /// A line below.
    note: Option<String>,
}

impl Table {
    /// A table with these titles.
    pub fn new(head: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Table { head: head.into_iter().map(Into::into).collect(), rows: Vec::new() }
    }

    /// Adds a row.
    pub fn row(&mut self, cells: Vec<String>) -> &mut Self {
        self.rows.push(Row { cells, rest: None, note: None });
        self
    }

    /// Adds a row whose last text goes across all further columns.
    pub fn row_with_rest(&mut self, cells: Vec<String>, rest: String) -> &mut Self {
        self.rows.push(Row { cells, rest: Some(rest), note: None });
        self
    }

    /// Adds a line below the last row.
    pub fn note(&mut self, note: String) -> &mut Self {
        if let Some(row) = self.rows.last_mut() {
            row.note = Some(note);
        }
        self
    }

    /// The text. Columns without content are left out, and no line ends with blanks.
    pub fn text(&self) -> String {
        let visible_cells = |cells: &[String]| -> Vec<String> { cells.iter().map(|cell| one_line(cell)).collect() };
        let head = visible_cells(&self.head);
        let rows: Vec<Vec<String>> = self.rows.iter().map(|row| visible_cells(&row.cells)).collect();
        let column = |at: usize| rows.iter().filter_map(move |row| row.get(at)).filter(|cell| !cell.is_empty());
        let is_number = |cell: &String| cell.split(' ').next().is_some_and(|word| word.parse::<f64>().is_ok());
        let widths: Vec<usize> = (0..head.len())
            .map(|at| match column(at).map(|cell| cell.width()).max() {
                Some(width) => width.max(head[at].width()),
                None => 0,
            })
            .collect();
        let to_the_right: Vec<bool> = (0..head.len()).map(|at| column(at).all(is_number)).collect();
        let line = |cells: &[String], rest: Option<&str>| {
            let mut line = String::new();
            for (at, cell) in cells.iter().enumerate().filter(|(at, _)| widths.get(*at).is_some_and(|width| *width > 0))
            {
                let blanks = " ".repeat(widths[at].saturating_sub(cell.width()));
                let padded = if to_the_right[at] { blanks + cell } else { cell.clone() + &blanks };
                line.push_str(&padded);
                line.push_str(GAP);
            }
            line.push_str(rest.unwrap_or_default());
            line.trim_end().to_string() + "\n"
        };
        let mut text = line(&head, None);
        for (cells, row) in rows.iter().zip(&self.rows) {
            let rest = row.rest.as_deref().map(one_line);
            text.push_str(&line(cells, rest.as_deref()));
            if let Some(note) = &row.note {
                text.push_str(&format!("    {}\n", one_line(note)));
            }
        }
        text
    }
}

/// A cell is one line, and shows what a terminal would obey.
fn one_line(text: &str) -> String {
    visible(text).replace(['\n', '\t'], " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_they_have_to_be() {
        let mut table = Table::new(["name", "empty", "n", "why"]);
        table.row(["é", "", "5", "a\nb"].map(String::from).to_vec());
        table.row(["longer", "", "17", ""].map(String::from).to_vec()).note("and again".into());
        table.row_with_rest(vec!["x".into()], "runs".into());
        assert_eq!(table.text(), "name     n  why\né        5  a b\nlonger  17\n    and again\nx       runs\n");
    }
}
