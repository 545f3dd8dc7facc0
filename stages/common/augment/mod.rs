//! Augmentation of images: differentiable Siamese augmentation (DSA) and the older augmentation of DC.
//!
//! Draws are values, made by a [`Strategy`] from a random stream and applied by [`apply`]: the same draw can be shown to
//! act on real and on synthetic images, and a recorded draw can be replayed. Knows no networks and no methods.

pub mod dc;
pub mod draw;
pub mod operation;
pub mod settings;
pub mod spline;
pub mod strategy;

pub use draw::{Draws, Operation, Sharing};
pub use operation::apply;
pub use settings::Settings;
pub use strategy::{Family, Mode, Strategy, UnknownFamily};
