//! Difficulty of images for one trained network. Pure functions of parameters, images and labels.
//!
//! Legend: B images, C channels, H height, W width, K classes, D features, p the network's probabilities, y the label as
//! one-hot vector, f the input of the last linear layer.

#![expect(non_snake_case, reason = "tensors carry their shape in their names")]

use ddpipe_nn::network::{Mode, Network, Parameters};
use ddpipe_nn::pieces::Graph;
use tch::{Kind, Reduction, TchError, Tensor};

/// The difficulty score that is computed; higher is harder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// EL2N, |p - y| (Paul et al., Deep Learning on a Data Diet, 2021).
    El2n,
    /// GraNd of the last layer: the norm of the gradient of the cross entropy with respect to weight and bias of the
    /// last linear layer, |p - y| sqrt(1 + |f|²).
    Grand,
    /// GraNd: the norm of the gradient of the cross entropy with respect to all parameters.
    GrandFull,
    /// Least confidence: 1 - the largest probability.
    LeastConfidence,
    /// Entropy of the prediction: - sum of p log p.
    Entropy,
    /// Margin: 1 - (the largest probability - the second largest).
    Margin,
}

impl Measure {
    /// \[B\] float64, the scores of images \[B,C,H,W\] with labels \[B\] int64, in evaluation mode. The images go
    /// through the network in chunks, so memory does not grow with B.
    pub fn of(
        self,
        network: &Network,
        parameters: &Parameters,
        images_BCHW: &Tensor,
        labels_B: &Tensor,
    ) -> Result<Tensor, TchError> {
        if self == Measure::GrandFull {
            return gradient_norms(network, parameters, images_BCHW, labels_B);
        }
        tch::no_grad(|| {
            let chunk = network.chunk(images_BCHW.device(), Graph::Without);
            let features_BD = network.embed_chunked(parameters, images_BCHW, Mode::Eval, chunk)?;
            let logits_BK = network.classify(parameters, &features_BD)?;
            // In double precision: where the network is confident, the differences between images are in the last
            // digits.
            let log_BK = logits_BK.f_log_softmax(1, Kind::Double)?;
            let p_BK = log_BK.f_exp()?;
            match self {
                Measure::El2n => errors(&p_BK, labels_B),
                Measure::Grand | Measure::GrandFull => {
                    let squares_B =
                        features_BD.f_to_kind(Kind::Double)?.f_square()?.f_sum_dim_intlist(1, false, Kind::Double)?;
                    errors(&p_BK, labels_B)?.f_mul(&squares_B.f_add_scalar(1.0)?.f_sqrt()?)
                }
                Measure::LeastConfidence => p_BK.f_amax(1, false)?.f_neg()?.f_add_scalar(1.0),
                Measure::Entropy => p_BK.f_mul(&log_BK)?.f_sum_dim_intlist(1, false, Kind::Double)?.f_neg(),
                Measure::Margin => {
                    let (two_B2, _) = p_BK.f_topk(2, 1, true, true)?;
                    two_B2.f_select(1, 1)?.f_sub(&two_B2.f_select(1, 0)?)?.f_add_scalar(1.0)
                }
            }
        })
    }
}

/// \[B\], the L2 norm |p - y| for each image.
fn errors(p_BK: &Tensor, labels_B: &Tensor) -> Result<Tensor, TchError> {
    let classes_K = Tensor::f_arange(p_BK.size()[1], (Kind::Int64, p_BK.device()))?;
    let y_BK = labels_B.f_unsqueeze(1)?.f_eq_tensor(&classes_K)?.f_to_kind(p_BK.kind())?;
    p_BK.f_sub(&y_BK)?.f_square()?.f_sum_dim_intlist(1, false, p_BK.kind())?.f_sqrt()
}

/// \[B\], the norm of the gradient over all parameters for each image; one image at a time goes forward and backward.
fn gradient_norms(
    network: &Network,
    parameters: &Parameters,
    images_BCHW: &Tensor,
    labels_B: &Tensor,
) -> Result<Tensor, TchError> {
    let leaves = parameters.tracked();
    let mut norms = Vec::with_capacity(labels_B.numel());
    for (image, label) in images_BCHW.f_split(1, 0)?.iter().zip(labels_B.f_split(1, 0)?) {
        let logits = network.forward(&leaves, image, Mode::Eval)?.logits;
        let loss = logits.f_cross_entropy_loss(&label, None::<&Tensor>, Reduction::Mean, -100, 0.0)?;
        let gradients = Tensor::f_run_backward(&[&loss], &leaves.trainable, false, false)?;
        let squares = gradients.iter().map(|gradient| gradient.f_square()?.f_sum(Kind::Double));
        let squares = squares.collect::<Result<Vec<_>, TchError>>()?;
        norms.push(Tensor::f_stack(&squares, 0)?.f_sum(Kind::Double)?.f_sqrt()?);
    }
    Tensor::f_stack(&norms, 0)
}
