//! Whether a second set is of the same images and classes as the one trained on.

use anyhow::{Result, ensure};

/// An error if the training images and those of a second set differ in shape (channels, height, width) or number of
/// classes; `what` names the input of the second set.
pub fn fits(trained: ([i64; 3], i64), tested: ([i64; 3], i64), what: &str) -> Result<()> {
    let (([channels, height, width], classes), (shape, others)) = (trained, tested);
    ensure!(
        [channels, height, width] == shape,
        "input {what:?} has images of {}x{}x{}, the training images are {channels}x{height}x{width}",
        shape[0],
        shape[1],
        shape[2]
    );
    ensure!(classes == others, "input {what:?} has {others} classes, the training images have {classes}");
    Ok(())
}
