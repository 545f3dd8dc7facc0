//! The sets of images of a run that are exported, and names for them.

use super::name;
use crate::exit::Fault;
use crate::image_set::ImageSet;
use crate::pipeline::{Node, NodeId};
use crate::report::Subject;
use ddpipe_cache::Digest;
use ddpipe_interface::ArtifactType;

/// Which nodes are chosen; none chooses all.
pub type Chosen<'a> = Option<&'a dyn Fn(NodeId) -> bool>;

/// A set of images among the outputs of a node.
pub struct Found {
    /// The node, with the output where it has several sets.
    pub title: String,
    /// The same as a part of a path.
    pub name: String,
    digest: Digest,
}

/// The sets of the chosen nodes, real ones too; where none are chosen, all synthetic sets.
///
/// # Errors
/// There is none.
pub fn of(subject: &Subject, chosen: Chosen) -> Result<Vec<Found>, Fault> {
    let nodes = subject.pipeline.nodes.iter().filter(|node| chosen.is_none_or(|chosen| chosen(node.id)));
    let sets: Vec<Found> = nodes.flat_map(|node| of_node(subject, node, chosen.is_some())).collect();
    if sets.is_empty() {
        let what = if chosen.is_some() { "a set of images" } else { "a synthetic set" };
        return Err(Fault::usage(format!(
            "no node has {what} on record\n  `ddpipe plan` says what would run; --select names other nodes"
        )));
    }
    Ok(sets)
}

fn of_node(subject: &Subject, node: &Node, with_real: bool) -> Vec<Found> {
    let is_set = |artifact: &str| {
        artifact == ArtifactType::Synthetic.name() || with_real && artifact == ArtifactType::Dataset.name()
    };
    let outputs = subject.record(node.id).into_iter().flat_map(|record| &record.outputs);
    let sets: Vec<_> = outputs.filter(|(_, output)| is_set(&output.artifact_type)).collect();
    let several = sets.len() > 1;
    let found = |(output, made): &(&String, &ddpipe_cache::Output)| {
        let (mut title, mut name) = (node.address(), name::of_node(&node.address));
        if several {
            title = format!("{title}.{output}");
            name = format!("{name}.{}", name::plain(output, "-_"));
        }
        Found { title, name, digest: made.digest }
    };
    sets.iter().map(found).collect()
}

impl Found {
    /// Opens it.
    ///
    /// # Errors
    /// It is not in the cache as it should be, or has a form that no set of images has.
    pub fn open(&self, subject: &Subject) -> Result<ImageSet, Fault> {
        let path = subject.cache.blobs().verify_once(self.digest)?;
        let none = || Fault::usage(format!("{} is not a set of images that can be exported", self.title));
        ImageSet::of(&path).ok_or_else(none)
    }
}
