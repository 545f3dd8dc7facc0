//! Parameters that several kinds share, as they stand in a `stage.toml`: each is part of a kind's `Params` by
//! `#[serde(flatten)]`. Parameters of one family of methods stand with its loop.

mod dsa;
mod network;

pub use dsa::{DsaParams, OptionalDsa};
pub use network::NetworkParams;
