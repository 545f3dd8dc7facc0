//! What a column of a table says: which row is best, which comes next, and whether the two can be told apart. The interval is
//! that of Welch's test over single values: those of several nodes, or those that a node's document lists.

use super::document::Document;
use super::layout::Layout;
use crate::baseline::statistics::{Welch, mean};
use crate::comparison::single_values;
use crate::pipeline::NodeId;
use crate::report::subject::Subject;
use ddpipe_interface::metric::Better;

/// The interval is of this confidence.
const CONFIDENCE: f64 = 0.95;

/// What one column says.
#[derive(Clone, Debug)]
pub struct Reading {
    /// The column.
    pub column: String,
    /// The best row.
    pub best: String,
    /// The row that comes next.
    pub next: String,
    /// By how much the best is better.
    pub difference: String,
    /// The interval of the difference, or why there is none.
    pub interval: String,
    /// In words.
    pub verdict: &'static str,
    /// Whether the interval leaves no doubt.
    pub certain: bool,
}

/// The best of a column.
#[derive(Default)]
pub struct Best {
    /// The rows that share the best value.
    pub rows: Vec<usize>,
    /// What the column says, where there are two rows to compare.
    pub reading: Option<Reading>,
    /// How far the other rows are from the best one, in words.
    pub beside: Vec<(usize, String)>,
}

/// The best of each column.
pub fn best(subject: &Subject, document: &Document, layout: &Layout) -> Vec<Best> {
    (0..document.columns.len()).map(|column| of_column(subject, document, layout, column)).collect()
}

fn of_column(subject: &Subject, document: &Document, layout: &Layout, column: usize) -> Best {
    let Some(better) = direction(subject, document, layout, column) else { return Best::default() };
    let means = (0..document.rows.len()).filter_map(|row| Some((row, document.numbers(row, column)?.mean)));
    let mut means: Vec<(usize, f64)> = means.filter(|(_, mean)| mean.is_finite()).collect();
    means.sort_by(|(_, one), (_, other)| match better {
        Better::Higher => other.total_cmp(one),
        Better::Lower => one.total_cmp(other),
    });
    let [(best, value), (next, _), ..] = means.as_slice() else { return Best::default() };
    let pair = |row: usize, mean: f64| Pair {
        document,
        column,
        sign: if better == Better::Higher { 1.0 } else { -1.0 },
        difference: (value - mean).abs(),
        ours: values(subject, document, &layout.nodes(*best, column), column),
        theirs: values(subject, document, &layout.nodes(row, column), column),
    };
    let title = |row: usize| document.rows.get(row).cloned().unwrap_or_default();
    let side = if better == Better::Higher { "below" } else { "above" };
    let beside = means.iter().skip(1).map(|(row, mean)| {
        let Told { difference, interval, verdict, .. } = pair(*row, *mean).told();
        (
            *row,
            format!(
                "{difference} {side} the best of its column, {}: {verdict}; 95 % interval {interval}",
                title(*best)
            ),
        )
    });
    let beside = beside.collect();
    let told = means.get(1).map(|(row, mean)| pair(*row, *mean).told());
    let reading = told.map(|Told { difference, interval, verdict, certain }| Reading {
        column: document.titles().get(column).cloned().unwrap_or_default(),
        best: title(*best),
        next: title(*next),
        difference,
        interval,
        verdict,
        certain,
    });
    Best { rows: means.iter().filter(|(_, mean)| mean == value).map(|(row, _)| *row).collect(), reading, beside }
}

/// Two cells of a column with the single values behind them.
struct Pair<'a> {
    document: &'a Document,
    column: usize,
    sign: f64,
    difference: f64,
    ours: Vec<f64>,
    theirs: Vec<f64>,
}

/// What two cells say of each other.
struct Told {
    difference: String,
    interval: String,
    verdict: &'static str,
    certain: bool,
}

impl Pair<'_> {
    fn told(&self) -> Told {
        let Pair { document, column, sign, difference, ours, theirs } = self;
        let unit = match document.scale(*column).1 {
            "%" => " points".to_string(),
            "" => String::new(),
            unit => format!(" {unit}"),
        };
        let shown = |value: f64| document.shown(*column, value);
        let margin = Welch::test(ours, theirs).map(|test| test.margin(1.0 - CONFIDENCE)).filter(|it| it.is_finite());
        let (interval, verdict, certain) = match margin {
            Some(margin) => {
                let middle = sign * (mean(ours) - mean(theirs));
                let (low, high) = (shown(middle - margin), shown(middle + margin));
                let certain = middle - margin > 0.0;
                let verdict = if certain { "told apart" } else { "cannot be told apart" };
                (format!("{low} to {high} (n {} and {})", ours.len(), theirs.len()), verdict, certain)
            }
            None if ours.len() < 2 || theirs.len() < 2 => ("none: one value on a side".into(), "cannot say", false),
            None => ("none: no spread".into(), "cannot say", false),
        };
        Told { difference: format!("{}{unit}", shown(*difference)), interval, verdict, certain }
    }
}

/// Which values of a column are better: as the document says, or else as the kinds of its nodes declare the metric.
fn direction(subject: &Subject, document: &Document, layout: &Layout, column: usize) -> Option<Better> {
    if let Some(better) = document.better(column) {
        return Some(better);
    }
    let metric = document.metric(column)?;
    let nodes = (0..document.rows.len()).flat_map(|row| layout.nodes(row, column));
    let mut declared = nodes.filter_map(|id| {
        let node = subject.pipeline.node(id);
        subject.pipeline.catalog.declaration(&node.kind)?.metric(metric, &node.params)?.better
    });
    declared.next()
}

/// The single values behind a cell.
fn values(subject: &Subject, document: &Document, nodes: &[NodeId], column: usize) -> Vec<f64> {
    let Some(metric) = document.metric(column) else { return Vec::new() };
    let number = |id: &NodeId| subject.record(*id).and_then(|record| record.number(metric));
    if let [one] = nodes {
        let Some(result) = number(one) else { return Vec::new() };
        let documents = subject.documents(*one);
        let mut lists = documents.iter().filter_map(|(_, document)| single_values(document, metric, result));
        return lists.next().unwrap_or_else(|| vec![result]);
    }
    nodes.iter().filter_map(number).collect()
}
