//! The source of the loop's batches: a data set, whose images stay bytes until they are needed, or tensors.

use super::Batch;
use crate::artifact::{Dataset, Normalisation, SyntheticSet};
use crate::context::Inputs;
use anyhow::Result;
use ddpipe_interface::ArtifactType;
use ddpipe_nn::stream::stream;
use tch::{Device, TchError, Tensor};

/// Labelled images that can be selected by position.
pub trait Examples {
    /// The number of examples.
    fn count(&self) -> i64;
    /// The examples at these positions (\[B\] int64, on the images' device), with normalised images.
    fn at(&self, positions: &Tensor) -> Result<Batch, TchError>;
    /// \[B\] int64, how many annotators chose class 1 for the images at these positions; `None` for data without votes.
    fn votes_at(&self, _positions: &Tensor) -> Result<Option<Tensor>, TchError> {
        Ok(None)
    }
    /// The device on which the images are.
    fn device(&self) -> Device;
}

impl Examples for SyntheticSet {
    fn count(&self) -> i64 {
        self.images.size()[0]
    }

    fn at(&self, positions: &Tensor) -> Result<Batch, TchError> {
        Ok(Batch::new(self.images.f_index_select(0, positions)?, self.labels.f_index_select(0, positions)?))
    }

    fn device(&self) -> Device {
        self.images.device()
    }
}

impl Examples for Dataset {
    fn count(&self) -> i64 {
        self.len()
    }

    fn at(&self, positions: &Tensor) -> Result<Batch, TchError> {
        Ok(Batch::new(self.floats_at(positions), self.labels.f_index_select(0, positions)?))
    }

    fn votes_at(&self, positions: &Tensor) -> Result<Option<Tensor>, TchError> {
        self.agreement.as_ref().map(|votes| votes.f_index_select(0, positions)).transpose()
    }

    fn device(&self) -> Device {
        self.images.device()
    }
}

/// What a classifier is trained on: real images or a synthetic set.
#[derive(Debug)]
pub enum TrainingSet {
    /// Real images.
    Real(Dataset),
    /// A synthetic set.
    Synthetic(SyntheticSet),
}

impl TrainingSet {
    /// Reads an input of type data set or synthetic set.
    pub fn of(inputs: &Inputs, name: &str) -> Result<Self> {
        match inputs.tensors(name)?.artifact {
            ArtifactType::Synthetic => inputs.synthetic(name).map(TrainingSet::Synthetic),
            _ => inputs.dataset(name).map(TrainingSet::Real),
        }
    }

    /// A subset of `amount` images of every class (all, where there are fewer), each class drawn from its own random
    /// stream. A synthetic set, or `None`, is returned unchanged.
    pub fn drawn(self, seed: u64, amount: Option<usize>) -> Result<Self> {
        let (TrainingSet::Real(real), Some(amount)) = (&self, amount) else { return Ok(self) };
        let mut chosen = Vec::new();
        for (class, positions) in real.positions_by_class()?.iter().enumerate() {
            chosen.extend(stream(seed, "subset", class as u64).choose(positions, amount));
        }
        let chosen = Tensor::from_slice(&chosen).to_device(real.images.device());
        Ok(TrainingSet::Real(Dataset {
            images: real.images.f_index_select(0, &chosen)?,
            labels: real.labels.f_index_select(0, &chosen)?,
            agreement: real.agreement.as_ref().map(|votes| votes.f_index_select(0, &chosen)).transpose()?,
            normalisation: real.normalisation.clone(),
            origin: real.origin.clone(),
            class_names: real.class_names.clone(),
            ..*real
        }))
    }

    /// The images and labels.
    pub fn examples(&self) -> &dyn Examples {
        match self {
            TrainingSet::Real(set) => set,
            TrainingSet::Synthetic(set) => set,
        }
    }

    /// The names of the classes; empty where they are not known.
    pub fn class_names(&self) -> &[String] {
        match self {
            TrainingSet::Real(set) => &set.class_names,
            TrainingSet::Synthetic(set) => &set.class_names,
        }
    }

    /// The labels of all images: classes \[N\] int64, or probabilities or regression targets \[N,K\].
    pub fn labels(&self) -> &Tensor {
        match self {
            TrainingSet::Real(set) => &set.labels,
            TrainingSet::Synthetic(set) => &set.labels,
        }
    }

    /// Number of classes.
    pub fn classes(&self) -> i64 {
        match self {
            TrainingSet::Real(set) => set.classes,
            TrainingSet::Synthetic(set) => set.classes,
        }
    }

    /// Channels, height and width of an image.
    pub fn image_shape(&self) -> [i64; 3] {
        match self {
            TrainingSet::Real(set) => set.image_shape(),
            TrainingSet::Synthetic(set) => {
                let size = set.images.size();
                [size[1], size[2], size[3]]
            }
        }
    }

    /// The kind of the labels: `targets` for regression targets, `soft` for probabilities, otherwise `hard`.
    pub fn label_kind(&self) -> &'static str {
        match self {
            TrainingSet::Synthetic(set) if set.targets => "targets",
            TrainingSet::Synthetic(set) if set.soft_labels() => "soft",
            _ => "hard",
        }
    }

    /// The normalisation of the images.
    pub fn normalisation(&self) -> &Normalisation {
        match self {
            TrainingSet::Real(set) => &set.normalisation,
            TrainingSet::Synthetic(set) => &set.normalisation,
        }
    }

    /// The origin of the images, for reports.
    pub fn origin(&self) -> &str {
        match self {
            TrainingSet::Real(set) => &set.origin,
            TrainingSet::Synthetic(set) => &set.origin,
        }
    }
}
