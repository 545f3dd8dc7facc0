//! `learn.continual`: class-incremental learning from a memory. Classes come in steps, and after each step fresh
//! networks are trained on the memory of the classes seen so far alone. The training loop is in `training`, the order
//! of the classes in `order.rs`, the images seen so far in `seen.rs`, the results in `results.rs` and `summary.rs`.

pub mod order;
pub mod results;
mod seen;
mod summary;

use crate::context::{Context, Inputs, Outputs};
use crate::params::NetworkParams;
use crate::training::{self, Divergence, Objective, State, StudentRun, TrainingParams, TrainingSet};
use anyhow::{Context as _, Result};
use ddpipe_interface::ArtifactType;
use ddpipe_nn::precision::Precision;
use ddpipe_nn::stream::stream;
use order::ClassOrder;
use rand::Rng;
use results::Step;
use seen::ByClass;
use serde::Deserialize;
use serde_json::json;
use summary::Summary;

/// The parameters: the steps and orders of the classes, the network, and its training.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Params {
    steps: u64,
    orders: u64,
    order_seed: u64,
    class_order: Option<Vec<i64>>,
    students: u64,
    #[serde(flatten)]
    network: NetworkParams,
    #[serde(flatten)]
    training: TrainingParams,
}

impl Params {
    fn class_orders(&self, classes: i64) -> Result<Vec<ClassOrder>> {
        if let Some(order) = &self.class_order {
            return Ok(vec![ClassOrder::given(order, classes)?]);
        }
        let classes = u32::try_from(classes).context("the number of classes")?;
        let drawn = |seed: u64| {
            let seed = u32::try_from(seed).with_context(|| {
                format!("`order_seed` and `orders` ask for the seed {seed}; numpy's legacy seeds end at {}", u32::MAX)
            })?;
            Ok(ClassOrder::drawn(seed, classes))
        };
        (0..self.orders).map(|order| drawn(self.order_seed.saturating_add(order))).collect()
    }
}

/// Runs the stage: for every class order and step, trains and tests the students. A checkpoint holds the results so far
/// and the student in training.
pub fn run(ctx: &Context, inputs: &Inputs, params: Params) -> Result<Outputs> {
    let memory = TrainingSet::of(inputs, "memory")?;
    let test = training::test_set(ctx, inputs, memory.normalisation(), memory.class_names())?
        .context("input \"test\" is not connected")?;
    let test = TrainingSet::Real(test);
    training::fits((memory.image_shape(), memory.classes()), (test.image_shape(), test.classes()), "test")?;
    let (remembered, tested_on) = (ByClass::of(&memory, "memory")?, ByClass::of(&test, "test")?);
    let orders = params.class_orders(memory.classes())?;
    let tasks = orders.iter().map(|order| order.tasks(params.steps)).collect::<Result<Vec<_>>>()?;
    let (steps, students) = (params.steps as usize, params.students);
    let Params { network, training, .. } = params;
    let network = network.network(memory.image_shape(), memory.classes())?;

    let mut tested: Vec<Step> = Vec::new();
    let mut running = None;
    if let Some(checkpoint) = ctx.resume() {
        tested = checkpoint.noted("tested")?;
        running = Some(State::resume(&network, &checkpoint)?);
    }
    let stops: Vec<(&ClassOrder, &[&[i64]])> = orders
        .iter()
        .zip(&tasks)
        .flat_map(|(order, tasks)| (1..=steps).map(move |step| (order, &tasks[..step])))
        .collect();
    let settings = training.settings(ctx.seed);
    let cost = |tasks: &[&[i64]]| settings.steps(remembered.count(&tasks.concat()));
    let total = stops.iter().map(|(_, tasks)| students * cost(tasks)).sum();
    let (mut before, mut number) = (0, 0);
    for (order, tasks) in stops {
        let classes = tasks.concat();
        let (examples, test) = (remembered.seen(&classes)?, tested_on.seen(&classes)?);
        // The random streams are named by the order's seed, so an order has the same networks alone and among others.
        let purpose = match order.seed {
            Some(seed) => format!("order {seed}, step {}", tasks.len()),
            None => format!("order given, step {}", tasks.len()),
        };
        for student in 0..students {
            if number >= tested.len() {
                let student = StudentRun {
                    precision: Precision::Float32,
                    ctx,
                    network: &network,
                    params: &training,
                    objective: Objective::CrossEntropy,
                    examples: &examples,
                    labeller: None,
                    test: &test,
                    seed: stream(ctx.seed, &purpose, student).generator().random(),
                    before,
                    total,
                    divergence: Divergence::Fails("a lower learning rate may help"),
                    save: &|checkpoint| checkpoint.note("tested", &tested),
                };
                let student = student.run(running.take())?;
                ctx.metric("accuracy", number as u64, student.accuracy());
                ctx.log(format!("{purpose}: {} classes, accuracy {:.4}", classes.len(), student.accuracy()));
                tested.push(Step::of(&student, tasks));
            }
            before += cost(tasks);
            number += 1;
        }
    }

    let summary = Summary { orders: &orders, steps, students: students as usize, tested: &tested };
    let mut document = json!({
        "origin": memory.origin(),
        "network": network.spec(),
        "parameters": network.parameter_count(),
        "flops": network.flops(),
        "images": memory.examples().count(),
    });
    if let (Some(all), Some(learnt)) = (document.as_object_mut(), summary.document().as_object_mut()) {
        all.append(learnt);
    }
    let last = summary.accuracy(steps - 1).context("no network was tested")?;
    let mut outputs = Outputs::default()
        .json("metrics", ArtifactType::Metrics, document)
        .metric("accuracy", last.mean)
        .metric("accuracy_std", last.std);
    let sometimes = [("average_accuracy", summary.average_accuracy()), ("forgetting", summary.forgetting())];
    for (name, spread) in sometimes {
        if let Some(spread) = spread {
            outputs = outputs.metric(name, spread.mean);
        }
    }
    for step in 0..steps {
        if let Some(accuracy) = summary.accuracy(step) {
            outputs = outputs.metric(&format!("accuracy_step_{}", step + 1), accuracy.mean);
        }
    }
    Ok(outputs
        .metric("parameters", network.parameter_count() as f64)
        .metric("flops", network.flops() as f64)
        .metric("seconds", ctx.seconds()))
}
