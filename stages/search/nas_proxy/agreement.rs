//! Rank correlations between two rankings of the same candidates, over all of them and over the top ones. Pure
//! functions of accuracies.

use ddpipe_nn::metrics::{kendall_tau_b, spearman};
use serde::Serialize;

/// The smallest number of top candidates: a rank correlation of two candidates can only be -1 or 1.
const FEWEST: usize = 3;

/// Rank correlations over `n` candidates; `None` where all candidates are equal in one of the rankings.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Agreement {
    /// Number of candidates.
    pub n: usize,
    /// Spearman's rho; equal accuracies share a rank.
    pub spearman: Option<f64>,
    /// Kendall's tau-b.
    pub kendall: Option<f64>,
}

impl Agreement {
    /// The correlations over all candidates; both lists hold accuracies in the same order of candidates.
    pub fn of(proxy: &[f64], whole: &[f64]) -> Self {
        Agreement { n: proxy.len(), spearman: spearman(proxy, whole), kendall: kendall_tau_b(proxy, whole) }
    }

    /// The correlations over the candidates at these positions; they are ranked again among themselves.
    pub fn among(places: &[usize], proxy: &[f64], whole: &[f64]) -> Self {
        let pick = |values: &[f64]| places.iter().filter_map(|&at| values.get(at).copied()).collect::<Vec<f64>>();
        Agreement::of(&pick(proxy), &pick(whole))
    }
}

/// The positions of the top candidates, best first: the `share` of candidates with the highest accuracy, rounded to a
/// whole number, and at least 3 if there are as many. Of candidates with equal accuracy the first comes first.
pub fn top(accuracies: &[f64], share: f64) -> Vec<usize> {
    let wanted = (share * accuracies.len() as f64).round() as usize;
    let mut order = ranking(accuracies);
    order.truncate(wanted.max(FEWEST));
    order
}

/// The position of the highest accuracy; of equal ones the first, and 0 for an empty list.
pub fn best(accuracies: &[f64]) -> usize {
    ranking(accuracies).first().copied().unwrap_or(0)
}

/// The rank of the candidate at this position, from 1: one more than the number of candidates with higher accuracy.
pub fn rank(accuracies: &[f64], place: usize) -> usize {
    let own = accuracies.get(place);
    1 + accuracies.iter().filter(|&other| own.is_some_and(|own| other > own)).count()
}

/// The positions of all candidates, highest accuracy first; equal ones stay in their order.
fn ranking(accuracies: &[f64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..accuracies.len()).collect();
    order.sort_by(|&a, &b| accuracies[b].total_cmp(&accuracies[a]));
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_top_is_a_share_and_never_fewer_than_three() {
        let rising: Vec<f64> = (0..720).map(f64::from).collect();
        let best_of_all = top(&rising, 0.05);
        assert_eq!((best_of_all.len(), best_of_all[0], best_of_all[35]), (36, 719, 684));
        assert_eq!(top(&rising[..24], 0.05), [23, 22, 21]);
        assert_eq!(top(&rising[..2], 0.05), [1, 0]);
        assert_eq!(top(&rising[..10], 1.0).len(), 10);
        assert_eq!(top(&[0.5, 0.7, 0.7, 0.6], 0.05), [1, 2, 3]);
    }

    #[test]
    fn equal_candidates_share_a_rank_and_the_first_is_chosen() {
        let accuracies = [0.5, 0.7, 0.7, 0.6];
        assert_eq!(best(&accuracies), 1);
        assert_eq!([0, 1, 2, 3].map(|place| rank(&accuracies, place)), [4, 1, 1, 3]);
    }

    #[test]
    fn ranks_are_counted_anew_among_the_top() {
        // Ranks 3, 1, 2 against 1, 2, 3: rho = 1 - 6 (4 + 1 + 1) / (3 (9 - 1)) = -0.5; pairs -, -, +: tau = -1/3.
        let (proxy, whole) = ([0.9, 0.1, 0.7, 0.8], [0.2, 0.9, 0.5, 0.7]);
        let kept = top(&proxy, 0.05);
        assert_eq!(kept, [0, 3, 2]);
        let among = Agreement::among(&kept, &proxy, &whole);
        assert_eq!(among.n, 3);
        assert!(among.spearman.is_some_and(|rho| (rho + 0.5).abs() < 1e-12), "{among:?}");
        assert!(among.kendall.is_some_and(|tau| (tau + 1.0 / 3.0).abs() < 1e-12), "{among:?}");
        assert_eq!(Agreement::of(&[0.1; 3], &[0.1, 0.2, 0.3]).spearman, None);
    }
}
