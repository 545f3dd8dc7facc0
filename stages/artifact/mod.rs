//! The files between stages, as types: named tensors in general, and the data sets, synthetic sets and models in them.

mod dataset;
pub mod memory;
mod model;
mod synthetic;
mod tensor_file;

pub use dataset::{Dataset, Normalisation};
pub use model::Model;
pub use synthetic::SyntheticSet;
pub use tensor_file::TensorFile;
