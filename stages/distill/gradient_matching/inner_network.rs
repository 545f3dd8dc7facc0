//! The network that the images meet in gradient matching: fresh, as it was, or after it was trained on them. It travels in
//! checkpoints, so that a run which was interrupted neither draws nor trains it again.

use super::{Position, Starts};
use crate::artifact::SyntheticSet;
use crate::context::{Checkpoint, Context};
use crate::training::{Cancellable, Phase, Settings, State, Training, UnreadLoss, cross_entropy_gradient};
use anyhow::{Context as _, Error, Result};
use ddpipe_nn::augment::{Augmentation, Strategy};
use ddpipe_nn::network::{Network, Parameters};
use ddpipe_nn::optim::Sgd;
use ddpipe_nn::stream::stream;
use rand::Rng;
use serde_json::json;

/// What the names of the network's tensors begin with in a checkpoint, and the step that it was made ready for.
const NETWORK: &str = "network.";
const READY: &str = "network ready for step";

/// How a network is trained on the synthetic images between two of their steps: without momentum and weight decay.
#[derive(Clone, Copy, Debug)]
pub struct InnerLoop<'a> {
    /// Epochs over the synthetic images.
    pub epochs: u64,
    /// Images of a step.
    pub batch: i64,
    /// Learning rate.
    pub lr: f64,
    /// An augmentation per image, if any.
    pub strategy: Option<&'a Strategy>,
}

/// The network of a run.
pub struct InnerNetwork<'a> {
    ctx: &'a Context,
    network: &'a Network,
    inner_loop: InnerLoop<'a>,
    /// None before the first step.
    parameters: Option<Parameters>,
    /// The step that it was made ready for.
    ready: Option<u64>,
    /// Of the trainings so far.
    unread: UnreadLoss,
}

impl<'a> InnerNetwork<'a> {
    /// The network before the first step, or that of a checkpoint.
    pub fn new(
        ctx: &'a Context,
        network: &'a Network,
        inner_loop: InnerLoop<'a>,
        checkpoint: Option<&Checkpoint>,
    ) -> Result<Self> {
        let mut inner =
            InnerNetwork { ctx, network, inner_loop, parameters: None, ready: None, unread: UnreadLoss::default() };
        if let Some(checkpoint) = checkpoint.filter(|checkpoint| checkpoint.state.get(READY).is_some()) {
            inner.parameters = Some(network.load(&checkpoint.below(NETWORK)).context("the checkpoint")?);
            inner.ready = checkpoint.noted(READY)?;
        }
        Ok(inner)
    }

    /// Its parameters; an error before it was made ready for a step.
    pub fn parameters(&self) -> Result<&Parameters> {
        self.parameters.as_ref().context("the network was not made ready for a step")
    }

    /// The network for a step at this position: `self` where a checkpoint was saved in the middle of that very step.
    /// Otherwise it starts as the position says, is trained on the synthetic set where that comes before, and goes through
    /// `prepare`. `tick` is called during the training and may end it.
    pub fn ready_for(
        &self,
        at: Position,
        set: &SyntheticSet,
        tick: impl FnMut() -> Result<()>,
        prepare: impl FnOnce(Parameters) -> Result<Parameters>,
    ) -> Result<Self> {
        let InnerNetwork { ctx, network, inner_loop, .. } = *self;
        let mut unread = self.unread.shared();
        let parameters = match at.starts {
            _ if self.ready == Some(at.step) => self.parameters()?.clone(),
            Starts::Fresh { number } => {
                prepare(network.init(stream(ctx.seed, "network", number).generator(), ctx.device)?)?
            }
            Starts::AfterTraining { number } => {
                let state = self.train_on_synthetic(set, number, tick)?;
                unread = unread.and(&state)?;
                prepare(state.parameters)?
            }
            Starts::Same => prepare(self.parameters()?.clone())?,
        };
        Ok(InnerNetwork { ctx, network, inner_loop, parameters: Some(parameters), ready: Some(at.step), unread })
    }

    /// The error of a step, or that the network's training diverged before it.
    pub fn blamed(&self, error: Error) -> Error {
        self.unread
            .blamed(error, "the network's training on the synthetic images (`lr_net`; `lr_img` moves the images)")
    }

    /// The state after the inner loop on the synthetic set; `number` counts the trainings of a run.
    fn train_on_synthetic(&self, set: &SyntheticSet, number: u64, tick: impl FnMut() -> Result<()>) -> Result<State> {
        let InnerLoop { epochs, batch, lr, strategy } = self.inner_loop;
        let seed = stream(self.ctx.seed, "inner", number).generator().random();
        let settings = Settings::plain(epochs, batch, lr, Sgd { momentum: 0.0, weight_decay: 0.0 }, seed);
        let augment = strategy
            .and_then(|strategy| Augmentation::Dsa.for_training(strategy, &self.network.spec().architecture, seed));
        let training = Training {
            phases: &[Phase { network: self.network.clone(), settings }],
            direction: &cross_entropy_gradient,
            examples: set,
            augment: augment.as_deref(),
        };
        let state = State::new(self.parameters()?.clone());
        training.run(state, &mut Cancellable(tick)).context("the network's training on the synthetic images")
    }

    /// Adds the network to a checkpoint.
    pub fn store(&self, checkpoint: &mut Checkpoint) {
        let Some(parameters) = &self.parameters else { return };
        for (name, tensor) in self.network.state_dict(parameters) {
            checkpoint.put(format!("{NETWORK}{name}"), &tensor);
        }
        checkpoint.state[READY] = json!(self.ready);
    }
}
