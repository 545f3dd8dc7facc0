//! Two runs side by side: manifests, parameters, sources, numerics and results in which they differ, and for each node that
//! has another key why. A function of what the runs' folders and the records say; prints nothing.

use crate::ended::Ended;
use crate::history::{Past, shown};
use crate::reason::{Reason, differences};
use crate::started::Started;
use ddpipe_cache::{Cache, Record};
use indexmap::{IndexMap, IndexSet};
use serde::Serialize;
use std::path::Path;

/// One thing that is not the same in both runs; absent where a run does not have it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The thing.
    pub what: String,
    /// In the first run.
    pub a: Option<String>,
    /// In the second run.
    pub b: Option<String>,
}

/// A result in both runs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ResultPair {
    /// The node.
    pub node: String,
    /// The metric.
    pub metric: String,
    /// In the first run; not a number where it has none.
    pub a: f64,
    /// In the second run.
    pub b: f64,
}

/// A node that both runs have, with another key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Again {
    /// The node.
    pub node: String,
    /// What changed in its action.
    pub because: Vec<String>,
}

/// What differs between two runs.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Comparison {
    /// The way they were called, commits, versions.
    pub circumstances: Vec<Difference>,
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
    /// Nodes with another key, and why.
    pub again: Vec<Again>,
    /// Results that differ.
    pub results: Vec<ResultPair>,
    /// How many results are the same.
    pub same_results: usize,
    /// Nodes whose records are no longer in the cache: why they differ cannot be told.
    pub gone: Vec<String>,
}

/// Compares two runs of a cache.
pub fn compare(cache: &Cache, a: &Past, b: &Past) -> Comparison {
    let mut found = Comparison::default();
    if let (Some(started_a), Some(started_b)) = (a.started(), b.started()) {
        found.circumstances = circumstances(&started_a, &started_b);
        found.manifest = manifests(&started_a, &started_b);
        found.params = params(&started_a, &started_b);
        found.nodes = nodes(&started_a, &started_b);
    }
    if let (Some(ended_a), Some(ended_b)) = (a.ended(), b.ended()) {
        found.sources = differing(&sources(ended_a), &sources(ended_b));
        found.outcomes(cache, ended_a, ended_b, b.started().as_ref());
    }
    found
}

/// The entries that are not the same in both.
fn differing(a: &IndexMap<String, String>, b: &IndexMap<String, String>) -> Vec<Difference> {
    let names: IndexSet<&String> = a.keys().chain(b.keys()).collect();
    let different = names.into_iter().filter(|name| a.get(*name) != b.get(*name));
    let pair = |name: &String| Difference { what: name.clone(), a: a.get(name).cloned(), b: b.get(name).cloned() };
    different.map(pair).collect()
}

fn circumstances(a: &Started, b: &Started) -> Vec<Difference> {
    let of = |started: &Started| {
        let mut found = IndexMap::new();
        found.insert("manifest".to_string(), started.manifest.display().to_string());
        found.insert("profile".to_string(), started.profile.join(" "));
        found.insert("select".to_string(), started.select.join(" "));
        found.extend(started.sets.iter().map(|(path, value)| (format!("--set {path}"), value.clone())));
        found.extend(started.env.iter().cloned());
        if let Some(commit) = &started.commit {
            let dirty = if commit.dirty { ", with files that differ from it" } else { "" };
            found.insert("commit".to_string(), format!("{}{dirty}", commit.hash));
        }
        found.insert("ddpipe".to_string(), started.ddpipe.clone());
        found.retain(|_, value| !value.is_empty());
        found
    };
    differing(&of(a), &of(b))
}

/// Files are matched by their place in the list and their name: a project may have moved.
fn manifests(a: &Started, b: &Started) -> Vec<String> {
    let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let of = |started: &Started| -> IndexMap<String, String> {
        started.files.iter().map(|(path, text)| (name(path), text.clone())).collect()
    };
    let (of_a, of_b) = (of(a), of(b));
    let names: IndexSet<&String> = of_a.keys().chain(of_b.keys()).collect();
    let mut diffs = Vec::new();
    for name in names {
        let [old, new] = [&of_a, &of_b].map(|files| files.get(name).map_or("", String::as_str));
        if old != new {
            let diff = similar::TextDiff::from_lines(old, new);
            diffs.push(diff.unified_diff().context_radius(1).header(name, name).to_string());
        }
    }
    diffs
}

/// A parameter's value before and after, and the nodes in which it changed so.
type Changed = IndexMap<(Option<String>, Option<String>), Vec<String>>;

fn params(a: &Started, b: &Started) -> Vec<Difference> {
    let old: IndexMap<&str, _> = a.nodes.iter().map(|node| (node.node.as_str(), node)).collect();
    // By stage and name: what changed, and in which nodes.
    let mut changes: IndexMap<(String, String), Changed> = IndexMap::new();
    let mut sizes: IndexMap<String, usize> = IndexMap::new();
    for node in &b.nodes {
        let Some(before) = old.get(node.node.as_str()) else { continue };
        let stage = crate::lineage::stage_of(&node.node).to_string();
        *sizes.entry(stage.clone()).or_default() += 1;
        let text = |node: &crate::started::ResolvedNode| -> IndexMap<String, String> {
            let params = node.params.iter().map(|(name, value)| (name.clone(), shown(&value.to_string())));
            params.chain([("kind".into(), node.kind.clone()), ("seed".into(), node.seed.to_string())]).collect()
        };
        for change in differing(&text(before), &text(node)) {
            let nodes = changes.entry((stage.clone(), change.what)).or_default();
            nodes.entry((change.a, change.b)).or_default().push(node.node.clone());
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

fn nodes(a: &Started, b: &Started) -> Vec<Difference> {
    let kinds = |started: &Started| -> IndexMap<String, String> {
        started.nodes.iter().map(|node| (node.node.clone(), node.kind.clone())).collect()
    };
    let (a, b) = (kinds(a), kinds(b));
    differing(&a, &b).into_iter().filter(|difference| difference.a.is_none() || difference.b.is_none()).collect()
}

fn sources(ended: &Ended) -> IndexMap<String, String> {
    ended.sources.iter().map(|(name, seen)| (name.clone(), format!("blake3 {}", seen.digest.short()))).collect()
}

impl Comparison {
    /// Compares what came of the nodes.
    fn outcomes(&mut self, cache: &Cache, a: &Ended, b: &Ended, started: Option<&Started>) {
        let record =
            |key: &Option<String>| -> Option<Record> { cache.record(key.as_deref()?.parse().ok()?).ok().flatten() };
        let (mut numerics_a, mut numerics_b) = (IndexSet::new(), IndexSet::new());
        for (name, now) in &b.nodes {
            let Some(before) = a.nodes.get(name) else { continue };
            if before.key == now.key && now.key.is_some() {
                self.same_results += now.metrics.len();
                continue;
            }
            let (old, new) = (record(&before.key), record(&now.key));
            let metrics = |record: &Option<Record>, noted: &IndexMap<String, f64>| {
                record.as_ref().map_or_else(|| noted.clone(), |record| record.metrics.clone())
            };
            let (was, is) = (metrics(&old, &before.metrics), metrics(&new, &now.metrics));
            for (metric, value) in &is {
                let earlier = was.get(metric).copied().unwrap_or(f64::NAN);
                if earlier == *value {
                    self.same_results += 1;
                } else {
                    let (node, metric) = (name.clone(), metric.clone());
                    self.results.push(ResultPair { node, metric, a: earlier, b: *value });
                }
            }
            let (Some(old), Some(new)) = (old, new) else {
                self.gone.push(name.clone());
                continue;
            };
            numerics_a.extend(old.provenance.numerics.as_ref().map(ToString::to_string));
            numerics_b.extend(new.provenance.numerics.as_ref().map(ToString::to_string));
            let reasons = differences(&old.description, &new.description, None);
            let because = reasons.iter().map(|reason| named(reason, name, started)).collect();
            self.again.push(Again { node: name.clone(), because });
        }
        let joined = |set: IndexSet<String>| Some(set.into_iter().collect::<Vec<_>>().join("; "));
        if numerics_a != numerics_b {
            self.numerics = vec![Difference { what: "numerics".into(), a: joined(numerics_a), b: joined(numerics_b) }];
        }
    }

    /// Whether both runs are the same in everything that is compared.
    pub fn is_empty(&self) -> bool {
        let lists = [self.circumstances.len(), self.manifest.len(), self.params.len(), self.nodes.len()];
        let outcomes = [self.sources.len(), self.numerics.len(), self.again.len(), self.results.len(), self.gone.len()];
        lists.iter().chain(&outcomes).all(|length| *length == 0)
    }
}

/// A reason in words; of an input, with what is connected there.
fn named(reason: &Reason, node: &str, started: Option<&Started>) -> String {
    let Reason::InputChanged { name, .. } = reason else { return reason.to_string() };
    let node = started.and_then(|started| started.nodes.iter().find(|resolved| resolved.node == node));
    match node.and_then(|node| node.inputs.get(name)).map(Vec::as_slice) {
        Some([from]) => format!("{reason} ({from})"),
        Some([from, rest @ ..]) => format!("{reason} ({from} and {} more)", rest.len()),
        _ => reason.to_string(),
    }
}
