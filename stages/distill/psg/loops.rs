//! How often images and network take turns, and what a step therefore begins with.

use anyhow::{Context as _, Result};

/// The loops inside an iteration, which has one network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loops {
    /// Times that the images meet a network, which learns from them in between.
    pub outer: u64,
    /// Epochs that it learns each time.
    pub inner: u64,
    /// Steps that the images take each time, every one with a sample of its own.
    pub batch: u64,
}

/// What a step begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opening {
    /// The network of this number, fresh.
    Network(u64),
    /// The last step's network learns from the images; the number of such a lesson in the whole run.
    Lesson(u64),
    /// The network of the last step, as it is.
    Same,
}

/// Images per class, outer and inner loop: `get_loops` of the authors' code.
const PUBLISHED: [(i64, u64, u64); 7] =
    [(1, 1, 1), (10, 10, 50), (20, 20, 25), (30, 30, 20), (40, 40, 15), (50, 50, 10), (100, 50, 10)];

impl Loops {
    /// What is given, and the published numbers for so many images per class where nothing is.
    pub fn of(ipc: i64, outer: Option<u64>, inner: Option<u64>, batch: u64) -> Result<Self> {
        let published = PUBLISHED.iter().find(|(images, ..)| *images == ipc).map(|&(_, outer, inner)| (outer, inner));
        let missing = |name: &str| {
            format!(
                "there is no published `{name}` for {ipc} images per class, only for 1, 10, 20, 30, 40, 50 and 100; \
                 give `outer_loop` and `inner_loop` (published for 10: 10 and 50, for 50: 50 and 10)"
            )
        };
        Ok(Loops {
            outer: outer.or(published.map(|(outer, _)| outer)).with_context(|| missing("outer_loop"))?,
            inner: inner.or(published.map(|(_, inner)| inner)).with_context(|| missing("inner_loop"))?,
            batch,
        })
    }

    /// Steps of so many iterations.
    pub fn steps(&self, iterations: u64) -> Result<u64> {
        let each = self.outer.checked_mul(self.batch).and_then(|each| each.checked_mul(iterations));
        each.context("iterations times outer_loop times batch_loop is too large")
    }

    /// What this step, counted from 0 over the whole run, begins with.
    pub fn opening(&self, step: u64) -> Opening {
        let (turn, place) = (step / self.batch, step % self.batch);
        match (turn % self.outer, place) {
            (0, 0) => Opening::Network(turn / self.outer),
            (_, 0) => Opening::Lesson(turn),
            _ => Opening::Same,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn what_is_given_comes_before_what_is_published() {
        assert_eq!(Loops::of(1, None, None, 10).unwrap().steps(1000).unwrap(), 10_000);
        assert_eq!(Loops::of(10, None, None, 10).unwrap(), Loops { outer: 10, inner: 50, batch: 10 });
        assert_eq!(Loops::of(50, None, Some(3), 2).unwrap(), Loops { outer: 50, inner: 3, batch: 2 });
        let error = Loops::of(7, Some(2), None, 10).unwrap_err().to_string();
        assert!(
            error.contains("`inner_loop` for 7 images per class") && error.contains("give `outer_loop`"),
            "{error}"
        );
        assert!(Loops::of(1, Some(1 << 40), None, 1 << 20).unwrap().steps(1 << 20).is_err());
    }

    #[test]
    fn a_network_learns_between_its_turns_and_never_after_the_last() {
        let openings: Vec<_> = (0..8).map(|step| Loops { outer: 2, inner: 1, batch: 2 }.opening(step)).collect();
        use Opening::{Lesson, Network, Same};
        assert_eq!(openings, [Network(0), Same, Lesson(1), Same, Network(1), Same, Lesson(3), Same]);
    }
}
