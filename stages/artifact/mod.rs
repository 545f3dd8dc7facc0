//! The files between stages, as types: named tensors in general, and the data sets, synthetic sets and models in them.

mod dataset;
mod model;
mod synthetic;
mod tensor_file;

pub use dataset::{ANNOTATORS, Dataset, Normalisation};
pub use model::Model;
pub use synthetic::SyntheticSet;
pub use tensor_file::TensorFile;
