//! How honest probabilities are: whether of all answers given with 80 % confidence, 80 % are right.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Bins of equal width over \[0,1\], as Guo et al. (On Calibration of Modern Neural Networks, ICML 2017) use.
pub const BINS: usize = 15;

/// Answers by how sure they were, in [`BINS`] bins: the m-th holds those with (m-1)/bins < confidence <= m/bins.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    bins: Vec<Bin>,
}

/// The answers of a bin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Bin {
    answers: u64,
    right: u64,
    /// The sum of their confidences.
    confidence: f64,
}

impl Calibration {
    /// Sorts answers, each the confidence of the class that was chosen and whether it was right. Nothing when there are no
    /// answers, or a confidence is not in \[0,1\].
    pub fn of(answers: impl IntoIterator<Item = (f64, bool)>, bins: usize) -> Option<Self> {
        let mut bins = vec![Bin::default(); bins.max(1)];
        for (confidence, right) in answers {
            // Softmax in floating point may end a hair above one.
            if !(0.0..=1.0 + 1e-9).contains(&confidence) {
                return None;
            }
            let at = ((confidence * bins.len() as f64).ceil() as usize).clamp(1, bins.len()) - 1;
            bins[at].answers += 1;
            bins[at].right += u64::from(right);
            bins[at].confidence += confidence;
        }
        let calibration = Calibration { bins };
        (calibration.answers() > 0).then_some(calibration)
    }

    /// Expected calibration error: the mean, over all answers, of |share of right answers - mean confidence| in their bin.
    pub fn error(&self) -> f64 {
        let gap = |bin: &Bin| (bin.right as f64 - bin.confidence).abs();
        self.bins.iter().map(gap).sum::<f64>() / self.answers() as f64
    }

    /// Adds the answers of another network, bin by bin.
    pub fn add(&mut self, other: &Calibration) {
        for (bin, more) in self.bins.iter_mut().zip(&other.bins) {
            bin.answers += more.answers;
            bin.right += more.right;
            bin.confidence += more.confidence;
        }
    }

    /// For a document of results: bin by bin the answers, the share of right ones and their mean confidence, which are null
    /// where there are no answers.
    pub fn document(&self) -> Value {
        let bin = |bin: &Bin| {
            let mean = |sum: f64| (bin.answers > 0).then(|| sum / bin.answers as f64);
            json!({ "answers": bin.answers, "accuracy": mean(bin.right as f64), "confidence": mean(bin.confidence) })
        };
        self.bins.iter().map(bin).collect()
    }

    fn answers(&self) -> u64 {
        self.bins.iter().map(|bin| bin.answers).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gap_of_each_bin_weighs_as_much_as_its_answers() {
        // Two bins: 0.5 belongs to the lower one. Lower: 1 of 2 right at mean 0.45; upper: 1 of 3 right at mean 0.8.
        let answers = [(0.4, true), (0.5, false), (0.7, false), (0.8, true), (0.9, false)];
        let expected = (2.0 * (0.5 - 0.45) + 3.0 * (0.8 - 1.0 / 3.0)) / 5.0;
        let calibration = Calibration::of(answers, 2).unwrap();
        assert!((calibration.error() - expected).abs() < 1e-12, "{calibration:?} {expected}");
        assert_eq!(error([(1.0, true), (0.0, false)]), Some(0.0));
    }

    #[test]
    fn a_document_has_every_bin_and_adds_up_over_networks() {
        let mut both = Calibration::of([(0.4, true), (0.5, false)], 2).unwrap();
        both.add(&Calibration::of([(0.3, true)], 2).unwrap());
        let document = both.document();
        assert_eq!(document[0]["answers"], 3);
        assert_eq!(document[0]["accuracy"], 2.0 / 3.0);
        assert!((document[0]["confidence"].as_f64().unwrap() - 0.4).abs() < 1e-12);
        assert_eq!(document[1], json!({ "answers": 0, "accuracy": null, "confidence": null }));
    }

    #[test]
    fn nothing_can_be_said_without_answers_or_about_no_probabilities() {
        assert_eq!(error([]), None);
        assert_eq!(error([(f64::NAN, true)]), None);
        assert_eq!(error([(1.5, true)]), None);
    }

    fn error(answers: impl IntoIterator<Item = (f64, bool)>) -> Option<f64> {
        Calibration::of(answers, BINS).map(|calibration| calibration.error())
    }
}
