//! Difficulty by iteration: where on an expert's way a stretch may start. Early epochs hold easy patterns.

use anyhow::{Result, ensure};
use std::ops::Range;

/// How the range of start epochs grows.
#[derive(Clone, Copy, Debug)]
pub struct StartRange {
    /// Where it starts, in every iteration.
    pub min: u64,
    /// Where it ends in the first iteration, excluded.
    pub current_max: u64,
    /// Where it ends at last, excluded.
    pub max: u64,
    /// The iteration in which that is reached.
    pub expansion_end: u64,
    /// Whether it grows at all.
    pub sequential: bool,
}

impl StartRange {
    /// The start epochs of an iteration: up to current_max + (max - current_max) * iteration / expansion_end, the
    /// product's fraction cut off, and never above max.
    pub fn at(&self, iteration: u64) -> Range<u64> {
        let end = if self.sequential {
            let grown = (self.max as f64 - self.current_max as f64) * iteration as f64 / self.expansion_end as f64;
            ((self.current_max as i64 + grown as i64).max(0) as u64).min(self.max)
        } else {
            self.max
        };
        self.min..end
    }

    /// The same, if the first iteration has an epoch to start from.
    pub fn checked(self) -> Result<Self> {
        let first = self.at(0);
        ensure!(
            first.start < first.end,
            "there is no start epoch from {} to below {}; raise current_max_start_epoch and max_start_epoch, or lower \
             min_start_epoch",
            first.start,
            first.end
        );
        Ok(self)
    }
}
