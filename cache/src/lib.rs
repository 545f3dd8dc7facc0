//! The content-addressed cache: blobs, records, claims, verification and garbage collection.
//! Knows no graph, no stage and no torch.

mod aside;
mod blob;
mod cache;
mod claim;
mod digest;
mod error;
pub mod folder;
mod gc;
mod holder;
mod latest;
mod layout;
mod record;
mod run;
mod stamp;
mod stat;
mod usage;
mod verify;
mod walk;

pub use blob::BlobStore;
pub use cache::{Cache, Lookup};
pub use claim::Claim;
pub use digest::{Digest, Key, NotAName};
pub use error::CacheError;
pub use gc::{Garbage, GcOptions, GcReport, Removal};
pub use holder::{Holder, host};
pub use record::{FORMAT, Output, Provenance, Record, SourceSeen};
pub use run::{RunDir, RunSeen};
pub use stamp::Stamp;
pub use stat::{Algorithm, FileSeen, StatCache};
pub use usage::{Count, Usage};
pub use verify::{DamagedBlob, IncompleteRecord, VerifyReport};
