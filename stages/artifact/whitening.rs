//! The whitening in the file of a data set or of a synthetic set: its tensors lie beside the images.
#![expect(non_snake_case, reason = "tensors carry their shape in their names: D pixels of an image over all channels")]

use super::TensorFile;
use crate::data::normalisation::Whitening;
use anyhow::Result;
use tch::Tensor;

const MEAN: &str = "whitening_mean";
const MATRIX: &str = "whitening_matrix";
const INVERSE: &str = "whitening_inverse";

/// Reads the whitening from a file of images of this shape (channels, height, width); `None` if there is none.
pub(super) fn read(file: &TensorFile, image: &[i64]) -> Result<Option<Whitening>> {
    let Some(inverse_DD) = file.tensors.get(INVERSE) else { return Ok(None) };
    let (mean_D, matrix_DD) = (file.get(MEAN)?.shallow_clone(), file.tensors.get(MATRIX).map(Tensor::shallow_clone));
    let whitening = Whitening::of_parts(mean_D, matrix_DD, inverse_DD.shallow_clone());
    whitening.fits(image)?;
    Ok(Some(whitening))
}

/// Adds mean, inverse and, if it is known, W to a file.
pub(super) fn write(whitening: &Whitening, file: TensorFile) -> TensorFile {
    let file = write_back(whitening, file);
    match whitening.parts() {
        (_, Some(matrix_DD), _) => file.with(MATRIX, matrix_DD.shallow_clone()),
        _ => file,
    }
}

/// Adds only mean and inverse to a file, because the matrices are large.
pub(super) fn write_back(whitening: &Whitening, file: TensorFile) -> TensorFile {
    let (mean_D, _, inverse_DD) = whitening.parts();
    file.with(MEAN, mean_D.shallow_clone()).with(INVERSE, inverse_DD.shallow_clone())
}
