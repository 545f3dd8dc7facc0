//! What at least three stage kinds share.

pub mod metrics;
pub mod network;
pub mod stream;
pub mod train;
