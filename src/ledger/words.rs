//! The cells of a ledger as people read them: shares in per cent, what is not there as nothing.

use super::{Ledger, Row, Verdict};
use crate::number::significant;
use crate::published::{Figure, Sure};
use indexmap::IndexSet;

/// The titles of the columns behind the labels.
pub const TITLES: [&str; 6] = ["published", "measured", "n", "difference [95 %]", "verdict", "hours"];

/// In the order in which they are counted.
const VERDICTS: [Verdict; 6] = [
    Verdict::Reproduced,
    Verdict::NotReproduced,
    Verdict::CannotSay,
    Verdict::OtherProtocol,
    Verdict::NothingPublished,
    Verdict::NotRun,
];

/// `91.7 ± 0.5`, with the digits that it has, of shares in per cent; a figure that was not read is marked.
pub fn published(figure: &Figure, unit: Option<&str>) -> String {
    let Some(value) = figure.value else { return "none".into() };
    let stated = |value: f64| {
        if unit != Some("share") {
            return significant(value);
        }
        // Times 100, a decimal number has digits that nobody wrote; and papers write one behind the point.
        let percent = significant((value * 1e11).round() / 1e9);
        if percent.contains('.') { percent } else { format!("{percent}.0") }
    };
    let spread = figure.std.map_or(String::new(), |std| format!(" ± {}", stated(std)));
    let mark = match figure.sure {
        Sure::Remembered => " (remembered)",
        Sure::Computed => " (computed)",
        Sure::Read | Sure::None => "",
    };
    format!("{}{spread}{mark}", stated(value))
}

impl Row {
    fn is_share(&self) -> bool {
        self.unit.as_deref() == Some("share")
    }

    /// A measured number: of a share two digits behind the point, else six digits.
    fn number(&self, value: f64) -> String {
        if self.is_share() && value.is_finite() { format!("{:.2}", 100.0 * value) } else { significant(value) }
    }

    /// `91.7 ± 0.5`; a figure that was not read is marked.
    pub fn published_words(&self) -> String {
        published(&self.published, self.unit.as_deref())
    }

    /// `91.23 ± 0.40`.
    pub fn measured_words(&self) -> String {
        let Some(measured) = &self.measured else { return String::new() };
        let spread = measured.deviation.map_or(String::new(), |deviation| format!(" ± {}", self.number(deviation)));
        format!("{}{spread}", self.number(measured.mean))
    }

    /// `5 seeds`.
    pub fn n_words(&self) -> String {
        let Some(measured) = &self.measured else { return String::new() };
        let n = measured.n;
        match measured.over.as_deref() {
            None => n.to_string(),
            Some(over) if over.contains(',') => format!("{n} of {over}"),
            Some(over) if over.ends_with('s') => format!("{n} {over}"),
            Some(over) => format!("{n} {over}s"),
        }
    }

    /// `-0.47 [-0.97, +0.03]`.
    pub fn difference_words(&self) -> String {
        let Some(difference) = &self.difference else { return String::new() };
        let signed = |value: f64| {
            let text = self.number(value);
            if text.starts_with('-') { text } else { format!("+{text}") }
        };
        let ends = difference.interval.map(|[low, high]| format!(" [{}, {}]", signed(low), signed(high)));
        format!("{}{}", signed(difference.value), ends.unwrap_or_default())
    }

    /// `0.25`, of hours.
    pub fn hours_words(&self) -> String {
        let hours = self.measured.as_ref().map(|measured| measured.seconds / 3600.0);
        hours.map_or(String::new(), |hours| if hours < 0.01 { "<0.01".into() } else { format!("{hours:.2}") })
    }

    /// What stands below the row, or at the end of the page: why, and what else there is to know.
    pub fn remarks(&self) -> Vec<String> {
        let why = Some(self.why.clone()).filter(|why| !why.is_empty());
        why.into_iter().chain(self.notes.iter().cloned()).collect()
    }
}

impl Ledger {
    /// The columns that say which cell a row is of: stage and metric where there are several, and the axes.
    pub fn labels(&self) -> Vec<String> {
        let several = |of: fn(&Row) -> &String| self.rows.iter().map(of).collect::<IndexSet<_>>().len() > 1;
        let axes: IndexSet<&String> = self.rows.iter().flat_map(|row| row.axes.keys()).collect();
        let stage = (several(|row| &row.stage) || axes.is_empty()).then(|| "stage".to_string());
        let metric = several(|row| &row.metric).then(|| "metric".to_string());
        let mut names: Vec<String> = stage.into_iter().chain(axes.into_iter().cloned()).chain(metric).collect();
        // What changes least often from row to row stands first, so that rows that belong together look so.
        let changes = |name: &String| {
            let values: Vec<&str> = self.rows.iter().map(|row| self.label(row, name)).collect();
            values.windows(2).filter(|pair| pair.first() != pair.last()).count()
        };
        names.sort_by_cached_key(changes);
        names
    }

    /// What a row says in such a column.
    pub fn label<'a>(&self, row: &'a Row, name: &str) -> &'a str {
        match row.axes.get(name) {
            Some(value) => value,
            None if name == "stage" => &row.stage,
            None if name == "metric" => &row.metric,
            None => "",
        }
    }

    /// `3 reproduced, 2 other protocol`.
    pub fn counts(&self) -> String {
        let count = |verdict: Verdict| self.rows.iter().filter(|row| row.verdict == verdict).count();
        let counted = VERDICTS.iter().map(|verdict| (count(*verdict), verdict.words()));
        let words: Vec<String> =
            counted.filter(|(count, _)| *count > 0).map(|(count, words)| format!("{count} {words}")).collect();
        words.join(", ")
    }

    /// What the numbers are: the metric where there is one, and whether it is in per cent.
    pub fn caption(&self) -> String {
        let metrics: IndexSet<&str> = self.rows.iter().map(|row| row.metric.as_str()).collect();
        let metric = if metrics.len() == 1 { metrics.first().copied().unwrap_or_default() } else { "metrics" };
        let percent = if self.rows.iter().all(Row::is_share) { " in %" } else { "" };
        format!("{}: {metric}{percent}, published and measured", self.pipeline)
    }

    /// The devices and commits that all of it was made on and at.
    pub fn made(&self) -> Vec<String> {
        let measured = || self.rows.iter().filter_map(|row| row.measured.as_ref());
        let hardware: IndexSet<&str> = measured().flat_map(|it| it.hardware.iter().map(String::as_str)).collect();
        let commits: IndexSet<String> =
            measured().flat_map(|it| it.commits.iter().map(|hash| hash.chars().take(10).collect())).collect();
        let mut lines = Vec::new();
        if !hardware.is_empty() {
            lines.push(format!("on {}", hardware.into_iter().collect::<Vec<_>>().join("; ")));
        }
        if !commits.is_empty() {
            let noun = if commits.len() == 1 { "commit" } else { "commits" };
            lines.push(format!("at {noun} {}", commits.into_iter().collect::<Vec<_>>().join(", ")));
        }
        lines
    }
}
