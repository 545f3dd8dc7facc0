//! The settings of a training as JSON, for comparing results.

use super::{Objective, Optimiser, TrainingParams};
use ddpipe_nn::optim::{Decayed, Pace};
use serde_json::{Value, json};

impl TrainingParams {
    /// The settings of the training as JSON. The strategy is included only where there is an augmentation that uses it; what
    /// came later than the other parameters only where it changes something, so that earlier documents keep their bytes.
    pub fn protocol(&self, objective: Objective) -> Value {
        let sgd = self.optimiser == Optimiser::Sgd;
        let mut protocol = json!({
            "epochs": self.epochs,
            "batch_size": self.batch_size,
            "lr": self.lr,
            "momentum": sgd.then_some(self.momentum),
            "weight_decay": self.weight_decay,
            "schedule": self.schedule,
            "augment": self.augment,
            "strategy": self.augment.has_strategy().then_some(&self.strategy),
        });
        let mixes = self.mixup > 0.0 || self.cutmix > 0.0;
        let later = [
            ("loss", matches!(objective, Objective::SquaredError { .. }).then(|| "mse".into())),
            ("steps", self.planned_steps.map(Value::from)),
            ("optimiser", (!sgd).then(|| json!(self.optimiser))),
            ("betas", (!sgd).then(|| json!([self.beta1, self.beta2]))),
            ("eps", (!sgd).then(|| self.eps.into())),
            ("nesterov", (sgd && self.nesterov).then_some(true.into())),
            ("decayed", (self.decayed != Decayed::All).then(|| json!(self.decayed))),
            ("rate_by", (self.rate_by != Pace::Epoch).then(|| json!(self.rate_by))),
            ("lr_end", (self.lr_end > 0.0).then(|| self.lr_end.into())),
            ("warmup_steps", (self.warmup_steps > 0).then(|| self.warmup_steps.into())),
            ("warmup_epochs", (self.warmup_epochs > 0).then(|| self.warmup_epochs.into())),
            ("milestones", (!self.milestones.is_empty()).then(|| json!(self.milestones))),
            ("drop", (self.drop != 0.2).then(|| self.drop.into())),
            ("ema", (self.ema > 0.0).then(|| json!({ "decay": self.ema, "start": self.ema_start }))),
            ("norm_passes", (self.norm_passes > 1).then(|| self.norm_passes.into())),
            ("mixup", (self.mixup > 0.0).then(|| self.mixup.into())),
            ("cutmix", (self.cutmix > 0.0).then(|| self.cutmix.into())),
            ("mix_share", (mixes && self.mix_share < 1.0).then(|| self.mix_share.into())),
            ("label_smoothing", (self.label_smoothing > 0.0).then(|| self.label_smoothing.into())),
        ];
        for (name, value) in later {
            if let Some(value) = value {
                protocol[name] = value;
            }
        }
        protocol
    }
}
