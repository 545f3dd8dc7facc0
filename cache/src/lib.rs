//! The content-addressed cache: blobs, records, claims, verification and garbage collection.
//! Knows no graph, no stage and no torch.

mod digest;

pub use digest::{Digest, Key};
