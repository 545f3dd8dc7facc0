//! The content-addressed cache: blobs, records, claims, verification and garbage collection. Knows no graph, no stage and
//! no torch.
//!
//! # What to read first
//!
//! 1. [`Cache::lookup`] (`cache.rs`): a key leads to a [`Record`], or to a [`Claim`], the right to make one.
//! 2. [`Claim::commit`] (`claim.rs`): how a record and its outputs become visible at once, and how the operating
//!    system's locks keep two processes from the same work.
//! 3. [`BlobStore`] (`blob.rs`): bytes under the name of their digest. `aside.rs` is how every file is written.
//! 4. `layout.rs`: what lies where in the folder. `disk.rs`: the operations on it.
//! 5. [`RunDir`] (`run.rs`), [`Cache::gc`] (`gc.rs`): runs pin what they reached, and what nobody pins may be removed;
//!    one that is kept (`kept.rs`) pins it for good.
//! 6. [`shared`]: a cache folder that takes from a remote store and gives to it.
//! 7. [`StatCache`] (`stat.rs`), [`folder`]: digests of files and folders from outside.

mod aside;
mod beside;
mod blob;
mod cache;
mod claim;
mod clock;
mod collecting;
mod digest;
mod disk;
mod error;
pub mod folder;
mod gc;
#[cfg(test)]
mod harness;
mod holder;
mod incoming;
mod index;
mod kept;
mod latest;
mod layout;
pub mod numbers;
mod numerics;
mod record;
mod run;
mod sealed;
mod second;
pub mod shared;
mod stamp;
mod stat;
mod unfinished;
mod usage;
mod verify;
mod walk;

pub use beside::Beside;
pub use blob::{BlobStore, Staged};
pub use cache::{Cache, Lookup};
pub use claim::{Claim, Committed, OtherBytes, commit_all};
pub use collecting::Collections;
pub use digest::{Digest, Key, NotAName};
pub use error::CacheError;
pub use gc::{Evicted, Garbage, GcOptions, GcReport, Removal};
pub use holder::{Holder, host};
pub use numerics::Numerics;
pub use record::{Circumstances, Commit, FORMAT, Output, Provenance, Record, SourceSeen};
pub use run::{RunDir, RunSeen};
pub use stamp::Stamp;
pub use stat::{Algorithm, FileSeen, StatCache};
pub use usage::{Count, Usage};
pub use verify::{DamagedBlob, IncompleteRecord, VerifyReport};
