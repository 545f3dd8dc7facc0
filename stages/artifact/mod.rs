//! The files between stages, as types: named tensors in general, and the data sets, synthetic sets and models in them.

mod dataset;
pub mod memory;
mod model;
mod normalisation;
mod synthetic;
mod tensor_file;
mod whitening;

pub use dataset::{ANNOTATORS, Dataset};
pub use model::Model;
pub use normalisation::Normalisation;
pub use synthetic::SyntheticSet;
pub use tensor_file::TensorFile;
pub use whitening::Whitening;
