//! Holds cells against the best of them, and marks each. Knows no labels and no formats.

use super::{Correction, Params};
use crate::compare::table::value::Best;
use crate::report::sheet::{Cell, Mark};
use ddpipe_nn::metrics::{holm, welch};

/// A cell with the single values that it is made of.
#[derive(Debug)]
pub struct Sampled {
    /// Mean and deviation.
    pub cell: Cell,
    /// What they are of.
    pub values: Vec<f64>,
    /// How it stands to the best; none where nothing is compared.
    pub mark: Option<Mark>,
    /// The p-value of the comparison with the best.
    pub p: Option<f64>,
}

impl Sampled {
    /// A cell that is not compared yet; no values, no cell.
    pub fn of(values: Vec<f64>) -> Option<Self> {
        Some(Sampled { cell: Cell::of(&values)?, values, mark: None, p: None })
    }
}

/// Compares the cells of each family with the best of that family.
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

/// Marks the best cells of a family, and returns the others with their uncorrected p-values.
fn against_best(best: Best, family: Vec<&mut Sampled>) -> Vec<&mut Sampled> {
    let means = || family.iter().map(|sampled| sampled.cell.mean);
    let top = match best {
        Best::Highest => means().reduce(f64::max),
        Best::Lowest => means().reduce(f64::min),
        Best::None => None,
    };
    // Alone, a cell is not the best of anything.
    let Some(top) = top.filter(|_| family.len() > 1) else { return Vec::new() };
    let Some(reference) = family.iter().find(|sampled| sampled.cell.mean == top).map(|best| best.values.clone()) else {
        return Vec::new();
    };
    let (best, mut others): (Vec<_>, Vec<_>) = family.into_iter().partition(|sampled| sampled.cell.mean == top);
    best.into_iter().for_each(|sampled| sampled.mark = Some(Mark::Best));
    others.iter_mut().for_each(|sampled| sampled.p = welch(&reference, &sampled.values));
    others
}
