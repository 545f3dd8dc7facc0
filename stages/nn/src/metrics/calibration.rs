//! How honest probabilities are: whether of all answers given with 80 % confidence, 80 % are right.

/// Bins of equal width over \[0,1\], as Guo et al. (On Calibration of Modern Neural Networks, ICML 2017) use.
pub const BINS: usize = 15;

/// Expected calibration error: answers are sorted into bins by their confidence, (m-1)/bins < confidence <= m/bins; the
/// result is the mean, over all answers, of |share of right answers - mean confidence| in their bin. Nothing when there
/// are no answers, or a confidence is not in \[0,1\].
pub fn expected_calibration_error(answers: impl IntoIterator<Item = (f64, bool)>, bins: usize) -> Option<f64> {
    let mut sums = vec![(0.0f64, 0.0f64); bins.max(1)];
    let mut count = 0u64;
    for (confidence, right) in answers {
        // Softmax in floating point may end a hair above one.
        if !(0.0..=1.0 + 1e-9).contains(&confidence) {
            return None;
        }
        let bin = ((confidence * sums.len() as f64).ceil() as usize).clamp(1, sums.len()) - 1;
        sums[bin].0 += confidence;
        sums[bin].1 += f64::from(u8::from(right));
        count += 1;
    }
    (count > 0).then(|| sums.iter().map(|(confidence, right)| (right - confidence).abs()).sum::<f64>() / count as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gap_of_each_bin_weighs_as_much_as_its_answers() {
        // Two bins: 0.5 belongs to the lower one. Lower: 1 of 2 right at mean 0.45; upper: 1 of 3 right at mean 0.8.
        let answers = [(0.4, true), (0.5, false), (0.7, false), (0.8, true), (0.9, false)];
        let expected = (2.0 * (0.5 - 0.45) + 3.0 * (0.8 - 1.0 / 3.0)) / 5.0;
        let got = expected_calibration_error(answers, 2).unwrap_or(f64::NAN);
        assert!((got - expected).abs() < 1e-12, "{got} {expected}");
        assert_eq!(expected_calibration_error([(1.0, true), (0.0, false)], 15), Some(0.0));
    }

    #[test]
    fn nothing_can_be_said_without_answers_or_about_no_probabilities() {
        assert_eq!(expected_calibration_error([], 15), None);
        assert_eq!(expected_calibration_error([(f64::NAN, true)], 15), None);
        assert_eq!(expected_calibration_error([(1.5, true)], 15), None);
    }
}
