//! What at least three stage kinds share.

pub mod augment;
pub mod matching;
pub mod metrics;
pub mod moments;
pub mod network;
pub mod picture;
pub mod resize;
pub mod stream;
pub mod train;
