//! Compares the cells of a family with the best one by a Welch t-test, and marks each. Labels and formats play no part
//! here.

use super::{Correction, Params};
use crate::compare::table::value::Best;
use crate::report::sheet::{Cell, Mark};
use ddpipe_nn::metrics::{holm, welch};

/// A cell with the single values from which its mean is computed.
#[derive(Debug)]
pub struct Sampled {
    /// Mean, standard deviation and number of `values`.
    pub cell: Cell,
    /// The single values, unscaled.
    pub values: Vec<f64>,
    /// The result of the comparison with the best cell; `None` where nothing is compared.
    pub mark: Option<Mark>,
    /// The p-value of the two-sided Welch t-test against the best cell; `None` for the best cell and where the test is
    /// not defined.
    pub p: Option<f64>,
}

impl Sampled {
    /// A cell of these single values that is not compared yet; `None` if there are no values.
    pub fn of(values: Vec<f64>) -> Option<Self> {
        Some(Sampled { cell: Cell::of(&values)?, values, mark: None, p: None })
    }
}

/// Compares the cells of each family with the best of that family: sets `p`, with Holm's correction over all families
/// if the parameters ask for it, and `mark`.
pub fn compare(families: Vec<(Best, Vec<&mut Sampled>)>, params: &Params) {
    let mut tested: Vec<&mut Sampled> = Vec::new();
    for (best, family) in families {
        tested.extend(against_best(best, family));
    }
    if params.correction == Correction::Holm {
        let raw: Vec<f64> = tested.iter().filter_map(|cell| cell.p).collect();
        let with = tested.iter_mut().filter(|cell| cell.p.is_some());
        with.zip(holm(&raw)).for_each(|(cell, p)| cell.p = Some(p));
    }
    for cell in tested {
        cell.mark = Some(match cell.p {
            Some(p) if p < params.alpha => Mark::Worse,
            Some(_) => Mark::Tied,
            None => Mark::Untested,
        });
    }
}

/// Marks the best cells of a family as `Mark::Best`, and returns the other cells with their uncorrected p-values.
/// Returns no cells if the family has no direction or fewer than two cells.
fn against_best(best: Best, family: Vec<&mut Sampled>) -> Vec<&mut Sampled> {
    let means = || family.iter().map(|sampled| sampled.cell.mean);
    let top = match best {
        Best::Highest => means().reduce(f64::max),
        Best::Lowest => means().reduce(f64::min),
        Best::None => None,
    };
    // A family of one cell has nothing to compare: the cell gets no mark.
    let Some(top) = top.filter(|_| family.len() > 1) else { return Vec::new() };
    let Some(reference) = family.iter().find(|sampled| sampled.cell.mean == top).map(|best| best.values.clone()) else {
        return Vec::new();
    };
    let (best, mut others): (Vec<_>, Vec<_>) = family.into_iter().partition(|sampled| sampled.cell.mean == top);
    best.into_iter().for_each(|sampled| sampled.mark = Some(Mark::Best));
    others.iter_mut().for_each(|sampled| sampled.p = welch(&reference, &sampled.values));
    others
}
