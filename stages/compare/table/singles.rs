//! The single values from which the mean of a cell is computed: one per result, or the lists that results carry in
//! their documents.

use super::Singles;
use crate::compare::table::value::Value;
use crate::report::sheet::Missing;
use anyhow::{Context as _, Result, bail, ensure};
use ddpipe_interface::protocol::InputArtifact;

/// The single values of one metric in one cell, unscaled; empty where no result of the cell has the metric. An error if
/// only some of the results have it and what is missing is not to be shown, or if a list in a result's document is empty or
/// does not hold numbers.
pub fn of(
    group: &[(usize, &InputArtifact)],
    documents: &[serde_json::Value],
    value: &Value,
    singles: Singles,
    missing: Missing,
) -> Result<Vec<f64>> {
    let (group, lacking): (Vec<_>, Vec<_>) =
        group.iter().partition(|(_, result)| result.metrics.contains_key(&value.name));
    if group.is_empty() {
        return Ok(Vec::new());
    }
    if let Some((_, lacking)) = lacking.first().filter(|_| missing == Missing::Fail) {
        bail!(
            "{} has no metric {:?}, which other results of its cell have; run it again with --force, show another \
             value, or set missing = \"show\"",
            lacking.name,
            value.name
        );
    }
    let list = value.list();
    let listed = |(index, _): &(usize, &InputArtifact)| documents[*index].get(&list).is_some();
    if singles == Singles::Lists && group.iter().all(listed) {
        let mut all = Vec::new();
        for (index, result) in &group {
            let values: Vec<f64> = serde_json::from_value(documents[*index][&list].clone())
                .with_context(|| format!("{}: {list:?} is not a list of numbers", result.name))?;
            ensure!(!values.is_empty(), "{}: {list:?} is empty", result.name);
            all.extend(values);
        }
        return Ok(all);
    }
    Ok(group.iter().map(|(_, result)| result.metrics[&value.name]).collect())
}
