//! The normalisation that the decoders' parameters `normalise`, `mean`, `std`, `whitening` and `whitening_eps` ask for,
//! computed from the training images. The same for all file formats.

use super::{Normalisation, Whitening, moments};
use crate::context::Context;
use anyhow::{Context as _, Result, bail, ensure};
use serde::Deserialize;
use tch::{Kind, Tensor};

/// The source of mean and std when they are not given as parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Normalise {
    /// Mean and standard deviation are computed from the images.
    Computed,
    /// Mean and standard deviation have to be given as parameters.
    Given,
    /// Pixels are not normalised.
    None,
}

/// The whitening after mean and std.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WhiteningMethod {
    /// No whitening.
    None,
    /// Zero-phase whitening; see [`Whitening::zca`].
    Zca,
}

/// The parameters of a decoder that set the normalisation.
#[derive(Clone, Copy, Debug)]
pub struct NormalisationSpec<'a> {
    /// Parameter `normalise`.
    pub normalise: Normalise,
    /// Parameter `mean`; it takes precedence, together with `std`.
    pub mean: Option<&'a [f64]>,
    /// Parameter `std`.
    pub std: Option<&'a [f64]>,
    /// Parameter `whitening`.
    pub whitening: WhiteningMethod,
    /// Parameter `whitening_eps`.
    pub eps: f64,
    /// The number by which a raw pixel is divided first, to lie in \[0,1\].
    pub scale: f64,
}

impl NormalisationSpec<'_> {
    /// The normalisation of training images \[N,C,H,W\] u8.
    pub fn of(&self, ctx: &Context, images: &Tensor) -> Result<Normalisation> {
        let found = self.standard(images.size()[1] as usize, None, || moments::of_images(images))?;
        self.whitened(ctx, found, images)
    }

    /// Mean and std: those given as parameters, or else those of the data set whose normalisation is `taken` over (with
    /// its whitening), or else what `normalise` says. `moments` returns mean and variance of each channel's raw pixels.
    /// An error if only one of `mean` and `std` is given, if their number is not `channels`, or if a channel is
    /// constant.
    pub fn standard(
        &self,
        channels: usize,
        taken: Option<Normalisation>,
        moments: impl FnOnce() -> Result<Vec<(f64, f64)>>,
    ) -> Result<Normalisation> {
        let found = match (self.mean, self.std) {
            (Some(mean), Some(std)) => Normalisation::new(mean.to_vec(), std.to_vec()),
            (None, None) if self.normalise == Normalise::Given => {
                bail!("`normalise = \"given\"` needs parameters `mean` and `std`")
            }
            (None, None) => match (taken, self.normalise) {
                (Some(taken), _) => taken,
                (None, Normalise::None) => Normalisation::identity(channels),
                (None, _) => self.scaled(moments()?)?,
            },
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

    /// An error if a whitening would be computed from these images although the normalisation is `taken` from another
    /// data set.
    pub fn agrees_with(&self, taken: Option<&Normalisation>) -> Result<()> {
        ensure!(
            self.whitening == WhiteningMethod::None
                || taken.is_none_or(|taken| taken.whitening.is_some() && self.mean.is_none()),
            "`whitening = \"zca\"` would be computed of these images, not of those at input `normalisation`; whiten that data \
             set, and its whitening is taken over with its mean and std"
        );
        Ok(())
    }

    fn scaled(&self, moments: Vec<(f64, f64)>) -> Result<Normalisation> {
        let mut found = Normalisation::new(Vec::new(), Vec::new());
        for (channel, (mean, variance)) in moments.into_iter().enumerate() {
            ensure!(
                variance > 0.0,
                "all pixels of channel {channel} are the same, so there is no std to divide by; give `mean` and `std`, \
                 or `normalise = \"none\"`"
            );
            found.mean.push(mean / self.scale);
            found.std.push(variance.sqrt() / self.scale);
        }
        Ok(found)
    }

    /// The normalisation `found`, with the whitening of these images (\[N,C,H,W\] u8) added if the parameters ask for
    /// it.
    pub fn whitened(&self, ctx: &Context, found: Normalisation, images: &Tensor) -> Result<Normalisation> {
        if self.whitening == WhiteningMethod::None {
            return Ok(found);
        }
        ensure!(images.kind() == Kind::Uint8, "a whitening is computed of images made of bytes only");
        let count = images.size()[0];
        let (mean, covariance) = moments::covariance(images, &mut |done| {
            ctx.progress(done as u64, count as u64, "images", None);
            ctx.check()
        })
        .context("whitening")?;
        let area = images.size()[2] * images.size()[3];
        let per_pixel = |values: &[f64]| Tensor::f_from_slice(values)?.f_repeat_interleave_self_int(area, 0, None);
        let (offset, std) = (per_pixel(&found.mean)?, per_pixel(&found.std)?);
        let mean = (mean.f_div_scalar(self.scale)?.f_sub(&offset)?).f_div(&std)?;
        let factor = std.f_mul_scalar(self.scale)?.f_reciprocal()?;
        let covariance = covariance.f_mul(&factor.f_outer(&factor)?)?;
        let whitening = Whitening::zca(&mean, &covariance, self.eps).context("whitening")?;
        Ok(Normalisation { whitening: Some(whitening), ..found })
    }
}

/// Mean and std as metrics: `mean` and `std`, and for further channels `mean_1`, `std_1`, …
pub fn scalars(found: &Normalisation) -> Vec<(String, f64)> {
    let mut scalars = Vec::new();
    for (channel, (&mean, &std)) in found.mean.iter().zip(&found.std).enumerate() {
        let name = |what: &str| if channel == 0 { what.to_string() } else { format!("{what}_{channel}") };
        scalars.extend([(name("mean"), mean), (name("std"), std)]);
    }
    scalars
}
