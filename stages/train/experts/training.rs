//! From the stage's parameters to what an expert is trained with, and one epoch of that training.

use super::curriculum::{DataSchedule, Placed};
use super::watch::Watch;
use super::{Method, Params, flat};
use crate::artifact::Dataset;
use crate::common::network::Network;
use crate::common::train::{self, Augment, Examples, Schedule, Settings, Sgd, State, gradient};
use crate::common::trajectory::TrajectoryAugment;
use anyhow::{Result, ensure};
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

    /// The training in words and numbers. What is scheduled, and by which scores, only where something is: the files of
    /// other experts have the bytes that they had before there were schedules.
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

    /// The epoch that the expert is in, from where it stands to its end.
    pub(super) fn train_epoch(
        &self,
        network: &Network,
        state: State,
        seed: u64,
        real: &Dataset,
        augment: Option<&TrajectoryAugment>,
        watch: &mut Watch,
    ) -> Result<State> {
        let (curriculum, epoch) = (watch.curriculum, state.epoch);
        let lesson = curriculum.lesson(real, epoch)?;
        let settings = self.settings(seed);
        let steps = settings.steps_per_epoch(lesson.count());
        let settings = Settings { max_steps: Some((epoch + 1) * steps), ..settings };
        let placed = augment.map(|augment| Placed { augment, counted: epoch * steps, is: curriculum.before(epoch) });
        let augment = placed.as_ref().map(|augment| augment as &dyn Augment);
        match self.method {
            Method::Plain => train::train_along(&gradient, network, state, &lesson, &settings, augment, watch),
            Method::Flat => {
                let flat = flat::Flat { rho: self.rho, alpha: self.alpha, adaptive: self.adaptive };
                let along = |network: &_, parameters: &_, images: &_, labels: &_, chunk| {
                    flat.gradient(network, parameters, images, labels, chunk)
                };
                train::train_along(&along, network, state, &lesson, &settings, augment, watch)
            }
        }
    }

    fn settings(&self, seed: u64) -> Settings {
        Settings {
            epochs: self.epochs,
            batch_size: self.batch_size,
            rate: self.lr,
            schedule: if self.decay { Schedule::Step } else { Schedule::Constant },
            sgd: Sgd { momentum: self.momentum, weight_decay: self.weight_decay },
            seed,
            max_steps: None,
        }
    }
}
