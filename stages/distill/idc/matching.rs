//! The comparison of one class in one step: real images of the class against what its stored images hold.

use super::Params;
use super::loss::Objective;
use super::view::View;
use crate::artifact::{Dataset, Decoder, SyntheticSet};
use crate::context::Context;
use crate::distill::synthesis::RealImages;
use anyhow::Result;
use ddpipe_nn::augment::{Settings, Sharing, Strategy};
use ddpipe_nn::network::{Chunk, Network, Parameters};
use ddpipe_nn::stream::stream;
use ddpipe_nn::transfer::Parcel;
use tch::{Kind, Tensor};

/// What stays the same over a run.
pub struct Matching<'a> {
    pub ctx: &'a Context,
    pub params: &'a Params,
    pub dataset: &'a Dataset,
    pub real: RealImages<'a>,
    pub network: &'a Network,
    pub objective: Objective,
    pub decoder: Decoder,
    pub strategy: Option<&'a Strategy>,
    pub chunk: Chunk,
}

impl Matching<'_> {
    /// The distance of one class between real and synthetic images \[M,C,H,W\], and its gradient with respect to all
    /// synthetic images: zero for those of other classes, which move on with their velocity.
    pub fn loss_and_gradient(
        &self,
        parameters: &Parameters,
        images: &Tensor,
        start: &SyntheticSet,
        (class, step): (usize, u64),
    ) -> Result<(Tensor, Tensor)> {
        let Matching { ctx, params, network, .. } = *self;
        let mut parcel = Parcel::default();
        let chosen = parcel.add(&self.real.by_class().choose_of(class, params.batch_real, ctx.seed, step));
        let shown = self.shown(start.ipc, step).map(|shown| parcel.add(&shown));
        let sent = parcel.send(ctx.device);
        let view = self.view(shown.map(|shown| sent.get(shown)), step);
        let real = view.augmented(&self.dataset.floats_at(&sent.get(chosen)));
        let real_labels = Tensor::f_full([real.size()[0]], class as i64, (Kind::Int64, ctx.device))?;
        let target = self.objective.target(network, parameters, &real, &real_labels, self.chunk)?;
        let own = |tensor: &Tensor| tensor.f_narrow(0, class as i64 * start.ipc, start.ipc);
        let (pixels, labels) = (own(images)?, own(&start.labels)?);
        let matched = view.matched(&self.objective, (network, parameters), &target, &pixels, &labels)?;
        let gradient_MCHW = images.f_zeros_like()?;
        own(&gradient_MCHW)?.f_copy_(&matched.gradient)?;
        Ok((matched.distance, gradient_MCHW))
    }

    /// The decoded images of a class that are shown in a step, where they are too many to show all.
    fn shown(&self, ipc: i64, step: u64) -> Option<Vec<i64>> {
        let (decoded, most) = (self.decoder.count(ipc), self.params.batch_syn_max);
        (decoded > most).then(|| {
            let mut all = stream(self.ctx.seed, "subsample", step).permutation(decoded);
            all.truncate(most as usize);
            all
        })
    }

    /// How a class is shown in a step: one augmentation for all its images, of which some are chosen.
    fn view(&self, chosen: Option<Tensor>, step: u64) -> View<'_> {
        let (seed, settings, [_, height, width]) = (self.ctx.seed, Settings::default(), self.dataset.image_shape());
        let mut draws = stream(seed, "augment", step);
        let operations = self.strategy.map_or_else(Vec::new, |strategy| {
            strategy.draw_combined(Sharing::Siamese, (height, width), &settings, draws.generator())
        });
        View { decoder: self.decoder, normalisation: &self.dataset.normalisation, chosen, operations, settings }
    }
}
