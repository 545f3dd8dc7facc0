//! What is published for the cells of a pipeline beside what was measured, as [`crate::ledger`] judges it.

use super::subject::Subject;
use super::words::{Link, counted};
use crate::ledger::{Row, Verdict};
use crate::progress::duration;
use indexmap::IndexMap;

/// So many figures are shown.
const ROWS: usize = 400;

/// Published beside measured.
pub struct Ledger {
    /// The verdicts, counted.
    pub counts: String,
    /// The figures.
    pub entries: Vec<Entry>,
    /// How many further figures there are.
    pub more: usize,
}

/// A figure beside what was measured for its cell.
pub struct Entry {
    /// The cell and the metric.
    pub cell: String,
    /// What is published.
    pub published: String,
    /// Where, and in what it differs.
    pub source: String,
    /// What was measured.
    pub measured: String,
    /// The nodes that gave it.
    pub nodes: Vec<Link>,
    /// The difference with its interval.
    pub difference: String,
    /// What was measured took so long, on what.
    pub cost: String,
    /// The verdict.
    pub verdict: &'static str,
    /// The class of its colours.
    pub class: &'static str,
    /// Why.
    pub why: String,
}

/// The ledger; none where the manifest names no figure for what is in it. Cells that were not run, and those for which nothing is
/// published, are counted only: what was measured for these stands in the tables.
pub fn of(subject: &Subject) -> Option<Ledger> {
    let rows = &subject.published;
    if rows.is_empty() {
        return None;
    }
    let mut counts: IndexMap<Verdict, usize> = IndexMap::new();
    rows.iter().for_each(|row| *counts.entry(row.verdict).or_default() += 1);
    counts.sort_keys();
    let counts: Vec<String> = counts.iter().map(|(verdict, count)| format!("{count} {}", verdict.words())).collect();
    let there: Vec<&Row> =
        rows.iter().filter(|row| !matches!(row.verdict, Verdict::NotRun | Verdict::NothingPublished)).collect();
    let more = there.len().saturating_sub(ROWS);
    let counts = format!("{}: {}.", counted(rows.len(), "figure"), counts.join(", "));
    Some(Ledger { counts, entries: there.into_iter().take(ROWS).map(|row| entry(subject, row)).collect(), more })
}

fn entry(subject: &Subject, row: &Row) -> Entry {
    let measured = row.measured.as_ref();
    let of_address = |address: &str| subject.pipeline.nodes.iter().find(|node| node.address == address);
    let nodes = measured.map_or(&[][..], |measured| &measured.records).iter();
    let nodes = nodes.filter_map(|it| Some(Link::to(subject.pipeline, of_address(&it.node)?.id)));
    let n = row.n_words();
    let differs = row.published.differs.as_ref().map_or(String::new(), |differs| format!("; differs: {differs}"));
    let why = std::iter::once(row.why.clone()).chain(row.notes.clone()).filter(|text| !text.is_empty());
    Entry {
        cell: format!("{}.{}", row.cell, row.metric),
        published: row.published_words(),
        source: format!("{}{differs}", row.published.source),
        measured: if n.is_empty() { row.measured_words() } else { format!("{} ({n})", row.measured_words()) },
        nodes: nodes.collect(),
        difference: row.difference_words(),
        cost: measured.map_or(String::new(), |it| format!("{} on {}", duration(it.seconds), it.hardware.join(", "))),
        verdict: row.verdict.words(),
        class: match row.verdict {
            Verdict::Reproduced => "ran",
            Verdict::NotReproduced => "failed",
            Verdict::CannotSay | Verdict::OtherProtocol => "interrupted",
            Verdict::NotRun | Verdict::NothingPublished => "none",
        },
        why: why.collect::<Vec<_>>().join("; "),
    }
}
