//! Golden cases of family `metrics`: numbers about predictions, and correlations of lists.

use crate::walker::{self, Case, Report};
use ddpipe_nn::metrics::{Confusion, Probabilities, kendall_tau_b, pearson, roc_auc, spearman};
use tch::{Device, Kind, Tensor};

fn numbers(case: &Case, name: &str) -> Vec<f64> {
    Vec::try_from(case.tensor(name).to_kind(Kind::Double)).unwrap()
}

fn compare(case: &Case, report: &mut Report, name: &str, got: Option<f64>) {
    match got {
        Some(got) => report.compare(case, name, &Tensor::from(got).to_kind(Kind::Double)),
        None => report.check(case, &format!("{name} is defined"), false),
    }
}

#[test]
fn classification() {
    walker::run_where(
        "metrics",
        |case| case.has("/tensors/labels"),
        |case, report| {
            let classes = case.integer("num_classes");
            let (labels, predictions) = (case.tensor("labels"), case.tensor("predictions"));
            // In two batches, which has to make no difference.
            let cut = labels.size()[0] / 3;
            let mut confusion = Confusion::new(classes as usize);
            confusion.count(&labels.slice(0, 0, cut, 1), &predictions.slice(0, 0, cut, 1)).unwrap();
            confusion.count(&labels.slice(0, cut, None, 1), &predictions.slice(0, cut, None, 1)).unwrap();
            let rows: Vec<i64> = confusion.rows.iter().flatten().map(|&count| count as i64).collect();
            report.compare(case, "confusion", &Tensor::from_slice(&rows).reshape([classes, classes]));
            compare(case, report, "accuracy", Some(confusion.accuracy()));
            compare(case, report, "balanced_accuracy", Some(confusion.balanced_accuracy()));
            compare(case, report, "macro_f1", Some(confusion.macro_f1()));
            report.compare(case, "per_class_f1", &Tensor::from_slice(&confusion.per_class_f1()));

            if case.get("scores").is_some() {
                let positive: Vec<bool> = Vec::<i64>::try_from(&labels).unwrap().iter().map(|&l| l == 1).collect();
                compare(case, report, "roc_auc", roc_auc(&numbers(case, "scores"), &positive));
                // The same scores as the logit of class 1 beside a zero: the sigmoid keeps their order.
                let scores = case.tensor("scores");
                let logits = Tensor::stack(&[scores.zeros_like(), scores.shallow_clone()], 1);
                compare(case, report, "roc_auc", auc(classes, &labels, &logits));
            }
            if case.get("logits").is_some() {
                compare(case, report, "roc_auc_ovr_macro", auc(classes, &labels, &case.tensor("logits")));
            }
        },
    );
}

fn auc(classes: i64, labels: &Tensor, logits: &Tensor) -> Option<f64> {
    let mut probabilities = Probabilities::new(classes as usize);
    for (labels, logits) in labels.split(7, 0).iter().zip(logits.split(7, 0)) {
        probabilities.add(labels, &logits).unwrap();
    }
    probabilities.auc()
}

#[test]
fn rank_correlation() {
    walker::run_where(
        "metrics",
        |case| case.has("/tensors/a"),
        |case, report| {
            let (a, b) = (numbers(case, "a"), numbers(case, "b"));
            compare(case, report, "pearson", pearson(&a, &b));
            compare(case, report, "spearman", spearman(&a, &b));
            compare(case, report, "kendall_tau_b", kendall_tau_b(&a, &b));
        },
    );
}

#[test]
fn confidence_and_answer_come_from_the_same_logits() {
    // Softmax of (ln 3, 0) is (0.75, 0.25): confidence 0.75; one of two answers is right.
    let logits = Tensor::from_slice(&[3f32.ln(), 0.0, 3f32.ln(), 0.0]).reshape([2, 2]).to_device(Device::Cpu);
    let mut probabilities = Probabilities::new(2);
    probabilities.add(&Tensor::from_slice(&[0i64, 1]), &logits).unwrap();
    assert!((probabilities.calibration().unwrap().error() - 0.25).abs() < 1e-6, "{:?}", probabilities.calibration());
    assert_eq!(probabilities.auc(), Some(0.5));
}
