//! Labels a synthetic set anew: softly, by what a trained network says of each image, or with the class at whose place
//! the image stands. The images stay as they are; training on either is the business of other kinds.

use crate::artifact::SyntheticSet;
use crate::context::{Context, Inputs, Outputs};
use crate::training::{Asked, Teacher};
use anyhow::{Result, ensure};
use serde::Deserialize;
use tch::{Kind, Tensor};

/// The labels that the set gets.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Params {
    labels: Labels,
}

#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Labels {
    Soft,
    Hard,
}

/// Labels the set.
pub fn run(_: &Context, inputs: &Inputs, params: Params) -> Result<Outputs> {
    let set = inputs.synthetic("synthetic")?;
    let set = match params.labels {
        Labels::Soft => SyntheticSet { labels: soft(inputs, &set)?, targets: false, ..set },
        Labels::Hard => set.with_hard_labels()?,
    };
    Ok(Outputs::default().tensors("synthetic", set.to_file()))
}

/// \[M,K\] float32: the teacher's softmax, in evaluation mode.
fn soft(inputs: &Inputs, set: &SyntheticSet) -> Result<Tensor> {
    ensure!(inputs.has("model"), "soft labels come from a teacher; connect input \"model\", or set labels = \"hard\"");
    let teacher = Teacher::of(inputs, "model", Asked::synthetic("synthetic", set))?;
    Ok(teacher.logits(&set.images)?.f_softmax(1, Kind::Float)?)
}
