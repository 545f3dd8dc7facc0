//! How the images were prepared that a network, experts or scores belong to: their normalisation and whitening, in few numbers.
//! A stage that reads two things compares them, since a network says nothing sensible of images that were prepared otherwise.

use super::Normalisation;
use crate::artifact::memory;
use anyhow::{Result, bail};
use ddpipe_cache::Digest;
use serde::{Deserialize, Serialize};
use tch::{Device, Kind};

/// What images were prepared by.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Prepared {
    mean: Vec<f64>,
    std: Vec<f64>,
    /// The digest of the whitening; none where images are not whitened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    whitening: Option<String>,
}

impl Prepared {
    /// How images of this normalisation are prepared.
    pub fn of(normalisation: &Normalisation) -> Result<Self> {
        let digest = |whitening: &super::Whitening| -> Result<String> {
            // The matrix follows from the inverse, and synthetic sets hold the inverse alone.
            let (mean, _, inverse) = whitening.parts();
            let mut bytes = Vec::new();
            for tensor in [mean, inverse] {
                let tensor = tensor.f_to_device(Device::Cpu)?.f_to_kind(Kind::Float)?;
                bytes.extend_from_slice(memory::bytes(&memory::settled(&tensor)?)?);
            }
            Ok(Digest::of(&bytes).short())
        };
        let whitening = normalisation.whitening.as_ref().map(digest).transpose()?;
        Ok(Prepared { mean: normalisation.mean.clone(), std: normalisation.std.clone(), whitening })
    }

    /// An error unless `images` are prepared as those that `trained` belongs to. Both are named: `the network of "model"`,
    /// `the images of "synthetic"`. Nothing is known of what was made by earlier versions, or comes from outside.
    pub fn agree(trained: Option<&Self>, of: &str, images: &Normalisation, whose: &str) -> Result<()> {
        let Some(trained) = trained else { return Ok(()) };
        let images = Prepared::of(images)?;
        if *trained == images {
            return Ok(());
        }
        let (first, second) = match (&trained.whitening, &images.whitening) {
            (Some(_), None) => ("whitened images".to_string(), "not whitened".to_string()),
            (None, Some(_)) => ("images that are not whitened".into(), "whitened".into()),
            (Some(one), Some(other)) if one != other => {
                (format!("images whitened by {one}"), format!("whitened by {other}"))
            }
            _ => (format!("images of {}", trained.numbers()), format!("of {}", images.numbers())),
        };
        bail!(
            "{of} belongs to {first}, {whose} are {second}; give both the same normalisation and whitening (the input \
             `normalisation` of a decoder takes them over)"
        )
    }

    fn numbers(&self) -> String {
        let list = |numbers: &[f64]| {
            let numbers: Vec<String> = numbers.iter().map(|number| format!("{number:.4}")).collect();
            numbers.join(", ")
        };
        format!("mean {} and deviation {}", list(&self.mean), list(&self.std))
    }
}
