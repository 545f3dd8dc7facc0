//! The choice of RDED (Sun, Shi, Yu and Lin, CVPR 2024): of random crops of real images those of which a teacher is surest,
//! put together to images. Crops are drawn in `crops.rs`; this file scores and arranges them.

#![expect(non_snake_case, reason = "tensors carry their shape in their names: N images, R crops of each, K classes")]

use anyhow::Result;
use ddpipe_nn::transfer;
use tch::{Kind, Tensor};

/// The best crop of every image, and the images in the order of their best crops' scores.
#[derive(Debug, PartialEq)]
pub struct Ranking {
    /// For each image, which of its crops has the smallest score; of equal ones the first.
    pub best_crop: Vec<usize>,
    /// The images, smallest score of the best crop first; of equal ones the first.
    pub order: Vec<usize>,
}

/// \[n,C,h,w\] in the middle of zeros, \[n,C,height,width\], as a teacher sees crops; of an odd rest the greater part is
/// below and on the right. Zero is the mean of the data, because images are normalised.
pub fn framed(crops: &Tensor, [height, width]: [i64; 2]) -> Result<Tensor> {
    let size = crops.size();
    let (rows, columns) = (height - size[2], width - size[3]);
    Ok(crops.f_constant_pad_nd([columns / 2, columns - columns / 2, rows / 2, rows - rows / 2])?)
}

/// The cross entropy of a class for a teacher's logits \[…,K\], \[…\] float64: less is surer.
pub fn scores(logits: &Tensor, class: i64) -> Result<Tensor> {
    Ok(logits.f_to_kind(Kind::Double)?.f_log_softmax(-1, None::<Kind>)?.f_select(-1, class)?.f_neg()?)
}

/// Ranks images by the scores of their crops, \[R,N\].
pub fn ranked(scores_RN: &Tensor) -> Result<Ranking> {
    let images = scores_RN.size()[1] as usize;
    let scores: Vec<f64> = transfer::numbers(&scores_RN.f_flatten(0, -1)?)?;
    let at = |crop: usize, image: usize| scores.get(crop * images + image).copied().unwrap_or(f64::INFINITY);
    let least = |image: usize| {
        let crops = 0..scores.len().checked_div(images).unwrap_or(0);
        crops.min_by(|&a, &b| at(a, image).total_cmp(&at(b, image))).unwrap_or(0)
    };
    let best_crop: Vec<usize> = (0..images).map(least).collect();
    let mut order: Vec<usize> = (0..images).collect();
    let score = |image: usize| at(best_crop.get(image).copied().unwrap_or(0), image);
    order.sort_by(|&a, &b| score(a).total_cmp(&score(b)));
    Ok(Ranking { best_crop, order })
}
