//! One step: the network that the images of a class meet, and the comparison of the class.

use super::Params;
use super::lesson::{Learner, Lessons};
use super::loss::Objective;
use super::turns::{Opening, Turns};
use super::view::View;
use crate::artifact::{Dataset, Decoder, SyntheticSet};
use crate::common::augment::{Settings, Sharing, Strategy};
use crate::common::matching::{Descent, RealImages};
use crate::common::network::{Chunk, Network};
use crate::common::stream::stream;
use crate::common::trajectory::Experts;
use crate::context::Context;
use anyhow::Result;
use tch::{Kind, Tensor};

/// What stays the same over a run.
pub struct Run<'a> {
    pub ctx: &'a Context,
    pub params: &'a Params,
    pub dataset: &'a Dataset,
    pub real: RealImages<'a>,
    pub network: &'a Network,
    pub lessons: Lessons<'a>,
    pub objective: Objective,
    pub turns: Turns,
    pub experts: Option<Experts>,
    pub decoder: Decoder,
    pub strategy: Option<&'a Strategy>,
    pub chunk: Chunk,
}

impl Run<'_> {
    /// The network of a step: fresh, or that of the step before, which learns from real images before each turn.
    pub fn learner(&self, descent: &mut Descent, before: Option<Learner>, step: u64) -> Result<Learner> {
        if self.turns.begins_iteration(step) {
            descent.clamp(0.0, 1.0)?;
        }
        let opening = self.turns.opening(step);
        let learner = match (before, opening) {
            (_, Opening::Network { number, .. }) => self.fresh(number)?,
            (Some(learner), _) => learner,
            (None, _) => Learner::restore(self.network, descent.kept())?,
        };
        let (batch, batches) = match opening {
            Opening::Same => return Ok(learner),
            Opening::Network { batch, .. } => (batch, self.turns.early),
            Opening::Lesson { batch } => (batch, self.turns.lesson),
        };
        let learner = self.lessons.teach(learner, batch, batches, || descent.tick())?;
        descent.keep(learner.tensors(self.network));
        Ok(learner)
    }

    fn fresh(&self, number: u64) -> Result<Learner> {
        let (seed, device) = (self.ctx.seed, self.ctx.device);
        let Some(experts) = &self.experts else {
            return Ok(Learner::new(self.network.init(stream(seed, "network", number).generator(), device)?));
        };
        let mut stream = stream(seed, "pretrained", number);
        let expert = stream.integer(0, experts.count() as i64) as u64;
        let first = self.params.pretrained_epoch as i64;
        let epoch = stream.integer(first, first + self.params.pretrained_epochs as i64) as u64;
        Ok(Learner::new(experts.parameters(expert, epoch, device)?))
    }

    /// The distance of one class, and its gradient with respect to all images: zero for those of other classes, which
    /// move on with their velocity.
    pub fn matched(&self, descent: &Descent, learner: &Learner, step: u64) -> Result<(Tensor, Tensor)> {
        let Run { ctx, params, network, .. } = *self;
        let class = (step % self.turns.classes) as usize;
        let view = self.view(descent.set().ipc, step);
        let real = view.augmented(&self.real.draw_class(class, params.batch_real, ctx.seed, step));
        let called = Tensor::f_full([real.size()[0]], class as i64, (Kind::Int64, ctx.device))?;
        let target = self.objective.target(network, &learner.parameters, &real, &called, self.chunk)?;
        let SyntheticSet { ref images, ref labels, ipc, .. } = *descent.set();
        let own = |tensor: &Tensor| tensor.f_narrow(0, class as i64 * ipc, ipc);
        let (pixels, labels) = (own(images)?, own(labels)?);
        let matched = view.matched(&self.objective, (network, &learner.parameters), &target, &pixels, &labels)?;
        let gradient_MCHW = images.f_zeros_like()?;
        own(&gradient_MCHW)?.f_copy_(&matched.gradient)?;
        Ok((matched.distance, gradient_MCHW))
    }

    /// How a class is shown in a step: one augmentation for all its images, and at most so many of them.
    fn view(&self, ipc: i64, step: u64) -> View<'_> {
        let (seed, settings, [_, height, width]) = (self.ctx.seed, Settings::default(), self.dataset.image_shape());
        let mut draws = stream(seed, "augment", step);
        let operations = self.strategy.map_or_else(Vec::new, |strategy| {
            strategy.draw_combined(Sharing::Siamese, (height, width), &settings, draws.generator())
        });
        let (decoded, most) = (self.decoder.count(ipc), self.params.batch_syn_max);
        let chosen = (decoded > most).then(|| {
            let mut all = stream(seed, "subsample", step).permutation(decoded);
            all.truncate(most as usize);
            all
        });
        View { decoder: self.decoder, normalisation: &self.dataset.normalisation, chosen, operations, settings }
    }
}
