//! How many pilots a run starts. A function of values.

use std::time::Duration;

/// What is taken for the seconds of a node of which nothing is known, where nothing is known of any.
pub const UNKNOWN: f64 = 60.0;
/// What is taken for the memory of a node of which nothing is known, in bytes.
pub const UNKNOWN_MEMORY: u64 = 2 << 30;
/// Where nothing else is said, a run may last so long even if its longest path is shorter.
pub const WITHIN: Duration = Duration::from_secs(15 * 60);

/// What has to be computed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Work {
    /// So many nodes.
    pub nodes: usize,
    /// Their seconds together.
    pub seconds: f64,
    /// Seconds of the longest path through them: no number of pilots makes a run shorter.
    pub longest: f64,
}

/// So many pilots of so many slots each: as many as the work fills for `within`, and no more than it has nodes.
pub fn pilots(work: Work, slots: usize, most: usize, within: Duration) -> usize {
    let slots = slots.max(1);
    let lasts = work.longest.max(within.as_secs_f64()).max(1.0);
    let filled = (work.seconds / (slots as f64 * lasts)).ceil();
    // A number above any limit, and what is no number, are cut off.
    let filled = if filled.is_finite() { filled.min(most as f64) as usize } else { most };
    filled.min(work.nodes.div_ceil(slots)).clamp(1, most.max(1))
}

/// The memory in bytes that a pilot of so many slots needs for stages that are expected to take so much each: for as many of
/// the largest as run at once, and a quarter more.
pub fn memory(stages: &[u64], slots: usize) -> u64 {
    let mut stages = stages.to_vec();
    stages.sort_unstable_by(|one, other| other.cmp(one));
    let largest = stages.iter().take(slots.max(1)).fold(0u64, |sum, bytes| sum.saturating_add(*bytes));
    largest.saturating_add(largest / 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pilots_are_as_many_as_the_work_fills() {
        let work = |nodes, hours: f64, longest: f64| Work { nodes, seconds: hours * 3600.0, longest: longest * 3600.0 };
        // 200 nodes of 5.1 h in all, the longest path 0.6 h: 8.5 pilots of one slot.
        assert_eq!(pilots(work(200, 5.1, 0.6), 1, 16, WITHIN), 9);
        assert_eq!(pilots(work(200, 5.1, 0.6), 4, 16, WITHIN), 3);
        assert_eq!(pilots(work(200, 51.0, 0.6), 1, 16, WITHIN), 16, "no more than allowed");
        assert_eq!(pilots(work(3, 51.0, 17.0), 1, 16, WITHIN), 3, "no more than nodes");
        assert_eq!(pilots(work(200, 0.1, 0.01), 1, 16, WITHIN), 1, "short work needs one");
        assert_eq!(pilots(work(200, 0.1, 0.0), 1, 16, Duration::from_secs(36)), 10);
        assert_eq!(pilots(work(0, 0.0, 0.0), 0, 0, Duration::ZERO), 1);
        assert_eq!(pilots(Work { nodes: 9, seconds: f64::NAN, longest: 0.0 }, 1, 4, WITHIN), 4);
    }

    #[test]
    fn memory_is_that_of_the_largest_stages_at_once() {
        assert_eq!(memory(&[100, 400, 200], 1), 500);
        assert_eq!(memory(&[100, 400, 200], 2), 750);
        assert_eq!(memory(&[100, 400, 200], 9), 875);
        assert_eq!((memory(&[], 4), memory(&[u64::MAX, 8], 2)), (0, u64::MAX));
    }
}
