//! A store: names and whole objects. An object appears with all its bytes or not at all, and a name may be written again.
//! Calls block. Knows no keys and no digests.

use std::fmt;
use std::io::{Read, Write};
use std::time::SystemTime;

/// Where objects are kept. Names are those of the cache's layout, with `/` between folders.
pub trait Store: fmt::Debug + Send + Sync {
    /// The URL, for people.
    fn url(&self) -> &str;

    /// The object's bytes, if there is one. One that is longer than `limit` bytes is an error.
    ///
    /// # Errors
    /// Those of the store.
    fn get(&self, name: &str, limit: u64) -> Result<Option<Vec<u8>>, StoreError>;

    /// Hands the object's bytes to `into`, from an offset on; false where there is no object. What came before an error is
    /// handed over too, so that the next call can go on behind it.
    ///
    /// # Errors
    /// Those of the store, and of `into`.
    fn read(&self, name: &str, from: u64, into: &mut dyn Write) -> Result<bool, StoreError>;

    /// Writes an object of so many bytes, over another one if there is one.
    ///
    /// # Errors
    /// Those of the store, and of `body`; then nothing was written, or all of it.
    fn put(&self, name: &str, bytes: u64, body: &mut dyn Read) -> Result<Seen, StoreError>;

    /// What is known of an object without its bytes.
    ///
    /// # Errors
    /// Those of the store.
    fn head(&self, name: &str) -> Result<Option<Seen>, StoreError>;

    /// All objects below a folder, in no particular order.
    ///
    /// # Errors
    /// Those of the store.
    fn list(&self, folder: &str) -> Result<Vec<(String, Seen)>, StoreError>;

    /// Removes objects; those that are not there are no error.
    ///
    /// # Errors
    /// Those of the store.
    fn delete(&self, names: &[String]) -> Result<(), StoreError>;
}

/// What a store says of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Its length.
    pub bytes: u64,
    /// Another number after another writing, as far as the store can tell.
    pub version: u64,
    /// When it was written, by the store's clock. Compared with other times of the same store alone.
    pub written: SystemTime,
}

impl StoreError {
    /// In words behind the name of the store.
    pub fn behind_a_name(&self) -> String {
        match self {
            StoreError::Other(why) => format!(": {why}"),
            error => format!(" {error}"),
        }
    }
}

/// Why a store did not do what it was asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// It does not answer, or not now. The only one that is tried again.
    #[error("cannot be used now: {0}")]
    Unavailable(String),
    /// It does not allow that.
    #[error("refuses: {0}")]
    Denied(String),
    /// There is no such folder or bucket.
    #[error("is not there: {0}")]
    NoSuchPlace(String),
    /// No room, or over a quota.
    #[error("has no room: {0}")]
    Full(String),
    /// Anything else.
    #[error("{0}")]
    Other(String),
}
