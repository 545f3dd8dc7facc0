//! The test set of a training: its images are normalised and whitened as those that the network learns from, whatever their
//! own normalisation, because the network would see other images otherwise.

use crate::artifact::{Dataset, Normalisation, same_classes};
use crate::context::{Context, Inputs};
use anyhow::{Context as _, Result};

/// The data set of input `test` with the normalisation of the training images; nothing where it is not connected. What was
/// changed is told. An error if its classes have other names than those of the training images.
pub fn test_set(
    ctx: &Context,
    inputs: &Inputs,
    trained: &Normalisation,
    class_names: &[String],
) -> Result<Option<Dataset>> {
    if !inputs.has("test") {
        return Ok(None);
    }
    let mut set = inputs.dataset("test")?;
    same_classes("the images of \"test\"", &set.class_names, "the training images", class_names)?;
    // Another number of channels is told by what compares the shapes.
    if set.normalisation == *trained || set.normalisation.mean.len() != trained.mean.len() {
        return Ok(Some(set));
    }
    if let Some(whitening) = &trained.whitening {
        whitening.fits(&set.image_shape()).context("input \"test\"")?;
    }
    set.normalisation = trained.clone();
    ctx.warn(
        "the test images are normalised and whitened as the training images are, and not by their own numbers; connect the \
         training set to `normalisation` where they are decoded, to have it so from the start",
    );
    Ok(Some(set))
}
