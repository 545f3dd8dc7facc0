//! Two sides beside each other, each a run or what a manifest would give now: manifests, parameters, sources, numerics,
//! expectations, results and pictures in which they differ, and for each node that has another key why. A function of two
//! [`Side`]s and of what a cache keeps; prints nothing.

mod because;
mod groups;
mod node;
mod outcomes;
mod parameters;
mod pictures;
mod side;

pub use because::{Because, at_default};
pub use groups::Group;
pub(crate) use groups::single_values;
pub use node::NodeSide;
pub use parameters::changed;
pub use side::Side;

use crate::catalog::Catalog;
use ddpipe_cache::Cache;
use indexmap::{IndexMap, IndexSet};
use serde::Serialize;
use std::path::Path;

/// One thing that is not the same on both sides; absent where a side does not have it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The thing.
    pub what: String,
    /// On the first side.
    pub a: Option<String>,
    /// On the second side.
    pub b: Option<String>,
}

/// A result on both sides.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ResultPair {
    /// The node.
    pub node: String,
    /// The metric.
    pub metric: String,
    /// On the first side; not a number where it has none.
    pub a: f64,
    /// On the second side.
    pub b: f64,
}

/// A node that both sides have and that does something else on the second, or ran again there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Again {
    /// The node.
    pub node: String,
    /// What changed in its action; where nothing did, why it ran.
    pub because: Vec<String>,
}

/// What differs between two sides.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Comparison {
    /// The way they were called, commits, versions.
    pub circumstances: Vec<Difference>,
    /// Variables of the manifest.
    pub variables: Vec<Difference>,
    /// Files of the manifest: the changed lines as a unified diff.
    pub manifest: Vec<String>,
    /// Parameters, as `stage.param` where all nodes of the stage changed alike, else with the node's address.
    pub params: Vec<Difference>,
    /// Nodes that one of them has.
    pub nodes: Vec<Difference>,
    /// Digests of files from outside.
    pub sources: Vec<Difference>,
    /// What decided the bits, where that differs.
    pub numerics: Vec<Difference>,
    /// Expectations whose wording, value or verdict differs.
    pub expectations: Vec<Difference>,
    /// Nodes with another action, and those that ran again, with the reasons.
    pub again: Vec<Again>,
    /// Nodes without a result on a side: why, in words; absent on the side that has one.
    pub lacking: Vec<Difference>,
    /// Results that differ, node by node.
    pub results: Vec<ResultPair>,
    /// The same by nodes that differ only in their seed, with the interval of the difference.
    pub groups: Vec<Group>,
    /// How many results are the same.
    pub same_results: usize,
    /// Pictures that differ: `node.output`, and the file in the cache.
    pub pictures: Vec<Difference>,
}

/// Compares two sides. `catalog` has the kinds as they are now.
pub fn compare(cache: &Cache, a: &Side, b: &Side, catalog: &Catalog) -> Comparison {
    let kinds = |side: &Side| -> IndexMap<String, String> {
        side.nodes.iter().map(|(name, node)| (name.clone(), node.kind.clone())).collect()
    };
    let one_has = |difference: &Difference| difference.a.is_none() || difference.b.is_none();
    let mut found = Comparison {
        circumstances: differing(&a.circumstances, &b.circumstances),
        variables: differing(&a.variables, &b.variables),
        manifest: manifests(a, b),
        params: parameters::compare(a, b, catalog),
        nodes: differing(&kinds(a), &kinds(b)).into_iter().filter(one_has).collect(),
        sources: differing(&a.sources, &b.sources),
        expectations: differing(&a.expectations, &b.expectations),
        pictures: pictures::compare(cache, a, b),
        groups: groups::compare(cache, a, b),
        ..Comparison::default()
    };
    found.outcomes(a, b, catalog);
    found
}

impl Comparison {
    /// Whether both sides are the same in everything that is compared. Results that neither has are no difference.
    pub fn is_empty(&self) -> bool {
        let lists = [
            &self.circumstances,
            &self.variables,
            &self.params,
            &self.nodes,
            &self.sources,
            &self.numerics,
            &self.expectations,
            &self.pictures,
        ];
        let others = [self.manifest.len(), self.again.len(), self.results.len()];
        lists.iter().all(|list| list.is_empty())
            && others.iter().all(|length| *length == 0)
            && self.lacking.iter().all(|lacking| lacking.a.is_some() && lacking.b.is_some())
    }
}

/// The entries that are not the same in both.
fn differing(a: &IndexMap<String, String>, b: &IndexMap<String, String>) -> Vec<Difference> {
    let names: IndexSet<&String> = a.keys().chain(b.keys()).collect();
    let different = names.into_iter().filter(|name| a.get(*name) != b.get(*name));
    let pair = |name: &String| Difference { what: name.clone(), a: a.get(name).cloned(), b: b.get(name).cloned() };
    different.map(pair).collect()
}

/// The manifests themselves are set beside each other whatever their names; the files that they include are matched by name,
/// because a project may have moved.
fn manifests(a: &Side, b: &Side) -> Vec<String> {
    let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let of = |side: &Side| -> IndexMap<String, String> {
        side.files.iter().skip(1).map(|(path, text)| (name(path), text.clone())).collect()
    };
    let mut diffs = Vec::new();
    let mut add = |of_a: &str, of_b: &str, old: &str, new: &str| {
        if old != new {
            let diff = similar::TextDiff::from_lines(old, new);
            diffs.push(diff.unified_diff().context_radius(1).header(of_a, of_b).to_string());
        }
    };
    if let (Some((path_a, old)), Some((path_b, new))) = (a.files.first(), b.files.first()) {
        add(&name(path_a), &name(path_b), old, new);
    }
    let (of_a, of_b) = (of(a), of(b));
    let names: IndexSet<&String> = of_a.keys().chain(of_b.keys()).collect();
    for name in names {
        let [old, new] = [&of_a, &of_b].map(|files| files.get(name).map_or("", String::as_str));
        add(name, name, old, new);
    }
    diffs
}
