//! Pretrained weights from which a training starts: a safetensors file from outside, or a model that a stage made.
//! Names have to be those of the network; for resnetv2_50, mobilenetv2_100 and efficientnet_b0 they are timm's.

use crate::artifact::{self, Model};
use crate::context::{Context, Inputs};
use anyhow::{Context as _, Result, anyhow, bail};
use ddpipe_interface::ArtifactType;
use ddpipe_nn::network::{Network, ParameterSpec, Parameters};
use ddpipe_nn::stream::stream;
use indexmap::IndexMap;
use std::collections::BTreeMap;
use tch::{Device, Kind, Tensor};

/// Counters that PyTorch's batch norms store; they are ignored.
const COUNTER: &str = "num_batches_tracked";

/// The first bytes of a file in PyTorch's own format, a ZIP archive.
const ZIP: &[u8] = b"PK";

/// The number of tensors that an error names for each fault; it counts the rest.
const SHOWN: usize = 10;

/// Pretrained weights: tensors by name, and their source for messages.
#[derive(Debug)]
pub struct Pretrained {
    /// The name of their source, for messages.
    pub name: String,
    /// The tensors as they were stored.
    pub tensors: IndexMap<String, Tensor>,
}

/// Weights that fit a network.
#[derive(Debug)]
pub struct Fitted {
    /// Values for all parameters and running statistics, float32.
    pub parameters: Parameters,
    /// Whether the last linear layer has fresh weights.
    pub fresh_head: bool,
    /// What was changed beyond copying, for the log.
    pub notes: Vec<String>,
}

impl Pretrained {
    /// Reads an optional input of type `files` (safetensors) or `model`; `None` if it is not connected.
    pub fn of(inputs: &Inputs, input: &str, device: Device) -> Result<Option<Self>> {
        if !inputs.has(input) {
            return Ok(None);
        }
        let connected = inputs.one(input)?;
        let tensors = match connected.artifact {
            ArtifactType::Model => Model::from_file(&*inputs.tensors(input)?)?.tensors,
            _ => {
                let bytes = inputs.bytes(input)?;
                let read = if bytes.starts_with(ZIP) {
                    Err(anyhow!(
                        "this is a file of PyTorch, not safetensors; convert it with safetensors.torch.save_file"
                    ))
                } else {
                    artifact::named_tensors(&bytes, device)
                };
                read.with_context(|| format!("input {input:?}, {}", connected.name))?
            }
        };
        Ok(Some(Pretrained { name: connected.name.clone(), tensors }))
    }

    /// The same weights with the names that the network has, where theirs have a prefix, as programs write it that wrap
    /// networks (`module.`, `backbone.`, `_orig_mod.`); and the prefix. Tensors without it stay as they are.
    pub fn without_prefix(self, network: &Network) -> (Self, String) {
        let names = || network.parameters().iter().map(|spec| spec.name.as_str());
        let fitting =
            |prefix: &str| names().filter(|name| self.tensors.contains_key(&format!("{prefix}{name}"))).count();
        let first = names().next().unwrap_or_default();
        let prefixes = self.tensors.keys().filter_map(|name| name.strip_suffix(first)).filter(|it| it.ends_with('.'));
        let best = prefixes.map(|prefix| (fitting(prefix), prefix.to_string())).max_by_key(|(count, _)| *count);
        match best {
            Some((count, prefix)) if count > fitting("") => {
                let renamed = |(name, tensor): (String, Tensor)| match name.strip_prefix(&prefix) {
                    Some(rest) => (rest.to_string(), tensor),
                    None => (name, tensor),
                };
                let Pretrained { name, tensors } = self;
                (Pretrained { name, tensors: tensors.into_iter().map(renamed).collect() }, prefix)
            }
            _ => (self, String::new()),
        }
    }

    /// The weights for a network. `fresh` replaces a last linear layer that has another number of classes or is missing
    /// in the file. Single, double and both half precisions become float32; a first convolution for three channels is
    /// summed over them for images with one. All other tensors that are missing, left over or of another shape are
    /// listed in one error.
    pub fn fit(&self, network: &Network, fresh: &Parameters) -> Result<Fitted> {
        let (mut missing, mut unfit) = (Vec::new(), Vec::new());
        let mut notes = Vec::new();
        let fresh_head = self.fresh_head(network, &mut notes);
        let first = network.trainable().next().map(|spec| spec.name.as_str());
        let fresh_values: IndexMap<String, Tensor> = network.state_dict(fresh).into_iter().collect();
        let mut values = BTreeMap::new();
        for spec in network.parameters() {
            let own = fresh_values.get(&spec.name).context("a network without a value for each of its parameters")?;
            let value = match self.tensors.get(&spec.name) {
                _ if fresh_head && is_head(network, spec) => Some(own.shallow_clone()),
                Some(tensor) => {
                    let mut tensor = tensor.shallow_clone();
                    if first == Some(&spec.name) && colours_for_grey(&tensor.size(), &spec.shape) {
                        notes.push(format!("{} is summed over its three channels, for images of one", spec.name));
                        tensor =
                            tensor.f_to_kind(Kind::Double)?.f_sum_dim_intlist([1i64].as_slice(), true, Kind::Double)?;
                    }
                    unfit.extend(fault(spec, &tensor));
                    Some(tensor.f_to_kind(Kind::Float)?.f_to_device(own.device())?)
                }
                None => {
                    missing.push(spec.name.clone());
                    None
                }
            };
            values.extend(value.map(|value| (spec.name.clone(), value)));
        }
        let known = |name: &str| network.parameters().iter().any(|spec| spec.name == name) || name.ends_with(COUNTER);
        let surplus: Vec<String> = self.tensors.keys().filter(|name| !known(name)).cloned().collect();
        let lists = [("missing", missing), ("not of this network", surplus), ("not as it needs them", unfit)];
        let faults: Vec<String> = lists.iter().filter_map(|(what, list)| listed(what, list)).collect();
        if !faults.is_empty() {
            bail!("the weights {} do not fit the network; tensors\n{}", self.name, faults.join("\n"));
        }
        let parameters = network.load(&values).with_context(|| self.name.clone())?;
        Ok(Fitted { parameters, fresh_head, notes })
    }

    /// Whether the last linear layer is replaced: it is missing in the file, or differs only in the number of classes.
    fn fresh_head(&self, network: &Network, notes: &mut Vec<String>) -> bool {
        let classes = network.spec().classes;
        let head: Vec<&ParameterSpec> = network.parameters().iter().filter(|spec| is_head(network, spec)).collect();
        let found: Vec<_> = head.iter().map(|spec| self.tensors.get(&spec.name).map(Tensor::size)).collect();
        if found.iter().all(Option::is_none) {
            notes
                .push(format!("there is no last linear layer in the file; the one for {classes} classes starts fresh"));
            return true;
        }
        let theirs = found.first().cloned().flatten().and_then(|shape| shape.first().copied()).unwrap_or(classes);
        let of_theirs = |shape: &[i64]| [&[theirs], shape.get(1..).unwrap_or_default()].concat();
        let fits = head.iter().zip(&found).all(|(spec, found)| found.as_ref() == Some(&of_theirs(&spec.shape)));
        let fresh = theirs != classes && fits;
        if fresh {
            notes.push(format!(
                "the last linear layer is for {theirs} classes; the one for {classes} classes starts fresh"
            ));
        }
        fresh
    }
}

/// The initial parameters of a training stage: fresh weights, drawn by the stage's seed, or those of its input
/// `weights`, if it is connected.
pub fn start(ctx: &Context, inputs: &Inputs, network: &Network) -> Result<Parameters> {
    let fresh = network.init(stream(ctx.seed, "init", 0).generator(), ctx.device)?;
    let Some(pretrained) = Pretrained::of(inputs, "weights", ctx.device)? else { return Ok(fresh) };
    let (pretrained, prefix) = pretrained.without_prefix(network);
    let fitted = pretrained.fit(network, &fresh)?;
    ctx.log(format!("starts from the weights {}", pretrained.name));
    if !prefix.is_empty() {
        ctx.log(format!("the names of its tensors begin with {prefix:?}, which is left out"));
    }
    fitted.notes.into_iter().for_each(|note| ctx.log(note));
    Ok(fitted.parameters)
}

/// Whether the parameter belongs to the last linear layer, whose weight and bias are the last parameters.
fn is_head(network: &Network, spec: &ParameterSpec) -> bool {
    let all = network.parameters();
    all[all.len().saturating_sub(2)..].iter().any(|head| head.name == spec.name)
}

/// Whether a convolution for three channels was found where one for a single channel is needed.
fn colours_for_grey(found: &[i64], wanted: &[i64]) -> bool {
    matches!((found, wanted), (&[a, 3, b, c], &[d, 1, e, f]) if (a, b, c) == (d, e, f))
}

/// A line that names the first of these tensors and counts the rest; `None` if there are none.
fn listed(what: &str, tensors: &[String]) -> Option<String> {
    let more = match tensors.len().saturating_sub(SHOWN) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let shown = tensors.get(..SHOWN).unwrap_or(tensors).join(", ");
    (!tensors.is_empty()).then(|| format!("{what} ({}): {shown}{more}", tensors.len()))
}

/// The fault of a tensor: wrong shape, wrong type or values that are not finite; `None` if it fits.
fn fault(spec: &ParameterSpec, tensor: &Tensor) -> Option<String> {
    let (name, kind) = (&spec.name, tensor.kind());
    if tensor.size() != spec.shape {
        return Some(format!("{name} of shape {:?} instead of {:?}", tensor.size(), spec.shape));
    }
    if !matches!(kind, Kind::Float | Kind::Double | Kind::Half | Kind::BFloat16) {
        return Some(format!("{name} of type {kind:?}, which is none of weights"));
    }
    let finite = tensor.to_kind(Kind::Float).isfinite().all();
    (!bool::try_from(finite).unwrap_or(false)).then(|| format!("{name} with values that are not finite"))
}
