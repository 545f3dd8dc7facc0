//! The table in Markdown (the pipe tables of GitHub and others).

use super::{Table, wording};

/// Caption, table, note.
pub fn write(table: &Table) -> String {
    let mut lines = vec![format!("**{}**", escape(&table.caption)), String::new()];
    let mut line = |cells: Vec<String>| lines.push(format!("| {} |", cells.join(" | ")));
    let titles = table.cells.columns.iter().map(|title| escape(title));
    line(std::iter::once(escape(&table.corner)).chain(titles).collect());
    line(std::iter::once(":--".to_string()).chain(table.cells.columns.iter().map(|_| "--:".into())).collect());
    for (title, row) in table.cells.rows.iter().zip(&table.cells.grid) {
        let cells = row.iter().map(|cell| wording::cell(table, cell.as_ref(), "±", "–"));
        line(std::iter::once(escape(title)).chain(cells).collect());
    }
    lines.extend([String::new(), escape(&table.note), String::new()]);
    lines.join("\n")
}

fn escape(text: &str) -> String {
    wording::escape(text, |letter| {
        Some(match letter {
            '\\' => "\\\\",
            '`' => "\\`",
            '*' => "\\*",
            '_' => "\\_",
            '[' => "\\[",
            ']' => "\\]",
            '<' => "\\<",
            '>' => "\\>",
            '|' => "\\|",
            '~' => "\\~",
            '#' => "\\#",
            '&' => "\\&",
            _ => return None,
        })
    })
}
