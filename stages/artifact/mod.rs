//! The types of the files between stages: named tensors in general, and the data sets, synthetic sets, models and
//! scores stored in them; trajectories, which are too large for memory, are written and read in pieces.

mod classes;
mod content;
mod dataset;
mod decoder;
mod folder;
pub mod memory;
mod model;
mod mosaic;
mod pieces;
mod prepared;
mod scores;
mod synthetic;
mod tensor_file;
mod trajectories;
mod whitening;

pub use crate::data::normalisation::{Normalisation, Whitening};
pub use classes::same_classes;
pub use content::{Content, Reader};
pub use dataset::Dataset;
pub use decoder::{Decoder, Formation};
pub use folder::{Folder, SourceChanged};
pub use model::Model;
pub use mosaic::mosaic;
pub use pieces::Pieces;
pub use prepared::Prepared;
pub use scores::Scores;
pub use synthetic::SyntheticSet;
pub use tensor_file::{TensorFile, named_tensors};
pub(crate) use tensor_file::{decode, encode};
pub use trajectories::{Trajectories, TrajectoryShape, TrajectoryWriter, WrittenVector};
