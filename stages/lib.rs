//! What the stages do, on libtorch. One folder per stage kind, `<group>/<kind>/`: `stage.toml` declares it, `mod.rs`
//! reads, loops and writes, `loss.rs` holds the equations. `common/` is what several kinds share; `artifact/`
//! the typed files between stages; `context` all that a stage sees of the world. Stages never see cache paths.
//! `worker` is the program that runs them.

pub mod artifact;
pub mod common;
pub mod compare;
pub mod context;
pub mod decode;
pub mod device_memory;
pub mod distill;
pub mod evaluate;
pub mod init;
pub mod label;
pub mod learn;
pub mod registry;
pub mod report;
pub mod sample;
pub mod score;
pub mod search;
pub mod select;
pub mod split;
pub mod train;
pub mod worker;

pub use tch;
