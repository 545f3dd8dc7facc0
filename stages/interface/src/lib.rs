//! What the engine (which never links torch) and the stages (which do) agree on, and nothing else:
//! the types of artifacts, the declaration of a stage kind, and the messages between engine and worker.

mod artifact;
mod declaration;
pub mod protocol;

pub use artifact::ArtifactType;
pub use declaration::{Declaration, DeclarationError, Input, Output, Param, ParamType, Resources, Value};
