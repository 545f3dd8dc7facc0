//! Real images with labels, as stages read them. Images keep the type in which they were decoded (u8 where the file has
//! bytes) and become normalised floats when a stage asks for them, some or all at once.

use super::{Normalisation, TensorFile, whitening};
use anyhow::{Context as _, Result, ensure};
use ddpipe_interface::ArtifactType;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tch::{Kind, Tensor};

/// Real images and their labels.
#[derive(Debug)]
pub struct Dataset {
    /// \[N,C,H,W\], raw pixels: u8 (0 to 255) or float; divided by `scale` they lie in \[0,1\].
    pub images: Tensor,
    /// \[N\] int64, 0 to `classes`-1.
    pub labels: Tensor,
    /// \[N\] int64, how many annotators chose class 1; `None` for data without votes.
    pub agreement: Option<Tensor>,
    /// Number of classes.
    pub classes: i64,
    /// The normalisation of pixels after they are divided by `scale`.
    pub normalisation: Normalisation,
    /// The number by which a raw pixel is divided to lie in \[0,1\]: 255 for bytes, 1 for floats.
    pub scale: f64,
    /// The origin of the images, for reports. That of generated data contains the words sample data.
    pub origin: String,
    /// The names of the classes, for pictures and reports; empty where they are not known.
    pub class_names: Vec<String>,
}

#[derive(Serialize, Deserialize)]
struct About {
    classes: i64,
    normalisation: Normalisation,
    scale: f64,
    origin: String,
    /// Left out where they are not known, so that such sets keep their bytes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    class_names: Vec<String>,
}

impl Dataset {
    /// Reads a data set from its file. Tensors are shared, not copied. An error if the file is of another type or its
    /// tensors do not fit each other.
    pub fn from_file(file: &TensorFile) -> Result<Self> {
        ensure!(file.artifact == ArtifactType::Dataset, "expected a dataset, found a {}", file.artifact);
        let about: About = serde_json::from_value(file.about.clone()).context("the dataset's description")?;
        let images = file.get("images")?.shallow_clone();
        let labels = file.get("labels")?.shallow_clone();
        ensure!(images.dim() == 4, "a dataset's images have 4 axes, these have {}", images.dim());
        ensure!(labels.size() == [images.size()[0]], "{} images but {:?} labels", images.size()[0], labels.size());
        let agreement = file.tensors.get("agreement").map(Tensor::shallow_clone);
        if let Some(votes) = &agreement {
            ensure!(votes.size() == labels.size(), "{:?} labels but {:?} votes", labels.size(), votes.size());
        }
        let whitening = whitening::read(file, &images.size()[1..])?;
        Ok(Dataset {
            images,
            labels,
            agreement,
            classes: about.classes,
            normalisation: Normalisation { whitening, ..about.normalisation },
            scale: about.scale,
            origin: about.origin,
            class_names: about.class_names,
        })
    }

    /// The file of the data set. Tensors are shared, not copied.
    pub fn to_file(&self) -> TensorFile {
        let about = json!(About {
            classes: self.classes,
            normalisation: self.normalisation.clone(),
            scale: self.scale,
            origin: self.origin.clone(),
            class_names: self.class_names.clone(),
        });
        let file = TensorFile::new(ArtifactType::Dataset, about)
            .with("images", self.images.shallow_clone())
            .with("labels", self.labels.shallow_clone());
        let file = match &self.agreement {
            Some(votes) => file.with("agreement", votes.shallow_clone()),
            None => file,
        };
        match &self.normalisation.whitening {
            Some(whitening) => whitening::write(whitening, file),
            None => file,
        }
    }

    /// Number of images.
    pub fn len(&self) -> i64 {
        self.images.size()[0]
    }

    /// Whether there are no images.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Channels, height, width.
    pub fn image_shape(&self) -> [i64; 3] {
        let size = self.images.size();
        [size[1], size[2], size[3]]
    }

    /// All images as normalised float32, \[N,C,H,W\]. Takes four times the bytes of u8 images.
    pub fn floats(&self) -> Tensor {
        self.normalised(&self.images)
    }

    /// \[n,C,H,W\], the images at these positions (\[n\] int64) as normalised float32.
    pub fn floats_at(&self, positions: &Tensor) -> Tensor {
        self.normalised(&self.images.index_select(0, &positions.to_device(self.images.device())))
    }

    /// The positions of the images of every class, ascending: one list per class. An error if a label is not below
    /// `classes`.
    pub fn positions_by_class(&self) -> Result<Vec<Vec<i64>>> {
        let labels: Vec<i64> = Vec::try_from(self.labels.to_device(tch::Device::Cpu))?;
        let mut positions = vec![Vec::new(); self.classes as usize];
        for (position, &label) in labels.iter().enumerate() {
            let class = usize::try_from(label).ok().and_then(|label| positions.get_mut(label));
            class
                .with_context(|| format!("label {label} of image {position} is not in 0 to {}", self.classes - 1))?
                .push(position as i64);
        }
        Ok(positions)
    }

    fn normalised(&self, raw: &Tensor) -> Tensor {
        self.normalisation.apply(&(raw.to_kind(Kind::Float) / self.scale))
    }
}
