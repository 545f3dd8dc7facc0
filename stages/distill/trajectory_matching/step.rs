//! One inner step of a student in pieces of its batch: the gradient of the training loss, and how images, labels and
//! parameters move it.
//!
//! Legend: P parameters, B images of the batch, C channels, H height, W width, K classes.

use super::{InnerStep, Labels, Learnt, Unrolling};
use anyhow::Result;
use ddpipe_nn::augment::Planned;
use ddpipe_nn::autograd::{leaf, pulled_back};
use ddpipe_nn::pieces::{self, Graph, Shared};
use ddpipe_nn::transfer::{Parcel, Sent};
use std::rc::Rc;
use tch::{TchError, Tensor};

/// One inner step, and its augmentation on the device.
pub(super) struct PlannedStep<'a> {
    pub step: &'a InnerStep,
    augmentation: Planned,
    sent: Rc<Sent>,
}

/// One inner step that was taken.
pub(super) struct Taken {
    /// \[\], the mean loss of the batch, without a graph.
    pub loss: Tensor,
    /// \[P\], its gradient with respect to the parameters, without a graph.
    pub gradient_P: Tensor,
    /// The batch's images before their augmentation, a leaf, and what the network sees of them, with its graph.
    batch_BCHW: Tensor,
    seen_BCHW: Tensor,
    /// The graphs of the pieces' gradients; none unless they are held.
    pieces: Vec<Piece>,
}

/// A piece of the batch: leaves, and the graph of its share in the gradient.
struct Piece {
    theta_P: Tensor,
    images: Tensor,
    labels: Labels,
    gradient_P: Tensor,
}

/// What moves <v,g>, the gradient of a step along a direction v.
pub(super) struct Pulled {
    /// \[\], <v,g> itself.
    pub along: Tensor,
    /// \[B,C,H,W\], its gradient with respect to the batch's images.
    pub images_BCHW: Tensor,
    /// \[B,K\], with respect to the logits of their labels; `None` for fixed labels.
    pub logits_BK: Option<Tensor>,
    /// \[P\], with respect to the parameters, where it was asked for.
    pub theta_P: Option<Tensor>,
}

impl Unrolling<'_> {
    /// The steps with their augmentations, whose numbers are sent together.
    pub(super) fn planned(&self, learnt: &Learnt) -> Vec<PlannedStep<'_>> {
        let (images, mut parcel) = (&learnt.images_MCHW, Parcel::default());
        let mut shape = images.size();
        let mut plan = |step: &InnerStep| {
            shape[0] = step.positions.size()[0];
            Planned::new(&step.operations, &shape, images.kind(), self.settings, &mut parcel)
        };
        let planned: Vec<Planned> = self.steps.iter().map(&mut plan).collect();
        let sent = Rc::new(parcel.send(images.device()));
        let steps = self.steps.iter().zip(planned);
        steps.map(|(step, augmentation)| PlannedStep { step, augmentation, sent: sent.clone() }).collect()
    }

    /// Takes one inner step from these parameters; `held` keeps the graphs that [`Taken::pulled`] needs.
    pub(super) fn step(&self, theta_P: &Tensor, learnt: &Learnt, planned: &PlannedStep, held: bool) -> Result<Taken> {
        let PlannedStep { step, augmentation, sent } = planned;
        let batch_BCHW = leaf(&learnt.images_MCHW.f_index_select(0, &step.positions)?)?;
        let seen_BCHW = augmentation.apply(&batch_BCHW, sent);
        let labels = learnt.labels.at(&step.positions)?;
        let (count, device) = (batch_BCHW.size()[0], batch_BCHW.device());
        let sizes = self.network.pieces(&batch_BCHW, self.network.chunk(device, Graph::Kept));
        let parts = seen_BCHW.f_detach()?.f_split_with_sizes(&sizes, 0)?.into_iter().zip(labels.split(&sizes)?);
        let (this, theta_P) = (Shared::new(self), Shared::new(theta_P));
        let part = |(images, labels): (Tensor, Labels)| {
            let share = images.size()[0] as f64 / count as f64;
            let (theta_P, images, labels) = (leaf(&theta_P)?, leaf(&images)?, labels.tracked()?);
            let loss = this.inner_loss(&theta_P, &images, &labels)?.f_mul_scalar(share)?;
            let gradient_P = Tensor::f_run_backward(&[&loss], &[&theta_P], held, held)?.remove(0);
            let sum = (loss.detach(), gradient_P.f_detach()?);
            Ok::<_, anyhow::Error>((sum, held.then_some(Piece { theta_P, images, labels, gradient_P })))
        };
        let found = pieces::map(device, Graph::Kept, parts.collect(), part)?;
        let (sums, graphs): (Vec<(Tensor, Tensor)>, Vec<Option<Piece>>) = found.into_iter().unzip();
        let (losses, gradients): (Vec<Tensor>, Vec<Tensor>) = sums.into_iter().unzip();
        Ok(Taken {
            loss: sum(&losses)?,
            gradient_P: sum(&gradients)?,
            batch_BCHW,
            seen_BCHW,
            pieces: graphs.into_iter().flatten().collect(),
        })
    }
}

impl Taken {
    /// What moves the gradient along \[P\]; the graphs have to be held. With respect to the parameters only if `theta`.
    pub(super) fn pulled(self, along_P: &Tensor, theta: bool) -> Result<Pulled> {
        let along_P = Shared::new(along_P);
        let pull = |piece: Piece| {
            let along = piece.gradient_P.f_dot(&along_P)?;
            let logits = piece.labels.logits();
            let leaves = std::iter::once(&piece.images).chain(logits).chain(theta.then_some(&piece.theta_P));
            let found = Tensor::f_run_backward(&[&along], &leaves.collect::<Vec<_>>(), false, false)?;
            Ok::<_, TchError>((along.detach(), found))
        };
        let device = self.batch_BCHW.device();
        let (mut alongs, mut images, mut logits, mut thetas) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for (along, found) in pieces::map(device, Graph::Kept, self.pieces, pull)? {
            let mut found = found.into_iter();
            alongs.push(along);
            images.extend(found.next());
            if theta {
                thetas.extend(found.next_back());
            }
            logits.extend(found.next());
        }
        let images_BCHW = pulled_back(&self.seen_BCHW, &Tensor::f_cat(&images, 0)?, &self.batch_BCHW)?;
        let logits_BK = if logits.is_empty() { None } else { Some(Tensor::f_cat(&logits, 0)?) };
        let theta_P = if thetas.is_empty() { None } else { Some(sum(&thetas)?) };
        Ok(Pulled { along: sum(&alongs)?, images_BCHW, logits_BK, theta_P })
    }
}

/// The sum of tensors of one shape, in their order, without a graph.
fn sum(parts: &[Tensor]) -> Result<Tensor, TchError> {
    tch::no_grad(|| match parts {
        [] => Err(TchError::Torch("a batch without images has no gradient".into())),
        [first, others @ ..] => others.iter().try_fold(first.shallow_clone(), |sum, part| sum.f_add(part)),
    })
}
