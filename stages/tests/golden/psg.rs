//! Golden cases of family `psg`: clipped and noised gradients with what they are matched by, and the accountant, through
//! the functions that the loop uses.

use crate::walker::{self, Case};
use ddpipe_nn::network::Chunk;
use ddpipe_stages::artifact::{Dataset, Normalisation};
use ddpipe_stages::distill::gradient_matching::{Distance, match_gradient_in_chunks};
use ddpipe_stages::distill::psg::accountant::{Accountant, noise_for, orders, renyi};
use ddpipe_stages::distill::psg::budget::{Budget, PrivacyTarget};
use ddpipe_stages::distill::psg::clipping::{GradientMode, clipped_sum, noised};
use serde_json::Value;
use tch::{Device, Kind, Tensor};

#[test]
fn gradients() {
    walker::run_where(
        "psg",
        |case| case.has("max_norm"),
        |case, report| {
            let network = walker::network::network(case);
            let parameters = walker::network::stored_weights(case, &network);
            let real = as_they_are(case);
            let everyone = Tensor::arange(case.integer("batch"), (Kind::Int64, Device::Cpu));
            let sum =
                |max_norm, way| clipped_sum(&network, &parameters, &real, &everyone, max_norm, way, || Ok(())).unwrap();
            let flat =
                |parts: &[Tensor]| Tensor::cat(&parts.iter().map(|part| part.reshape([-1])).collect::<Vec<_>>(), 0);
            let (count, max_norm) = (everyone.numel() as f64, case.number("max_norm"));

            let deviation = case.number("sigma") * max_norm;
            // One after the other, some at a time, which do not divide the sample, and all at once.
            let mut private = Vec::new();
            for way in [GradientMode::OneByOne, GradientMode::Together(3), GradientMode::Together(1000)] {
                let clipped = sum(max_norm, way);
                report.compare(case, "per_sample_norm", &clipped.norms);
                report.compare(case, "clip_factor", &clipped.factors);
                report.compare(case, "mean_gradient", &(flat(&sum(f64::INFINITY, way).sum) / count));
                private = noised(&network, &clipped.sum, &case.tensor("noise"), deviation, count).unwrap();
                report.compare(case, "noisy_gradient", &flat(&private));
            }

            let distance = match case.text("metric") {
                "gm" => Distance::Ours,
                other => serde_json::from_value(other.into()).unwrap(),
            };
            let (images, labels) = (case.tensor("syn"), case.tensor("syn_labels"));
            // Chunks of one image, some that do not divide the set, and all images at once.
            for chunk in [1, 4, 1000].map(Chunk) {
                let between = |gradient: &[Tensor]| distance.between(&private, gradient);
                let view = Tensor::shallow_clone;
                let matched =
                    match_gradient_in_chunks(&network, &parameters, &images, &labels, view, between, chunk).unwrap();
                report.compare(case, "loss", &matched.distance);
                report.compare(case, "grad_syn", &matched.gradient);
            }
        },
    );
}

#[test]
fn accountant() {
    walker::run_where(
        "psg",
        |case| case.has("rows"),
        |case, report| {
            report.equal(case, "opacus agrees", case.value("opacus_orders_equal_repo_orders"), &Value::Bool(true));
            report.equal(case, "orders", orders().count(), 99 + 52);
            report.check(case, "no order is 11", orders().all(|order| order != 11.0));
            let number = |row: &Value, name: &str| row[name].as_f64().unwrap_or_else(|| panic!("{row} has no {name}"));
            let steps = |row: &Value| row["steps"].as_u64().unwrap();
            for row in case.list("rows") {
                let accountant = Accountant::new(number(row, "q"), number(row, "sigma"));
                let spent = accountant.spent(steps(row), number(row, "delta"));
                report.number(case, &format!("{row}"), spent.epsilon, number(row, "epsilon_repo"));
                report.number(case, &format!("{row}: opacus"), spent.epsilon, number(row, "epsilon_opacus"));
                report.equal(case, &format!("{row}: order"), spent.order, number(row, "best_alpha_repo"));
            }
            for row in case.list("single_orders") {
                let one = renyi(number(row, "q"), number(row, "sigma"), number(row, "alpha"));
                report.number(case, &format!("{row}"), one, number(row, "rdp_one_step"));
            }
            for row in case.list("/noise_for_target/rows") {
                let (rate, epsilon, delta) = (number(row, "q"), number(row, "epsilon"), number(row, "delta"));
                let noise = noise_for(rate, steps(row), epsilon, delta).unwrap();
                report.number(case, &format!("{row}"), noise, number(row, "sigma"));
            }
            every_step_counts(case, report);
        },
    );
}

/// The published code accounts for fewer steps than it runs; its noise lasts for the former.
fn every_step_counts(case: &Case, report: &mut walker::Report) {
    let example = |name: &str| case.number(&format!("/step_count_of_the_reference/example_mnist_1000_1_10/{name}"));
    let (accounted, executed) = (example("accounted_steps") as u64, example("executed_steps") as u64);
    let (rate, delta, epsilon) = (256.0 / 60_000.0, 1e-5, 10.0);
    let published = Accountant::new(rate, example("sigma_for_eps_10"));
    report.number(case, "10,010 steps", published.spent(executed, delta).epsilon, example("epsilon_of_executed_steps"));

    let wish = PrivacyTarget { rate, planned: executed, epsilon, delta, noise: None };
    let found = Budget::new(wish).unwrap();
    report.equal(case, "steps with the noise found", found.steps, executed);
    report.check(case, "all of them cost no more than 10", found.spent(executed).epsilon <= epsilon);
    let given = Budget::new(PrivacyTarget { noise: Some(example("sigma_for_eps_10") * (1.0 + 1e-9)), ..wish }).unwrap();
    report.equal(case, "steps with the published noise", given.steps, accounted);
}

/// The private batch as a data set whose images come out as they are stored.
fn as_they_are(case: &Case) -> Dataset {
    let (images, labels) = (case.tensor("real").to_kind(Kind::Float), case.tensor("labels"));
    let normalisation = Normalisation::identity(images.size()[1] as usize);
    let (classes, origin) = (case.integer("/network/num_classes"), "golden case".to_string());
    Dataset { images, labels, agreement: None, classes, normalisation, scale: 1.0, origin, class_names: Vec::new() }
}
