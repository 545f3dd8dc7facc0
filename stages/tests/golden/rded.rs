//! Golden cases of family `rded`: scores of crops, the choice and the assembly, a teacher's labels and the loss of students,
//! and the settings that the declaration has, through the functions that the stages use.

use crate::walker;
use ddpipe_interface::Declaration;
use ddpipe_nn::loss::{softened, softened_divergences, softened_entropies};
use ddpipe_stages::artifact::mosaic;
use ddpipe_stages::registry::KINDS;
use ddpipe_stages::select::coreset::confidence::{framed, ranked, scores};
use tch::{Kind, Tensor};

fn whole(positions: &[usize]) -> Tensor {
    Tensor::from_slice(&positions.iter().map(|&at| at as i64).collect::<Vec<_>>())
}

#[test]
fn choice_and_assembly() {
    walker::run_where(
        "rded",
        |case| case.get("crops").is_some(),
        |case, report| {
            let (crops, size) = (case.tensor("crops"), case.integer("size"));
            let (ipc, factor) = (case.integer("ipc"), case.integer("factor"));
            let found = scores(&case.tensor("logits"), case.integer("class")).unwrap();
            report.compare(case, "scores", &found);
            let ranking = ranked(&found).unwrap();
            let order = &ranking.order[..(ipc * factor * factor) as usize];
            report.compare_within(case, "best_crop", &whole(&ranking.best_crop), 0.0);
            report.compare_within(case, "order", &whole(order), 0.0);
            let best = order.iter().map(|&image| crops.get(image as i64).get(ranking.best_crop[image] as i64));
            let best = Tensor::stack(&best.collect::<Vec<_>>(), 0);
            report.compare(case, "images", &mosaic(&best, ipc, factor, [size, size]).unwrap());
            let first = crops.narrow(0, 0, case.tensor("padded").size()[0]).select(1, 0);
            report.compare(case, "padded", &framed(&first, [size, size]).unwrap());
        },
    );
}

#[test]
fn soft_labels() {
    walker::run_where(
        "rded",
        |case| case.has("soft_settings"),
        |case, report| {
            let student = case.tensor("student_logits").set_requires_grad(true);
            let images = student.size()[0];
            for given in case.list("soft_settings") {
                let (index, temperature) = (&given["index"], given["temperature"].as_f64().unwrap());
                let labels = softened(&case.tensor("teacher_logits"), temperature).unwrap();
                report.compare(case, &format!("soft_label_{index}"), &labels);
                let mean = |losses: Tensor| losses.sum(Kind::Float) / images;
                let loss = mean(softened_divergences(&student, &labels, temperature).unwrap());
                report.compare(case, &format!("loss_{index}"), &loss.detach());
                let gradient = |loss: Tensor| Tensor::run_backward(&[loss], &[&student], false, false).remove(0);
                report.compare(case, &format!("grad_student_{index}"), &gradient(loss));
                // The cross entropy differs by what the student does not change.
                let entropy = gradient(mean(softened_entropies(&student, &labels, temperature).unwrap()));
                report.compare(case, &format!("grad_student_{index}"), &entropy);
            }
        },
    );
}

#[test]
fn settings_of_small_images_are_the_defaults() {
    walker::run_where(
        "rded",
        |case| case.has("small_images"),
        |case, report| {
            let coreset = KINDS.iter().find(|kind| kind.name == "select.coreset").unwrap();
            let declaration = Declaration::parse(coreset.declaration).unwrap();
            let default = |name: &str| serde_json::to_value(&declaration.params[name].default).unwrap();
            let published = case.value("small_images");
            for (ours, theirs) in [("factor", "factor"), ("crops", "num_crop"), ("candidates", "mipc")] {
                report.equal(case, theirs, &default(ours), &published[theirs]);
            }
        },
    );
}
