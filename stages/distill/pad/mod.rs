//! `distill.pad`: trajectory matching aligned with difficulty, with labels that are learnt and a loss over the parameters
//! that carry what the set is for. Reads, loops, writes; the equations are in `common::trajectory`.

use crate::common::augment::Strategy;
use crate::common::trajectory::{
    Descent, Experts, First, FirstImages, GradientForm, Inner, InnerAugment, Pace, Rates, Selection, Selector,
    StartRange, Unrolling,
};
use crate::context::{Context, Inputs, Outputs};
use anyhow::Result;
use serde::Deserialize;

/// The parameters, as `stage.toml` declares them.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "stage.toml documents them")]
pub struct Params {
    pub iterations: u64,
    pub syn_steps: u64,
    pub expert_epochs: u64,
    pub min_start_epoch: u64,
    pub current_max_start_epoch: u64,
    pub max_start_epoch: u64,
    pub expansion_end: u64,
    pub sequential: bool,
    pub images: FirstImages,
    pub label_epoch: Option<u64>,
    pub batch_syn: Option<i64>,
    pub lr_img: f64,
    pub momentum_img: f64,
    pub lr_teacher: f64,
    pub lr_lr: f64,
    pub momentum_lr: f64,
    pub lr_y: f64,
    pub momentum_y: f64,
    pub augment: InnerAugment,
    pub strategy: Strategy,
    pub select: Selector,
    pub ratio: f64,
    pub gradient: GradientForm,
    pub threshold: f64,
}

/// Runs the stage.
pub fn run(ctx: &Context, inputs: &Inputs, params: Params) -> Result<Outputs> {
    let start = inputs.start()?;
    let experts = Experts::open(inputs, "experts")?;
    experts.fit(&start)?;
    let range = params.range()?;
    experts.reach(range.max, params.expert_epochs)?;
    let inner = Inner::new(params.syn_steps, params.batch_syn, params.augment, &params.strategy);
    let pace = Pace {
        iterations: params.iterations,
        images: Rates { lr: params.lr_img, momentum: params.momentum_img },
        lr: Rates { lr: params.lr_lr, momentum: params.momentum_lr },
        logits: Rates { lr: params.lr_y, momentum: params.momentum_y },
        threshold: Some(params.threshold),
    };
    let selection = Selection { by: params.select, ratio: params.ratio };
    let mut descent = match ctx.resume() {
        Some(checkpoint) => Descent::resumed(ctx, &start, &checkpoint, pace)?,
        None => Descent::new(ctx, &start, params.first().learnt(ctx, inputs, &start, &experts)?, pace)?,
    };
    while let Some(iteration) = descent.next() {
        let stretch = experts.stretch(ctx.seed, iteration, range.at(iteration), params.expert_epochs, ctx.device)?;
        let steps = inner.draw(ctx.seed, iteration, &start.images.size(), ctx.device);
        let unrolling = Unrolling {
            network: experts.network(),
            start_P: &stretch.start_P,
            target_P: &stretch.target_P,
            steps: &steps,
            settings: &inner.settings,
        };
        let matched = unrolling.matched_where(&selection, descent.learnt(), params.gradient)?;
        descent.descend(&matched)?;
    }
    descent.outputs()
}

impl Params {
    fn range(&self) -> Result<StartRange> {
        let range = StartRange {
            min: self.min_start_epoch,
            current_max: self.current_max_start_epoch,
            max: self.max_start_epoch,
            expansion_end: self.expansion_end,
            sequential: self.sequential,
        };
        range.checked()
    }

    fn first(&self) -> First {
        First { images: self.images, label_epoch: self.label_epoch, lr: self.lr_teacher }
    }
}
