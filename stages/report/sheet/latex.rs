//! Writes a table in LaTeX; it needs the package booktabs.

use super::{Entry, Mark, Sheet, wording};

/// The table as a LaTeX `table` environment.
pub fn write(sheet: &Sheet) -> String {
    let line = |cells: Vec<String>| format!("{} \\\\\n", cells.join(" & "));
    let titles = sheet.columns.iter().map(|title| escape(title));
    let mut text = String::from("% needs \\usepackage{booktabs}\n\\begin{table}\n\\centering\n");
    text += &format!("\\caption{{{}}}\n", escape(&sheet.caption));
    text += &format!("\\begin{{tabular}}{{l{}}}\n\\toprule\n", "r".repeat(sheet.columns.len()));
    text += &line(std::iter::once(escape(&sheet.corner)).chain(titles).collect());
    text += "\\midrule\n";
    for (title, row) in sheet.rows.iter().zip(&sheet.entries) {
        let cells = row.iter().map(|entry| entry.as_ref().map_or("--".into(), cell));
        text += &line(std::iter::once(escape(title)).chain(cells).collect());
    }
    text += "\\bottomrule\n\\end{tabular}\n";
    text + &format!("\\par\\small {}\n\\end{{table}}\n", wording::note(sheet, sign, escape))
}

fn cell(entry: &Entry) -> String {
    let text = wording::numbers(entry, "$\\pm$");
    match entry.mark {
        Some(Mark::Best) => format!("\\textbf{{{text}}}"),
        Some(Mark::Tied) => format!("\\underline{{{text}}}"),
        Some(Mark::Untested) => text + sign(Mark::Untested),
        Some(Mark::Worse) | None => text,
    }
}

fn sign(mark: Mark) -> &'static str {
    match mark {
        Mark::Best => "bold",
        Mark::Tied => "underlined",
        Mark::Worse => "plain",
        Mark::Untested => "$^\\ddagger$",
    }
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
