//! What a result on record came from: the records behind its inputs, their parameters and files from outside. Told from the
//! records alone, so that it holds without a manifest. Knows no pipeline and no run.

use crate::history::shown;
use ddpipe_cache::{Cache, CacheError, Digest, Key, Record, SourceSeen};
use indexmap::{IndexMap, IndexSet};
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
    /// Parameters that differ from their defaults, as `stage.param`; its own first, then those of what it read. Where a
    /// result has several nodes of a stage behind it, all their values.
    pub params: IndexMap<String, String>,
    /// The stages, with the kind of each.
    pub stages: IndexMap<String, String>,
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

    /// What was set on the way to this result.
    pub fn settings(&self, record: &Record) -> Settings {
        let mut values: IndexMap<String, IndexSet<String>> = IndexMap::new();
        let mut settings = Settings::default();
        let mut visited = HashSet::from([record.key]);
        let mut ahead = vec![record];
        while !ahead.is_empty() {
            for record in std::mem::take(&mut ahead) {
                let stage = stage_of(&record.node);
                settings.stages.entry(stage.to_string()).or_insert_with(|| kind_of(record).to_string());
                for (name, value) in params(record) {
                    values.entry(format!("{stage}.{name}")).or_default().insert(shown(value));
                }
                settings.sources.extend(record.sources.iter().map(|(name, seen)| (name.clone(), seen.clone())));
                let read = inputs(record).filter_map(|digest| self.behind(record, digest));
                ahead.extend(read.filter(|read| visited.insert(read.key)));
            }
        }
        let joined = |values: IndexSet<String>| values.into_iter().collect::<Vec<_>>().join(" ");
        settings.params = values.into_iter().map(|(name, values)| (name, joined(values))).collect();
        settings
    }

    /// Of the records that made what this one read, the one that it most likely read: of the same pipeline, and the last
    /// before it.
    fn behind(&self, reader: &Record, digest: Digest) -> Option<&Record> {
        let rank = |record: &&Record| {
            let (begun, read) = (record.provenance.started_unix, reader.provenance.started_unix);
            (begun <= read, record.pipeline == reader.pipeline, begun)
        };
        self.makers_of(digest).max_by(|one, other| {
            let (one, other) = (rank(one), rank(other));
            (one.0, one.1).cmp(&(other.0, other.1)).then(one.2.total_cmp(&other.2))
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

/// The digests of what a record's action read; of a gathered input they stand first in a list.
fn inputs(record: &Record) -> impl Iterator<Item = Digest> {
    record.description.iter().filter(|(name, _)| name.starts_with("input ")).filter_map(|(_, value)| {
        value.parse().ok().or_else(|| {
            let gathered: serde_json::Value = serde_json::from_str(value).ok()?;
            gathered[0].as_str()?.parse().ok()
        })
    })
}
