//! Trajectory matching aligned with difficulty (DATM, PAD): a growing range of start epochs, and learnt labels. This
//! file holds the parameters of both and sets up the loop, which is in `mod.rs`.

use super::{Initial, InitialImages, Matching, Selection, SgdSettings, StartRange, TrajectoryMatching};
use crate::context::{Context, Inputs, Outputs};
use crate::params::DsaParams;
use crate::training::Experts;
use anyhow::Result;
use serde::Deserialize;

/// The parameters that DATM and PAD have beside those of [`TrajectoryMatching`]. Part of a kind's `Params`, by
/// `#[serde(flatten)]`.
#[derive(Clone, Debug, Deserialize)]
#[expect(missing_docs, reason = "each is the parameter of the same name in stage.toml, which has the help")]
pub struct Aligned {
    pub min_start_epoch: u64,
    pub current_max_start_epoch: u64,
    pub expansion_end: u64,
    pub sequential: bool,
    pub images: InitialImages,
    pub label_epoch: Option<u64>,
    pub lr_y: f64,
    pub momentum_y: f64,
    pub threshold: f64,
}

impl Aligned {
    /// Runs a stage with the inputs `start`, `experts` and, if `images` is `right`, `real`. An error if the set does
    /// not fit the experts, or if the start epochs are empty or reach beyond the trajectories.
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
        let logits = SgdSettings { lr: self.lr_y, momentum: self.momentum_y };
        let optimiser = matching.optimiser(logits, Some(self.threshold));
        let initial = Initial { images: self.images, label_epoch: self.label_epoch, lr: matching.lr_teacher };
        let initial = || initial.learnt(ctx, inputs, &start, &experts);
        let matched = Matching { start: &start, experts: &experts, optimiser, selection };
        matching.run(ctx, matched, augment, initial, |iteration| range.at(iteration))
    }
}
