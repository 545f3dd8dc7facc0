//! A synthetic set: a few images that replace many. It holds all that training on it needs: normalised images, hard or
//! soft labels, the normalisation (by which images become pictures), and the decoder of factorised images, if there is
//! one.

use super::{Decoder, Normalisation, TensorFile, whitening};
use anyhow::{Context as _, Result, ensure};
use ddpipe_interface::ArtifactType;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tch::{Device, Kind, Tensor};

/// A synthetic set, class-major: all images of class 0, then class 1, …
#[derive(Debug)]
pub struct SyntheticSet {
    /// \[M,C,H,W\] float32, normalised like the real images.
    pub images: Tensor,
    /// Classes \[M\] int64, or \[M,K\] float32: probabilities (soft labels), or regression targets if `targets` is set.
    pub labels: Tensor,
    /// Number of classes K.
    pub classes: i64,
    /// The number of stored images per class; the most that a class has, where small ones have fewer
    /// ([`counts`](Self::counts)).
    pub ipc: i64,
    /// The normalisation of the real images, which the synthetic images share.
    pub normalisation: Normalisation,
    /// The origin of the real images, for reports; it shows whether they are sample data.
    pub origin: String,
    /// The names of the classes, as of the real images; empty where they are not known.
    pub class_names: Vec<String>,
    /// The learning rate that was learnt with the images, if one was.
    pub lr: Option<f64>,
    /// Whether the labels are regression targets, one number for every class, instead of probabilities.
    pub targets: bool,
    /// The decoder of factorised images; `None` if every stored image is one image. A set with a decoder has to be
    /// decoded before training: see [`decoded`](Self::decoded).
    pub decoder: Option<Decoder>,
}

#[derive(Serialize, Deserialize)]
struct About {
    classes: i64,
    ipc: i64,
    normalisation: Normalisation,
    origin: String,
    /// Left out where they are not known, so that such sets keep their bytes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    class_names: Vec<String>,
    /// Left out when there is none, so that older sets keep their bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    lr: Option<f64>,
    /// Left out when false, for the same reason.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    targets: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    decoder: Option<Decoder>,
}

impl SyntheticSet {
    /// Reads a synthetic set from its file. Tensors are shared, not copied. An error if the file is of another type or
    /// its tensors do not fit each other.
    pub fn from_file(file: &TensorFile) -> Result<Self> {
        ensure!(file.artifact == ArtifactType::Synthetic, "expected a synthetic set, found a {}", file.artifact);
        let about: About = serde_json::from_value(file.about.clone()).context("the synthetic set's description")?;
        let images = file.get("images")?.shallow_clone();
        let labels = file.get("labels")?.shallow_clone();
        ensure!(images.dim() == 4, "a synthetic set's images have 4 axes, these have {}", images.dim());
        ensure!(labels.size()[0] == images.size()[0], "{} images but {} labels", images.size()[0], labels.size()[0]);
        ensure!(
            !about.targets || labels.size() == [images.size()[0], about.classes],
            "regression targets for {} images and {} classes, but the labels are {:?}",
            images.size()[0],
            about.classes,
            labels.size()
        );
        let whitening = whitening::read(file, &images.size()[1..])?;
        Ok(SyntheticSet {
            images,
            labels,
            classes: about.classes,
            ipc: about.ipc,
            normalisation: Normalisation { whitening, ..about.normalisation },
            origin: about.origin,
            class_names: about.class_names,
            lr: about.lr,
            targets: about.targets,
            decoder: about.decoder,
        })
    }

    /// The file of the synthetic set. Tensors are shared, not copied.
    pub fn to_file(&self) -> TensorFile {
        let about = json!(About {
            classes: self.classes,
            ipc: self.ipc,
            normalisation: self.normalisation.clone(),
            origin: self.origin.clone(),
            class_names: self.class_names.clone(),
            lr: self.lr,
            targets: self.targets,
            decoder: self.decoder,
        });
        let file = TensorFile::new(ArtifactType::Synthetic, about)
            .with("images", self.images.shallow_clone())
            .with("labels", self.labels.shallow_clone());
        match &self.normalisation.whitening {
            Some(whitening) => whitening::write_back(whitening, file),
            None => file,
        }
    }

    /// The same set with other images (\[M,C,H,W\], detached and stored as float32).
    pub fn with_images(&self, images: Tensor) -> Self {
        SyntheticSet {
            images: images.detach().to_kind(Kind::Float),
            labels: self.labels.shallow_clone(),
            normalisation: self.normalisation.clone(),
            origin: self.origin.clone(),
            class_names: self.class_names.clone(),
            ..*self
        }
    }

    /// The set to learn from: with all images that the stored ones hold, their labels repeated, and no decoder. A set
    /// without a decoder is returned unchanged. Cells are cut, enlarged and padded in pixels of \[0,1\]: the
    /// normalisation is undone before and applied again afterwards. An error if the set does not have `ipc` images of
    /// each class, or if the decoder does not fit the images.
    pub fn decoded(self) -> Result<Self> {
        let Some(decoder) = self.decoder else { return Ok(self) };
        let size = self.images.size();
        ensure!(
            self.ipc > 0 && size[0] == self.classes * self.ipc,
            "{} stored images are not {} of each of {} classes, so they cannot be decoded class by class",
            size[0],
            self.ipc,
            self.classes
        );
        decoder.check([size[2], size[3]]).context("the synthetic set's decoder")?;
        let pixels = self.normalisation.undo(&self.images);
        let (mut images, mut labels) = (Vec::new(), Vec::new());
        for class in 0..self.classes {
            let own = |tensor: &Tensor| tensor.f_narrow(0, class * self.ipc, self.ipc);
            images.push(decoder.images(&own(&pixels)?)?);
            labels.push(decoder.labels(&own(&self.labels)?)?);
        }
        Ok(SyntheticSet {
            images: self.normalisation.apply(&Tensor::f_cat(&images, 0)?),
            labels: Tensor::f_cat(&labels, 0)?,
            ipc: decoder.count(self.ipc),
            decoder: None,
            ..self
        })
    }

    /// The number of images of every class, whose images follow each other: `ipc` of each, or what hard labels say. None
    /// where neither holds, or a class has none.
    pub fn counts(&self) -> Option<Vec<i64>> {
        let (count, classes) = (self.images.size()[0], usize::try_from(self.classes).ok()?);
        if self.ipc > 0 && self.classes.checked_mul(self.ipc) == Some(count) {
            return Some(vec![self.ipc; classes]);
        }
        let labels = (self.labels.dim() == 1).then(|| self.labels.f_to_device(Device::Cpu)).and_then(Result::ok)?;
        let labels = Vec::<i64>::try_from(labels).ok().filter(|labels| labels.is_sorted())?;
        let mut counts = vec![0; classes];
        for label in labels {
            *counts.get_mut(usize::try_from(label).ok()?)? += 1;
        }
        counts.iter().all(|&count| count > 0).then_some(counts)
    }

    /// Whether the labels are \[M,K\]: probabilities or regression targets.
    pub fn soft_labels(&self) -> bool {
        self.labels.dim() == 2
    }

    /// The same set with the class at whose place an image stands, \[M\] int64: 0 `ipc` times, 1 `ipc` times, and so on.
    pub fn with_hard_labels(self) -> Result<Self> {
        let count = self.images.size()[0];
        ensure!(
            count == self.classes * self.ipc,
            "{count} images are not {} of each of {} classes, so their places do not say their class",
            self.ipc,
            self.classes
        );
        let classes = Tensor::f_arange(self.classes, (Kind::Int64, self.images.device()))?;
        let labels = classes.f_repeat_interleave_self_int(self.ipc, 0, None)?;
        Ok(SyntheticSet { labels, targets: false, ..self })
    }

    /// An error where the labels are regression targets: for stages that read them as classes or probabilities.
    pub fn refuse_targets(&self) -> Result<()> {
        ensure!(
            !self.targets,
            "the labels are regression targets, as distill.frepo learns them, and say no class or probability; \
             label.synthetic with labels = \"hard\" gives the set classes again"
        );
        Ok(())
    }
}
