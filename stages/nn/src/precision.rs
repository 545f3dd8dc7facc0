//! In which precision passes compute that keep no graph: those of real images that synthetic ones are compared with, and
//! tests. Gradients are always computed in single precision, and what a pass gives is always in single precision.

use crate::network::Parameters;
use serde::{Deserialize, Serialize};
use std::sync::OnceLock;
use tch::Kind;

/// The precision of a pass without a graph.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// Single precision: 23 bits of fraction.
    #[default]
    Float32,
    /// Weights and values are rounded to bfloat16, 7 bits of fraction; products are summed in single precision.
    Bf16,
    /// On a GPU, products of convolutions and matrices take TensorFloat-32, 10 bits of fraction.
    Tf32,
}

/// A precision that this device does not have.
#[derive(Debug, thiserror::Error)]
#[error("precision = \"tf32\" needs a CUDA device: choose one with --device, or take \"bf16\" or \"float32\"")]
pub struct MissingPrecision;

static ALLOW_TF32: OnceLock<fn(bool)> = OnceLock::new();

/// Says how TensorFloat-32 is switched on and off on this device; to be called once, where there is one that has it.
pub fn switch_tf32_with(switch: fn(bool)) {
    let _ = ALLOW_TF32.set(switch);
}

impl Precision {
    /// Whether it can be had on this device.
    ///
    /// # Errors
    /// What is missing, and what to take instead.
    pub fn check(self) -> Result<(), MissingPrecision> {
        let has_it = self != Precision::Tf32 || ALLOW_TF32.get().is_some();
        if has_it { Ok(()) } else { Err(MissingPrecision) }
    }

    /// A pass with these parameters in this precision: `pass` gets what the network is to compute with.
    pub fn pass<R>(self, parameters: &Parameters, pass: impl FnOnce(&Parameters) -> R) -> R {
        match self {
            Precision::Float32 => pass(parameters),
            Precision::Bf16 => pass(&parameters.detached().to_kind(Kind::BFloat16)),
            Precision::Tf32 => {
                let _on = Tf32::on();
                pass(parameters)
            }
        }
    }
}

/// TensorFloat-32 while this lives.
struct Tf32;

impl Tf32 {
    fn on() -> Self {
        allow_tf32(true);
        Tf32
    }
}

impl Drop for Tf32 {
    fn drop(&mut self) {
        allow_tf32(false);
    }
}

fn allow_tf32(allowed: bool) {
    if let Some(switch) = ALLOW_TF32.get() {
        switch(allowed);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::network::{Mode, Network, NetworkSpec, Overrides};
    use crate::pieces::Graph;
    use tch::{Device, Tensor};

    #[test]
    fn passes_are_rounded_as_they_say_and_give_single_precision() {
        let overrides = Overrides { width: Some(8), ..Overrides::default() };
        let network = Network::new(&NetworkSpec::named("convnet3", &overrides, 1, [28, 28], 10).unwrap()).unwrap();
        let parameters = network.init(crate::stream::stream(0, "init", 0).generator(), Device::Cpu).unwrap();
        let images = Tensor::rand([5, 1, 28, 28], tch::kind::FLOAT_CPU);
        let chunk = network.chunk(Device::Cpu, Graph::Without);
        let embed = |precision: Precision| {
            let pass = |parameters: &Parameters| network.embed_chunked(parameters, &images, Mode::Train, chunk);
            precision.pass(&parameters, pass).unwrap()
        };
        let (exact, rounded) = (embed(Precision::Float32), embed(Precision::Bf16));
        let error = f64::try_from((&rounded - &exact).norm() / exact.norm()).unwrap();
        assert_eq!(rounded.kind(), Kind::Float);
        assert!((1e-4..3e-2).contains(&error), "{error}");
        assert!(Precision::Tf32.check().is_err() && Precision::Bf16.check().is_ok());
    }
}
