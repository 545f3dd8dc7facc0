//! Reads NumPy's files: `archive.rs` the .npz archive, `header.rs` and `array.rs` one array, in whatever version, byte order
//! and order of axes it was written. No Python is run. Knows no data set.

mod archive;
mod array;
mod header;

pub use archive::Archive;
pub use array::Array;
pub use header::{Element, Header};
