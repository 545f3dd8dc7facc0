//! How well two rankings of the same candidates agree, over all of them and over the top ones. Pure numbers.

use ddpipe_nn::metrics::{kendall_tau_b, spearman};
use serde::Serialize;

/// Two candidates agree or do not; a correlation says something from three on.
const FEWEST: usize = 3;

/// Rank correlations over `n` candidates; nothing where all of them are equal in one ranking.
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
    /// Over all candidates: accuracies in the same order.
    pub fn of(proxy: &[f64], whole: &[f64]) -> Self {
        Agreement { n: proxy.len(), spearman: spearman(proxy, whole), kendall: kendall_tau_b(proxy, whole) }
    }

    /// Over the candidates at these places; ranks are counted anew among them.
    pub fn among(places: &[usize], proxy: &[f64], whole: &[f64]) -> Self {
        let pick = |values: &[f64]| places.iter().filter_map(|&at| values.get(at).copied()).collect::<Vec<f64>>();
        Agreement::of(&pick(proxy), &pick(whole))
    }
}

/// The places of the `share` of highest accuracy, best first: share times their number, rounded, and at least 3 where
/// there are so many. Of equal ones the first comes first.
pub fn top(accuracies: &[f64], share: f64) -> Vec<usize> {
    let wanted = (share * accuracies.len() as f64).round() as usize;
    let mut order = ranking(accuracies);
    order.truncate(wanted.max(FEWEST));
    order
}

/// The place of the highest accuracy, the first of equal ones.
pub fn best(accuracies: &[f64]) -> usize {
    ranking(accuracies).first().copied().unwrap_or(0)
}

/// The rank of the candidate at this place, from 1: one more than the number of better ones.
pub fn rank(accuracies: &[f64], place: usize) -> usize {
    let own = accuracies.get(place);
    1 + accuracies.iter().filter(|&other| own.is_some_and(|own| other > own)).count()
}

/// All positions, best first.
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
