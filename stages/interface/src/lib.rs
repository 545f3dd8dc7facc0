//! What the engine (which never links torch) and the stages (which do) agree on, and nothing else:
//! the types of artifacts, the declaration of a stage kind, and the messages between engine and worker.

mod artifact;
mod blocks;
pub mod checkpoint;
mod connected;
mod declaration;
mod depth;
pub mod memory;
pub mod metric;
pub mod npy;
pub mod orphans;
mod param;
mod presets;
pub mod protocol;
pub mod tensor_file;
mod value;

pub use artifact::ArtifactType;
pub use blocks::{Blocks, Parts};
pub use declaration::{Cells, Declaration, DeclarationError, ImageSize, Input, Output, Resources};
pub use depth::is_too_deep;
pub use metric::{Better, Metric};
pub use param::{Names, Param, ParamType, SmallestImage};
pub use presets::Setting;
pub use value::Value;
