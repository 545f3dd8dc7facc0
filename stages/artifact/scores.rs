//! Difficulty scores: one number per image of a data set. They are stored with the labels, so that the order within
//! every class needs no other file, and so that a reader can check that they belong to its images.

use super::{Dataset, Prepared, TensorFile};
use anyhow::{Context as _, Result, ensure};
use ddpipe_interface::ArtifactType;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tch::{Device, Kind, Tensor};

/// The difficulty scores of all images of a data set, in its order.
#[derive(Debug)]
pub struct Scores {
    /// \[N\] float32; higher is harder.
    pub scores: Tensor,
    /// \[N\] int64, 0 to `classes`-1: the labels of the images.
    pub labels: Tensor,
    /// Number of classes.
    pub classes: i64,
    /// The name of the score, for reports.
    pub method: String,
    /// The origin of the images.
    pub origin: String,
    /// How the images were prepared; not known of scores of earlier versions.
    pub prepared: Option<Prepared>,
}

#[derive(Serialize, Deserialize)]
struct About {
    classes: i64,
    method: String,
    origin: String,
    #[serde(default, skip_serializing_if = "Option::is_none", rename = "images")]
    prepared: Option<Prepared>,
}

impl Scores {
    /// Reads scores from their file. Tensors are shared, not copied. An error if the file is of another type or its
    /// tensors do not fit each other.
    pub fn from_file(file: &TensorFile) -> Result<Self> {
        ensure!(file.artifact == ArtifactType::Scores, "expected scores, found a {}", file.artifact);
        let About { classes, method, origin, prepared } =
            serde_json::from_value(file.about.clone()).context("the scores' description")?;
        let (scores, labels) = (file.get("scores")?.shallow_clone(), file.get("labels")?.shallow_clone());
        ensure!(
            scores.dim() == 1 && scores.size() == labels.size(),
            "scores of shape {:?}, but labels of shape {:?}",
            scores.size(),
            labels.size()
        );
        Ok(Scores { scores, labels, classes, method, origin, prepared })
    }

    /// The file of the scores. Tensors are shared, not copied.
    pub fn to_file(&self) -> TensorFile {
        let about = json!(About {
            classes: self.classes,
            method: self.method.clone(),
            origin: self.origin.clone(),
            prepared: self.prepared.clone(),
        });
        TensorFile::new(ArtifactType::Scores, about)
            .with("scores", self.scores.shallow_clone())
            .with("labels", self.labels.shallow_clone())
    }

    /// An error unless these are scores of the images of this data set: the same number, labels and origin.
    pub fn are_of(&self, set: &Dataset) -> Result<()> {
        let device = set.labels.device();
        ensure!(
            self.origin == set.origin
                && self.labels.size() == set.labels.size()
                && self.labels.f_to_device(device)?.f_equal(&set.labels)?,
            "the scores are of {} images of {:?}, the data set has {} of {:?}, or other labels; score the images that \
             are used",
            self.labels.numel(),
            self.origin,
            set.len(),
            set.origin
        );
        Prepared::agree(self.prepared.as_ref(), "what was scored", &set.normalisation, "the images here")
    }

    /// The positions of the images of every class, easiest first; of images with the same score the first comes first.
    /// An error if a score is not finite or a label is not below `classes`.
    pub fn easy_to_hard(&self) -> Result<Vec<Vec<i64>>> {
        let scores = Vec::<f32>::try_from(self.scores.f_to_kind(Kind::Float)?.f_to_device(Device::Cpu)?)?;
        let labels = Vec::<i64>::try_from(self.labels.f_to_device(Device::Cpu)?)?;
        ensure!(scores.iter().all(|score| score.is_finite()), "the scores are not all numbers");
        let mut order: Vec<usize> = (0..scores.len()).collect();
        order.sort_by(|&a, &b| scores[a].total_cmp(&scores[b]));
        let mut classes = vec![Vec::new(); usize::try_from(self.classes).unwrap_or(0)];
        for position in order {
            let label = labels[position];
            let class = usize::try_from(label).ok().and_then(|label| classes.get_mut(label));
            class
                .with_context(|| format!("label {label} of image {position} is not in 0 to {}", self.classes - 1))?
                .push(position as i64);
        }
        Ok(classes)
    }
}
