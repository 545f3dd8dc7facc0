//! Results of nodes that differ only in their seed, or the single values that one result is the mean of, with the interval of
//! the difference of means. The statistics are those of baselines.

use super::Side;
use crate::baseline::statistics::{Welch, mean};
use crate::baseline::{SEED, Side as Numbers};
use crate::selector::Selector;
use ddpipe_cache::{Cache, Record};
use ddpipe_interface::ArtifactType;
use indexmap::{IndexMap, IndexSet};
use serde::Serialize;
use serde_json::Value;

/// The interval is of this confidence.
pub const CONFIDENCE: f64 = 0.95;
/// Larger documents are not searched for single values.
const LARGEST: u64 = 16 << 20;

/// A metric of a group of nodes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Group {
    /// The nodes, by their address without the axis `seed`.
    pub node: String,
    /// The metric.
    pub metric: String,
    /// What the values are: `nodes`, or the list in the result's document, such as `accuracies`.
    pub of: String,
    /// The first side.
    pub a: Numbers,
    /// The second side.
    pub b: Numbers,
    /// The difference of means, second less first.
    pub difference: f64,
    /// Its confidence interval, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval: Option<[f64; 2]>,
    /// Why there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub without: Option<&'static str>,
}

/// Groups of nodes of one side, each node with its record, if it is there, and its results.
type Groups<'a> = IndexMap<String, Vec<(Option<&'a Record>, &'a IndexMap<String, f64>)>>;

/// The groups that both sides have, with the metrics that differ.
pub(super) fn compare(cache: &Cache, a: &Side, b: &Side) -> Vec<Group> {
    let (groups_a, groups_b) = (groups(a), groups(b));
    let mut found = Vec::new();
    for (node, of_b) in &groups_b {
        let Some(of_a) = groups_a.get(node) else { continue };
        let names: IndexSet<&String> = of_b.iter().flat_map(|(_, metrics)| metrics.keys()).collect();
        let values = |nodes: &[(Option<&Record>, &IndexMap<String, f64>)], metric: &String| -> Vec<f64> {
            nodes.iter().filter_map(|(_, metrics)| metrics.get(metric).copied()).collect()
        };
        let both = names.into_iter().map(|metric| (metric, values(of_a, metric), values(of_b, metric)));
        let differ =
            |(_, one, other): &(&String, Vec<f64>, Vec<f64>)| one != other && !one.is_empty() && !other.is_empty();
        let both: Vec<_> = both.filter(differ).collect();
        if both.is_empty() {
            continue;
        }
        let (documents_a, documents_b) = (documents(cache, of_a), documents(cache, of_b));
        for (metric, mut one, mut other) in both {
            let (mut of, list) = ("nodes".to_string(), plural(metric));
            let of_documents = singles(&documents_a, &list, &one).zip(singles(&documents_b, &list, &other));
            if let Some(lists) = of_documents {
                ((one, other), of) = (lists, list);
            }
            found.push(Group::new(node, metric, of, &one, &other));
        }
    }
    found
}

impl Group {
    fn new(node: &str, metric: &str, of: String, one: &[f64], other: &[f64]) -> Self {
        let (a, b) = (Numbers::of(one), Numbers::of(other));
        let difference = b.mean - a.mean;
        let test = Welch::test(one, other);
        let margin = test.map(|test| test.margin(1.0 - CONFIDENCE)).filter(|margin| margin.is_finite());
        let without = match margin {
            Some(_) => None,
            None if a.n < 2 || b.n < 2 => Some("cannot say: one value on a side"),
            None => Some("cannot say: no spread"),
        };
        let interval = margin.map(|margin| [difference - margin, difference + margin]);
        Group { node: node.into(), metric: metric.into(), of, a, b, difference, interval, without }
    }
}

fn groups(side: &Side) -> Groups<'_> {
    let mut groups = Groups::new();
    for (address, node) in side.outcomes.iter().filter(|(_, node)| !node.metrics.is_empty()) {
        let without_seed = |mut selector: Selector| selector.axes.shift_remove(SEED).map(|_| selector.to_string());
        let name = address.parse().ok().and_then(without_seed).unwrap_or_else(|| address.clone());
        groups.entry(name).or_default().push((node.record.as_ref(), &node.metrics));
    }
    groups
}

/// The documents of a group of one node; nodes of several seeds speak for themselves.
fn documents(cache: &Cache, nodes: &[(Option<&Record>, &IndexMap<String, f64>)]) -> Vec<Value> {
    let [(Some(record), _)] = nodes else { return Vec::new() };
    let is_document = |output: &&ddpipe_cache::Output| {
        output.artifact_type == ArtifactType::Metrics.name() && output.bytes <= LARGEST
    };
    let outputs = record.outputs.values().filter(is_document);
    // What cannot be read has no single values; the results themselves are in the record.
    outputs
        .filter_map(|output| serde_json::from_slice(&cache.blobs().read_verified(output.digest).ok()?).ok())
        .collect()
}

/// The list of this name, if the result is its mean: it may be about something else.
fn singles(documents: &[Value], list: &str, result: &[f64]) -> Option<Vec<f64>> {
    let list = documents.iter().find_map(|document| document.get(list)?.as_array())?;
    let values: Vec<f64> = list.iter().map(Value::as_f64).collect::<Option<_>>()?;
    let [result] = result else { return None };
    let is_mean = (mean(&values) - result).abs() <= 1e-6 * result.abs().max(1e-6);
    (values.len() > 1 && is_mean).then_some(values)
}

/// The single values of a metric that a document lists, if the result is their mean.
pub(crate) fn single_values(document: &Value, metric: &str, result: f64) -> Option<Vec<f64>> {
    singles(std::slice::from_ref(document), &plural(metric), &[result])
}

/// The name of the list that has the single values of a metric: `accuracies` for `accuracy`.
fn plural(metric: &str) -> String {
    match metric.strip_suffix('y') {
        Some(stem) => format!("{stem}ies"),
        None => format!("{metric}s"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn an_interval_needs_two_values_on_each_side_and_some_spread() {
        let group = |one: &[f64], other: &[f64]| Group::new("evaluate", "accuracy", "nodes".into(), one, other);
        let found = group(&[0.80, 0.81, 0.82], &[0.90, 0.91, 0.92]);
        let [low, high] = found.interval.unwrap();
        // t of 4 degrees of freedom at 0.975 is 2.776; the error is 0.01 * sqrt(2/3).
        assert!((low - 0.07733).abs() < 1e-4 && (high - 0.12267).abs() < 1e-4, "{found:?}");
        assert!(group(&[0.8], &[0.9, 0.91]).without.unwrap().contains("one value"));
        assert!(group(&[0.8, 0.8], &[0.9, 0.9]).without.unwrap().contains("no spread"));
    }

    #[test]
    fn a_list_counts_if_it_has_the_plural_of_its_metric_and_the_result_is_its_mean() {
        assert_eq!([plural("accuracy"), plural("auc")], ["accuracies", "aucs"]);
        let documents = [serde_json::json!({ "losses": [3.0, 2.0, 1.0], "odd": [1.0, "x"] })];
        assert_eq!(singles(&documents, "losses", &[2.0]).unwrap(), [3.0, 2.0, 1.0]);
        for (list, result) in
            [("losses", vec![1.0]), ("losses", vec![2.0, 2.0]), ("odd", vec![1.0]), ("none", vec![1.0])]
        {
            assert_eq!(singles(&documents, list, &result), None, "{list}");
        }
    }
}
