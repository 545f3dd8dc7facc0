//! Golden cases of family `students`: how the authors of several methods train what they evaluate with. Steps of their
//! optimisers, rates, running statistics of batches that are seen twice, averages of parameters.

use crate::walker::{self, Case, Report, network};
use ddpipe_nn::network::{Chunk, Mode, Network, Parameters, seen_twice};
use ddpipe_nn::optim::{
    Average, AverageStart, Averaged, Betas, Course, Decayed, Descent, Length, Memory, Pace, Rule, Schedule, WarmUp,
};
use ddpipe_stages::distill::knowledge::loss;
use ddpipe_stages::training::{Batch, Gradient, Objective, Pass, batch_gradient};
use serde_json::Value;
use tch::Tensor;

#[test]
fn optimiser_steps() {
    walker::run_where(
        "students",
        |case| case.has("rates"),
        |case, report| {
            let net = network::network(case);
            for chunk in [Chunk(i64::MAX), Chunk(4)] {
                steps(case, report, &net, chunk);
            }
            rates_of_steps(case, report);
        },
    );
}

fn descent(case: &Case) -> Descent {
    let weight_decay = if case.has("weight_decay") { case.number("weight_decay") } else { 0.0 };
    let decayed = match case.has("decayed") && case.text("decayed") == "matrices" {
        true => Decayed::Matrices,
        false => Decayed::All,
    };
    if case.has("momentum") {
        let nesterov = case.has("nesterov") && case.value("nesterov") == &Value::Bool(true);
        let rule = Rule::Sgd { momentum: case.number("momentum"), nesterov };
        return Descent { rule, weight_decay, decayed };
    }
    let betas = Betas { first: case.number("/betas/0"), second: case.number("/betas/1"), eps: case.number("eps") };
    // Where nothing decays, Adam and AdamW are the same.
    let rule = if case.id.contains("adamw") { Rule::AdamW(betas) } else { Rule::Adam(betas) };
    Descent { rule, weight_decay, decayed }
}

/// The gradient of the loss that the case's tensors belong to.
fn gradient(case: &Case, net: &Network, parameters: &Parameters, step: i64, chunk: Chunk) -> Gradient {
    let images = case.tensor("x").get(step);
    let batch = |name: &str| Batch::new(images.shallow_clone(), case.tensor(name).get(step));
    if case.get("targets").is_some() {
        let objective = Objective::SquaredError { targets: true };
        return objective.gradient(None, net, parameters, &batch("targets"), chunk).unwrap();
    }
    if case.get("teacher_logits").is_none() {
        return Objective::CrossEntropy.gradient(None, net, parameters, &batch("y"), chunk).unwrap();
    }
    let temperature = case.number("temperature");
    let settings = loss::Settings { temperature, alpha: 1.0, average: loss::Average::Batch };
    let pass = |leaves: &Parameters, part: &Batch| {
        // Not times T², as the released code leaves it.
        Pass::through(net, leaves, part, |output, part| {
            loss::divergence(&output.logits, &part.labels, &settings)?.f_div_scalar(temperature * temperature)
        })
    };
    batch_gradient(pass, net, parameters, &batch("teacher_logits"), chunk).unwrap()
}

fn steps(case: &Case, report: &mut Report, net: &Network, chunk: Chunk) {
    let descent = descent(case);
    let mut parameters = network::stored_weights(case, net);
    // The same as the first and the last of three networks that are stacked.
    let mut stacked = Parameters::stack(&[parameters.clone(), parameters.clone(), parameters.clone()]).unwrap();
    let (mut memory, mut stacked_memory, mut losses) = (Memory::default(), Memory::default(), Vec::new());
    for (step, rate) in (0..).zip(case.list("rates")) {
        let rate = rate.as_f64().unwrap();
        let now = gradient(case, net, &parameters, step, chunk);
        let each: Vec<Tensor> = now.gradients.iter().map(|own| Tensor::stack(&[own, own, own], 0)).collect();
        let trainable = descent.step(net, rate, &parameters.trainable, &now.gradients, &mut memory).unwrap();
        parameters = Parameters { trainable, buffers: now.buffers };
        let trainable = descent.step(net, rate, &stacked.trainable, &each, &mut stacked_memory).unwrap();
        stacked = Parameters { trainable, ..stacked };
        losses.push(now.loss);
        let early = format!("theta_after_step{}", step + 1);
        if case.get(&early).is_some() {
            report.compare(case, &early, &theta(case, net, &parameters));
        }
    }
    report.equal(case, "steps", losses.len() as i64, case.integer("steps"));
    report.compare(case, "losses", &Tensor::stack(&losses, 0));
    report.compare(case, "theta_final", &theta(case, net, &parameters));
    for place in [0, 2] {
        report.compare(case, "theta_final", &theta(case, net, &stacked.of_stack(place).unwrap()));
    }
    let order: Vec<_> = net.trainable().map(|spec| serde_json::json!(spec.name)).collect();
    report.equal(case, "parameter_order", order.as_slice(), case.list("parameter_order"));
    let test = net.forward(&parameters, &case.tensor("x_test"), Mode::Eval).unwrap();
    report.compare(case, "logits_test", &test.logits);
    for (spec, buffer) in net.buffers().zip(&parameters.buffers) {
        report.compare(case, &format!("final_{}", spec.name), buffer);
    }
}

/// The flat parameters that the case compares.
fn theta(case: &Case, net: &Network, parameters: &Parameters) -> Tensor {
    let value = |name: &Value| {
        let place = net.trainable().position(|spec| name == &spec.name).unwrap();
        parameters.trainable[place].flatten(0, -1)
    };
    Tensor::cat(&case.list("theta_order").iter().map(value).collect::<Vec<_>>(), 0)
}

/// The rates of the case's steps, where it says by which rule they were made.
fn rates_of_steps(case: &Case, report: &mut Report) {
    let number = |key: &str| case.integer(key) as u64;
    let (schedule, course, length) = if case.has("schedule_steps") {
        let warm_up = WarmUp::Steps(number("warmup"));
        let course = Course { pace: Pace::Step, end: case.number("alpha"), warm_up, ..Course::default() };
        let steps = number("schedule_steps");
        (Schedule::Cosine, course, Length { epochs: steps, batches: 1, steps })
    } else if case.has("milestones") && case.has("epochs") {
        let course = Course { milestones: milestones(case.list("milestones")), drop: 0.5, ..Course::default() };
        let (epochs, batches) = (number("epochs"), number("steps_per_epoch"));
        (Schedule::Multistep, course, Length { epochs, batches, steps: epochs * batches })
    } else if case.text("formula").contains("half_cosine") && case.has("epochs") {
        let (epochs, batches) = (number("epochs"), number("steps_per_epoch"));
        (Schedule::HalfCosine, Course::default(), Length { epochs, batches, steps: epochs * batches })
    } else {
        return;
    };
    for (step, expected) in (0..).zip(case.list("rates")) {
        let (epoch, batch) = (step / length.batches, step % length.batches);
        let got = course.rate(schedule, case.number("lr"), length, epoch, batch);
        let expected = expected.as_f64().unwrap();
        report.check(
            case,
            &format!("rate of step {step}: {got}, expected {expected}"),
            (got - expected).abs() <= 1e-9 * expected + 1e-15,
        );
    }
}

fn milestones(list: &[Value]) -> Vec<f64> {
    list.iter().map(|milestone| milestone.as_f64().unwrap()).collect()
}

#[test]
fn rates() {
    walker::run_where(
        "students",
        |case| case.has("warmup_cosine") || case.has("half_cosine") || case.has("multistep_half"),
        |case, report| {
            for (rule, about) in case.json.as_object().unwrap() {
                for row in about["rows"].as_array().into_iter().flatten() {
                    rates_of_row(case, report, rule, row);
                }
            }
        },
    );
}

fn rates_of_row(case: &Case, report: &mut Report, rule: &str, row: &Value) {
    let number = |key: &str| row[key].as_u64().unwrap_or_else(|| panic!("{rule}: no {key}"));
    let by_epoch = || Length { epochs: number("epochs"), batches: 3, steps: 3 * number("epochs") };
    let usual = Course::default;
    let dropping = |key: &str, drop| Course { milestones: milestones(row[key].as_array().unwrap()), drop, ..usual() };
    let (schedule, course, length) = match rule {
        "warmup_cosine" | "warmup_cosine_rcig" => {
            let (steps, warm_up) = (number("steps"), WarmUp::Steps(number("warmup")));
            let end = row["alpha"].as_f64().unwrap();
            (
                Schedule::Cosine,
                Course { pace: Pace::Step, end, warm_up, ..usual() },
                Length { epochs: 1, batches: 1, steps },
            )
        }
        "half_cosine" => (Schedule::HalfCosine, usual(), by_epoch()),
        "cosine_all_decay" => (Schedule::Cosine, usual(), by_epoch()),
        "cosine_or_linear" if row["cosine"] == true => (Schedule::Cosine, usual(), by_epoch()),
        "cosine_or_linear" => (Schedule::Linear, usual(), by_epoch()),
        "multistep_half" => (Schedule::Multistep, dropping("milestones", 0.5), by_epoch()),
        "multistep_fifth" => (Schedule::Multistep, usual(), by_epoch()),
        "multistep_tenth_1_based" => (Schedule::Multistep, dropping("decay_epochs", 0.1), by_epoch()),
        other => return report.fail(case, format!("no schedule is known for {other:?}")),
    };
    let first = if rule.ends_with("1_based") { 1 } else { 0 };
    for sample in row["step_and_rate"].as_array().unwrap() {
        let (place, expected) = (sample[0].as_u64().unwrap() - first, sample[1].as_f64().unwrap());
        // Every batch of an epoch has the epoch's rate.
        for batch in 0..length.batches {
            let got = course.rate(schedule, row["lr"].as_f64().unwrap(), length, place, batch);
            report.number(case, &format!("{rule}, {place}"), got, expected);
        }
    }
    // The milestones as protocols give them: shares of the epochs.
    let shares: &[f64] = if rule == "multistep_half" { &[0.2, 0.4, 0.6, 0.8] } else { &[] };
    if !shares.is_empty() {
        let by_share = Course { milestones: shares.to_vec(), ..course.clone() };
        for epoch in 0..length.epochs {
            let rate = |course: &Course| course.rate(schedule, 1.0, length, epoch, 0);
            report.equal(case, &format!("{rule} by shares, {epoch}"), rate(&by_share), rate(&course));
        }
    }
}

#[test]
fn batches_that_are_seen_twice() {
    walker::run_where(
        "students",
        |case| case.get("logits").is_some(),
        |case, report| {
            let net = network::network(case);
            let before = network::stored_weights(case, &net);
            let output = net.forward(&before, &case.tensor("x"), Mode::Train).unwrap();
            report.compare(case, "logits", &output.logits);
            let twice = seen_twice(&before.buffers, &output.buffers).unwrap();
            for (spec, buffer) in net.buffers().zip(&twice) {
                report.compare(case, &format!("final_{}", spec.name), buffer);
            }
        },
    );
}

#[test]
fn averages() {
    walker::run_where(
        "students",
        |case| case.has("ema_settings"),
        |case, report| {
            let (start, values) = (case.tensor("start"), case.tensor("values"));
            for settings in case.list("ema_settings") {
                let (index, decay) = (settings["index"].as_u64().unwrap(), settings["decay"].as_f64().unwrap());
                for (form, from) in [("debiased", AverageStart::Zero), ("from_copy", AverageStart::Copy)] {
                    let average = Average { decay, start: from };
                    let (mut averaged, mut before, mut after) = (Averaged::default(), start.copy(), Vec::new());
                    for step in 0..values.size()[0] {
                        let now = values.get(step);
                        average.add([&before].into_iter(), [&now].into_iter(), &mut averaged).unwrap();
                        after.push(average.value(&averaged).unwrap().remove(0));
                        before = now;
                    }
                    report.compare(case, &format!("{form}_{index}"), &Tensor::stack(&after, 0));
                }
            }
        },
    );
}
