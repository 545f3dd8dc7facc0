//! Parameters in which two sides differ, told once for a stage whose nodes changed alike.

use super::{Difference, Side, at_default, differing};
use crate::catalog::Catalog;
use crate::history::shown;
use crate::lineage::stage_of;
use crate::started::ResolvedNode;
use indexmap::IndexMap;

/// A parameter's value before and after, and the nodes in which it changed so.
type Changed = IndexMap<(Option<String>, Option<String>), Vec<String>>;

/// The parameters, kinds and seeds that differ in nodes that both sides have.
pub(super) fn compare(a: &Side, b: &Side, catalog: &Catalog) -> Vec<Difference> {
    // By stage and name: what changed, and in which nodes.
    let mut changes: IndexMap<(String, String), Changed> = IndexMap::new();
    let mut sizes: IndexMap<String, usize> = IndexMap::new();
    for (address, node) in &b.nodes {
        let Some(before) = a.nodes.get(address) else { continue };
        let stage = stage_of(address).to_string();
        *sizes.entry(stage.clone()).or_default() += 1;
        for change in changed(before, node, catalog) {
            let nodes = changes.entry((stage.clone(), change.what)).or_default();
            nodes.entry((change.a, change.b)).or_default().push(address.clone());
        }
    }
    let mut found = Vec::new();
    for ((stage, name), values) in changes {
        for ((a, b), nodes) in &values {
            if sizes.get(&stage) == Some(&nodes.len()) {
                found.push(Difference { what: format!("{stage}.{name}"), a: a.clone(), b: b.clone() });
            } else {
                let one = |node: &String| Difference { what: format!("{node}.{name}"), a: a.clone(), b: b.clone() };
                found.extend(nodes.iter().map(one));
            }
        }
    }
    found
}

/// What differs between two nodes of one address.
pub fn changed(before: &ResolvedNode, node: &ResolvedNode, catalog: &Catalog) -> Vec<Difference> {
    let text = |node: &ResolvedNode| -> IndexMap<String, String> {
        let params = node.params.iter().map(|(name, value)| (name.clone(), shown(&value.to_string())));
        params.chain([("kind".into(), node.kind.clone()), ("seed".into(), node.seed.to_string())]).collect()
    };
    let mut changes = differing(&text(before), &text(node));
    // A version of the kind that had no such parameter did what its default does.
    let kind = catalog.declaration(&node.kind).filter(|_| before.kind == node.kind);
    for change in &mut changes {
        let default = kind.and_then(|kind| kind.params.get(&change.what)?.default.as_ref());
        for side in [&mut change.a, &mut change.b] {
            if side.is_none() {
                *side = default.map(|default| at_default(&default.to_string()));
            }
        }
    }
    changes
}
