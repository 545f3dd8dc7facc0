//! Losses that several methods use, as functions of tensors. Each says whether it sums or averages over the batch.
//!
//! Legend: B images of a batch, K classes.

#![expect(non_snake_case, reason = "tensors carry their shape in their names; the legend is above")]

mod cross_entropy;
mod squared_error;

pub use cross_entropy::soft_cross_entropy;
pub use squared_error::{centred, half_squared_error};
