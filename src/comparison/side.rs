//! One side of a comparison: a run with what came of it, or a manifest with what is on record for it. Both in the same
//! words, so that the comparison need not know which is which. Computes nothing.

use super::NodeSide;
use crate::commit;
use crate::ended::Ended;
use crate::expect;
use crate::history::Past;
use crate::manifest::Overrides;
use crate::manifest::outline::variables;
use crate::number::significant;
use crate::pipeline::{NodeId, Pipeline};
use crate::plan::{Plan, Verdict};
use crate::sources::Sources;
use crate::started::{ResolvedNode, Started};
use ddpipe_cache::{Cache, Commit, SourceSeen};
use indexmap::IndexMap;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// One side.
#[derive(Clone, Debug, Default)]
pub struct Side {
    /// When the run began; none of a manifest.
    pub begun: Option<SystemTime>,
    /// How it was called: profile, overrides, commit, version.
    pub circumstances: IndexMap<String, String>,
    /// The texts of the manifest and of what it includes, the manifest's first.
    pub files: IndexMap<PathBuf, String>,
    /// The variables, with what is laid over them, as they are written.
    pub variables: IndexMap<String, String>,
    /// The nodes by address.
    pub nodes: IndexMap<String, ResolvedNode>,
    /// Files from outside, each with its digest in words.
    pub sources: IndexMap<String, String>,
    /// Expectations by what they are about, each with wording, value and verdict in words.
    pub expectations: IndexMap<String, String>,
    /// What is known of the nodes that belong to it, by address.
    pub outcomes: IndexMap<String, NodeSide>,
}

impl Side {
    /// A run.
    pub fn of_run(cache: &Cache, past: &Past) -> Self {
        let mut side = past.started().map_or_else(Side::default, Side::of_started);
        side.begun = Some(past.begun());
        if let Some(ended) = past.ended() {
            side.note(cache, ended);
        }
        side
    }

    fn of_started(started: Started) -> Self {
        let overrides = started.overrides(true);
        let variables = variables(&started.manifest, &overrides);
        let select = started.select.join(" ");
        let mut circumstances = circumstances(&started.manifest, &overrides, started.commit.as_ref(), &select);
        circumstances.insert("ddpipe".into(), started.ddpipe);
        let nodes = started.nodes.into_iter().map(|node| (node.node.clone(), node)).collect();
        Side { circumstances, files: started.files, variables, nodes, ..Side::default() }
    }

    fn note(&mut self, cache: &Cache, ended: &Ended) {
        self.sources = ended.sources.iter().map(|(name, seen)| (name.clone(), digest(seen))).collect();
        for expected in &ended.expectations {
            self.expect(&expected.what, expected.value, &expected.wanted, expected.met);
        }
        self.outcomes = ended.nodes.iter().map(|(name, node)| (name.clone(), NodeSide::of_run(cache, node))).collect();
    }

    /// A manifest, by a plan of it. `commit` is that of its revision, or that of the work tree.
    pub fn of_plan(
        pipeline: &Pipeline,
        overrides: &Overrides,
        commit: Option<&Commit>,
        plan: &Plan,
        sources: &Sources,
    ) -> Self {
        let mut circumstances = circumstances(&pipeline.file, overrides, commit, "");
        circumstances.insert("ddpipe".into(), env!("CARGO_PKG_VERSION").into());
        let nodes = pipeline.nodes.iter().map(|node| (node.address(), ResolvedNode::of(node, pipeline)));
        let mut side = Side {
            circumstances,
            files: pipeline.files.iter().map(|(path, text)| (path.clone(), text.text.clone())).collect(),
            variables: variables(&pipeline.file, overrides),
            nodes: nodes.collect(),
            sources: sources.iter().map(|(name, seen)| (name, digest(seen))).collect(),
            ..Side::default()
        };
        for missing in &sources.missing {
            let digest = missing.digest.map_or(String::new(), |digest| format!("blake3 {}, ", digest.short()));
            side.sources.insert(missing.name(), format!("{digest}not there"));
        }
        let mut records = Vec::new();
        for (at, verdict) in plan.verdicts.iter().enumerate() {
            let id = NodeId(at as u32);
            if let Verdict::Fresh(record) = verdict {
                records.push((id, record.clone()));
            }
            if let Some(node) = NodeSide::of_verdict(pipeline, verdict) {
                side.outcomes.insert(pipeline.node(id).address(), node);
            }
        }
        for checked in expect::check(pipeline, &records) {
            side.expect(&checked.what, checked.value, &checked.wanted, checked.met);
        }
        side
    }

    fn expect(&mut self, what: &str, value: Option<f64>, wanted: &str, met: bool) {
        let verdict = match (value, met) {
            (None, _) => "no result".to_string(),
            (Some(value), true) => format!("{}: met", significant(value)),
            (Some(value), false) => format!("{}: MISSED", significant(value)),
        };
        let text = format!("{wanted}; {verdict}");
        let there = self.expectations.entry(what.to_string()).or_default();
        *there = if there.is_empty() { text } else { format!("{there}, {text}") };
    }
}

fn digest(seen: &SourceSeen) -> String {
    format!("blake3 {}", seen.digest.short())
}

fn circumstances(
    manifest: &Path,
    overrides: &Overrides,
    commit: Option<&Commit>,
    select: &str,
) -> IndexMap<String, String> {
    let mut found = IndexMap::new();
    found.insert("manifest".to_string(), manifest.display().to_string());
    found.insert("profile".to_string(), overrides.profile.join(" "));
    found.insert("select".to_string(), select.to_string());
    found.extend(overrides.sets.iter().map(|(path, value)| (format!("--set {path}"), value.clone())));
    found.extend(overrides.env.iter().cloned());
    found.insert("commit".to_string(), commit.map_or(String::new(), commit::in_words));
    found.retain(|_, value| !value.is_empty());
    found
}
