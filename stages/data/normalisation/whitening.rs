//! ZCA whitening of images: the linear map after which pixels are uncorrelated and of equal variance, and which changes
//! them as little as possible; and its inverse. It is computed from a covariance, which `parameters.rs` provides,
//! and can be applied to any number of images.
//!
//! Legend: N images, D pixels of an image over all channels.
#![expect(non_snake_case, reason = "tensors carry their shape in their names; the legend is above")]

use anyhow::{Context as _, Result, ensure};
use tch::{Kind, Tensor};

/// The map W = U (S + eps)^(-1/2) U' for a covariance U S U', the mean that is subtracted before it, and the inverse of
/// W. All tensors are float32; both matrices are symmetric.
#[derive(Debug)]
pub struct Whitening {
    mean_D: Tensor,
    /// W; `None` when it was read from a synthetic set's file, which holds only the inverse.
    matrix_DD: Option<Tensor>,
    inverse_DD: Tensor,
}

impl Whitening {
    /// The whitening of images with this mean \[D\] and covariance \[D,D\], both float64. `eps` is added to every
    /// eigenvalue. An error if `eps` is not above zero or the covariance is not float64.
    pub fn zca(mean_D: &Tensor, covariance_DD: &Tensor, eps: f64) -> Result<Self> {
        ensure!(eps > 0.0, "a whitening needs an eps above zero, this one is {eps}");
        ensure!(covariance_DD.kind() == Kind::Double, "a covariance of {:?}, not of doubles", covariance_DD.kind());
        let (values_D, vectors_DD) = covariance_DD.f_linalg_eigh("L").context("no eigenvectors of the covariance")?;
        // Variances are not negative, but rounding in the decomposition can give negative eigenvalues.
        let root_D = (values_D.f_clamp_min(0.0)? + eps).f_sqrt()?;
        let recompose = |scale_D: &Tensor| -> Result<Tensor> {
            let product = (&vectors_DD * scale_D).f_matmul(&vectors_DD.f_transpose(0, 1)?)?;
            Ok(product.f_to_kind(Kind::Float)?)
        };
        Ok(Whitening {
            mean_D: mean_D.f_to_kind(Kind::Float)?,
            matrix_DD: Some(recompose(&root_D.f_reciprocal()?)?),
            inverse_DD: recompose(&root_D)?,
        })
    }

    /// \[N,C,H,W\], the whitened images (x - mean) W, for normalised images x \[N,C,H,W\].
    pub fn apply(&self, images: &Tensor) -> Tensor {
        let centred_ND = images.flatten(1, -1) - like(&self.mean_D, images);
        let white_ND = match &self.matrix_DD {
            Some(matrix) => centred_ND.matmul(&like(matrix, images)),
            // In double precision, because solving loses digits that multiplying does not lose.
            None => {
                let inverse_DD = self.inverse_DD.to_device(images.device()).to_kind(Kind::Double);
                Tensor::linalg_solve(&inverse_DD, &centred_ND.to_kind(Kind::Double), false).to_kind(images.kind())
            }
        };
        white_ND.view_as(images)
    }

    /// \[N,C,H,W\], the normalised images x W^-1 + mean, for whitened images x: the inverse of [`apply`](Self::apply).
    pub fn undo(&self, images: &Tensor) -> Tensor {
        let restored_ND = images.flatten(1, -1).matmul(&like(&self.inverse_DD, images)) + like(&self.mean_D, images);
        restored_ND.view_as(images)
    }

    /// An error if the whitening is not for images of this shape (channels, height, width).
    pub fn fits(&self, image: &[i64]) -> Result<()> {
        let pixels: i64 = image.iter().product();
        let found = self.mean_D.size();
        ensure!(found == [pixels], "a whitening of {found:?} pixels, where images have {pixels} ({image:?})");
        let square = |matrix: &Tensor| matrix.size() == [pixels; 2];
        ensure!(
            self.matrix_DD.iter().chain([&self.inverse_DD]).all(square),
            "a whitening of {pixels} pixels whose matrix is {:?}",
            self.inverse_DD.size()
        );
        Ok(())
    }

    /// The parts of the map, as a file holds them: the mean, W if it is known, and the inverse of W.
    pub fn parts(&self) -> (&Tensor, Option<&Tensor>, &Tensor) {
        (&self.mean_D, self.matrix_DD.as_ref(), &self.inverse_DD)
    }

    /// The whitening of these parts: mean \[D\], W \[D,D\] where it is known, and the inverse of W \[D,D\].
    pub fn of_parts(mean_D: Tensor, matrix_DD: Option<Tensor>, inverse_DD: Tensor) -> Self {
        Whitening { mean_D, matrix_DD, inverse_DD }
    }
}

fn like(tensor: &Tensor, images: &Tensor) -> Tensor {
    tensor.to_device(images.device()).to_kind(images.kind())
}

impl Clone for Whitening {
    /// A clone shares the tensors, which are never changed in place.
    fn clone(&self) -> Self {
        Whitening {
            mean_D: self.mean_D.shallow_clone(),
            matrix_DD: self.matrix_DD.as_ref().map(Tensor::shallow_clone),
            inverse_DD: self.inverse_DD.shallow_clone(),
        }
    }
}

impl PartialEq for Whitening {
    /// Compares mean and inverse; W follows from the inverse.
    fn eq(&self, other: &Self) -> bool {
        let same = |a: &Tensor, b: &Tensor| a.size() == b.size() && a.equal(&b.to_device(a.device()));
        same(&self.mean_D, &other.mean_D) && same(&self.inverse_DD, &other.inverse_DD)
    }
}
