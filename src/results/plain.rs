//! Markdown as it is read on a terminal and in a log: the tables of it in columns, without bars and backslashes. What is
//! bold stays bold where that can be shown, and keeps its stars elsewhere. Everything that is not part of a table stays a
//! line of text.

use unicode_width::UnicodeWidthStr as _;

/// One cell of a table.
struct Cell {
    text: String,
    bold: bool,
}

/// The text; `bold` says whether bold letters can be shown.
pub fn text(markdown: &str, bold: bool) -> String {
    let mut out: Vec<String> = Vec::new();
    let mut table: Vec<&str> = Vec::new();
    for line in markdown.lines().chain([""]) {
        if line.starts_with('|') {
            table.push(line);
            continue;
        }
        out.extend(columns(&std::mem::take(&mut table), bold));
        out.push(cell(line).shown(bold, false));
    }
    // Two empty lines in a row come from what stood between; one is enough.
    out.dedup_by(|line, before| line.is_empty() && before.is_empty());
    out.join("\n").trim_end().to_string()
}

/// The lines of a table in columns.
fn columns(lines: &[&str], bold: bool) -> Vec<String> {
    let is_rule = |line: &str| line.contains('-') && line.chars().all(|letter| matches!(letter, '|' | ':' | '-' | ' '));
    let rule = lines.iter().find(|line| is_rule(line)).map_or(Vec::new(), |line| split(line));
    let to_right: Vec<bool> =
        rule.iter().map(|cell| cell.trim().ends_with(':') && !cell.trim().starts_with(':')).collect();
    let row = |line: &&str| split(line).iter().map(|text| cell(text.trim())).collect();
    let rows: Vec<Vec<Cell>> = lines.iter().filter(|line| !is_rule(line)).map(row).collect();
    let count = rows.iter().map(Vec::len).max().unwrap_or(0);
    let wide = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.columns(bold)).max();
    let widths: Vec<usize> = (0..count).map(|column| wide(column).unwrap_or(0)).collect();
    let mut out = Vec::new();
    for (index, row) in rows.iter().enumerate() {
        let mut line = String::new();
        for (column, cell) in row.iter().enumerate() {
            let blanks = " ".repeat(widths[column].saturating_sub(cell.columns(bold)));
            let shown = cell.shown(bold, true);
            let gap = if column > 0 { "  " } else { "" };
            line.push_str(gap);
            match to_right.get(column) {
                Some(true) => line.push_str(&format!("{blanks}{shown}")),
                _ => line.push_str(&format!("{shown}{blanks}")),
            }
        }
        out.push(line.trim_end().to_string());
        if index == 0 && rows.len() > 1 {
            out.push(widths.iter().map(|wide| "-".repeat(*wide)).collect::<Vec<_>>().join("  "));
        }
    }
    out
}

/// The cells of a line; a bar behind a backslash is a letter.
fn split(line: &str) -> Vec<String> {
    let mut cells = vec![String::new()];
    let mut letters = line.trim().trim_start_matches('|').chars();
    while let Some(letter) = letters.next() {
        let Some(cell) = cells.last_mut() else { break };
        match letter {
            '|' => cells.push(String::new()),
            '\\' => {
                cell.push('\\');
                cell.extend(letters.next());
            }
            letter => cell.push(letter),
        }
    }
    // Behind the last bar is nothing.
    if cells.last().is_some_and(|cell| cell.trim().is_empty()) {
        cells.pop();
    }
    cells
}

/// A piece of Markdown without its escapes.
fn cell(markdown: &str) -> Cell {
    let inner = markdown.strip_prefix("**").and_then(|text| text.strip_suffix("**"));
    let inner = inner.filter(|text| !text.is_empty() && !text.ends_with('\\'));
    let mut text = String::new();
    let mut letters = inner.unwrap_or(markdown).chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' if letters.peek().is_some_and(char::is_ascii_punctuation) => text.extend(letters.next()),
            letter => text.push(letter),
        }
    }
    // What a page for a browser may not have as it is; `&` last, so that nothing is read twice.
    let text = [("&lt;", "<"), ("&gt;", ">"), ("&#64;", "@"), ("&amp;", "&")]
        .into_iter()
        .fold(text, |text, (written, letter)| text.replace(written, letter));
    Cell { text, bold: inner.is_some() }
}

impl Cell {
    fn columns(&self, bold: bool) -> usize {
        self.text.width() + if self.bold && !bold { 4 } else { 0 }
    }

    /// A caption needs no stars; what is best in a table does.
    fn shown(&self, bold: bool, stars: bool) -> String {
        match (self.bold, bold) {
            (true, true) => format!("\u{1b}[1m{}\u{1b}[0m", self.text),
            (true, false) if stars => format!("**{}**", self.text),
            _ => self.text.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "**Test accuracy (%)**\n\n| method | synthetic\\_images | a\\|b |\n| :-- | --: | --: |\n\
        | dm | **29.00 ± 1.25** | – |\n| whole set \\# 1 | 7.10 ± 0.50† | 1 |\n\nmean ± std of 3; bold: best; n\\_x\n";

    #[test]
    fn a_table_stands_in_columns_without_bars_and_backslashes() {
        let expected = [
            "Test accuracy (%)",
            "",
            "method         synthetic_images  a|b",
            "-------------  ----------------  ---",
            "dm                 29.00 ± 1.25    –",
            "whole set # 1      7.10 ± 0.50†    1",
            "",
            "mean ± std of 3; bold: best; n_x",
        ];
        let shown = text(TABLE, true);
        assert_eq!(shown.replace("\u{1b}[1m", "").replace("\u{1b}[0m", ""), expected.join("\n"));
        assert!(shown.contains("\u{1b}[1m29.00 ± 1.25\u{1b}[0m") && shown.starts_with("\u{1b}[1mTest"));
        let plain = text(TABLE, false);
        assert!(plain.starts_with("Test accuracy (%)\n\n") && !plain.contains('\u{1b}'), "{plain}");
        assert!(plain.contains("dm             **29.00 ± 1.25**    –"), "{plain}");
    }

    #[test]
    fn what_is_no_table_stays_as_it_is() {
        for text_of in ["", "words\nand more", "a - b", "**", "****", "|", "| |", "||\n|-|", "\\", "a \\| b | c"] {
            let _ = text(text_of, false);
        }
        assert_eq!(text("words\n\nand C:\\more", false), "words\n\nand C:\\more");
        assert_eq!(text("| only |", false), "only");
        assert_eq!(text("| a &lt;b&gt; &amp;lt; &#64;c |", false), "a <b> &lt; @c");
    }
}
