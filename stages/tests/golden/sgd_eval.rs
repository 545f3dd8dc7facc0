//! Golden cases of family `sgd_eval`: steps of the evaluation's optimiser, learning-rate tables.

use crate::walker::{self, Case, Report, network};
use ddpipe_nn::network::{Chunk, Mode, Network, Parameters};
use ddpipe_nn::optim::{Schedule, Sgd, cosine};
use ddpipe_stages::training::{Batch, cross_entropy_gradient};
use serde_json::Value;
use tch::Tensor;

#[test]
fn optimiser_steps() {
    walker::run_where(
        "sgd_eval",
        |case| case.has("steps"),
        |case, report| {
            let net = network::network(case);
            // In one piece and in chunks that leave a remainder, which has to make no difference.
            for chunk in [Chunk(i64::MAX), Chunk(4)] {
                steps(case, report, &net, chunk);
            }
        },
    );
}

fn steps(case: &Case, report: &mut Report, net: &Network, chunk: Chunk) {
    let sgd = Sgd { momentum: case.number("momentum"), weight_decay: case.number("weight_decay") };
    let mut parameters = network::stored_weights(case, net);
    let (mut velocity, mut losses) = (Vec::new(), Vec::new());
    let (x, y) = (case.tensor("x"), case.tensor("y"));
    for step in 0..case.integer("steps") {
        let now = cross_entropy_gradient(net, &parameters, &Batch::new(x.get(step), y.get(step)), chunk).unwrap();
        let trainable = sgd.step(case.number("lr"), &parameters.trainable, &now.gradients, &mut velocity).unwrap();
        parameters = Parameters { trainable, buffers: now.buffers };
        losses.push(now.loss);
        if step == 0 {
            report.compare(case, "theta_after_step1", &parameters.flat());
        }
    }
    report.compare(case, "losses", &Tensor::stack(&losses, 0));
    report.compare(case, "theta_final", &parameters.flat());
    let order: Vec<_> = net.trainable().map(|spec| serde_json::json!(spec.name)).collect();
    report.equal(case, "parameter_order", order.as_slice(), case.list("parameter_order"));
    let test = net.forward(&parameters, &case.tensor("x_test"), Mode::Eval).unwrap();
    report.compare(case, "logits_test", &test.logits);
    for (spec, buffer) in net.buffers().zip(&parameters.buffers) {
        report.compare(case, &format!("final_{}", spec.name), buffer);
    }
}

#[test]
fn schedules() {
    walker::run_where(
        "sgd_eval",
        |case| case.has("step_rule") || case.has("cosine_rule"),
        |case, report| {
            for row in rows(case, "/step_rule/rows") {
                let epochs = row["epoch_eval_train"].as_u64().unwrap();
                let rate = row["lr_net"].as_f64().unwrap();
                let full = row["last_epoch_with_full_lr"].as_u64().unwrap();
                report.equal(case, "epochs run", Some(Schedule::Step.epochs(epochs)), row["epochs_run"].as_u64());
                for sample in row["samples"].as_array().unwrap() {
                    let (epoch, expected) = (sample[0].as_u64().unwrap(), sample[1].as_f64().unwrap());
                    let got = Schedule::Step.rate(rate, epochs, epoch);
                    report.number(case, &format!("step, {epochs} epochs, epoch {epoch}"), got, expected);
                }
                let emptied: Vec<_> = (0..=epochs).filter(|&e| Schedule::Step.empties_velocity(epochs, e)).collect();
                // Where the last epoch has the full rate still, no other optimiser is made.
                let expected: Vec<_> = (full + 1..=epochs).take(1).collect();
                report.equal(case, "velocity starts empty", emptied, expected);
            }
            for row in rows(case, "/cosine_rule/rows") {
                let (period, rate) = (row["T_max"].as_u64().unwrap(), row["lr"].as_f64().unwrap());
                for (epoch, expected) in row["table"].as_array().unwrap().iter().enumerate() {
                    let got = cosine(rate, period, epoch as u64);
                    report.number(
                        case,
                        &format!("cosine, period {period}, epoch {epoch}"),
                        got,
                        expected.as_f64().unwrap(),
                    );
                    let within = Schedule::Cosine.rate(rate, period, epoch as u64);
                    report.equal(case, "the schedule's rate", within, got);
                }
            }
        },
    );
}

/// The rows of a table that a case may leave out.
fn rows<'a>(case: &'a Case, table: &str) -> &'a [Value] {
    if case.has(table) { case.list(table) } else { &[] }
}
