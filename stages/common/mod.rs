//! What at least three stage kinds share.

pub mod network;
pub mod stream;
