//! Losses that several methods use, as functions of tensors. Each says whether it sums or averages over the batch.
//!
//! Legend: B images of a batch, K classes, R rows, D columns.

#![expect(non_snake_case, reason = "tensors carry their shape in their names; the legend is above")]

mod attention;
mod cosine;
mod cross_entropy;
mod softened;
mod squared_error;

pub use attention::{AttentionNorm, attention};
pub use cosine::cosine_distances;
pub use cross_entropy::soft_cross_entropy;
pub use softened::{softened, softened_divergences, softened_entropies};
pub use squared_error::{centred, half_squared_error};
