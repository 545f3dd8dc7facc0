//! Augmentation of images: differentiable Siamese augmentation (DSA), its combination of operations in IDC, CutMix, and
//! the older augmentation of DC.
//!
//! Draws are values, made by a [`Strategy`] from a random stream and applied by [`apply`]: the same draw can be shown to
//! act on real and on synthetic images, and a recorded draw can be replayed. Knows no networks and no methods.

mod combined;
mod cutmix;
pub mod dc;
mod dc_on_device;
pub mod draw;
mod geometric;
mod grouped;
mod idc;
mod mixing;
pub mod operation;
pub mod per_image;
mod planned;
pub mod settings;
pub mod spline;
pub mod strategy;
mod training;

pub use cutmix::{CutMix, Patch};
pub use draw::{Draws, Operation, Sharing};
pub use geometric::{Flip, Geometric, Transform};
pub use grouped::{Group, PlannedGroups, apply_by_group};
pub use idc::Combined;
pub use mixing::Mixing;
pub use operation::apply;
pub use per_image::TrajectoryAugment;
pub use planned::Planned;
pub use settings::Settings;
pub use strategy::{Family, Mode, Strategy, UnknownFamily};
pub use training::{Augment, Augmentation};
