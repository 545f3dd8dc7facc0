//! Results that differ in some axes alone, as one row: means, standard deviations, and how many there are.

use super::row::{Folded, Row};
use crate::baseline::statistics::{deviation, mean};
use indexmap::{IndexMap, IndexSet};

/// One row for the rows that agree in everything but these axes. Of several results of one node, made at different times,
/// the newest counts; rows are expected in this order, and stay in it.
pub fn fold(rows: &[Row], over: &[String]) -> Vec<Row> {
    let mut groups: IndexMap<String, Vec<Row>> = IndexMap::new();
    for row in rows {
        let mut rest = row.clone();
        let folded: Vec<Option<String>> =
            over.iter().map(|name| row.setting(name).map(|values| values.to_string())).collect();
        rest.without(over);
        let alike = format!("{:?}", (&rest.pipeline, &rest.node, &rest.kind, &rest.seed, &rest.settings.params));
        let group = groups.entry(alike).or_default();
        let is_known = group.iter().any(|known| {
            let value = |name: &String| known.setting(name).map(|values| values.to_string());
            over.iter().map(value).collect::<Vec<_>>() == folded
        });
        if !is_known {
            group.push(row.clone());
        }
    }
    groups.into_values().filter_map(|group| together(&group, over)).collect()
}

fn together(group: &[Row], over: &[String]) -> Option<Row> {
    let mut row = group.first()?.clone();
    row.without(over);
    let mut folded = Folded { keys: group.iter().map(|row| row.key).collect(), ..Folded::default() };
    let means = |of: &dyn Fn(&Row) -> &IndexMap<String, f64>, deviations: &mut IndexMap<String, f64>| {
        let names: IndexSet<&String> = group.iter().flat_map(|row| of(row).keys()).collect();
        let mut means = IndexMap::new();
        for name in names {
            let values: Vec<f64> = group.iter().filter_map(|row| of(row).get(name).copied()).collect();
            if values.len() > 1 {
                deviations.insert(name.clone(), deviation(&values));
            }
            means.insert(name.clone(), mean(&values));
        }
        means
    };
    row.metrics = means(&|row| &row.metrics, &mut folded.deviations);
    row.measured = means(&|row| &row.measured, &mut IndexMap::new());
    row.run = row.run.filter(|run| group.iter().all(|row| row.run.as_ref() == Some(run)));
    row.folded = Some(folded);
    Some(row)
}

impl Row {
    /// Takes these axes away, also those of what it read.
    fn without(&mut self, over: &[String]) {
        let is_over = |name: &str| over.iter().any(|over| over == name);
        self.axes.retain(|name, _| !is_over(name));
        self.settings
            .params
            .retain(|name, _| !is_over(name) && !name.split_once('.').is_some_and(|(_, name)| is_over(name)));
        if is_over("seed") {
            self.seed = None;
        }
        let axes: Vec<String> = self.axes.iter().map(|(name, value)| format!("{name}={value}")).collect();
        self.node = if axes.is_empty() { self.stage.clone() } else { format!("{}[{}]", self.stage, axes.join(",")) };
    }
}
