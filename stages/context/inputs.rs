//! The inputs of a stage: artifacts by the names of its declaration, loaded when they are asked for.

use super::Artifacts;
use crate::artifact::{Content, Dataset, Folder, Prepared, SyntheticSet, TensorFile, same_classes};
use anyhow::{Context as _, Result, ensure};
use ddpipe_interface::protocol::{Absent, InputArtifact};
use indexmap::IndexMap;
use std::sync::Arc;

/// The inputs of a stage, by the names of its declaration.
pub struct Inputs {
    entries: IndexMap<String, Vec<InputArtifact>>,
    absent: IndexMap<String, Vec<Absent>>,
    artifacts: Box<dyn Artifacts>,
}

impl Inputs {
    /// Inputs with these artifacts, whose content is read through `artifacts`.
    pub fn new(entries: IndexMap<String, Vec<InputArtifact>>, artifacts: Box<dyn Artifacts>) -> Self {
        Inputs { entries, absent: IndexMap::new(), artifacts }
    }

    /// The same inputs, with the artifacts that on-demand inputs may still ask for.
    pub fn with_absent(self, absent: IndexMap<String, Vec<Absent>>) -> Self {
        Inputs { absent, ..self }
    }

    /// Whether an optional input is connected.
    pub fn has(&self, name: &str) -> bool {
        self.entries.get(name).is_some_and(|entries| !entries.is_empty())
    }

    /// The description of an input's artifact: type, name for messages, digest, labels. An error if it is not
    /// connected.
    pub fn one(&self, name: &str) -> Result<&InputArtifact> {
        let first = self.entries.get(name).and_then(|entries| entries.first());
        first.with_context(|| format!("input {name:?} is not connected"))
    }

    /// The descriptions of all artifacts of an input that takes many; empty if it is not connected.
    pub fn many(&self, name: &str) -> &[InputArtifact] {
        self.entries.get(name).map_or(&[], Vec::as_slice)
    }

    /// The artifacts of an on-demand input that were not asked for yet; see [`Outputs::ask`](super::Outputs::ask).
    pub fn absent(&self, name: &str) -> &[Absent] {
        self.absent.get(name).map_or(&[], Vec::as_slice)
    }

    /// The tensors of an input, on the stage's device.
    pub fn tensors(&self, name: &str) -> Result<Arc<TensorFile>> {
        self.tensors_of(self.one(name)?)
    }

    /// The tensors of one artifact, on the stage's device.
    pub fn tensors_of(&self, input: &InputArtifact) -> Result<Arc<TensorFile>> {
        self.artifacts.tensors(input).with_context(|| format!("input {}", input.name))
    }

    /// The verified bytes of an input.
    pub fn bytes(&self, name: &str) -> Result<Arc<Vec<u8>>> {
        self.bytes_of(self.one(name)?)
    }

    /// The verified bytes of one artifact.
    pub fn bytes_of(&self, input: &InputArtifact) -> Result<Arc<Vec<u8>>> {
        self.artifacts.bytes(input).with_context(|| format!("input {}", input.name))
    }

    /// The verified bytes of an input, to be read piece by piece.
    pub fn content(&self, name: &str) -> Result<Content> {
        self.content_of(self.one(name)?)
    }

    /// The verified bytes of one artifact, to be read piece by piece.
    pub fn content_of(&self, input: &InputArtifact) -> Result<Content> {
        self.artifacts.content(input).with_context(|| format!("input {}", input.name))
    }

    /// An input of type `folder`.
    pub fn folder(&self, name: &str) -> Result<Arc<Folder>> {
        let input = self.one(name)?;
        self.artifacts.folder(input).with_context(|| format!("input {}", input.name))
    }

    /// An input as a data set.
    pub fn dataset(&self, name: &str) -> Result<Dataset> {
        Dataset::from_file(&*self.tensors(name)?).with_context(|| format!("input {name:?}"))
    }

    /// An input as a synthetic set to learn from: if it has a decoder, it is decoded.
    pub fn synthetic(&self, name: &str) -> Result<SyntheticSet> {
        self.stored(name)?.decoded().with_context(|| format!("input {name:?}"))
    }

    /// An input as a synthetic set as it is stored, with its decoder if it has one.
    pub fn stored(&self, name: &str) -> Result<SyntheticSet> {
        SyntheticSet::from_file(&*self.tensors(name)?).with_context(|| format!("input {name:?}"))
    }

    /// The input `start`, the set whose images a method optimises. An error if the set has a decoder, which only
    /// `distill.idc` can optimise: other methods would change stored images without regard to what they decode to, and
    /// the decoded images are several times as many. An error, too, if the images of an input `real` were prepared
    /// otherwise, or their classes have other names.
    pub fn start(&self) -> Result<SyntheticSet> {
        let set = self.stored("start")?;
        ensure!(
            set.decoder.is_none(),
            "{} holds several images in each stored one, which only distill.idc can go on with; put a decode.synthetic \
             in between to start from all of them",
            self.one("start")?.name
        );
        self.as_real(&set)?;
        Ok(set)
    }

    /// An error if the images of an input `real` were prepared otherwise than those of this set to start from, or if their
    /// classes have other names.
    pub fn as_real(&self, start: &SyntheticSet) -> Result<()> {
        if !self.has("real") {
            return Ok(());
        }
        let real = self.dataset("real")?;
        let (of, whose) = ("the set of \"start\"", "the images of \"real\"");
        same_classes(of, &start.class_names, whose, &real.class_names)?;
        Prepared::agree(Some(&Prepared::of(&start.normalisation)?), of, &real.normalisation, whose)
    }
}
