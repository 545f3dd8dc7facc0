//! Factorised images (multi-formation): a stored image holds several images in the cells of a grid (Kim et al., Dataset
//! Condensation via Efficient Synthetic-Data Parameterization, 2022, section 4.1). This file decodes them: a pure and
//! differentiable function of pixels. `synthetic.rs` holds decoder and normalisation of a set.

use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};
use std::ops::Range;
use tch::{TchError, Tensor};

/// The pixel value, in \[0,1\], that pads an image whose sides cannot be divided by the grid: grey.
const GREY: f64 = 0.5;

/// How stored images are decoded: rows and columns are cut into `factor` parts each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Decoder {
    /// The number of cells along each side, above zero.
    pub factor: i64,
    /// Which grids are used on which images of a class.
    pub formation: Formation,
}

/// Which grids are used on which of the images of a class.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Formation {
    /// The grid with `factor` cells per side, on all images.
    Single,
    /// The grids with 1, 2, …, `factor` cells per side, each on all images.
    Multi,
    /// Large grids on the first images of a class and smaller ones on the others, so that at most this many images are
    /// decoded per class; every stored image is decoded at least once, even if that gives more.
    Bound(i64),
}

/// A grid (cells per side), and the range of images of a class on which it is used.
type Round = (i64, Range<i64>);

impl Decoder {
    /// An error if images with this height and width, in pixels, cannot be cut into `factor` parts.
    pub fn check(&self, [height, width]: [i64; 2]) -> Result<()> {
        let smallest = height.min(width);
        ensure!(
            (1..=smallest).contains(&self.factor),
            "factor {} cannot cut images of {height}x{width} pixels into cells; choose one from 1 to {smallest}",
            self.factor
        );
        Ok(())
    }

    /// The number of decoded images for this number of stored images of one class.
    pub fn count(&self, images: i64) -> i64 {
        self.rounds(images).iter().map(|(factor, part)| factor * factor * (part.end - part.start)).sum()
    }

    /// Decodes the stored images \[M,C,H,W\] of one class, pixels in \[0,1\], to \[[`count`](Self::count),C,H,W\]. A
    /// grid gives cell 0 of all its images, then cell 1, row by row; each cell is enlarged bilinearly to the size of
    /// the image.
    pub fn images(&self, images: &Tensor) -> Result<Tensor, TchError> {
        if self.factor <= 1 {
            return Ok(images.shallow_clone());
        }
        let rounds = self.rounds(images.size()[0]);
        let decoded = |(factor, part): &Round| zoom(&images.f_narrow(0, part.start, part.end - part.start)?, *factor);
        Tensor::f_cat(&rounds.iter().map(decoded).collect::<Result<Vec<_>, _>>()?, 0)
    }

    /// The labels of the decoded images, for labels \[M\] or \[M,K\] of the stored images of one class.
    pub fn labels(&self, labels: &Tensor) -> Result<Tensor, TchError> {
        let mut repeated = Vec::new();
        for (factor, part) in self.rounds(labels.size()[0]) {
            let part = labels.f_narrow(0, part.start, part.end - part.start)?;
            repeated.extend((0..factor * factor).map(|_| part.shallow_clone()));
        }
        Tensor::f_cat(&repeated, 0)
    }

    fn rounds(&self, images: i64) -> Vec<Round> {
        match self.formation {
            _ if self.factor <= 1 => vec![(1, 0..images)],
            Formation::Single => vec![(self.factor, 0..images)],
            Formation::Multi => (1..=self.factor).map(|factor| (factor, 0..images)).collect(),
            Formation::Bound(bound) => bounded(self.factor, images, bound),
        }
    }
}

/// The rounds of [`Formation::Bound`]: the largest grid on as many of the first images as leave room for one decoded
/// image of each of the others, then the next smaller grid, and so on.
fn bounded(largest: i64, images: i64, bound: i64) -> Vec<Round> {
    let (mut rounds, mut next, mut decoded) = (Vec::new(), 0, 0);
    for factor in (1..=largest).rev() {
        let left = images - next;
        // As in the authors' code, `left` includes the images of this round, so the room is smaller than it could be.
        let room = (bound - decoded - left).max(0);
        let taken = if factor > 1 { (room / (factor * factor)).min(left) } else { left };
        if taken > 0 {
            rounds.push((factor, next..next + taken));
        }
        next += taken;
        decoded += taken * factor * factor;
    }
    rounds
}

/// \[factor^2 M,C,H,W\], the cells of a grid on images \[M,C,H,W\], each enlarged to the size of the image.
fn zoom(images: &Tensor, factor: i64) -> Result<Tensor, TchError> {
    let size = images.size();
    let [height, width] = [size[2], size[3]];
    let (rows, columns) = ((height as u64).div_ceil(factor as u64), (width as u64).div_ceil(factor as u64));
    let [rows, columns] = [rows as i64, columns as i64];
    let (below, right) = (rows * factor - height, columns * factor - width);
    let padded = match (below, right) {
        (0, 0) => images.shallow_clone(),
        _ => images.f_pad([0, right, 0, below], "constant", GREY)?,
    };
    let mut cells = Vec::new();
    for row in 0..factor {
        let row = padded.f_narrow(2, row * rows, rows)?;
        for column in 0..factor {
            cells.push(row.f_narrow(3, column * columns, columns)?);
        }
    }
    Tensor::f_cat(&cells, 0)?.f_upsample_bilinear2d([height, width], false, None, None)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use tch::Kind;

    #[test]
    fn so_many_come_out_as_are_counted_and_labels_go_with_their_images() {
        // Image m is m everywhere, so that every decoded image shows which one it came from.
        for formation in [Formation::Single, Formation::Multi, Formation::Bound(24), Formation::Bound(3)] {
            for (factor, images) in [(1, 5), (2, 1), (2, 5), (3, 6), (4, 2)] {
                let decoder = Decoder { factor, formation };
                let labels = Tensor::arange(images, (Kind::Int64, tch::Device::Cpu));
                let stored = labels.to_kind(Kind::Float).view([-1, 1, 1, 1]).expand([images, 1, 12, 24], false);
                let (shown, labels) = (decoder.images(&stored).unwrap(), decoder.labels(&labels).unwrap());
                assert_eq!(shown.size(), [decoder.count(images), 1, 12, 24]);
                let means = shown.mean_dim([1i64, 2, 3].as_slice(), false, Kind::Float);
                assert!(means.allclose(&labels.to_kind(Kind::Float), 1e-5, 1e-5, false), "{decoder:?}");
                let soft = decoder.labels(&Tensor::eye(images, (Kind::Float, tch::Device::Cpu))).unwrap();
                assert_eq!(soft.argmax(1, false), labels);
            }
        }
    }

    #[test]
    fn a_bound_keeps_every_image_and_takes_no_more_than_there_is_room_for() {
        assert_eq!(bounded(3, 6, 24), [(3, 0..2), (1, 2..6)]);
        assert_eq!(bounded(2, 3, 100), [(2, 0..3)]);
        assert_eq!(bounded(3, 5, 2), [(1, 0..5)]);
    }

    #[test]
    fn a_side_that_cannot_be_divided_is_filled_with_grey() {
        let decoder = Decoder { factor: 3, formation: Formation::Single };
        let shown = decoder.images(&Tensor::zeros([1, 1, 4, 3], tch::kind::FLOAT_CPU)).unwrap();
        // Rows of 4 become 6, two in each cell: the last row of cells has nothing but grey.
        assert_eq!(Vec::<f32>::try_from(shown.narrow(0, 6, 3).flatten(0, -1)).unwrap(), [0.5; 36]);
        assert_eq!(Vec::<f32>::try_from(shown.narrow(0, 0, 6).flatten(0, -1)).unwrap(), [0.0; 72]);
        assert!(decoder.check([4, 3]).is_ok());
        let error = decoder.check([4, 2]).unwrap_err().to_string();
        assert!(error.contains("choose one from 1 to 2"), "{error}");
    }
}
