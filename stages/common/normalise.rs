//! What pixels are normalised with: given numbers, another data set's, those of the images themselves, or nothing. Kinds
//! that read images offer the same parameters `normalise`, `mean` and `std` and decide here.

use super::moments;
use crate::artifact::Normalisation;
use crate::context::Outputs;
use anyhow::{Result, bail, ensure};
use serde::Deserialize;

/// What to do where neither `mean` and `std` nor another data set says it.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Normalise {
    /// Mean and standard deviation over the images.
    Computed,
    /// An error.
    Given,
    /// Mean 0, standard deviation 1.
    None,
}

/// `mean` and `std` first, then the other data set's, then what `normalise` says.
pub fn choose(
    normalise: Normalise,
    given: (&Option<Vec<f64>>, &Option<Vec<f64>>),
    other: Option<Normalisation>,
    channels: usize,
    computed: impl FnOnce() -> Result<Normalisation>,
) -> Result<Normalisation> {
    let found = match (given, other) {
        ((Some(mean), Some(std)), _) => Normalisation { mean: mean.clone(), std: std.clone() },
        ((None, None), _) if normalise == Normalise::Given => {
            bail!("`normalise = \"given\"` needs parameters `mean` and `std`")
        }
        ((None, None), Some(other)) => other,
        ((None, None), None) if normalise == Normalise::None => {
            Normalisation { mean: vec![0.0; channels], std: vec![1.0; channels] }
        }
        ((None, None), None) => computed()?,
        _ => bail!("parameters `mean` and `std` go together: give both, or neither"),
    };
    ensure!(
        found.mean.len() == channels && found.std.len() == channels,
        "the images have {channels} channel(s), but there are {} means and {} stds; give one per channel",
        found.mean.len(),
        found.std.len()
    );
    Ok(found)
}

/// Mean and standard deviation (of the whole set: divided by N) of bytes \[N,channels,area\] divided by `scale`.
pub fn of_bytes(bytes: &[u8], channels: usize, area: usize, scale: f64) -> Result<Normalisation> {
    of_moments(moments::of_bytes(bytes, channels, area), scale)
}

/// The same from one mean and variance per channel. A channel of one value only is an error.
pub fn of_moments(moments: Vec<(f64, f64)>, scale: f64) -> Result<Normalisation> {
    let mut found = Normalisation { mean: Vec::new(), std: Vec::new() };
    for (channel, (mean, variance)) in moments.into_iter().enumerate() {
        ensure!(
            variance > 0.0,
            "all pixels of channel {channel} are the same, so there is no std to divide by; give `mean` and `std`, or \
             `normalise = \"none\"`"
        );
        found.mean.push(mean / scale);
        found.std.push(variance.sqrt() / scale);
    }
    Ok(found)
}

/// As scalars `mean`, `std`, and for further channels `mean_1`, `std_1`, …
pub fn metrics(mut outputs: Outputs, normalisation: &Normalisation) -> Outputs {
    for (channel, (&mean, &std)) in normalisation.mean.iter().zip(&normalisation.std).enumerate() {
        let name = |what: &str| if channel == 0 { what.to_string() } else { format!("{what}_{channel}") };
        outputs = outputs.metric(&name("mean"), mean).metric(&name("std"), std);
    }
    outputs
}
