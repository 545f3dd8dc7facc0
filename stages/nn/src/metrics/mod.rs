//! Numbers about predictions and about lists of numbers: what was taken for what, how well scores rank and how honest
//! they are, whether two lists agree in their order or differ by more than their spread. Pure functions; nothing here
//! knows a network or a stage.

mod agreement;
mod calibration;
mod confusion;
mod correlation;
mod roc;
mod scores;
mod significance;
mod statistics;

pub use agreement::{ANNOTATORS, Agreement, AgreementReport};
pub use calibration::{BINS, Calibration};
pub use confusion::Confusion;
pub use correlation::{kendall_tau_b, pearson, spearman};
pub use roc::{roc_auc, roc_auc_one_vs_rest};
pub use scores::{Probabilities, TestScores};
pub use significance::{holm, welch};
pub use statistics::mean_std;
