//! Turns the stage's parameters into network, schedule and settings of an expert, and trains one epoch of it.

use super::curriculum::{Curriculum, DataSchedule, Placed};
use super::{Method, Params, flat};
use crate::artifact::Dataset;
use crate::training::{Batch, Examples, Phase, Progress, Settings, State, Training, cross_entropy_gradient};
use anyhow::{Result, ensure};
use ddpipe_nn::augment::{Augment, TrajectoryAugment};
use ddpipe_nn::network::{Chunk, Network, Parameters};
use ddpipe_nn::optim::{Schedule, Sgd};
use serde_json::{Value, json};

impl Params {
    pub(super) fn network(&self, real: &Dataset) -> Result<Network> {
        let network = self.network.network(real.image_shape(), real.classes)?;
        ensure!(
            !network.has_batch_statistics(),
            "a trajectory holds parameters and no running statistics, so experts cannot have batch norm; take \
             norm = \"instance\""
        );
        Ok(network)
    }

    pub(super) fn data_schedule(&self) -> DataSchedule {
        DataSchedule {
            init_share: self.init_share,
            all_epoch: self.all_epoch,
            drop_epochs: self.drop_epochs.clone(),
            drop_shares: self.drop_shares.clone(),
        }
    }

    /// The settings of the training as JSON, for the header of the trajectories. The schedule of images and the method
    /// of the difficulty scores are included only where there is a schedule, so that the files of other experts keep
    /// their bytes.
    pub(super) fn protocol(&self, scheduled: Option<(&DataSchedule, &str)>) -> Value {
        let flat = json!({ "rho": self.rho, "alpha": self.alpha, "adaptive": self.adaptive });
        let mut protocol = json!({
            "method": self.method,
            "flat": (self.method == Method::Flat).then_some(flat),
            "batch_size": self.batch_size,
            "lr": self.lr,
            "momentum": self.momentum,
            "weight_decay": self.weight_decay,
            "decay": self.decay,
            "augment": self.augment.augment,
            "strategy": self.augment.strategy(),
        });
        if let Some((schedule, method)) = scheduled {
            protocol["data_schedule"] = json!(schedule);
            protocol["difficulty"] = json!(method);
        }
        protocol
    }

    fn settings(&self, seed: u64) -> Settings {
        let sgd = Sgd { momentum: self.momentum, weight_decay: self.weight_decay };
        let schedule = if self.decay { Schedule::Step } else { Schedule::Constant };
        Settings { schedule, ..Settings::plain(self.epochs, self.batch_size, self.lr, sgd, seed) }
    }
}

/// What all epochs of one expert share.
pub(super) struct ExpertTraining<'a> {
    pub params: &'a Params,
    pub network: &'a Network,
    pub real: &'a Dataset,
    pub curriculum: &'a Curriculum,
    pub augment: Option<TrajectoryAugment>,
    pub seed: u64,
}

impl ExpertTraining<'_> {
    /// Trains the current epoch of the expert, from `state` to the end of the epoch.
    pub fn epoch(&self, state: State, progress: &mut Progress) -> Result<State> {
        let ExpertTraining { params, network, real, curriculum, ref augment, seed } = *self;
        let epoch = state.epoch;
        let subset = curriculum.subset(real, epoch)?;
        let settings = params.settings(seed);
        let steps = settings.steps_per_epoch(subset.count());
        let settings = Settings { max_steps: Some((epoch + 1) * steps), ..settings };
        let placed =
            augment.as_ref().map(|augment| Placed { augment, counted: epoch * steps, is: curriculum.before(epoch) });
        let flat = flat::Flat { rho: params.rho, alpha: params.alpha, adaptive: params.adaptive };
        let along = |network: &Network, parameters: &Parameters, batch: &Batch, chunk: Chunk| match params.method {
            Method::Plain => cross_entropy_gradient(network, parameters, batch, chunk),
            Method::Flat => flat.gradient(network, parameters, batch, chunk),
        };
        let training = Training {
            phases: &[Phase { network: network.clone(), settings }],
            direction: &along,
            examples: &subset,
            augment: placed.as_ref().map(|augment| augment as &dyn Augment),
        };
        training.run(state, progress)
    }
}
