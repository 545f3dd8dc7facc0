//! A library for dataset distillation on libtorch that knows no stage, no file and no cache. Everything is a function of
//! explicit values: a network is a plan of layers, and its parameters, the images and every random draw go in and come
//! out. Tensor shapes are written in the docs and, in `loss` and `network`, in the names: `images_BCHW`.
//!
//! Read [`stream`] first (every random draw comes from a named stream), then [`network`], then what acts on them:
//! [`augment`], [`loss`], [`optim`], [`metrics`].

pub mod ahead;
pub mod augment;
pub mod autograd;
pub mod layout;
pub mod loss;
pub mod metrics;
pub mod network;
pub mod optim;
pub mod pieces;
pub mod precision;
pub mod stream;
pub mod transfer;
