//! Networks as functions of explicit parameters: a [`NetworkSpec`] says which one, [`Network`] is its plan of layers,
//! and weights, images and running statistics are values that go in and come out. Nothing here holds state, knows a
//! stage or reads a file.
//!
//! To add an architecture: one file like `lenet.rs` that lays its layers into a [`plan::Plan`], a variant of
//! [`Architecture`], and its name in `spec.rs` and in `stages/params/architecture.toml`. Parameters, counts, initialisation and forward pass follow from the plan.

#![expect(non_snake_case, reason = "tensors carry their shape in their names; forward.rs has the legend")]

mod alexnet;
mod branches;
mod cnn2;
mod convnet;
mod efficientnet;
mod error;
mod forward;
mod frozen;
mod hidden;
mod init;
mod layer;
mod lenet;
mod mlp;
mod normalise;
mod parameters;
mod per_image;
mod plan;
mod resnet;
mod resnetv2;
mod spec;
mod vgg;
mod vit;

pub use error::NetworkError;
pub use forward::{Chunk, Features, Mode, Output};
pub use hidden::Hidden;
pub use parameters::{ParameterKind, ParameterSpec, Parameters};
pub use per_image::ImageGradients;
pub use plan::Network;
pub use spec::{Activation, Architecture, Downsampling, NetworkSpec, Norm, Overrides, Pooling, takes_norm};
