//! The loop of gradient matching (Zhao, Mopuri, Bilen 2021, algorithm 1), with or without Siamese augmentation: one
//! network after the other; the images take steps with each, and in between the network learns from them. Reads, loops,
//! writes; the equations are in `gradient.rs` and `distance.rs`.
//!
//! A step that is not the first of its network begins with the network's training, so that images, velocity and
//! the network of the last step are all that a run needs to continue.

use super::{ClassAugmentation, Descent, Distance, Loops, Rates, RealImages, graph_chunk};
use super::{constant_gradient, match_gradient, with_statistics_of};
use crate::artifact::{Dataset, SyntheticSet};
use crate::common::augment::Strategy;
use crate::common::network::{Chunk, Network, NetworkSpec, Overrides, Parameters};
use crate::common::stream::stream;
use crate::common::train::{self, Augmentation, Observer, Schedule, Sgd, State, train};
use crate::context::{Context, Inputs, Outputs};
use anyhow::{Context as _, Result};
use rand::Rng;
use tch::{Kind, Tensor};

/// Real images of each class that set the statistics of batch norms, as in the authors' code.
const STATISTICS: i64 = 16;

/// What a stage's parameters ask for.
#[derive(Debug)]
#[expect(missing_docs, reason = "each is the parameter of the same name in stage.toml, which has the help")]
pub struct Condensation {
    pub iterations: u64,
    pub outer_loop: Option<u64>,
    pub inner_loop: Option<u64>,
    pub lr_img: f64,
    pub momentum_img: f64,
    pub lr_net: f64,
    pub batch_real: i64,
    pub batch_train: i64,
    pub distance: Distance,
    /// Siamese augmentation in matching, and an augmentation per image in the network's training; none without.
    pub strategy: Option<Strategy>,
    pub arch: String,
    pub overrides: Overrides,
    pub chunk: Option<i64>,
}

impl Condensation {
    /// Runs a stage with the inputs `real` and `start` and the outputs of [`Descent`].
    pub fn run(&self, ctx: &Context, inputs: &Inputs) -> Result<Outputs> {
        let (dataset, start) = (inputs.dataset("real")?, inputs.start()?);
        start.refuse_targets().context("input \"start\"")?;
        let real = RealImages::new(&dataset, &start)?;
        let [channels, height, width] = dataset.image_shape();
        let spec = NetworkSpec::named(&self.arch, &self.overrides, channels, [height, width], dataset.classes)?;
        let network = Network::new(&spec)?;
        let loops = Loops::of(start.ipc, self.outer_loop, self.inner_loop)?;
        let steps = self.iterations.checked_mul(loops.outer).context("iterations times outer_loop is too large")?;
        let rates = Rates { steps, steps_per_iteration: loops.outer, lr: self.lr_img, momentum: self.momentum_img };
        let mut descent = Descent::new(ctx, &start, rates)?;
        let chunk = self.chunk.map_or(graph_chunk(ctx.device), Chunk);
        let run = Run { ctx, settings: self, dataset: &dataset, real, network: &network, loops, chunk };
        while let Some(step) = descent.next() {
            let parameters = run.parameters(&descent, step)?;
            let (loss, gradient_MCHW) = run.matched(&descent, &parameters, step)?;
            descent.keep(network.state_dict(&parameters));
            descent.descend(&loss, &gradient_MCHW)?;
        }
        Ok(descent.outputs())
    }
}

/// What stays the same over a run.
struct Run<'a> {
    ctx: &'a Context,
    settings: &'a Condensation,
    dataset: &'a Dataset,
    real: RealImages<'a>,
    network: &'a Network,
    loops: Loops,
    chunk: Chunk,
}

impl Run<'_> {
    /// The network of a step: fresh, or that of the step before after it has learnt from the images as they are.
    fn parameters(&self, descent: &Descent, step: u64) -> Result<Parameters> {
        let Run { ctx, network, .. } = *self;
        let parameters = match step % self.loops.outer {
            0 => network.init(stream(ctx.seed, "network", step / self.loops.outer).generator(), ctx.device)?,
            _ => self.taught(descent, network.load(descent.kept()).context("the checkpoint")?, step)?,
        };
        if !network.has_batch_statistics() {
            return Ok(parameters);
        }
        let images = self.real.draw_for("statistics", STATISTICS, ctx.seed, step).images;
        Ok(with_statistics_of(network, parameters, &images)?)
    }

    fn taught(&self, descent: &Descent, parameters: Parameters, step: u64) -> Result<Parameters> {
        let Condensation { ref strategy, batch_train, lr_net, .. } = *self.settings;
        let seed = stream(self.ctx.seed, "inner", step).generator().random();
        let settings = train::Settings {
            epochs: self.loops.inner,
            batch_size: batch_train,
            rate: lr_net,
            schedule: Schedule::Constant,
            sgd: Sgd { momentum: 0.0, weight_decay: 0.0 },
            seed,
            max_steps: None,
        };
        let augment = strategy
            .as_ref()
            .and_then(|strategy| Augmentation::Dsa.for_training(strategy, &self.network.spec().architecture, seed));
        let state = State::new(parameters);
        let state = train(self.network, state, descent.set(), &settings, augment.as_deref(), &mut Lesson(descent))
            .context("the network's training on the synthetic images (`lr_net`; `lr_img` moves the images)")?;
        Ok(state.parameters)
    }

    /// The sum of the classes' distances, and its gradient with respect to the images.
    fn matched(&self, descent: &Descent, parameters: &Parameters, step: u64) -> Result<(Tensor, Tensor)> {
        let Run { ctx, network, .. } = *self;
        let Condensation { ref strategy, batch_real, distance, .. } = *self.settings;
        let (classes, [_, height, width]) = (self.dataset.classes, self.dataset.image_shape());
        let augmentation = ClassAugmentation::draw(strategy.as_ref(), classes, [height, width], ctx.seed, step);
        let real = self.real.draw(batch_real, ctx.seed, step);
        let SyntheticSet { ref images, ref labels, ipc, .. } = *descent.set();
        let (mut losses, mut gradients) = (Vec::new(), Vec::new());
        for class in 0..classes as usize {
            let shown = augmentation.apply(class, &real.class(class));
            let called = Tensor::f_full([shown.size()[0]], class as i64, (Kind::Int64, ctx.device))?;
            let target = constant_gradient(network, parameters, &shown, &called, self.chunk)?;
            let own = |tensor: &Tensor| tensor.f_narrow(0, class as i64 * ipc, ipc);
            let matched = match_gradient(
                network,
                parameters,
                &own(images)?,
                &own(labels)?,
                |pixels| augmentation.apply(class, pixels),
                |gradient| distance.between(&target, gradient),
            )?;
            losses.push(matched.distance);
            gradients.push(matched.gradient);
            descent.tick()?;
        }
        let losses_K = Tensor::f_stack(&losses, 0)?;
        Ok((losses_K.f_sum(Kind::Float)?, Tensor::f_cat(&gradients, 0)?))
    }
}

/// Lets a training be interrupted; what it had done is done again.
struct Lesson<'a>(&'a Descent<'a>);

impl Observer for Lesson<'_> {
    fn step(&mut self, _state: &State, _done: u64, _total: u64, _loss: &Tensor) -> Result<()> {
        self.0.tick()
    }
}
