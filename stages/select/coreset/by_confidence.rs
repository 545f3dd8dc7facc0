//! Draws crops of the images of every class, asks the network of input `model` about them, and puts the best together.

#![expect(non_snake_case, reason = "tensors carry their shape in their names; confidence.rs has the legend")]

use super::{Choice, Params};
use crate::artifact::{Dataset, mosaic};
use crate::context::{Context, Inputs};
use crate::select::coreset::confidence::{Ranking, framed, ranked, scores};
use crate::select::coreset::crops::{Crop, cropped};
use crate::training::{Asked, Teacher};
use anyhow::{Result, ensure};
use ddpipe_nn::pieces::Graph;
use ddpipe_nn::stream::stream;
use ddpipe_nn::transfer;
use serde_json::json;
use tch::Tensor;

/// The best crops of each class. Every class has random streams of its own, so that further classes change nothing.
pub(super) fn choice(
    ctx: &Context,
    inputs: &Inputs,
    real: &Dataset,
    classes: &[Vec<i64>],
    params: &Params,
) -> Result<Choice> {
    let Params { ipc, crops, candidates, min_area, factor, precision, .. } = *params;
    ensure!(
        inputs.has("model"),
        "method = \"confidence\" takes what a trained network is surest of; connect input \"model\", a model of \
         train.classifier"
    );
    let teacher = Teacher::of(inputs, "model", Asked::real("real", real))?;
    let [_, height, width] = real.image_shape();
    let (wanted, side) = (ipc * factor * factor, factor as i64);
    ensure!(
        height >= side && width >= side,
        "factor = {factor} parts an image of {height} x {width} pixels into cells without pixels; lower factor"
    );
    ensure!(
        factor == 1 || real.normalisation.whitening.is_none(),
        "factor = {factor} makes images of smaller ones, and whitening is for whole images; give factor = 1, or images that \
         are not whitened"
    );
    let (size, total) = ([height / side, width / side], classes.len() as u64);
    let (mut positions, mut made, mut scored, mut parts) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (class, all) in classes.iter().enumerate() {
        let looked_at = stream(ctx.seed, "candidates", class as u64).choose(all, candidates.min(all.len()));
        ensure!(
            looked_at.len() >= wanted,
            "ipc = {ipc} with factor = {factor} takes {wanted} crops of different images, and {} of class {class} are looked \
             at; raise candidates, or lower ipc or factor",
            looked_at.len()
        );
        let mut draws = stream(ctx.seed, "crops", class as u64);
        let drawn: Vec<Vec<Crop>> = (0..crops)
            .map(|_| looked_at.iter().map(|_| Crop::draw(&mut draws, [height, width], min_area)).collect())
            .collect();
        let mut logits = Vec::new();
        for of_each in &drawn {
            ctx.check()?;
            let pairs: Vec<(i64, Crop)> = looked_at.iter().copied().zip(of_each.iter().copied()).collect();
            let shown = framed(&cropped(real, &pairs, size)?, [height, width])?.f_to_device(ctx.device)?;
            let network = &teacher.network;
            let chunk = network.chunk(ctx.device, Graph::Without);
            logits
                .push(precision.pass(&teacher.parameters, |rounded| network.forward_chunked(rounded, &shown, chunk))?);
        }
        let scores_RN = scores(&Tensor::f_stack(&logits, 0)?, class as i64)?;
        ensure!(
            bool::try_from(scores_RN.f_isfinite()?.f_all()?)?,
            "the network of \"model\" says nothing finite of class {class}; it may have diverged"
        );
        let Ranking { best_crop, order } = ranked(&scores_RN)?;
        let best = |&image: &usize| Some((*looked_at.get(image)?, *drawn.get(*best_crop.get(image)?)?.get(image)?));
        let chosen: Vec<(i64, Crop)> = order.iter().take(wanted).filter_map(best).collect();
        let least: Vec<f64> = transfer::numbers(&scores_RN.f_amin([0i64].as_slice(), false)?)?;
        scored.push(order.iter().take(wanted).filter_map(|&image| least.get(image).copied()).collect::<Vec<_>>());
        made.push(mosaic(&cropped(real, &chosen, size)?, ipc as i64, side, [height, width])?);
        positions.push(chosen.iter().map(|(position, _)| *position).collect());
        parts.push(chosen.into_iter().map(|(_, crop)| crop).collect::<Vec<_>>());
        ctx.progress(class as u64 + 1, total, "classes", None);
    }
    let about = json!({ "scores": scored, "crops": parts, "factor": factor });
    Ok(Choice { positions, about, made: Some(Tensor::f_cat(&made, 0)?) })
}
