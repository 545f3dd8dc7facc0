//! CutMix (Yun et al. 2019) as IDC's code does it: a rectangle of every image comes from another image of the batch, and
//! the labels are mixed by area. Draws are values; images and labels come in and go out.
//!
//! Legend: B batch, C channels, H rows, W columns, K classes.

#![expect(non_snake_case, reason = "tensors carry their shape in their names")]

use crate::stream::Stream;
use crate::transfer;
use std::ops::Range;
use tch::{Kind, TchError, Tensor};

/// The rectangle that is replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Patch {
    /// Of the image.
    pub rows: Range<i64>,
    /// Of the image.
    pub columns: Range<i64>,
}

impl Patch {
    /// A rectangle of 1 - `lambda` of the area of an image \[H,W\], as far as it lies inside when its middle is at
    /// `centre`. Sides are whole and even, so that the area is less, or none.
    pub fn new([height, width]: [i64; 2], lambda: f64, centre: [i64; 2]) -> Self {
        let side = (1.0 - lambda).max(0.0).sqrt();
        let inside = |length: i64, middle: i64| {
            let half = (length as f64 * side) as i64 / 2;
            (middle - half).clamp(0, length)..(middle + half).clamp(0, length)
        };
        Patch { rows: inside(height, centre[0]), columns: inside(width, centre[1]) }
    }

    /// The share of an image \[H,W\] that stays.
    pub fn kept(&self, [height, width]: [i64; 2]) -> f64 {
        let area = (self.rows.end - self.rows.start) * (self.columns.end - self.columns.start);
        1.0 - area as f64 / (height * width) as f64
    }
}

/// One draw for a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CutMix {
    /// The image that each image gets the patch of.
    pub partners: Vec<i64>,
    /// Where.
    pub patch: Patch,
}

impl CutMix {
    /// A patch of an area that is uniform (a beta distribution with both parameters 1, as published), anywhere in
    /// images \[H,W\].
    pub fn draw(images: i64, [height, width]: [i64; 2], stream: &mut Stream) -> Self {
        let lambda = f64::from(stream.uniform());
        let partners = stream.permutation(images);
        let centre = [stream.integer(0, height), stream.integer(0, width)];
        CutMix { partners, patch: Patch::new([height, width], lambda, centre) }
    }

    /// The images \[B,C,H,W\] with the patch of their partners, and the labels to learn from them, \[B,K\]: the cross
    /// entropy with these is the two images' cross entropies weighted by area. Labels are \[B\] int64 or \[B,K\].
    pub fn apply(&self, images_BCHW: &Tensor, labels: &Tensor, classes: i64) -> Result<(Tensor, Tensor), TchError> {
        self.apply_with(&transfer::upload(&self.partners, images_BCHW.device()), images_BCHW, labels, classes)
    }

    /// The same with the partners as a tensor \[B\] int64 on the images' device.
    pub fn apply_with(
        &self,
        partners: &Tensor,
        images_BCHW: &Tensor,
        labels: &Tensor,
        classes: i64,
    ) -> Result<(Tensor, Tensor), TchError> {
        let size = images_BCHW.size();
        let Patch { rows, columns } = &self.patch;
        let place = |images: &Tensor| {
            let rows = images.f_narrow(2, rows.start, rows.end - rows.start)?;
            rows.f_narrow(3, columns.start, columns.end - columns.start)
        };
        let mixed = images_BCHW.copy();
        place(&mixed)?.f_copy_(&place(images_BCHW)?.f_index_select(0, partners)?)?;
        let labels_BK = match labels.dim() {
            2 => labels.shallow_clone(),
            _ => labels.f_one_hot(classes)?.f_to_kind(Kind::Float)?,
        };
        let kept = self.patch.kept([size[2], size[3]]);
        let others = labels_BK.f_index_select(0, partners)?.f_mul_scalar(1.0 - kept)?;
        Ok((mixed, labels_BK.f_mul_scalar(kept)?.f_add(&others)?))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::stream::stream;
    use tch::{Device, Reduction};

    #[test]
    fn pixels_and_labels_are_mixed_by_area() {
        let images = Tensor::arange(3, (Kind::Float, Device::Cpu)).view([3, 1, 1, 1]).repeat([1, 2, 4, 6]);
        let labels = Tensor::from_slice(&[2i64, 0, 1]);
        let cutmix = CutMix { partners: vec![1, 2, 0], patch: Patch { rows: 0..2, columns: 1..4 } };
        let (mixed, shares) = cutmix.apply(&images, &labels, 4).unwrap();
        assert_eq!(f64::try_from(mixed.get(0).sum(Kind::Float)).unwrap(), 2.0 * 6.0);
        assert_eq!(f64::try_from(mixed.get(0).narrow(1, 0, 2).narrow(2, 1, 3).min()).unwrap(), 1.0);
        assert_eq!(Vec::<f32>::try_from(shares.get(0)).unwrap(), [0.25, 0.0, 0.75, 0.0]);
        assert_eq!(images.get(0).max(), Tensor::from(0.0f32), "the images that came in stay");

        // The published loss is the two cross entropies, weighted.
        let logits = stream(0, "logits", 0).normal_tensor(&[3, 4]);
        let entropy = |labels: &Tensor| logits.cross_entropy_loss(labels, None::<&Tensor>, Reduction::Mean, -100, 0.0);
        let published = entropy(&labels) * 0.75 + entropy(&Tensor::from_slice(&[0i64, 1, 2])) * 0.25;
        assert!(published.allclose(&entropy(&shares), 1e-6, 1e-6, false));
        let soft = cutmix.apply(&images, &labels.one_hot(4).to_kind(Kind::Float), 4).unwrap().1;
        assert_eq!(soft, shares);
    }

    #[test]
    fn a_draw_repeats_and_a_patch_without_area_changes_nothing() {
        let draw = |step| CutMix::draw(5, [28, 28], &mut stream(1, "cutmix", step));
        assert_eq!(draw(3), draw(3));
        assert_ne!(draw(3), draw(4));
        let none = CutMix { partners: vec![1, 0], patch: Patch::new([4, 4], 1.0, [2, 2]) };
        let images = stream(0, "images", 0).normal_tensor(&[2, 1, 4, 4]);
        let labels = Tensor::from_slice(&[0i64, 1]);
        let (mixed, shares) = none.apply(&images, &labels, 2).unwrap();
        assert_eq!((mixed, shares), (images, Tensor::eye(2, (Kind::Float, Device::Cpu))));
    }
}
