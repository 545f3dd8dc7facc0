//! `evaluate.classifier`: the test accuracy of networks (students) that were trained on a synthetic set alone. Several
//! students are trained from scratch, one after another or, on a GPU, together. The training loops are in `training`.

mod labels;

use crate::context::{Context, Inputs, Outputs};
use crate::params::NetworkParams;
use crate::training::{
    self, BySize, Divergence, Examples, StackedState, State, Student, StudentRun, StudentsTogether, TrainingParams,
    TrainingSet,
};
use anyhow::{Context as _, Result};
use ddpipe_interface::ArtifactType;
use ddpipe_nn::metrics::{AgreementReport, Calibration, Confusion, mean_std};
use ddpipe_nn::precision::Precision;
use ddpipe_nn::stream::stream;
use labels::{LabelParams, Lesson};
use rand::Rng;
use serde::Deserialize;
use serde_json::json;

/// The parameters: the network, its training, and the number of students.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Params {
    #[serde(flatten)]
    network: NetworkParams,
    doubling: bool,
    #[serde(flatten)]
    training: TrainingParams,
    #[serde(flatten)]
    by_size: BySize,
    learned_lr: bool,
    loss: training::Criterion,
    #[serde(flatten)]
    labels: LabelParams,
    students: u64,
    precision: Precision,
}

/// Runs the stage: trains and tests the students, and reports means and standard deviations over them. A checkpoint
/// holds the finished students and the one in training.
pub fn run(ctx: &Context, inputs: &Inputs, params: Params) -> Result<Outputs> {
    let Params { network, doubling, training, by_size, learned_lr, loss, labels, students, precision } = params;
    precision.check()?;
    let set = labels.of_set(TrainingSet::of(inputs, "synthetic")?)?;
    let training = by_size.of(training.with_learned_lr(learned_lr, &set)?, set.examples().count())?;
    let test = training::test_set(ctx, inputs, set.normalisation(), set.class_names())?
        .context("input \"test\" is not connected")?;
    training::fits((set.image_shape(), set.classes()), (test.image_shape(), test.classes), "test")?;
    let network = network.laid(doubling, set.image_shape(), set.classes())?;
    let Lesson { relabelled, labeller, objective } = labels.lesson(ctx, inputs, &set, loss)?;
    training.check(objective, set.examples().count())?;
    let examples = relabelled.as_ref().map_or(set.examples(), |relabelled| relabelled as &dyn Examples);

    let mut finished: Vec<Student> = Vec::new();
    let (mut running, mut running_together) = (None, None);
    if let Some(checkpoint) = ctx.resume() {
        finished = checkpoint.noted("finished")?;
        running_together = StackedState::resume(&network, &checkpoint)?;
        if running_together.is_none() {
            running = Some(State::resume(&network, &checkpoint)?);
        }
    }
    let steps = training.settings(ctx.seed).steps(set.examples().count());
    while (finished.len() as u64) < students {
        let number = finished.len() as u64;
        let seed = |number| stream(ctx.seed, "student", number).generator().random();
        let shown = |number: u64, student: &Student| {
            ctx.metric("accuracy", number, student.accuracy());
            let text = format!("student {} of {students}: accuracy {:.4}", number + 1, student.accuracy());
            match student.diverged {
                None => ctx.log(text),
                Some(epoch) => ctx.warn(format!(
                    "{text}; its loss was no longer finite in epoch {epoch}, and it counts as it is: a lower lr, a warm-up or \
                     a norm may help"
                )),
            }
        };
        let (images, left) = (set.examples().count(), students - number);
        if let Some(together) = training::together(&network, &training, ctx.device, images, left) {
            let seeds: Vec<u64> = (number..number + together).map(seed).collect();
            let run = StudentsTogether {
                ctx,
                network: &network,
                params: &training,
                objective,
                examples,
                labeller: labeller.as_ref(),
                test: &test,
                precision,
                seeds: &seeds,
                before: number * steps,
                total: students * steps,
                save: &|checkpoint| checkpoint.note("finished", &finished),
            };
            let tested = run.run(running_together.take())?;
            (number..).zip(&tested).for_each(|(number, student)| shown(number, student));
            finished.extend(tested);
            continue;
        }
        let student = StudentRun {
            ctx,
            network: &network,
            params: &training,
            objective,
            examples,
            labeller: labeller.as_ref(),
            test: &test,
            precision,
            seed: seed(number),
            before: number * steps,
            total: students * steps,
            divergence: Divergence::Ends,
            save: &|checkpoint| checkpoint.note("finished", &finished),
        };
        let student = student.run(running.take())?;
        shown(number, &student);
        finished.push(student);
    }

    let each = |value: fn(&Student) -> f64| finished.iter().map(value).collect::<Vec<f64>>();
    // The standard deviation is reported only for two or more students.
    let spread = |std: f64| (finished.len() > 1).then_some(std);
    let accuracies = each(Student::accuracy);
    let (accuracy, accuracy_std) = mean_std(&accuracies);
    // Of those that did not diverge, as far as there are any.
    let known = |value: fn(&Student) -> Option<f64>| {
        let values: Vec<f64> = finished.iter().filter_map(value).collect();
        (!values.is_empty()).then(|| mean_std(&values).0)
    };
    let train_accuracy = known(|student| student.train_accuracy);
    let loss = known(|student| student.loss);
    let diverged = finished.iter().filter(|student| student.diverged.is_some()).count();
    let (balanced, balanced_std) = mean_std(&each(|student| student.test.confusion.balanced_accuracy()));
    let (macro_f1, macro_f1_std) = mean_std(&each(|student| student.test.confusion.macro_f1()));
    let (auc, auc_std) = defined(&finished, |student| student.test.auc);
    let (ece, ece_std) = defined(&finished, |student| student.test.ece());
    let (speed, _) = mean_std(&each(|student| student.test.images_per_second()));
    let mut confusion = Confusion::new(set.classes() as usize);
    finished.iter().for_each(|student| confusion.add(&student.test.confusion));
    // Like the confusion, over the answers of all students.
    let mut calibration = finished.first().and_then(|student| student.test.calibration.clone());
    for student in finished.iter().skip(1) {
        match (&mut calibration, &student.test.calibration) {
            (Some(all), Some(more)) => all.add(more),
            _ => calibration = None,
        }
    }
    let mut document = json!({
        "origin": set.origin(),
        "network": network.spec(),
        "parameters": network.parameter_count(),
        "flops": network.flops(),
        "images": set.examples().count(),
        "labels": if labels.is_by_teacher() { "soft" } else { set.label_kind() },
        "protocol": training.protocol(objective),
        "accuracy": accuracy,
        "accuracy_std": spread(accuracy_std),
        "accuracies": accuracies,
        "train_accuracy": train_accuracy,
        "train_accuracies": finished.iter().map(|student| student.train_accuracy).collect::<Vec<_>>(),
        "loss": loss,
        "balanced_accuracy": balanced,
        "balanced_accuracy_std": spread(balanced_std),
        "macro_f1": macro_f1,
        "macro_f1_std": spread(macro_f1_std),
        "auc": auc,
        "auc_std": auc_std.and_then(spread),
        "ece": ece,
        "ece_std": ece_std.and_then(spread),
        "calibration": calibration.as_ref().map(Calibration::document),
        "per_class": confusion.per_class(),
        "confusion": confusion.rows,
        "epochs": finished.iter().map(|student| &student.epochs).collect::<Vec<_>>(),
    });
    if diverged > 0 {
        document["diverged"] = json!(finished.iter().map(|student| student.diverged).collect::<Vec<_>>());
    }
    if let Some(teacher) = labels.document() {
        document["protocol"]["teacher"] = teacher;
    }
    if !set.class_names().is_empty() {
        document["class_names"] = json!(set.class_names());
    }
    let agreement = AgreementReport::of(finished.iter().map(|student| student.test.agreement.as_ref()));
    for (name, groups) in agreement.iter().flat_map(|report| &report.documents) {
        document[*name] = groups.clone();
    }
    let seconds = ctx.seconds();
    let tested: f64 = finished.iter().map(|student| student.test.seconds).sum();
    let outputs = Outputs::default()
        .json("metrics", ArtifactType::Metrics, document)
        .metric("accuracy", accuracy)
        .metric("balanced_accuracy", balanced)
        .metric("macro_f1", macro_f1)
        .metric("diverged", diverged as f64)
        .metric("parameters", network.parameter_count() as f64)
        .metric("flops", network.flops() as f64)
        .metric("images_per_second", speed)
        .metric("train_seconds", (seconds - tested) / students as f64)
        .metric("seconds", seconds);
    let sometimes = [
        ("train_accuracy", train_accuracy),
        ("loss", loss),
        ("accuracy_std", spread(accuracy_std)),
        ("auc", auc),
        ("ece", ece),
    ];
    let outputs = sometimes.into_iter().fold(outputs, |outputs, (name, value)| match value {
        Some(value) => outputs.metric(name, value),
        None => outputs,
    });
    let by_majority = agreement.into_iter().flat_map(|report| report.scalars);
    Ok(by_majority.fold(outputs, |outputs, (name, accuracy)| outputs.metric(&name, accuracy)))
}

/// Mean and standard deviation of a number over the students; `None` for both unless it is defined for all of them.
fn defined(students: &[Student], value: fn(&Student) -> Option<f64>) -> (Option<f64>, Option<f64>) {
    match students.iter().map(value).collect::<Option<Vec<f64>>>() {
        Some(values) => {
            let (mean, std) = mean_std(&values);
            (Some(mean), Some(std))
        }
        None => (None, None),
    }
}
