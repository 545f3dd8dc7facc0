//! What a result on record came from: the records behind its inputs, their parameters and files from outside. Told from the
//! records and the declarations of kinds, so that it holds without a manifest. Knows no pipeline and no run.

mod behind;
mod values;

pub use behind::default_of;
pub use values::Values;

use crate::catalog::Catalog;
use crate::history::shown;
use crate::selector::Selector;
use behind::Behind;
use ddpipe_cache::{Cache, CacheError, Digest, Key, Record, SourceSeen};
use indexmap::IndexMap;
use std::collections::{HashMap, HashSet};

/// All records of a cache, by what they made.
#[derive(Debug, Default)]
pub struct Lineage {
    records: IndexMap<Key, Record>,
    makers: HashMap<Digest, Vec<Key>>,
}

/// What was set on the way to a result.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// Parameters that differ from their defaults, as `stage.param`, its own first, then those of what it read; of what it
    /// read also the axes, and the kind as `stage.kind`. Where a result has several nodes of a stage behind it, all their
    /// values.
    pub params: IndexMap<String, Values>,
    /// The stages, with the kinds of each.
    pub stages: IndexMap<String, Values>,
    /// Files from outside, as `source/file`.
    pub sources: IndexMap<String, SourceSeen>,
}

impl Lineage {
    /// Reads all records of a cache.
    ///
    /// # Errors
    /// Those of the cache.
    pub fn of(cache: &Cache) -> Result<Self, CacheError> {
        let mut lineage = Lineage::default();
        for record in cache.records()? {
            for output in record.outputs.values() {
                lineage.makers.entry(output.digest).or_default().push(record.key);
            }
            lineage.records.insert(record.key, record);
        }
        Ok(lineage)
    }

    /// All records.
    pub fn records(&self) -> impl Iterator<Item = &Record> {
        self.records.values()
    }

    /// The record of a key.
    pub fn record(&self, key: Key) -> Option<&Record> {
        self.records.get(&key)
    }

    /// The newest record that has these bytes among its outputs.
    pub fn maker(&self, digest: Digest) -> Option<&Record> {
        let made = |record: &&Record| record.provenance.started_unix;
        self.makers_of(digest).max_by(|one, other| made(one).total_cmp(&made(other)))
    }

    fn makers_of(&self, digest: Digest) -> impl Iterator<Item = &Record> {
        self.makers.get(&digest).into_iter().flatten().filter_map(|key| self.records.get(key))
    }

    /// What was set on the way to this result. Where one node of a stage sets a parameter and another does not, the other
    /// has the default of its kind.
    pub fn settings(&self, record: &Record, catalog: &Catalog) -> Settings {
        let mut behind = Behind::default();
        let mut sources = IndexMap::new();
        let mut visited = HashSet::from([record.key]);
        let mut ahead = vec![record];
        while !ahead.is_empty() {
            for record in std::mem::take(&mut ahead) {
                behind.add(record);
                sources.extend(record.sources.iter().map(|(name, seen)| (name.clone(), seen.clone())));
                let read = inputs(record).filter_map(|input| self.behind(record, &input));
                ahead.extend(read.filter(|read| visited.insert(read.key)));
            }
        }
        behind.settings(sources, catalog)
    }

    /// Of the records that made what this one read, the one that it most likely read: of the node that the labels name, of
    /// the same pipeline, and the last before it.
    fn behind(&self, reader: &Record, input: &Input) -> Option<&Record> {
        let rank = |record: &&Record| {
            let (begun, read) = (record.provenance.started_unix, reader.provenance.started_unix);
            (input.fits(&record.node), begun <= read, record.pipeline == reader.pipeline, begun)
        };
        self.makers_of(input.digest).max_by(|one, other| {
            let (one, other) = (rank(one), rank(other));
            (one.0, one.1, one.2).cmp(&(other.0, other.1, other.2)).then(one.3.total_cmp(&other.3))
        })
    }
}

/// The stage in a node's address.
pub fn stage_of(node: &str) -> &str {
    node.split('[').next().unwrap_or(node)
}

/// A record's kind.
pub fn kind_of(record: &Record) -> &str {
    record.description.iter().find(|(name, _)| name == "kind").map_or("", |(_, kind)| kind)
}

/// The parameters that differ from their defaults, with their canonical values.
pub fn params(record: &Record) -> impl Iterator<Item = (&str, &str)> {
    record.description.iter().filter_map(|(name, value)| Some((name.strip_prefix("param ")?, value.as_str())))
}

/// What a record's action read.
struct Input {
    digest: Digest,
    /// The labels of a gathered input.
    labels: IndexMap<String, String>,
}

impl Input {
    /// Whether a node may have the labels: nodes with the same output differ in them.
    fn fits(&self, node: &str) -> bool {
        let axes = node.parse::<Selector>().map(|selector| selector.axes).unwrap_or_default();
        self.labels.iter().all(|(name, value)| match name.as_str() {
            "stage" => stage_of(node) == value,
            name => axes.get(name).is_none_or(|axis| axis == value),
        })
    }
}

/// What a record's action read; of a gathered input the digest and the labels stand first in a list.
fn inputs(record: &Record) -> impl Iterator<Item = Input> {
    record.description.iter().filter(|(name, _)| name.starts_with("input ")).filter_map(|(_, value)| {
        if let Ok(digest) = value.parse() {
            return Some(Input { digest, labels: IndexMap::new() });
        }
        let gathered: serde_json::Value = serde_json::from_str(value).ok()?;
        let labels = gathered.get(1).and_then(|labels| labels.as_array()).into_iter().flatten();
        let label = |label: &serde_json::Value| {
            let (name, value) = label.as_str()?.split_once('=')?;
            Some((name.to_string(), shown(value)))
        };
        Some(Input { digest: gathered.get(0)?.as_str()?.parse().ok()?, labels: labels.filter_map(label).collect() })
    })
}
