//! Losses that compare how the images of a batch stand to each other for a student and for its teacher. Each is a number
//! for the whole batch, which therefore cannot be taken in parts. The teacher's side is a constant. They know tensors
//! only; where HobbitLong/RepDistiller, whose settings are published, differs from a paper, they follow it.
//!
//! Shapes: B batch, D features (a map \[B,C,H,W\] is flattened to rows).

use tch::{Reduction, TchError, Tensor};

/// Below this a squared distance is not lowered (RepDistiller, `pdist`).
const SQUARE_EPS: f64 = 1e-12;

/// Below this a length is not divided by, as in PyTorch's `normalize`.
const LENGTH_EPS: f64 = 1e-12;

/// What keeps PKT's quotients finite.
const PKT_EPS: f64 = 1e-7;

/// How much the two parts of relational knowledge distillation count. A part of weight 0 is not computed.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Relational {
    /// The weight of the distances.
    pub distance: f64,
    /// The weight of the angles.
    pub angle: f64,
}

/// `distance` · [`distance_loss`] + `angle` · [`angle_loss`] (Park, Kim, Lu and Cho, CVPR 2019).
pub fn relational(student: &Tensor, teacher: &Tensor, weights: Relational) -> Result<Tensor, TchError> {
    let (ours, theirs) = (apart(&rows(student)?)?, apart(&rows(teacher)?)?);
    let mut sum = Tensor::f_zeros([0i64; 0], (ours.kind(), ours.device()))?;
    if weights.distance != 0.0 {
        sum = sum.f_add(&distance_loss_of(&ours, &theirs)?.f_mul_scalar(weights.distance)?)?;
    }
    if weights.angle != 0.0 {
        sum = sum.f_add(&angle_loss_of(&ours, &theirs)?.f_mul_scalar(weights.angle)?)?;
    }
    Ok(sum)
}

/// The smooth L1 difference of the distances |z_a - z_b| of a batch, each side's divided by the mean of its positive
/// ones; mean over all B·B pairs, an image with itself included. 0 for a single image.
pub fn distance_loss(student: &Tensor, teacher: &Tensor) -> Result<Tensor, TchError> {
    distance_loss_of(&apart(&rows(student)?)?, &apart(&rows(teacher)?)?)
}

/// The smooth L1 difference of the cosines of the angles at image a between images j and k; mean over all B·B·B triples.
pub fn angle_loss(student: &Tensor, teacher: &Tensor) -> Result<Tensor, TchError> {
    angle_loss_of(&apart(&rows(student)?)?, &apart(&rows(teacher)?)?)
}

/// The squared difference of the similarities of a batch, G = Z Zᵀ with rows of length 1; sum over all pairs, divided by
/// B² (Tung and Mori, ICCV 2019, eq. 4).
pub fn similarity(student: &Tensor, teacher: &Tensor) -> Result<Tensor, TchError> {
    let similarities = |features: &Tensor| {
        let rows_BD = rows(features)?;
        unit(&rows_BD.f_matmul(&rows_BD.f_transpose(0, 1)?)?, 1)
    };
    let apart_BB = similarities(teacher)?.f_sub(&similarities(student)?)?;
    apart_BB.f_square()?.f_mean(apart_BB.kind())
}

/// Probabilistic knowledge transfer (Passalis and Tefas, ECCV 2018): the divergence of the probabilities that an image has
/// another for a neighbour, p_ab = K_ab / Σ_b K_ab with K = (cosine + 1) / 2, an image with itself included. Its mean over
/// all B² pairs, as published code has it, and no sum.
pub fn pkt(student: &Tensor, teacher: &Tensor) -> Result<Tensor, TchError> {
    let neighbours = |features: &Tensor| {
        let rows_BD = rows(features)?;
        let rows_BD = rows_BD.f_div(&length(&rows_BD, 1)?.f_add_scalar(PKT_EPS)?)?;
        let kernel_BB = rows_BD.f_matmul(&rows_BD.f_transpose(0, 1)?)?.f_add_scalar(1.0)?.f_div_scalar(2.0)?;
        kernel_BB.f_div(&kernel_BB.f_sum_dim_intlist([1i64].as_slice(), true, kernel_BB.kind())?)
    };
    let (ours_BB, theirs_BB) = (neighbours(student)?, neighbours(teacher)?);
    let quotient_BB = theirs_BB.f_add_scalar(PKT_EPS)?.f_div(&ours_BB.f_add_scalar(PKT_EPS)?)?;
    theirs_BB.f_mul(&quotient_BB.f_log()?)?.f_mean(ours_BB.kind())
}

/// Correlation congruence (Peng et al., ICCV 2019) in its published first-order form: with δ = |s - t| of embeddings
/// \[B,D\] of the same length, the mean over neighbouring images of Σ_d δ_b δ_(b+1). It depends on the order of the batch.
/// 0 for a single image.
pub fn correlation(student_BD: &Tensor, teacher_BD: &Tensor) -> Result<Tensor, TchError> {
    let apart_BD = student_BD.f_sub(teacher_BD)?.f_abs()?;
    let pairs = apart_BD.size()[0] - 1;
    if pairs < 1 {
        return nothing(&apart_BD);
    }
    let products = apart_BD.f_narrow(0, 0, pairs)?.f_mul(&apart_BD.f_narrow(0, 1, pairs)?)?;
    products.f_sum(apart_BD.kind())?.f_div_scalar(pairs as f64)
}

fn distance_loss_of(student_BBD: &Tensor, teacher_BBD: &Tensor) -> Result<Tensor, TchError> {
    if student_BBD.size()[0] < 2 {
        return nothing(student_BBD);
    }
    let relative = |apart_BBD: &Tensor| {
        let squares_BB = apart_BBD.f_square()?.f_sum_dim_intlist([2i64].as_slice(), false, apart_BBD.kind())?;
        let count = squares_BB.size()[0];
        let others_BB = Tensor::f_eye(count, (squares_BB.kind(), squares_BB.device()))?.f_neg()?.f_add_scalar(1.0)?;
        // Two images that are the same are a small distance apart, an image is none from itself.
        let distances_BB = squares_BB.f_clamp_min(SQUARE_EPS)?.f_sqrt()?.f_mul(&others_BB)?;
        let mean = distances_BB.f_sum(distances_BB.kind())?.f_div_scalar((count * (count - 1)) as f64)?;
        distances_BB.f_div(&mean)
    };
    relative(student_BBD)?.f_smooth_l1_loss(&relative(teacher_BBD)?, Reduction::Mean, 1.0)
}

fn angle_loss_of(student_BBD: &Tensor, teacher_BBD: &Tensor) -> Result<Tensor, TchError> {
    let cosines = |apart_BBD: &Tensor| {
        let unit_BBD = unit(apart_BBD, 2)?;
        unit_BBD.f_bmm(&unit_BBD.f_transpose(1, 2)?)
    };
    cosines(student_BBD)?.f_smooth_l1_loss(&cosines(teacher_BBD)?, Reduction::Mean, 1.0)
}

/// \[B,D\].
fn rows(features: &Tensor) -> Result<Tensor, TchError> {
    features.f_flatten(1, -1)
}

/// \[B,B,D\], z_j - z_a at \[a,j\].
fn apart(rows_BD: &Tensor) -> Result<Tensor, TchError> {
    rows_BD.f_unsqueeze(0)?.f_sub(&rows_BD.f_unsqueeze(1)?)
}

/// The 2-norms along an axis, which stays with length 1.
fn length(values: &Tensor, axis: i64) -> Result<Tensor, TchError> {
    values.f_norm_scalaropt_dim(2.0, [axis].as_slice(), true)
}

/// The values with length 1 along an axis; zeros stay zeros.
fn unit(values: &Tensor, axis: i64) -> Result<Tensor, TchError> {
    values.f_div(&length(values, axis)?.f_clamp_min(LENGTH_EPS)?)
}

/// 0 with a graph, so that whatever the values come from has a gradient, of zeros.
fn nothing(like: &Tensor) -> Result<Tensor, TchError> {
    like.f_sum(like.kind())?.f_mul_scalar(0.0)
}
