//! Golden cases of family `kd`: the distillation loss at every setting of a case, hints, attention transfer, with their
//! gradients, through the functions that the loop uses.

use crate::walker;
use ddpipe_stages::distill::knowledge::loss::{
    self, Average, HintForm, Settings, attention_transfer, cross_entropy, divergence, soft_targets,
};
use ddpipe_stages::distill::knowledge::regressor::Regressor;
use tch::Tensor;

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
