//! `evaluate.ranking`: DD-Ranking's scores of a synthetic set, computed from accuracies that other stages measured.
//! `role.rs` reads an input, `fit.rs` checks which inputs may be compared, `scores.rs` holds the equations. The stage
//! trains nothing.

mod fit;
mod role;
mod scores;

use crate::context::{Context, Inputs, Outputs};
use anyhow::{Result, bail};
use ddpipe_interface::ArtifactType;
use ddpipe_nn::metrics::mean_std;
use fit::Roles;
use role::Role;
pub use scores::{Unit, augmentation_robust, hard_label_recovery, improvement_over_random, label_robust};
use serde::Deserialize;
use serde_json::{Map, Value as Json, json};

/// The parameters: the weights of the differences in the scores, the unit of the accuracies, and the tuned axes.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Params {
    weight: f64,
    augment_weight: f64,
    unit: Unit,
    tuned: Vec<String>,
}

/// Runs the stage: computes every score for each run, and reports mean and standard deviation over the runs.
pub fn run(_ctx: &Context, inputs: &Inputs, params: Params) -> Result<Outputs> {
    let roles = read(inputs, &params.tuned)?;
    let runs = roles.check()?;
    let whole: Vec<f64> = roles.whole.accuracies.iter().copied().cycle().take(runs).collect();
    let (hard, own, random) = (&roles.hard.accuracies, &roles.own().accuracies, &roles.random.accuracies);
    let hlr = paired(&whole, hard, hard_label_recovery);
    let ior = paired(own, random, improvement_over_random);
    let lrs = paired(&ior, &hlr, |ior, hlr| label_robust(params.weight, ior, hlr, params.unit));
    let mut accuracies = vec![("whole", &whole), ("hard", hard), ("own", own), ("random", random)];
    let mut scores = vec![("hlr", hlr), ("ior", ior.clone()), ("lrs", lrs)];
    if let Some((own, random)) = &roles.plain {
        let plain = paired(&own.accuracies, &random.accuracies, improvement_over_random);
        let weight = params.augment_weight;
        let ars = paired(&ior, &plain, |with, without| augmentation_robust(weight, with, without, params.unit));
        accuracies.extend([("own_plain", &own.accuracies), ("random_plain", &random.accuracies)]);
        scores.extend([("ior_plain", plain), ("ars", ars)]);
    }

    let facts = &roles.own().facts;
    let mut document = Map::new();
    for (name, value) in [
        ("origin", facts.origin.clone()),
        ("network", facts.network.clone()),
        ("images", json!(facts.images)),
        ("labels", json!(facts.labels)),
        ("runs", json!(runs)),
    ] {
        document.insert(name.into(), value);
    }
    let mut outputs = Outputs::default();
    for (name, values) in &scores {
        let (mean, std) = mean_std(values);
        document.insert(name.to_string(), json!(mean));
        document.insert(format!("{name}_std"), json!(std));
        outputs = outputs.metric(name, mean).metric(&format!("{name}_std"), std);
    }
    let listed = |lists: Vec<(&str, &Vec<f64>)>| -> Json {
        lists.into_iter().map(|(name, values)| (name.to_string(), json!(values))).collect::<Map<_, _>>().into()
    };
    document.insert("accuracies".into(), listed(accuracies));
    document.insert("scores".into(), listed(scores.iter().map(|(name, values)| (*name, values)).collect()));
    Ok(outputs.json("metrics", ArtifactType::Metrics, document.into()))
}

fn read(inputs: &Inputs, tuned: &[String]) -> Result<Roles> {
    let plain = match (Role::optional(inputs, "own_plain", tuned)?, Role::optional(inputs, "random_plain", tuned)?) {
        (Some(own), Some(random)) => Some((own, random)),
        (None, None) => None,
        (Some(_), None) => bail!("input \"own_plain\" is connected and \"random_plain\" is not; connect both, or none"),
        (None, Some(_)) => bail!("input \"random_plain\" is connected and \"own_plain\" is not; connect both, or none"),
    };
    Ok(Roles {
        whole: Role::of(inputs, "whole", tuned)?,
        hard: Role::of(inputs, "hard", tuned)?,
        own: Role::optional(inputs, "own", tuned)?,
        random: Role::of(inputs, "random", tuned)?,
        plain,
    })
}

/// Applies a function to the values of two lists, run by run.
fn paired(one: &[f64], other: &[f64], function: impl Fn(f64, f64) -> f64) -> Vec<f64> {
    one.iter().zip(other).map(|(one, other)| function(*one, *other)).collect()
}
