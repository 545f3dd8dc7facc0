//! How often images and network take turns in gradient matching.

use anyhow::{Context as _, Result};

/// The two loops inside an iteration, which has one network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loops {
    /// Steps that the images take with a network.
    pub outer: u64,
    /// Epochs that the network is trained on the synthetic set between two of them.
    pub inner: u64,
}

/// Images per class, outer and inner loop: `get_loops` of the authors' code.
const PUBLISHED: [(i64, u64, u64); 6] =
    [(1, 1, 1), (10, 10, 50), (20, 20, 25), (30, 30, 20), (40, 40, 15), (50, 50, 10)];

impl Loops {
    /// What is given, and the published numbers for so many images per class where nothing is.
    pub fn of(ipc: i64, outer: Option<u64>, inner: Option<u64>) -> Result<Self> {
        let published = PUBLISHED.iter().find(|(images, ..)| *images == ipc).map(|&(_, outer, inner)| (outer, inner));
        let missing = |name: &str| {
            format!(
                "there is no published `{name}` for {ipc} images per class, only for 1, 10, 20, 30, 40 and 50; give \
                 `outer_loop` and `inner_loop` (published for 10: 10 and 50, for 50: 50 and 10)"
            )
        };
        Ok(Loops {
            outer: outer.or(published.map(|(outer, _)| outer)).with_context(|| missing("outer_loop"))?,
            inner: inner.or(published.map(|(_, inner)| inner)).with_context(|| missing("inner_loop"))?,
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn what_is_given_comes_before_what_is_published() {
        assert_eq!(Loops::of(10, None, None).unwrap(), Loops { outer: 10, inner: 50 });
        assert_eq!(Loops::of(50, None, Some(3)).unwrap(), Loops { outer: 50, inner: 3 });
        assert_eq!(Loops::of(7, Some(2), Some(0)).unwrap(), Loops { outer: 2, inner: 0 });
        let error = Loops::of(7, Some(2), None).unwrap_err().to_string();
        assert!(
            error.contains("`inner_loop` for 7 images per class") && error.contains("give `outer_loop`"),
            "{error}"
        );
    }
}
