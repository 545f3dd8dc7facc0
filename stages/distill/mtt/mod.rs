//! `distill.mtt`: moves synthetic images, and the learning rate that students use on them, until a student's parameters
//! go where an expert's went. Reads, loops, writes; the equations are in `common::trajectory`.

use crate::common::augment::Strategy;
use crate::common::trajectory::{
    Descent, Experts, GradientForm, Inner, InnerAugment, Labels, Learnt, Pace, Rates, Unrolling,
};
use crate::context::{Context, Inputs, Outputs};
use anyhow::{Context as _, Result};
use serde::Deserialize;
use tch::Tensor;

/// The parameters, as `stage.toml` declares them.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "stage.toml documents them")]
pub struct Params {
    pub iterations: u64,
    pub syn_steps: u64,
    pub expert_epochs: u64,
    pub max_start_epoch: u64,
    pub batch_syn: Option<i64>,
    pub lr_img: f64,
    pub momentum_img: f64,
    pub lr_teacher: f64,
    pub lr_lr: f64,
    pub momentum_lr: f64,
    pub augment: InnerAugment,
    pub strategy: Strategy,
    pub gradient: GradientForm,
    pub threshold: Option<f64>,
}

/// Runs the stage.
pub fn run(ctx: &Context, inputs: &Inputs, params: Params) -> Result<Outputs> {
    let start = inputs.start()?;
    start.refuse_targets().context("input \"start\"")?;
    let experts = Experts::open(inputs, "experts")?;
    experts.fit(&start)?;
    experts.reach(params.max_start_epoch, params.expert_epochs)?;
    let inner = Inner::new(params.syn_steps, params.batch_syn, params.augment, &params.strategy);
    let pace = Pace {
        iterations: params.iterations,
        images: Rates { lr: params.lr_img, momentum: params.momentum_img },
        lr: Rates { lr: params.lr_lr, momentum: params.momentum_lr },
        logits: Rates { lr: 0.0, momentum: 0.0 },
        threshold: params.threshold,
    };
    let mut descent = match ctx.resume() {
        Some(checkpoint) => Descent::resumed(ctx, &start, &checkpoint, pace)?,
        None => {
            let learnt = Learnt {
                images_MCHW: start.images.copy(),
                labels: Labels::Fixed(start.labels.shallow_clone()),
                lr: Tensor::from(params.lr_teacher as f32).to_device(ctx.device),
            };
            Descent::new(ctx, &start, learnt, pace)?
        }
    };
    while let Some(iteration) = descent.next() {
        let stretch =
            experts.stretch(ctx.seed, iteration, 0..params.max_start_epoch, params.expert_epochs, ctx.device)?;
        let steps = inner.draw(ctx.seed, iteration, &start.images.size(), ctx.device);
        let unrolling = Unrolling {
            network: experts.network(),
            start_P: &stretch.start_P,
            target_P: &stretch.target_P,
            steps: &steps,
            settings: &inner.settings,
        };
        let matched = unrolling.matched(descent.learnt(), params.gradient)?;
        descent.descend(&matched)?;
    }
    descent.outputs()
}
