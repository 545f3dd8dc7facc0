//! The table in LaTeX. Needs package booktabs.

use super::{Table, wording};

/// A `table` environment.
pub fn write(table: &Table) -> String {
    let line = |cells: Vec<String>| format!("{} \\\\\n", cells.join(" & "));
    let titles = table.cells.columns.iter().map(|title| escape(title));
    let mut text = String::from("% needs \\usepackage{booktabs}\n\\begin{table}\n\\centering\n");
    text += &format!("\\caption{{{}}}\n", escape(&table.caption));
    text += &format!("\\begin{{tabular}}{{l{}}}\n\\toprule\n", "r".repeat(table.cells.columns.len()));
    text += &line(std::iter::once(escape(&table.corner)).chain(titles).collect());
    text += "\\midrule\n";
    for (title, row) in table.cells.rows.iter().zip(&table.cells.grid) {
        let cells = row.iter().map(|cell| wording::cell(table, cell.as_ref(), "$\\pm$", "--"));
        text += &line(std::iter::once(escape(title)).chain(cells).collect());
    }
    text += "\\bottomrule\n\\end{tabular}\n";
    text + &format!("\\par\\small {}\n\\end{{table}}\n", escape(&table.note))
}

fn escape(text: &str) -> String {
    wording::escape(text, |letter| {
        Some(match letter {
            '\\' => "\\textbackslash{}",
            '{' => "\\{",
            '}' => "\\}",
            '$' => "\\$",
            '&' => "\\&",
            '#' => "\\#",
            '%' => "\\%",
            '_' => "\\_",
            '^' => "\\textasciicircum{}",
            '~' => "\\textasciitilde{}",
            '<' => "\\textless{}",
            '>' => "\\textgreater{}",
            '|' => "\\textbar{}",
            // A bracket after a line's end would be read as the argument of \\.
            '[' => "{[}",
            '±' => "$\\pm$",
            '–' => "--",
            _ => return None,
        })
    })
}
