//! The texts of a comparison: the titles of the columns, the note that says what the numbers are, and the legend of the
//! marks.

use super::{Against, Correction, Grid, Params, Singles, of_value};
use crate::compare::table::value::Value;
use crate::report::sheet::{Mark, same_n};

/// The titles of the metrics, joined by commas and "and", for the caption.
pub fn shown(values: &[Value]) -> String {
    listed(values.iter().map(|value| value.title.clone()))
}

/// The titles of the columns under one label, by the titles of the metrics with their units. `labelled` says whether
/// the table has axes in its columns; if not, the label is left out.
pub fn columns(place: &str, labelled: bool, values: &[Value]) -> Vec<String> {
    match values {
        [value] => vec![if labelled { place.to_string() } else { value.title.clone() }],
        _ => under(place, labelled, values.iter().map(Value::full_title)),
    }
}

/// The titles of the columns under one label, by the names of the metrics, for files that programs read.
pub fn plain_columns(place: &str, labelled: bool, values: &[Value]) -> Vec<String> {
    match (values, labelled) {
        ([_], true) => vec![place.to_string()],
        _ => under(place, labelled, values.iter().map(|value| value.name.clone())),
    }
}

fn under(place: &str, labelled: bool, titles: impl Iterator<Item = String>) -> Vec<String> {
    titles.map(|title| if labelled { format!("{place}, {title}") } else { title }).collect()
}

/// The note below the table: what the numbers are, over which axes mean and standard deviation are taken, and of how
/// many single values. That count n stands in the note only where it is the same in all cells of a metric and the cells
/// do not show it themselves (`in_cells`).
pub fn note(grid: &Grid, values: &[Value], over: &[String], singles: Singles, in_cells: bool) -> String {
    let mut parts = Vec::new();
    if let [value] = values {
        parts.push(value.in_words());
    }
    let folds = grid.iter().flatten().flatten().any(|sampled| sampled.cell.n > 1);
    match singles {
        Singles::Lists if folds => {
            let also =
                if over.is_empty() { String::new() } else { format!(", taken together over {}", over.join(" and ")) };
            parts.push(format!("mean ± standard deviation over the single values of every result{also}"));
        }
        Singles::Results if folds => parts.push(format!("mean ± standard deviation over {}", over.join(" and "))),
        _ => {}
    }
    let counts: Vec<Option<usize>> = (0..values.len())
        .map(|value| same_n(of_value(grid, values.len(), value).map(|sampled| &sampled.cell)))
        .collect();
    if in_cells || !folds {
        return parts.join("; ");
    }
    match counts[0].filter(|_| counts.iter().all(|count| *count == counts[0])) {
        Some(n) => parts.push(format!("n = {n}")),
        None => {
            let counted = values.iter().zip(counts);
            let several = counted.filter_map(|(value, n)| Some((value, n.filter(|&n| n > 1)?)));
            parts.extend(several.map(|(value, n)| format!("{}: n = {n}", value.title)));
        }
    }
    parts.join("; ")
}

/// The marks that occur in the grid, each with its meaning in words.
pub fn legend(grid: &Grid, params: &Params) -> Vec<(Mark, String)> {
    let marks = || grid.iter().flatten().flatten().filter_map(|sampled| sampled.mark);
    let tests = grid.iter().flatten().flatten().filter(|sampled| sampled.p.is_some()).count();
    let place = match params.against {
        Against::Column => "best of its column",
        Against::Row if params.values.len() > 1 => "best of its row, of every value",
        Against::Row => "best of its row",
        Against::Table if params.values.len() > 1 => "best of its value",
        Against::Table => "best",
    };
    let p = match params.correction {
        Correction::None => "p".to_string(),
        Correction::Holm => format!("p after Holm's correction for {tests} comparisons"),
    };
    let tied =
        format!("not significantly worse (two-sided Welch t-test against the best, {p} at least {})", params.alpha);
    let meanings = [
        (Mark::Best, place.to_string()),
        (Mark::Tied, tied),
        (
            Mark::Worse,
            format!("significantly worse (two-sided Welch t-test against the best, {p} below {})", params.alpha),
        ),
        (Mark::Untested, "not tested, for want of two single values or of spread".to_string()),
    ];
    // `Mark::Worse` is not printed in the cells. Its meaning names the test, so it is in the legend only where
    // `Mark::Tied` does not occur.
    let tied_occurs = marks().any(|mark| mark == Mark::Tied);
    let occurs = |mark: Mark| marks().any(|found| found == mark) && !(mark == Mark::Worse && tied_occurs);
    meanings.into_iter().filter(|(mark, _)| occurs(*mark)).collect()
}

/// The names as one text: `a, b and c`.
fn listed(names: impl Iterator<Item = String>) -> String {
    let names: Vec<String> = names.collect();
    match names.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} and {last}", rest.join(", ")),
        None => String::new(),
    }
}
