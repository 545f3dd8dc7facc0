//! A ledger as comma-separated values: all digits, in the metrics' own units.

use super::{Ledger, Row};
use crate::fields::field;

/// The columns behind the axes.
const NAMES: [&str; 24] = [
    "metric",
    "unit",
    "published",
    "published_std",
    "published_n",
    "sure",
    "source",
    "protocol",
    "differs",
    "measured",
    "measured_std",
    "n",
    "n_of",
    "difference",
    "difference_low",
    "difference_high",
    "margin",
    "verdict",
    "why",
    "notes",
    "seconds",
    "hardware",
    "commits",
    "keys",
];

impl Ledger {
    /// The text.
    pub fn csv(&self) -> String {
        let axes: Vec<String> = self.labels().into_iter().filter(|name| name != "stage" && name != "metric").collect();
        let head = ["cell", "stage"].into_iter().chain(axes.iter().map(String::as_str)).chain(NAMES);
        let mut text = line(head.map(str::to_string));
        for row in &self.rows {
            let of_axes = axes.iter().map(|name| self.label(row, name).to_string());
            let first = [row.cell.clone(), row.stage.clone()];
            text.push_str(&line(first.into_iter().chain(of_axes).chain(values(row))));
        }
        text
    }
}

fn line(fields: impl Iterator<Item = String>) -> String {
    fields.map(|text| field(&text)).collect::<Vec<_>>().join(",") + "\n"
}

/// What a row says in the columns of [`NAMES`].
fn values(row: &Row) -> [String; 24] {
    let number = |value: Option<f64>| value.map_or(String::new(), |value| format!("{value:?}"));
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let (published, measured) = (&row.published, row.measured.as_ref());
    let end = |at: usize| row.difference.and_then(|difference| difference.interval).and_then(|it| it.get(at).copied());
    let joined = |of: fn(&super::Measured) -> Vec<String>| measured.map_or(String::new(), |it| of(it).join("; "));
    [
        row.metric.clone(),
        text(&row.unit),
        number(published.value),
        number(published.std),
        published.n.map_or(String::new(), |n| n.to_string()),
        published.sure.name().to_string(),
        published.source.clone(),
        text(&published.protocol),
        text(&published.differs),
        number(measured.map(|it| it.mean)),
        number(measured.and_then(|it| it.deviation)),
        measured.map_or(String::new(), |it| it.n.to_string()),
        measured.and_then(|it| it.over.clone()).unwrap_or_default(),
        number(row.difference.map(|it| it.value)),
        number(end(0)),
        number(end(1)),
        number(row.margin),
        row.verdict.words().to_string(),
        row.why.clone(),
        row.notes.join("; "),
        number(measured.map(|it| it.seconds)),
        joined(|it| it.hardware.clone()),
        joined(|it| it.commits.clone()),
        joined(|it| it.records.iter().map(|record| record.key.clone()).collect()),
    ]
}
