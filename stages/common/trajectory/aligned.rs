//! Trajectory matching aligned with difficulty (DATM, PAD): start epochs that grow, and labels that are learnt. Its
//! parameters, and what goes into the loop for them; the loop is in `trajectory_matching.rs`.

use super::{Experts, First, FirstImages, Rates, Selection, StartRange, Task, TrajectoryMatching};
use crate::common::augment::DsaParams;
use crate::context::{Context, Inputs, Outputs};
use anyhow::Result;
use serde::Deserialize;

/// The parameters beside those of [`TrajectoryMatching`]. Part of a kind's `Params`, by `#[serde(flatten)]`.
#[derive(Clone, Debug, Deserialize)]
#[expect(missing_docs, reason = "each is the parameter of the same name in stage.toml, which has the help")]
pub struct Aligned {
    pub min_start_epoch: u64,
    pub current_max_start_epoch: u64,
    pub expansion_end: u64,
    pub sequential: bool,
    pub images: FirstImages,
    pub label_epoch: Option<u64>,
    pub lr_y: f64,
    pub momentum_y: f64,
    pub threshold: f64,
}

impl Aligned {
    /// Runs a stage with the inputs `start`, `experts` and, where first images come from there, `real`.
    pub fn run(
        &self,
        ctx: &Context,
        inputs: &Inputs,
        matching: &TrajectoryMatching,
        augment: &DsaParams,
        selection: Selection,
    ) -> Result<Outputs> {
        let start = inputs.start()?;
        let experts = Experts::open(inputs, "experts")?;
        experts.fit(&start)?;
        let range = StartRange {
            min: self.min_start_epoch,
            current_max: self.current_max_start_epoch,
            max: matching.max_start_epoch,
            expansion_end: self.expansion_end,
            sequential: self.sequential,
        };
        let range = range.checked()?;
        experts.reach(range.max, matching.expert_epochs)?;
        let pace = matching.pace(Rates { lr: self.lr_y, momentum: self.momentum_y }, Some(self.threshold));
        let first = First { images: self.images, label_epoch: self.label_epoch, lr: matching.lr_teacher };
        let first = || first.learnt(ctx, inputs, &start, &experts);
        let task = Task { start: &start, experts: &experts, pace, selection };
        matching.run(ctx, task, augment, first, |iteration| range.at(iteration))
    }
}
