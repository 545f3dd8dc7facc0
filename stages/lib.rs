//! What the stages do, on libtorch.
//!
//! One folder per stage kind: `stage.toml` declares it, `mod.rs` reads, loops and writes, `loss.rs` holds the equations.
//! Kinds lie in `<group>/<kind>/`; those of one family of methods in `distill/<family>/<kind>/`, whose `mod.rs` is the
//! loop that they share.
//!
//! | read | for |
//! |---|---|
//! | [`distill::frepo`] first | a whole method in one folder, its loop in one file |
//! | [`context`] | all that a stage sees of the world: inputs, device, seed, checkpoints, outputs |
//! | [`artifact`] | the typed files between stages |
//! | [`distill::synthesis`] | what all methods share: the synthetic images and the record of a run |
//! | [`training`] | the training loop |
//! | [`params`], [`data`], [`report::sheet`] | shared parameters; from files to data sets; tables |
//! | [`worker`] | the program that runs stages; [`registry`] finds them by name |
//!
//! Networks, optimisers, losses and augmentation are a crate of their own, `ddpipe-nn`. Stages never see cache paths.

pub mod artifact;
pub mod compare;
pub mod context;
pub mod data;
pub mod decode;
pub mod device_memory;
pub mod distill;
pub mod evaluate;
pub mod init;
pub mod label;
#[doc(hidden)]
pub mod launches;
pub mod learn;
pub mod params;
pub mod registry;
pub mod report;
pub mod sample;
pub mod score;
pub mod search;
pub mod select;
pub mod split;
#[doc(hidden)]
#[path = "TEMPLATE/mod.rs"]
pub mod template;
pub mod train;
pub mod training;
pub mod worker;

pub use tch;
