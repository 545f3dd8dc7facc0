//! What at least three stage kinds share.

pub mod stream;
