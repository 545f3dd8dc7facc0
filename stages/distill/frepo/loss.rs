//! Neural feature regression: the loss and its gradient with respect to synthetic images and labels (Zhou, Nezhadarya,
//! Ba 2022). Pure: features, network, images and labels come in, numbers go out.
//!
//! Legend: M synthetic images, B real images, D features, K classes, C channels, H height, W width. Kernels are in
//! double precision whatever the features are in, because the regulariser is a millionth of their diagonal.

use ddpipe_nn::autograd::{leaf, pulled_back};
use ddpipe_nn::loss::half_squared_error;
use ddpipe_nn::network::{Mode, Network, Parameters};
use ddpipe_nn::pieces::{self, Graph, Shared};
use tch::{Kind, TchError, Tensor};

/// Real images as a network sees them, without a graph, and what has to be said of them.
#[derive(Debug)]
pub struct Real {
    /// \[B,D\].
    pub features_BD: Tensor,
    /// \[B,K\].
    pub targets_BK: Tensor,
}

/// What one regression gives; scalars without a graph.
#[derive(Debug)]
pub struct Regressed {
    /// The regression's loss plus the margin's.
    pub loss: Tensor,
    /// The share of the real images of which the regression says the right class.
    pub accuracy: Tensor,
    /// \[M,C,H,W\].
    pub images_MCHW: Tensor,
    /// \[M,K\].
    pub labels_MK: Tensor,
}

/// What ridge regression with the features of the synthetic images predicts for real ones: K_ts (K_ss + λI)⁻¹ Y, \[B,K\]
/// double, with λ = reg · tr(K_ss)/M. Not a number where the kernel is not positive: whether it is is not asked, since the
/// host would wait for the answer.
pub fn predict(real_BD: &Tensor, synthetic_MD: &Tensor, labels_MK: &Tensor, reg: f64) -> Result<Tensor, TchError> {
    let double = |tensor: &Tensor| tensor.f_to_kind(Kind::Double);
    let (real_BD, synthetic_MD, labels_MK) = (double(real_BD)?, double(synthetic_MD)?, double(labels_MK)?);
    let count = synthetic_MD.size()[0];
    let across_MD = synthetic_MD.f_transpose(0, 1)?;
    let kernel_MM = synthetic_MD.f_matmul(&across_MD)?;
    // The derivative of `trace` would read a number back.
    let trace = kernel_MM.f_diagonal(0, 0, 1)?.f_sum(Kind::Double)?;
    let ridge = trace.f_mul_scalar(reg / count.max(1) as f64)?;
    let eye_MM = Tensor::f_eye(count, (Kind::Double, kernel_MM.device()))?;
    let (lower_MM, failed) = kernel_MM.f_add(&eye_MM.f_mul(&ridge)?)?.f_linalg_cholesky_ex(false, false)?;
    let lower_MM = lower_MM.f_masked_fill(&failed.f_ne(0)?, f64::NAN)?;
    let weights_MK = labels_MK.f_cholesky_solve(&lower_MM, false)?;
    real_BD.f_matmul(&across_MD)?.f_matmul(&weights_MK)
}

/// Minus the mean over the labels of how far the largest entry is above the second, of which no more than 1/K counts:
/// it keeps labels from losing their class.
pub fn margin(labels_MK: &Tensor) -> Result<Tensor, TchError> {
    let classes = labels_MK.size()[1];
    let (top_M2, _) = labels_MK.f_topk(2.min(classes), 1, true, true)?;
    let above_M = top_M2.f_select(1, 0)?.f_sub(&top_M2.f_select(1, -1)?)?;
    above_M.f_clamp_max(1.0 / classes as f64)?.f_mean(above_M.kind())?.f_neg()
}

/// Regresses real images on synthetic ones in the features of a network, and follows the loss back to images and labels.
/// Their graphs are all held. With `flip` mirrored copies stand beside them, with the same
/// labels.
pub fn regress(
    network: &Network,
    parameters: &Parameters,
    real: &Real,
    (images_MCHW, labels_MK): (&Tensor, &Tensor),
    flip: bool,
    reg: f64,
) -> Result<Regressed, TchError> {
    let (images, labels) = (leaf(images_MCHW)?, leaf(labels_MK)?);
    let (shown, called) = match flip {
        true => (Tensor::f_cat(&[&images, &images.f_flip([3])?], 0)?, Tensor::f_cat(&[&labels, &labels], 0)?),
        false => (images.shallow_clone(), labels.shallow_clone()),
    };
    let features = Features::of(network, parameters, &shown)?;
    let features_MD = leaf(&features.embedding_MD)?;
    let predicted_BK = predict(&real.features_BD, &features_MD, &called, reg)?;
    let targets_BK = real.targets_BK.f_to_kind(Kind::Double)?;
    let regression = half_squared_error(&predicted_BK, &targets_BK)?.f_div_scalar(targets_BK.size()[0])?;
    let loss = regression.f_add(&margin(&labels)?)?;
    let gradients = Tensor::f_run_backward(&[&loss], &[&features_MD, &labels], false, false)?;
    let right_B = predicted_BK.f_argmax(1, false)?.f_eq_tensor(&targets_BK.f_argmax(1, false)?)?;
    let [slopes_MD, labels_MK] = &gradients[..] else {
        return Err(TchError::Torch(format!("{} gradients of features and labels", gradients.len())));
    };
    let images_MCHW = pulled_back(&shown, &features.pulled(slopes_MD)?, &images)?;
    Ok(Regressed {
        loss: loss.f_detach()?,
        accuracy: right_B.f_to_kind(Kind::Double)?.f_mean(Kind::Double)?,
        images_MCHW,
        labels_MK: labels_MK.shallow_clone(),
    })
}

/// The features of synthetic images with their graphs, in pieces.
struct Features {
    /// \[M,D\], without a graph.
    embedding_MD: Tensor,
    /// The images of each piece, a leaf, and their features.
    pieces: Vec<(Tensor, Tensor)>,
}

impl Features {
    fn of(network: &Network, parameters: &Parameters, images_MCHW: &Tensor) -> Result<Self, TchError> {
        let device = images_MCHW.device();
        let sizes = network.pieces(images_MCHW, network.chunk(device, Graph::Kept));
        let parts = images_MCHW.f_detach()?.f_split_with_sizes(sizes, 0)?;
        let parameters = Shared::new(parameters);
        let seen = |part: Tensor| {
            let part = leaf(&part)?;
            let features = network.embed(&parameters, &part, Mode::Eval)?;
            Ok::<_, TchError>((part, features))
        };
        let pieces: Vec<(Tensor, Tensor)> = pieces::map(device, Graph::Kept, parts, seen)?;
        let features: Vec<Tensor> = pieces.iter().map(|(_, features)| features.f_detach()).collect::<Result<_, _>>()?;
        Ok(Features { embedding_MD: Tensor::f_cat(&features, 0)?, pieces })
    }

    /// \[M,C,H,W\], how the images move the features along these slopes \[M,D\].
    fn pulled(self, slopes_MD: &Tensor) -> Result<Tensor, TchError> {
        let sizes: Vec<i64> = self.pieces.iter().map(|(images, _)| images.size()[0]).collect();
        let parts = self.pieces.into_iter().zip(slopes_MD.f_split_with_sizes(&sizes, 0)?).collect();
        let pull = |((images, features), slopes): ((Tensor, Tensor), Tensor)| pulled_back(&features, &slopes, &images);
        let pulls: Vec<Tensor> = pieces::map(slopes_MD.device(), Graph::Kept, parts, pull)?;
        Tensor::f_cat(&pulls, 0)
    }
}
