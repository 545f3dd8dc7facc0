//! A stage run on a CPU as a GPU would be told to compute it, and what it asked of libtorch in each step.

use crate::host::{Moment, Stage};
use ddpipe_nn::layout::Layout;
use ddpipe_nn::transfer;
use ddpipe_stages::launches::{self, Counts};
use tch::{Device, Kind};

/// One step of a stage.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    /// What was counted from the end of the step before to the end of this one.
    pub counts: Counts,
    /// Points of curves and pictures at its end: numbers that were read because they are shown.
    pub recorded: i64,
    /// The most uploads between two moments at which the stage says how far it is: a class, a step of a network that is
    /// trained meanwhile.
    pub uploads_at_once: i64,
}

impl Step {
    /// Numbers that were read although nothing was recorded.
    pub fn unrecorded_reads(&self) -> i64 {
        self.counts.reads - self.recorded
    }
}

/// The steps of a stage but the first, in which constants are sent.
pub fn steps(stage: Stage) -> Vec<Step> {
    assert!(launches::count(), "libtorch sets no callbacks");
    // Of the pictures, which are drawn on the host.
    for number in [0.0, 1.0] {
        let _ = transfer::constant(&[number], Kind::Float, Device::Cpu);
    }
    let recorder = stage.recorder();
    Layout::Together.on_cpu(|| stage.run().unwrap());
    let moments = recorder.moments();
    // In the middle of a step the number of those before it is told again.
    let ends: Vec<usize> = (1..moments.len()).filter(|&at| moments[at].done > moments[at - 1].done).collect();
    let between =
        |from: &Moment, to: &Moment| (to.counts - from.counts, to.points + to.pictures - from.points - from.pictures);
    let step = |ends: &[usize]| {
        let within = &moments[ends[0]..=ends[1]];
        let (counts, recorded) = between(&within[0], &within[within.len() - 1]);
        let at_once = within.windows(2).map(|pair| between(&pair[0], &pair[1]).0.uploads).max();
        Step { counts, recorded, uploads_at_once: at_once.unwrap_or_default() }
    };
    ends.windows(2).map(step).collect()
}
