//! Sets of images that tests are made with.

use ddpipe_stages::artifact::{Dataset, Normalisation};
use tch::Tensor;

/// A data set of bytes \[N,C,H,W\] with labels \[N\], without votes and names of classes.
pub fn byte_set(
    images: Tensor,
    labels: Tensor,
    classes: i64,
    normalisation: Normalisation,
    origin: impl Into<String>,
) -> Dataset {
    let (agreement, class_names, origin) = (None, Vec::new(), origin.into());
    Dataset { images, labels, agreement, classes, normalisation, scale: 255.0, origin, class_names }
}
