//! The range of start epochs by iteration (DATM's alignment of difficulty). A segment from an early epoch of an
//! expert's trajectory holds easy patterns, one from a late epoch hard ones.

use anyhow::{Result, ensure};
use std::ops::Range;

/// The range of start epochs, and how it grows over the iterations.
#[derive(Clone, Copy, Debug)]
pub struct StartRange {
    /// The first start epoch, in every iteration.
    pub min: u64,
    /// The end of the range in the first iteration, excluded.
    pub current_max: u64,
    /// The largest end of the range, excluded.
    pub max: u64,
    /// The iteration in which the end reaches `max`.
    pub expansion_end: u64,
    /// Whether the range grows; if not, it ends at `max` in every iteration.
    pub sequential: bool,
}

impl StartRange {
    /// The start epochs of an iteration: from `min` to below current_max + (max - current_max) * iteration /
    /// expansion_end. The fraction of the product is cut off, and the end is never above `max`.
    pub fn at(&self, iteration: u64) -> Range<u64> {
        let end = if self.sequential {
            let grown = (self.max as f64 - self.current_max as f64) * iteration as f64 / self.expansion_end as f64;
            ((self.current_max as i64 + grown as i64).max(0) as u64).min(self.max)
        } else {
            self.max
        };
        self.min..end
    }

    /// Returns the range unchanged, or an error if the first iteration has no epoch to start from.
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
