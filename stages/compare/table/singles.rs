//! The single values from which the mean of a cell is computed: one per result, or the lists that results carry in
//! their documents.

use super::Singles;
use crate::compare::table::value::Value;
use anyhow::{Context as _, Result, bail, ensure};
use ddpipe_interface::protocol::InputArtifact;

/// The single values of one metric in one cell, unscaled; empty where no result of the cell has the metric. An error if
/// only some of the results have it, or if a list in a result's document is empty or does not hold numbers.
pub fn of(
    group: &[(usize, &InputArtifact)],
    documents: &[serde_json::Value],
    value: &Value,
    singles: Singles,
) -> Result<Vec<f64>> {
    let having = group.iter().filter(|(_, result)| result.metrics.contains_key(&value.name)).count();
    if having == 0 {
        return Ok(Vec::new());
    }
    if let Some((_, lacking)) = group.iter().find(|(_, result)| !result.metrics.contains_key(&value.name)) {
        bail!(
            "{} has no metric {:?}, which other results of its cell have; run it again with --force, or show another \
             value",
            lacking.name,
            value.name
        );
    }
    let list = value.list();
    let listed = |(index, _): &(usize, &InputArtifact)| documents[*index].get(&list).is_some();
    if singles == Singles::Lists && group.iter().all(listed) {
        let mut all = Vec::new();
        for (index, result) in group {
            let values: Vec<f64> = serde_json::from_value(documents[*index][&list].clone())
                .with_context(|| format!("{}: {list:?} is not a list of numbers", result.name))?;
            ensure!(!values.is_empty(), "{}: {list:?} is empty", result.name);
            all.extend(values);
        }
        return Ok(all);
    }
    Ok(group.iter().map(|(_, result)| result.metrics[&value.name]).collect())
}
