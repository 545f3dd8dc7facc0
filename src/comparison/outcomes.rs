//! What came of the nodes of two sides: who does something else and why, who has no result, and which results differ.

use super::{Again, Because, Comparison, Difference, NodeSide, ResultPair, Side};
use crate::catalog::Catalog;
use indexmap::IndexSet;

impl Comparison {
    /// Compares the nodes that belong to both sides.
    pub(super) fn outcomes(&mut self, a: &Side, b: &Side, catalog: &Catalog) {
        // An earlier run did not run anything again.
        let is_later = a.begun.is_some() && a.begun < b.begun;
        let (mut numerics_a, mut numerics_b) = (IndexSet::new(), IndexSet::new());
        for (name, new) in &b.outcomes {
            let Some(old) = a.outcomes.get(name) else { continue };
            if old.lacking.is_some() || new.lacking.is_some() {
                let (a, b) = (old.lacking.clone(), new.lacking.clone());
                self.lacking.push(Difference { what: name.clone(), a, b });
            }
            if old.key == new.key && new.key.is_some() {
                self.same_results += if old.lacking.is_none() { new.metrics.len() } else { 0 };
                if is_later && !new.ran.is_empty() && old.lacking.is_none() {
                    self.again.push(Again { node: name.clone(), because: new.ran.clone() });
                }
                continue;
            }
            self.results(name, old, new);
            let numerics = |node: &NodeSide| Some(node.record.as_ref()?.provenance.numerics.as_ref()?.to_string());
            if old.record.is_some() && new.record.is_some() {
                numerics_a.extend(numerics(old));
                numerics_b.extend(numerics(new));
            }
            if old.description.is_empty() || new.description.is_empty() {
                continue;
            }
            let new_node = b.nodes.get(name);
            let because = Because {
                old: &old.description,
                new: &new.description,
                old_node: a.nodes.get(name),
                new_node,
                kind: new_node.and_then(|node| catalog.declaration(&node.kind)),
            };
            self.again.push(Again { node: name.clone(), because: because.words() });
        }
        let joined = |set: IndexSet<String>| Some(set.into_iter().collect::<Vec<_>>().join("; "));
        if numerics_a != numerics_b {
            self.numerics = vec![Difference { what: "numerics".into(), a: joined(numerics_a), b: joined(numerics_b) }];
        }
    }

    fn results(&mut self, node: &str, old: &NodeSide, new: &NodeSide) {
        let names: IndexSet<&String> = old.metrics.keys().chain(new.metrics.keys()).collect();
        for metric in names {
            let value = |side: &NodeSide| side.metrics.get(metric).copied().unwrap_or(f64::NAN);
            let (a, b) = (value(old), value(new));
            if a == b {
                self.same_results += 1;
            } else if !old.metrics.is_empty() && !new.metrics.is_empty() {
                self.results.push(ResultPair { node: node.to_string(), metric: metric.clone(), a, b });
            }
        }
    }
}
