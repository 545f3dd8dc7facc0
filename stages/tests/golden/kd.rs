//! Golden cases of family `kd`: the distillation loss at every setting of a case, hints, attention transfer, relations
//! between images, with their gradients, through the functions that the loop uses.

use crate::walker;
use ddpipe_stages::distill::knowledge::loss::{
    self, Average, HintForm, Settings, attention_transfer, cross_entropy, divergence, soft_targets,
};
use ddpipe_stages::distill::knowledge::regressor::Regressor;
use ddpipe_stages::distill::knowledge::relations::{
    Relational, angle_loss, correlation, distance_loss, pkt, relational, similarity,
};
use tch::{TchError, Tensor};

fn leaf(tensor: Tensor) -> Tensor {
    tensor.set_requires_grad(true)
}

/// The loss of the batch, from what the functions sum over its images, and its gradients.
fn differentiated(sum: &Tensor, images: i64, leaves: &[&Tensor]) -> (Tensor, Vec<Tensor>) {
    let loss = sum / images;
    let gradients = Tensor::run_backward(&[&loss], leaves, false, false);
    (loss.detach(), gradients)
}

#[test]
fn teachers_soft_targets() {
    walker::run_where(
        "kd",
        |case| case.has("settings"),
        |case, report| {
            let student = leaf(case.tensor("student_logits"));
            let (teacher, labels) = (case.tensor("teacher_logits"), case.tensor("labels"));
            let images = student.size()[0];
            report.compare(case, "cross_entropy", &(cross_entropy(&student.detach(), &labels, None).unwrap() / images));
            for given in case.list("settings") {
                let index = &given["index"];
                let (temperature, alpha) = (given["T"].as_f64().unwrap(), given["alpha"].as_f64().unwrap());
                let settings = Settings { temperature, alpha, average: Average::Batch };
                let (kl, gradients) =
                    differentiated(&divergence(&student, &teacher, &settings).unwrap(), images, &[&student]);
                report.compare(case, &format!("kl_{index}"), &kl);
                report.compare(case, &format!("grad_kl_{index}"), &gradients[0]);
                let total = soft_targets(&student, Some(&teacher), &labels, None, &settings).unwrap();
                let (total, gradients) = differentiated(&total, images, &[&student]);
                report.compare(case, &format!("total_{index}"), &total);
                report.compare(case, &format!("grad_total_{index}"), &gradients[0]);
                let settings = Settings { average: Average::Elements, ..settings };
                let total = soft_targets(&student.detach(), Some(&teacher), &labels, None, &settings).unwrap() / images;
                report.compare(case, &format!("total_elementmean_{index}"), &total);
            }
        },
    );
}

#[test]
fn hints() {
    walker::run_where(
        "kd",
        |case| case.get("student_feature").is_some(),
        |case, report| {
            let (student, teacher) = (leaf(case.tensor("student_feature")), case.tensor("teacher_feature"));
            let weight = leaf(case.tensor("regressor_weight"));
            let images = student.size()[0];
            let regressor = Regressor::between(&student.size()[1..], &teacher.size()[1..]).unwrap();
            let values = [weight.shallow_clone(), case.tensor("regressor_bias")];
            let turned = regressor.apply(&values, &student).unwrap();
            let half = loss::hint(&turned.detach(), &teacher, HintForm::HalfSum).unwrap() / images;
            report.compare(case, "hint_loss_half_sum", &half);
            let sum = loss::hint(&turned, &teacher, HintForm::Mean).unwrap();
            let (hint, gradients) = differentiated(&sum, images, &[&student, &weight]);
            report.compare(case, "hint_loss", &hint);
            report.compare(case, "grad_student", &gradients[0]);
            report.compare(case, "grad_weight", &gradients[1]);
            let (transfer, gradients) =
                differentiated(&attention_transfer(&student, &teacher).unwrap(), images, &[&student]);
            report.compare(case, "attention_transfer", &transfer);
            report.compare(case, "grad_attention", &gradients[0]);
        },
    );
}

/// Compares a loss of a batch and its gradient with respect to the student's features.
fn compare_relation(
    case: &walker::Case,
    report: &mut walker::Report,
    name: &str,
    [student, teacher]: [&str; 2],
    loss: impl Fn(&Tensor, &Tensor) -> Result<Tensor, TchError>,
) {
    let student = leaf(case.tensor(student));
    let (loss, gradients) = differentiated(&loss(&student, &case.tensor(teacher)).unwrap(), 1, &[&student]);
    report.compare(case, name, &loss);
    report.compare(case, &format!("grad_{name}"), &gradients[0]);
}

#[test]
fn distances_and_angles() {
    walker::run_where(
        "kd",
        |case| case.get("rkd_total").is_some(),
        |case, report| {
            let weights = Relational { distance: case.number("w_distance"), angle: case.number("w_angle") };
            let features = ["feature_s", "feature_t"];
            compare_relation(case, report, "rkd_distance", features, distance_loss);
            compare_relation(case, report, "rkd_angle", features, angle_loss);
            compare_relation(case, report, "rkd_total", features, |ours, theirs| relational(ours, theirs, weights));
        },
    );
}

#[test]
fn similarities_neighbours_and_correlation() {
    walker::run_where(
        "kd",
        |case| case.get("map_s").is_some(),
        |case, report| {
            compare_relation(case, report, "similarity", ["map_s", "map_t"], similarity);
            compare_relation(case, report, "pkt", ["vector_s", "vector_t"], pkt);
            compare_relation(case, report, "correlation", ["embedded_s", "embedded_t"], correlation);
        },
    );
}

/// The last batch of an epoch may be a single image, and images may be the same.
#[test]
fn relations_of_one_image_and_of_equal_ones_are_finite() {
    let rows = Tensor::from_slice(&[1f32, 2.0, 1.0, 2.0, 0.0, 0.0]).reshape([3, 2]);
    type Relation = fn(&Tensor, &Tensor) -> Result<Tensor, TchError>;
    let relations: [(&str, Relation); 5] = [
        ("distance", distance_loss),
        ("angle", angle_loss),
        ("similarity", similarity),
        ("pkt", pkt),
        ("correlation", correlation),
    ];
    for (name, relation) in relations {
        for count in [1, 3] {
            let student = leaf(rows.narrow(0, 0, count).copy());
            // So that one image has a gradient, if only of zeros.
            let loss = relation(&student, &(&student.detach() * 2.0)).unwrap() + student.sum(tch::Kind::Float) * 0.0;
            let gradient = Tensor::run_backward(&[&loss], &[&student], false, false);
            assert!(loss.double_value(&[]).is_finite(), "{name} of {count}");
            assert!(bool::try_from(gradient[0].isfinite().all()).unwrap(), "{name} of {count}");
        }
        let one = rows.narrow(0, 0, 1);
        assert_eq!(relation(&one, &one).unwrap().double_value(&[]), 0.0, "{name}");
    }
}
