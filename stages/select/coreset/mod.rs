//! `select.coreset`: selects real images of each class as a synthetic set. This file reads, selects and writes; the
//! methods are in `herding.rs`, `k_center.rs`, `forgetting.rs` and `confidence.rs`. Shapes: N images, D features, B batch.

mod by_confidence;
pub mod confidence;
mod crops;
mod distance;
mod embedding;
pub mod forgetting;
pub mod herding;
pub mod k_center;

use crate::artifact::{Dataset, SyntheticSet};
use crate::context::{Context, Inputs, Outputs};
use anyhow::{Result, ensure};
use ddpipe_interface::ArtifactType;
use ddpipe_nn::network::{Network, NetworkSpec, Overrides};
use ddpipe_nn::precision::Precision;
use ddpipe_nn::stream::stream;
use embedding::Embedding;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tch::{Device, Kind, Tensor};

/// The parameters, as `stage.toml` declares them.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Params {
    method: Method,
    ipc: usize,
    features: Features,
    arch: String,
    width: Option<i64>,
    epochs: u64,
    batch_size: i64,
    lr: f64,
    crops: usize,
    candidates: usize,
    min_area: f64,
    factor: usize,
    precision: Precision,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Method {
    Random,
    Herding,
    KCenter,
    Forgetting,
    Confidence,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Features {
    Network,
    Pixels,
}

/// The selected images: positions in the data set for each class, in the order of selection, and what the method
/// reports beside them.
struct Choice {
    positions: Vec<Vec<i64>>,
    about: Value,
    /// The images \[K ipc,C,H,W\], normalised on the CPU, where they are not those at the positions.
    made: Option<Tensor>,
}

/// Runs the stage.
pub fn run(ctx: &Context, inputs: &Inputs, params: Params) -> Result<Outputs> {
    let real = inputs.dataset("real")?;
    params.precision.check()?;
    let classes = real.positions_by_class()?;
    for (class, positions) in classes.iter().enumerate() {
        let (found, ipc) = (positions.len(), params.ipc);
        ensure!(found >= ipc, "class {class} has {found} real images, fewer than ipc = {ipc}; lower ipc");
    }
    let choice = match params.method {
        Method::Random => random(ctx, &classes, params.ipc),
        Method::Forgetting => by_forgetting(ctx, &real, &classes, &params)?,
        Method::Confidence => by_confidence::choice(ctx, inputs, &real, &classes, &params)?,
        Method::Herding | Method::KCenter => {
            let embedding = match params.features {
                Features::Pixels => Embedding::Pixels,
                Features::Network if inputs.has("model") => Embedding::trained(inputs, &real, params.precision)?,
                Features::Network => {
                    let network = params.network(&real)?;
                    let parameters = network.init(stream(ctx.seed, "network", 0).generator(), ctx.device)?;
                    Embedding::Network(Box::new(network), parameters, params.precision)
                }
            };
            by_features(ctx, &real, &classes, &params, &embedding)?
        }
    };
    let document = json!({
        "origin": real.origin,
        "method": params.method,
        "ipc": params.ipc,
        "positions": choice.positions,
        "about": choice.about,
    });
    Ok(Outputs::default().tensors("synthetic", chosen(ctx, &real, &choice, params.ipc)?.to_file()).json(
        "chosen",
        ArtifactType::Metrics,
        document,
    ))
}

/// Selects `ipc` images of each class at random. Every class has its own random stream, so further classes do not
/// change the draws of the others.
fn random(ctx: &Context, classes: &[Vec<i64>], ipc: usize) -> Choice {
    let draw = |(class, from): (usize, &Vec<i64>)| stream(ctx.seed, "random", class as u64).choose(from, ipc);
    Choice { positions: classes.iter().enumerate().map(draw).collect(), about: json!({}), made: None }
}

fn by_forgetting(ctx: &Context, real: &Dataset, classes: &[Vec<i64>], params: &Params) -> Result<Choice> {
    let events = forgetting::count_events(ctx, &params.network(real)?, real, params)?;
    let positions: Vec<Vec<i64>> =
        classes.iter().map(|class| forgetting::most_forgotten(class, &events, params.ipc)).collect();
    let of = |class: &Vec<i64>| class.iter().map(|&position| events[position as usize]).collect();
    let forgotten: Vec<Vec<Option<u64>>> = positions.iter().map(of).collect();
    let never = events.iter().filter(|events| events.is_none()).count();
    Ok(Choice { positions, about: json!({ "events": forgotten, "never_learnt": never }), made: None })
}

fn by_features(
    ctx: &Context,
    real: &Dataset,
    classes: &[Vec<i64>],
    params: &Params,
    embedding: &Embedding,
) -> Result<Choice> {
    let (mut positions, mut radii, mut done) = (Vec::new(), Vec::new(), 0);
    for (class, candidates) in classes.iter().enumerate() {
        let rows = embedding.of(ctx, real, candidates, &mut |images| {
            done += images as u64;
            ctx.progress(done, real.len() as u64, "images", None);
        })?;
        ensure!(
            bool::try_from(rows.f_isfinite()?.f_all()?)?,
            "the features of class {class} are not all finite; the network of \"model\" may have diverged"
        );
        let order = if params.method == Method::Herding {
            herding::herding(&rows, params.ipc)?
        } else {
            let first = stream(ctx.seed, "first centre", class as u64).integer(0, candidates.len() as i64);
            let centers = k_center::k_center(&rows, first as usize, params.ipc)?;
            radii.push(centers.radius);
            centers.order
        };
        positions.push(order.into_iter().map(|at| candidates[at]).collect());
        ctx.check()?;
    }
    let about = match params.method {
        Method::KCenter => json!({ "features": params.features, "radii": radii }),
        _ => json!({ "features": params.features }),
    };
    Ok(Choice { positions, about, made: None })
}

/// The selected images as a synthetic set with hard labels. They are normalised on the CPU, so that the set has the
/// same bytes on every device.
fn chosen(ctx: &Context, real: &Dataset, choice: &Choice, ipc: usize) -> Result<SyntheticSet> {
    let images = match &choice.made {
        Some(made) => made.shallow_clone(),
        None => {
            let picked = Tensor::f_from_slice(&choice.positions.concat())?.f_to_device(real.images.device())?;
            let raw = real.images.f_index_select(0, &picked)?.f_to_device(Device::Cpu)?.f_to_kind(Kind::Float)?;
            real.normalisation.apply(&raw.f_div_scalar(real.scale)?)
        }
    };
    let labels = Tensor::f_arange(real.classes, (Kind::Int64, Device::Cpu))?;
    Ok(SyntheticSet {
        images: images.f_to_device(ctx.device)?,
        labels: labels.f_repeat_interleave_self_int(ipc as i64, 0, None)?.f_to_device(ctx.device)?,
        classes: real.classes,
        ipc: ipc as i64,
        normalisation: real.normalisation.clone(),
        origin: real.origin.clone(),
        class_names: real.class_names.clone(),
        lr: None,
        targets: false,
        decoder: None,
    })
}

impl Params {
    fn network(&self, real: &Dataset) -> Result<Network> {
        let [channels, height, width] = real.image_shape();
        let overrides = Overrides { width: self.width, ..Overrides::default() };
        let spec = NetworkSpec::named(&self.arch, &overrides, channels, [height, width], real.classes)?;
        Ok(Network::new(&spec)?)
    }
}
