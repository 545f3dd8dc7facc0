//! Writes a table in Markdown (the pipe tables of GitHub and others).

use super::{Entry, Mark, Sheet, wording};

/// Caption, table and note in Markdown.
pub fn write(sheet: &Sheet) -> String {
    let mut lines = vec![format!("**{}**", escape(&sheet.caption)), String::new()];
    let mut line = |cells: Vec<String>| lines.push(format!("| {} |", cells.join(" | ")));
    let titles = sheet.columns.iter().map(|title| escape(title));
    line(std::iter::once(escape(&sheet.corner)).chain(titles).collect());
    line(std::iter::once(":--".to_string()).chain(sheet.columns.iter().map(|_| "--:".into())).collect());
    for (title, row) in sheet.rows.iter().zip(&sheet.entries) {
        let cells = row.iter().map(|entry| entry.as_ref().map_or("–".into(), cell));
        line(std::iter::once(escape(title)).chain(cells).collect());
    }
    lines.extend([String::new(), wording::note(sheet, sign, escape), String::new()]);
    lines.join("\n")
}

fn cell(entry: &Entry) -> String {
    let text = wording::numbers(entry, "±");
    match entry.mark {
        Some(Mark::Best) => format!("**{text}**"),
        Some(mark @ (Mark::Tied | Mark::Untested)) => text + sign(mark),
        Some(Mark::Worse) | None => text,
    }
}

fn sign(mark: Mark) -> &'static str {
    match mark {
        Mark::Best => "bold",
        Mark::Tied => "†",
        Mark::Worse => "plain",
        Mark::Untested => "‡",
    }
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
