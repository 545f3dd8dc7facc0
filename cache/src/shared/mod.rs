//! One cache for several machines: a cache folder that reads through a store and writes to it behind the run. A store has
//! names and whole objects and nothing else, no locks and no renaming: a plain folder, or a bucket.
//!
//! 1. [`Store`] (`store.rs`) and what implements it: `folder.rs`, `memory.rs`, and with the feature `s3` `bucket.rs`.
//! 2. [`Remote`] (`remote.rs`): a store and how long to wait for it. `asking.rs` tries again what may be tried again.
//! 3. `bring.rs`: records and blobs from there, believed only when they were hashed here.
//! 4. `publish.rs`: blobs and then the record to there. `sender.rs` does it behind a run, `push.rs` when asked.
//! 5. `leases.rs`: who computes a key, across machines; `lease.rs` and `beat.rs` have the rules, without input and output.
//! 6. `marks.rs`: which records wait to be sent, and which are known to be complete there. `reaches.rs`: what a run reaches, for
//!    others to see.
//! 7. [`Notary`] (`sign.rs`) signs records on their way there and judges those from there; with the feature `sign`
//!    `keys.rs` is one.
//! 8. `packs.rs`: all records of a run as one object, for who begins with nothing.
//! 9. [`Findings`] (`probe.rs`): how late a store shows what was written, on which leases rest.
//! 10. [`Notes`] (`notes.rs`): what the processes of one run tell each other, where they share no folder.
//! 11. [`Remote::verify`] (`inspect.rs`) and [`Remote::collect`] (`collect.rs`) go over the whole of a remote (`there.rs`).
//!
//! Knows no graph, no nodes' meaning and no other process.

mod asking;
pub mod beat;
mod bring;
#[cfg(feature = "s3")]
pub mod bucket;
mod collect;
mod folder;
mod inspect;
#[cfg(feature = "sign")]
pub mod keys;
pub mod lease;
mod leases;
mod marks;
mod memory;
mod notes;
mod packs;
mod portable;
mod probe;
mod publish;
mod push;
mod reaches;
mod remote;
mod sender;
mod sign;
mod store;
mod there;

pub use asking::Hurry;
pub use bring::Brought;
pub(crate) use bring::Look;
pub use collect::{Collected, Rules};
pub use folder::Folder;
pub use inspect::Inspection;
pub(crate) use leases::{Lease, Leases, Taken};
pub(crate) use marks::{known_elsewhere, waiting};
pub use memory::Memory;
pub use notes::{FileHere, Notes};
pub use probe::Findings;
pub use push::{Pushed, Status};
pub use remote::{Pace, Patience, Remote};
pub(crate) use remote::{Shared, leases_in};
pub use sender::Unsent;
pub use sign::{Notary, Signature};
pub use store::{Seen, Store, StoreError};
