//! The network that images meet in gradient matching: fresh, as it was, or after it has learnt from them. It is kept with
//! the images' [`Descent`], so that a run which was interrupted neither draws nor trains it again.

use super::Descent;
use super::loops::{Loops, Opening};
use crate::common::augment::Strategy;
use crate::common::network::{Network, Parameters};
use crate::common::stream::stream;
use crate::common::train::{Augmentation, Observer, Schedule, Settings, Sgd, State, train};
use crate::context::Context;
use anyhow::{Context as _, Result};
use rand::Rng;
use std::collections::BTreeMap;
use tch::Tensor;

/// Beside the network: the step that it was made ready for.
const READY: &str = "ready for";

/// How a network learns from the synthetic images between two turns of theirs: without momentum and weight decay.
#[derive(Clone, Copy, Debug)]
pub struct Lesson<'a> {
    /// Images of a step.
    pub batch: i64,
    /// Learning rate.
    pub rate: f64,
    /// An augmentation per image, if any.
    pub strategy: Option<&'a Strategy>,
}

/// The networks of a run.
pub struct Pupil<'a> {
    /// The stage's surroundings.
    pub ctx: &'a Context,
    /// Which network.
    pub network: &'a Network,
    /// When it is fresh, and when it learns.
    pub loops: Loops,
    /// How it learns.
    pub lesson: Lesson<'a>,
}

impl Pupil<'_> {
    /// The network for a step. One that is fresh, or comes from the step before, goes through `prepare` first.
    pub fn meet(
        &self,
        descent: &mut Descent,
        step: u64,
        prepare: impl FnOnce(Parameters) -> Result<Parameters>,
    ) -> Result<Parameters> {
        let (last, ready) = take_apart(descent)?;
        let last = || self.network.load(&last).context("the checkpoint");
        if ready == i64::try_from(step).ok() {
            return last();
        }
        let parameters = match self.loops.opening(step) {
            Opening::Network(number) => {
                let mut stream = stream(self.ctx.seed, "network", number);
                self.network.init(stream.generator(), self.ctx.device)?
            }
            Opening::Lesson(number) => self.taught(descent, last()?, number)?,
            Opening::Same => last()?,
        };
        let parameters = prepare(parameters)?;
        let ready = (READY.to_string(), Tensor::from(step as i64));
        descent.keep(self.network.state_dict(&parameters).into_iter().chain([ready]));
        Ok(parameters)
    }

    fn taught(&self, descent: &Descent, parameters: Parameters, number: u64) -> Result<Parameters> {
        let Lesson { batch, rate, strategy } = self.lesson;
        let seed = stream(self.ctx.seed, "inner", number).generator().random();
        let settings = Settings {
            epochs: self.loops.inner,
            batch_size: batch,
            rate,
            schedule: Schedule::Constant,
            sgd: Sgd { momentum: 0.0, weight_decay: 0.0 },
            seed,
            max_steps: None,
        };
        let augment = strategy
            .and_then(|strategy| Augmentation::Dsa.for_training(strategy, &self.network.spec().architecture, seed));
        let state = State::new(parameters);
        let state = train(self.network, state, descent.set(), &settings, augment.as_deref(), &mut Patience(descent))
            .context("the network's training on the synthetic images (`lr_net`; `lr_img` moves the images)")?;
        Ok(state.parameters)
    }
}

/// The state dict that was kept, and the step that it was ready for.
fn take_apart(descent: &Descent) -> Result<(BTreeMap<String, Tensor>, Option<i64>)> {
    let mut kept: BTreeMap<_, _> =
        descent.kept().iter().map(|(name, tensor)| (name.clone(), tensor.shallow_clone())).collect();
    let ready = kept.remove(READY).map(i64::try_from).transpose()?;
    Ok((kept, ready))
}

/// Lets a training be interrupted; what it had done is done again.
struct Patience<'a>(&'a Descent<'a>);

impl Observer for Patience<'_> {
    fn step(&mut self, _state: &State, _done: u64, _total: u64, _loss: &Tensor) -> Result<()> {
        self.0.tick()
    }
}
