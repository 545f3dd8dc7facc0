//! From a node and its described action to the job that a worker gets: places instead of digests alone.

use super::Scheduler;
use crate::pipeline::{Edge, Endpoint, NodeId, Pipeline, names_folder};
use crate::plan::Action;
use crate::program::Program;
use crate::sources::Sources;
use ddpipe_cache::{Cache, CacheError, Digest, SourceSeen};
use ddpipe_interface::ArtifactType;
use ddpipe_interface::protocol::{InputArtifact, Job, JobId};
use indexmap::IndexMap;
use std::path::PathBuf;

/// What jobs are made of beside the actions.
pub struct Jobs<'a> {
    /// The pipeline.
    pub pipeline: &'a Pipeline,
    /// The cache that the inputs lie in.
    pub cache: &'a Cache,
    /// The files from outside.
    pub sources: &'a Sources,
}

impl Jobs<'_> {
    /// The job of a node: `program` is that of a project's own kind, `scratch` the folder for checkpoints.
    pub fn job(&self, id: JobId, node: NodeId, action: &Action, program: Option<&Program>, scratch: PathBuf) -> Job {
        let node = self.pipeline.node(node);
        let kind = self.pipeline.catalog.get(&node.kind);
        let declared = kind.map(|kind| kind.declaration.outputs.iter());
        let outputs = declared.into_iter().flatten().map(|(name, output)| (name.clone(), output.artifact)).collect();
        let mut inputs = IndexMap::new();
        for (name, edges) in &node.inputs {
            let contents = action.inputs.get(name).map_or(&[][..], Vec::as_slice);
            let mut artifacts = Vec::with_capacity(contents.len());
            for (edge, content) in action.present(name, edges).zip(contents) {
                let (path, source, title, artifact) = self.place(edge, content.digest);
                artifacts.push(InputArtifact {
                    digest: content.digest,
                    artifact,
                    path,
                    source,
                    name: title,
                    labels: content.labels.clone(),
                    metrics: content.metrics.clone(),
                    over: content.over.clone(),
                });
            }
            inputs.insert(name.clone(), artifacts);
        }
        Job {
            id,
            node: node.address(),
            kind: node.kind.clone(),
            command: program.map(Program::command),
            params: kind.map_or_else(|| (*node.params).clone(), |kind| kind.declaration.told(&node.params)),
            seed: node.seed,
            inputs,
            absent: action.absent.clone(),
            outputs,
            key: action.key,
            version: kind.map_or(0, |kind| kind.declaration.version),
            scratch,
        }
    }

    fn place(&self, edge: &Edge, digest: Digest) -> (PathBuf, bool, String, ArtifactType) {
        match &edge.from {
            Endpoint::Source { source, file } => {
                let seen = self.sources.get(source, file).map(|seen| &seen.path);
                let path = seen.or(self.sources.missing(source, file).map(|missing| &missing.path));
                let path = path.cloned().unwrap_or_default();
                let artifact = if names_folder(file) { ArtifactType::Folder } else { ArtifactType::Files };
                (path, true, file.clone(), artifact)
            }
            Endpoint::Node { node, output } => {
                let node = self.pipeline.node(*node);
                let declared = self.pipeline.catalog.declaration(&node.kind).and_then(|kind| kind.outputs.get(output));
                let artifact = declared.map_or(ArtifactType::Files, |output| output.artifact);
                (self.cache.blobs().path(digest), false, format!("{}.{output}", node.address()), artifact)
            }
        }
    }
}

impl Scheduler<'_> {
    pub(super) fn job(&self, id: JobId, node: NodeId, action: &Action) -> Result<Job, CacheError> {
        let jobs = Jobs { pipeline: self.pipeline, cache: self.cache, sources: self.sources };
        let program = self.planner.program(&self.pipeline.node(node).kind);
        Ok(jobs.job(id, node, action, program, self.cache.scratch(action.key)?))
    }

    /// The source files that a node reads itself, for its record.
    pub(super) fn sources_of(&self, node: NodeId) -> IndexMap<String, SourceSeen> {
        let mut seen = IndexMap::new();
        for edge in self.pipeline.node(node).inputs.values().flatten() {
            if let Endpoint::Source { source, file } = &edge.from
                && let Some(found) = self.sources.get(source, file)
            {
                seen.insert(format!("{source}/{file}"), found.clone());
            }
        }
        seen
    }
}
