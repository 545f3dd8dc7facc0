//! Networks as functions of explicit parameters: a [`NetworkSpec`] says which one, [`Network`] holds its layers, and
//! weights, images and running statistics are values that go in and come out. Nothing here holds state, knows a stage or
//! reads a file.
//!
//! To add an architecture: one file like `lenet.rs` that adds its layers to a `Builder`; in `architecture.rs` a variant of
//! [`Architecture`], its name, and the call of the file's function; and its name in `stages/params/architecture.toml`.
//! Parameters, counts, initialisation and forward pass follow from the layers.

#![expect(non_snake_case, reason = "tensors carry their shape in their names; forward.rs has the legend")]

mod alexnet;
mod architecture;
mod branches;
mod builder;
mod by_group;
mod chunk;
mod cnn2;
mod convnet;
mod dropout;
mod efficientnet;
mod error;
mod forward;
mod frozen;
mod hidden;
mod init;
mod layer;
mod lenet;
mod mlp;
#[expect(clippy::module_inception, reason = "a file is named after the type that it holds")]
mod network;
mod normalise;
mod parameters;
mod per_sample;
mod pool;
mod resnet;
mod resnetv2;
mod spec;
mod stacked;
mod vgg;
mod vit;

pub use architecture::{Architecture, takes_norm};
pub use chunk::{Chunk, device_has};
pub use error::NetworkError;
pub use forward::{Features, Mode, Output};
pub use hidden::Hidden;
pub use network::Network;
pub use normalise::seen_twice;
pub use parameters::{ParameterKind, ParameterSpec, Parameters};
pub use per_sample::PerSampleGradients;
pub use spec::{Activation, Downsampling, NetworkSpec, Norm, Overrides, Pooling};
