//! The nested loops of gradient matching: networks, turns of the outer loop, steps of a turn.

use anyhow::{Context as _, Result};

/// The loops inside an iteration, which has one network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loops {
    /// Turns of the images with one network.
    pub outer: u64,
    /// Epochs that the network is trained on the synthetic set between two of them.
    pub inner: u64,
    /// Steps of the images in a turn.
    pub batch: u64,
}

/// One step of the images in the loops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// Counted from 0 over the whole run.
    pub step: u64,
    /// What the network of the step starts as.
    pub starts: Starts,
}

/// What the network of a step starts as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Starts {
    /// A fresh network: the first turn of the outer loop.
    Fresh {
        /// Networks before it.
        number: u64,
    },
    /// The network of the step before, trained on the synthetic images: the inner loop.
    AfterTraining {
        /// The turn of the outer loop, counted over the whole run.
        number: u64,
    },
    /// The network of the step before, as it is.
    Same,
}

/// Images per class, outer and inner loop: `get_loops` of the authors' code. Without privacy it ends at 50; 100 is from
/// the code of private set generation.
const PUBLISHED: [(i64, u64, u64); 7] =
    [(1, 1, 1), (10, 10, 50), (20, 20, 25), (30, 30, 20), (40, 40, 15), (50, 50, 10), (100, 50, 10)];

impl Loops {
    /// What is given, and the published numbers for so many images per class where nothing is; one step each time.
    pub fn of(ipc: i64, outer: Option<u64>, inner: Option<u64>) -> Result<Self> {
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
            batch: 1,
        })
    }

    /// Steps of an iteration, which has one network.
    pub fn steps_per_network(&self) -> Result<u64> {
        self.outer.checked_mul(self.batch).context("outer_loop times batch_loop is too large")
    }

    /// Steps of so many iterations.
    pub fn steps(&self, iterations: u64) -> Result<u64> {
        let steps = self.steps_per_network()?.checked_mul(iterations);
        steps.context("iterations times the steps with each network is too large")
    }

    /// The steps of a run of `steps` steps, of which `done` are done: network after network, turn after turn of the outer
    /// loop, step after step of a turn.
    pub fn positions(self, done: u64, steps: u64) -> impl Iterator<Item = Position> {
        (done..steps).map(move |step| {
            let (turn, in_turn) = (step / self.batch, step % self.batch);
            let starts = match (turn % self.outer, in_turn) {
                (0, 0) => Starts::Fresh { number: turn / self.outer },
                (_, 0) => Starts::AfterTraining { number: turn },
                _ => Starts::Same,
            };
            Position { step, starts }
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn what_is_given_comes_before_what_is_published() {
        assert_eq!(Loops::of(10, None, None).unwrap(), Loops { outer: 10, inner: 50, batch: 1 });
        assert_eq!(Loops::of(50, None, Some(3)).unwrap(), Loops { outer: 50, inner: 3, batch: 1 });
        assert_eq!(Loops::of(7, Some(2), Some(0)).unwrap(), Loops { outer: 2, inner: 0, batch: 1 });
        let error = Loops::of(7, Some(2), None).unwrap_err().to_string();
        assert!(
            error.contains("`inner_loop` for 7 images per class") && error.contains("give `outer_loop`"),
            "{error}"
        );
    }

    #[test]
    fn steps_are_counted_and_too_many_are_refused() {
        let steps = |outer, batch, iterations| Loops { outer, inner: 1, batch }.steps(iterations);
        assert_eq!(steps(1, 10, 1000).unwrap(), 10_000);
        assert!(steps(1 << 40, 1 << 20, 1 << 20).is_err() && steps(1 << 40, 1 << 30, 1).is_err());
    }

    #[test]
    fn a_network_is_trained_between_its_turns_and_never_after_the_last() {
        use Starts::{AfterTraining, Fresh, Same};
        let expected = [
            Fresh { number: 0 },
            Same,
            AfterTraining { number: 1 },
            Same,
            Fresh { number: 1 },
            Same,
            AfterTraining { number: 3 },
            Same,
        ];
        let loops = Loops { outer: 2, inner: 1, batch: 2 };
        let starts: Vec<_> = loops.positions(0, 8).map(|at| at.starts).collect();
        assert_eq!(starts, expected);
        let rest: Vec<_> = loops.positions(3, 8).collect();
        assert_eq!(rest[0], Position { step: 3, starts: Same });
        assert_eq!(rest.iter().map(|at| at.starts).collect::<Vec<_>>(), expected[3..]);
    }
}
