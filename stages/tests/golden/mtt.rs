//! Golden cases of family `mtt`: trajectory matching with hard and soft labels and with augmentation, in both forms of its
//! exact gradient; DATM's first images, first labels and start epochs; the steps of flat experts.

use crate::walker::trajectory::{experts, learnt, network, settings, steps};
use crate::walker::{self, Case};
use ddpipe_nn::network::{Chunk, Network, Parameters};
use ddpipe_nn::optim::Sgd;
use ddpipe_stages::distill::trajectory_matching::{
    GradientForm, InnerStep, LabelSums, Matched, StartRange, Unrolling, correct_images,
};
use ddpipe_stages::train::experts::flat::Flat;
use ddpipe_stages::training::Batch;
use tch::{Device, Kind, Tensor};

#[test]
fn matching() {
    walker::run_where(
        "mtt",
        |case| case.has("inner_steps"),
        |case, report| {
            let network = network(case);
            for form in [GradientForm::Unrolled, GradientForm::Recomputed] {
                let matched = matched(case, &network, form);
                report.compare(case, "loss", &matched.loss);
                report.compare(case, "param_loss", &matched.param_loss);
                report.compare(case, "param_dist", &matched.param_dist);
                report.compare(case, "theta_end", &matched.end_P);
                report.compare(case, "inner_losses", &matched.inner_losses_N);
                report.compare(case, "grad_syn", &matched.gradients.images_MCHW);
                report.compare(case, "grad_syn_lr", &matched.gradients.lr);
                if let Some(gradient) = &matched.gradients.logits_MK {
                    report.compare(case, "grad_labels", gradient);
                }
            }
        },
    );
}

/// TESLA's form agrees where there is nothing that it leaves out: in loss and end always, in its gradients after one step.
#[test]
fn tesla_takes_the_same_steps_and_leaves_out_what_it_says() {
    walker::run_where(
        "mtt",
        |case| case.has("inner_steps"),
        |case, report| {
            let network = network(case);
            let (exact, tesla) =
                (matched(case, &network, GradientForm::Unrolled), matched(case, &network, GradientForm::Tesla));
            let off = |a: &Tensor, b: &Tensor| f64::try_from((a - b).abs().max() / b.abs().max()).unwrap();
            report.check(case, "the same loss", off(&tesla.loss, &exact.loss) < 1e-5);
            report.check(case, "the same end", off(&tesla.end_P, &exact.end_P) < 1e-5);
            let gradients = off(&tesla.gradients.images_MCHW, &exact.gradients.images_MCHW);
            report.check(case, &format!("other gradients, by {gradients:.1e}"), gradients > 1e-3);
            for name in case.expected() {
                report.leave(case, &name, "compared in golden_mtt_matching");
            }

            let mut steps = steps(case);
            steps.truncate(1);
            let (exact, tesla) = (
                of_steps(case, &network, &steps, GradientForm::Unrolled),
                of_steps(case, &network, &steps, GradientForm::Tesla),
            );
            for (name, a, b) in [
                ("images", &tesla.gradients.images_MCHW, &exact.gradients.images_MCHW),
                ("lr", &tesla.gradients.lr, &exact.gradients.lr),
            ] {
                report.check(case, &format!("one step: {name}"), off(a, b) < 1e-4);
            }
        },
    );
}

fn matched(case: &Case, network: &Network, form: GradientForm) -> Matched {
    of_steps(case, network, &steps(case), form)
}

fn of_steps(case: &Case, network: &Network, steps: &[InnerStep], form: GradientForm) -> Matched {
    let (start, target, settings) = (case.tensor("theta_start"), case.tensor("theta_target"), settings(case));
    let unrolling = Unrolling { network, start_P: &start, target_P: &target, steps, settings: &settings, room: None };
    unrolling.matched(&learnt(case, Kind::Float), form).unwrap()
}

#[test]
fn labels() {
    walker::run_where(
        "mtt",
        |case| case.has("rows_without_a_right_expert"),
        |case, report| {
            let network = network(case);
            let labels = case.tensor("labels");
            let mut sums = LabelSums::new(&labels, network.spec().classes).unwrap();
            let mut all = Vec::new();
            for theta in experts(case) {
                let logits = network.forward_chunked(&theta(&network), &case.tensor("images"), Chunk(4)).unwrap();
                sums.add(&logits).unwrap();
                all.push(logits);
            }
            report.compare(case, "logits", &Tensor::stack(&all, 0));
            report.compare(case, "num_correct", sums.right());
            let got = sums.logits().unwrap();
            // The case holds zeros where nobody is right; what stands there instead is this project's own rule.
            let alone = sums.right().eq(0);
            report.compare(case, "label_logits", &got.masked_fill(&alone.unsqueeze(1), 0.0));
            let mean = Tensor::stack(&all, 0).mean_dim(0, false, Kind::Float);
            let rows: Vec<i64> = case.integers("rows_without_a_right_expert");
            report.equal(
                case,
                "rows alone",
                Vec::<i64>::try_from(alone.nonzero().flatten(0, -1)).unwrap(),
                rows.clone(),
            );
            for row in rows {
                let (row, of_all) = (got.get(row), (mean.get(row), labels.int64_value(&[row])));
                report.equal(case, "the label is right", i64::try_from(row.argmax(0, false)).unwrap(), of_all.1);
                let sorted = |values: &Tensor| values.sort(0, false).0;
                report.check(case, "as sure as all are", sorted(&row).allclose(&sorted(&of_all.0), 1e-5, 1e-6, false));
            }
        },
    );
}

#[test]
fn choice() {
    walker::run_where(
        "mtt",
        |case| case.has("experts_needed_beyond_first"),
        |case, report| {
            let network = network(case);
            let images = case.tensor("images");
            let (classes, count) = (images.size()[0], images.size()[1]);
            let experts = experts(case);
            let (ipc, batch) = (case.integer("ipc") as usize, case.integer("batch"));
            let selected: Vec<i64> = (0..classes)
                .flat_map(|class| {
                    correct_images::correct_images(
                        &network,
                        class,
                        (ipc, count, batch),
                        &|positions| Ok(images.get(class).index_select(0, positions)),
                        &|number| experts.get(number as usize).map(|theta| Ok(theta(&network))),
                        Device::Cpu,
                    )
                    .unwrap()
                })
                .collect();
            report.compare(case, "selected", &Tensor::from_slice(&selected).view([classes, ipc as i64]));
            let predicted: Vec<Tensor> = experts
                .iter()
                .map(|theta| {
                    let logits = network.forward_chunked(&theta(&network), &images.flatten(0, 1), Chunk(8)).unwrap();
                    logits.argmax(1, false).view([classes, count])
                })
                .collect();
            report.compare(case, "predicted", &Tensor::stack(&predicted, 0));

            // More than the experts can find: it comes out short, without one twice.
            let found = correct_images::correct_images(
                &network,
                0,
                (count as usize + 1, count, batch),
                &|positions| Ok(images.get(0).index_select(0, positions)),
                &|number| experts.get(number as usize).map(|theta| Ok(theta(&network))),
                Device::Cpu,
            );
            let found = found.unwrap();
            report.check(
                case,
                "short",
                found.len() <= count as usize && found.windows(2).all(|pair| pair[0] < pair[1]),
            );
        },
    );
}

#[test]
fn start_epochs() {
    walker::run_where(
        "mtt",
        |case| case.has("rows"),
        |case, report| {
            for row in case.list("rows") {
                let whole = |key: &str| row[key].as_u64().unwrap();
                let range = StartRange {
                    min: whole("min_start_epoch"),
                    current_max: whole("current_max_start_epoch"),
                    max: whole("max_start_epoch"),
                    expansion_end: whole("expansion_end_epoch"),
                    sequential: row["Sequential_Generation"].as_bool().unwrap(),
                };
                for entry in row["table"].as_array().unwrap() {
                    let at = |column: usize| entry[column].as_u64().unwrap();
                    let what = format!("{}, iteration {}", row["config"], at(0));
                    report.equal(case, &what, range.at(at(0)), at(1)..at(2));
                }
            }
        },
    );
}

#[test]
fn flat_experts() {
    walker::run_where(
        "mtt",
        |case| case.has("rho"),
        |case, report| {
            let network = network(case);
            let flat = Flat {
                rho: case.number("rho"),
                alpha: case.number("alpha"),
                adaptive: case.value("adaptive").as_bool().unwrap(),
            };
            let sgd = Sgd { momentum: case.number("momentum"), weight_decay: case.number("weight_decay") };
            let (images, labels) = (case.tensor("images"), case.tensor("labels"));
            for chunk in [Chunk(i64::MAX), Chunk(4)] {
                let trainable = network.unflatten(&case.tensor("theta_start")).unwrap();
                let mut parameters = Parameters { trainable, buffers: Vec::new() };
                let (mut velocity, mut after, mut losses) = (Vec::new(), Vec::new(), Vec::new());
                for step in 0..images.size()[0] {
                    let batch = Batch::new(images.get(step), labels.get(step));
                    let now = flat.gradient(&network, &parameters, &batch, chunk).unwrap();
                    parameters.trainable =
                        sgd.step(case.number("lr"), &parameters.trainable, &now.gradients, &mut velocity).unwrap();
                    after.push(parameters.flat());
                    losses.push(now.loss);
                }
                report.compare(case, "theta_after", &Tensor::stack(&after, 0));
                report.compare(case, "loss", &Tensor::stack(&losses, 0));
            }
        },
    );
}
