//! How well scores rank: the area under the ROC curve. It is the probability that an image of the class has a higher
//! score than an image of another one, and takes no threshold.

/// Area under the ROC curve of scores, where `positive` says which are of the class; ties count one half. Nothing when
/// one side has no image or a score is not finite.
///
/// # Panics
///
/// When the two lists have different lengths.
pub fn roc_auc(scores: &[f64], positive: &[bool]) -> Option<f64> {
    assert_eq!(scores.len(), positive.len(), "one flag per score");
    if !scores.iter().all(|score| score.is_finite()) {
        return None;
    }
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_unstable_by(|&a, &b| scores[a].total_cmp(&scores[b]));
    let (mut below, mut twice_pairs, mut positives) = (0u64, 0u64, 0u64);
    for tied in order.chunk_by(|&a, &b| scores[a] == scores[b]) {
        let hits = tied.iter().filter(|&&at| positive[at]).count() as u64;
        let others = tied.len() as u64 - hits;
        twice_pairs += hits * (2 * below + others);
        below += others;
        positives += hits;
    }
    (positives > 0 && below > 0).then(|| twice_pairs as f64 / 2.0 / (positives as f64 * below as f64))
}

/// Mean over the classes of the area under the ROC curve of one class against the rest. `score(i, class)` is the score
/// of image i. Classes without images, or without others, are left out; nothing when none is left.
pub fn roc_auc_one_vs_rest(labels: &[i64], classes: usize, score: impl Fn(usize, usize) -> f64) -> Option<f64> {
    let of_class = |class: usize| {
        let scores: Vec<f64> = (0..labels.len()).map(|image| score(image, class)).collect();
        let positive: Vec<bool> = labels.iter().map(|&label| label == class as i64).collect();
        roc_auc(&scores, &positive)
    };
    let areas: Vec<f64> = (0..classes).filter_map(of_class).collect();
    (!areas.is_empty()).then(|| areas.iter().sum::<f64>() / areas.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_count_one_half_and_one_side_alone_has_no_area() {
        let positive = [false, false, true, true];
        assert_eq!(roc_auc(&[0.1, 0.2, 0.3, 0.4], &positive), Some(1.0));
        assert_eq!(roc_auc(&[0.4, 0.3, 0.2, 0.1], &positive), Some(0.0));
        assert_eq!(roc_auc(&[0.5; 4], &positive), Some(0.5));
        assert_eq!(roc_auc(&[0.0, -0.0, 0.0, 1.0], &positive), Some(0.75), "both zeros are the same score");
        assert_eq!(roc_auc(&[0.1, 0.2], &[true, true]), None);
        assert_eq!(roc_auc(&[0.1, f64::NAN], &[true, false]), None);
    }

    #[test]
    fn absent_classes_are_left_out_of_the_mean() {
        let labels = [0, 0, 1, 1];
        let score = |image: usize, class: usize| if labels[image] == class as i64 { 1.0 } else { 0.0 };
        assert_eq!(roc_auc_one_vs_rest(&labels, 3, score), Some(1.0));
        assert_eq!(roc_auc_one_vs_rest(&[2, 2], 3, |_, _| 0.0), None);
    }
}
