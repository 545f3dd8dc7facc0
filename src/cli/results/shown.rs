//! Results as a table on a terminal: which columns it has, and which of them have no room.

use super::Args;
use crate::catalog::Catalog;
use crate::number::significant;
use crate::ranking::{self, Row};
use crate::table::Table;
use crate::when;
use indexmap::IndexSet;
use std::io::IsTerminal as _;
use unicode_width::UnicodeWidthStr as _;

/// So many differing parameters and metrics are shown unless columns are named.
const SETTINGS: usize = 6;
const METRICS: usize = 4;
/// Columns without room that are named.
pub(super) const NAMED: usize = 6;

/// The table of these rows, which were chosen from the candidates. What is left out for lack of room is added to `left`.
pub fn table(args: &Args, rows: &[Row], candidates: &[Row], catalog: &Catalog, left: &mut IndexSet<String>) -> String {
    if !args.columns.is_empty() {
        return text(rows, &args.columns);
    }
    let kept: IndexSet<&String> = args.by.iter().chain(&args.best).chain(&args.sort).collect();
    let all_settings = settings(candidates);
    let all_metrics = ranking::metrics(rows, catalog);
    let mut settings: Vec<&String> = all_settings.iter().take(SETTINGS).collect();
    let mut metrics: Vec<&String> = all_metrics.iter().take(METRICS).collect();
    loop {
        let names = names(args, rows, &settings, &metrics);
        let text = text(rows, &names);
        // What stands last goes first, of the parameters and then of the metrics.
        let last = |names: &[&String]| names.iter().rposition(|name| !kept.contains(*name)).filter(|at| *at > 0);
        let too_much = !fits(&text);
        if too_much && let Some(at) = last(&settings) {
            settings.remove(at);
        } else if too_much && let Some(at) = last(&metrics) {
            metrics.remove(at);
        } else {
            left.extend(all_settings.iter().chain(&all_metrics).filter(|name| !names.contains(*name)).cloned());
            return text;
        }
    }
}

/// The axes and parameters in which the candidates differ; of a single one, all.
fn settings(candidates: &[Row]) -> Vec<String> {
    if candidates.len() == 1 {
        let all = ranking::settings(candidates);
        // An axis of the row says what a parameter of the same value repeats.
        let axes: IndexSet<String> = candidates.iter().flat_map(|row| row.axes.keys().cloned()).collect();
        let value = |name: &String| candidates.first().and_then(|row| row.cell(name)).map(|cell| cell.text());
        let repeats = |name: &String| {
            name.split_once('.').is_some_and(|(_, param)| {
                let param = param.to_string();
                axes.contains(&param) && value(&param) == value(name)
            })
        };
        return all.iter().filter(|name| !repeats(name)).cloned().collect();
    }
    ranking::differing_settings(candidates).into_iter().map(|column| column.name).collect()
}

fn names(args: &Args, rows: &[Row], settings: &[&String], metrics: &[&String]) -> Vec<String> {
    let several = |name: &str| {
        let values: IndexSet<Option<String>> = rows.iter().map(|row| Some(row.cell(name)?.text())).collect();
        values.len() > 1
    };
    let mut names: IndexSet<String> = IndexSet::new();
    names.extend(["pipeline"].into_iter().filter(|name| several(name)).map(String::from));
    names.extend(["stage"].into_iter().filter(|name| rows.len() == 1 || several(name)).map(String::from));
    names.extend(args.by.iter().cloned());
    names.extend(settings.iter().map(|name| name.to_string()));
    names.extend(args.best.iter().chain(&args.sort).cloned());
    names.extend(metrics.iter().map(|name| name.to_string()));
    names.extend(Some("n".to_string()).filter(|_| !args.over.is_empty()));
    names.insert("made".to_string());
    names.extend(["run"].into_iter().filter(|name| rows.len() == 1 || several(name)).map(String::from));
    names.into_iter().collect()
}

fn text(rows: &[Row], names: &[String]) -> String {
    let mut table = Table::new(names.iter().cloned());
    for row in rows {
        let cell = |name: &String| match name.as_str() {
            "made" => when::short(row.made),
            name => {
                let text = row.cell(name).map_or(String::new(), |cell| cell.text());
                match row.folded.as_ref().and_then(|folded| folded.deviations.get(name)) {
                    Some(deviation) => format!("{text} ± {}", significant(*deviation)),
                    None => text,
                }
            }
        };
        table.row(names.iter().map(cell).collect());
    }
    table.text()
}

/// Whether no line is wider than the terminal; a pipe has room for everything.
fn fits(text: &str) -> bool {
    if !std::io::stdout().is_terminal() {
        return true;
    }
    let width = terminal_size::terminal_size().map_or(80, |(width, _)| usize::from(width.0));
    text.lines().all(|line| line.width() <= width)
}
