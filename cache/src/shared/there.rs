//! What a remote holds, read over the whole of it: for its verification and its collection. Needs no cache folder.

use super::asking::Asking;
use super::bring::RECORD_LIMIT;
use super::remote::lock;
use super::store::{Seen, StoreError};
use crate::layout::Layout;
use crate::sealed::{self, Opened};
use crate::{Key, Record};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// So many requests at a time, each for much: a bucket answers each after a while, and many at once.
pub(super) const AT_ONCE: usize = 16;

/// An object under the name of a record.
#[derive(Debug)]
pub(super) struct There {
    pub name: String,
    pub seen: Seen,
    pub what: What,
}

#[derive(Debug)]
pub(super) enum What {
    /// A record that is whole and right, and its text.
    Record(Box<Record>, Vec<u8>),
    /// One of a newer format.
    Newer(u64),
    /// Anything else.
    Damaged,
}

/// Reads these objects of records; those that are gone meanwhile are left out.
pub(super) fn records(
    asking: &Asking,
    listed: &[(String, Seen)],
    tell: &(dyn Fn(usize, usize) + Sync),
) -> Result<Vec<There>, StoreError> {
    let named: Vec<(Key, &(String, Seen))> =
        listed.iter().filter_map(|entry| Some((Layout::named_record(&entry.0)?, entry))).collect();
    let read = |(key, (name, seen)): &(Key, &(String, Seen))| {
        let text = match asking.ask(|store| store.get(name, RECORD_LIMIT)) {
            Ok(None) => return Ok(None),
            Ok(Some(text)) => Some(text),
            // Longer than any record.
            Err(StoreError::Other(_)) => None,
            Err(error) => return Err(error),
        };
        let opened = text.as_deref().and_then(sealed::open);
        let what = match opened {
            Some(Opened::Record(record)) if record.key == *key && Key::of(&record.description) == *key => {
                What::Record(record, text.unwrap_or_default())
            }
            Some(Opened::Newer(format)) => What::Newer(format),
            _ => What::Damaged,
        };
        Ok(Some(There { name: name.clone(), seen: *seen, what }))
    };
    Ok(at_once(&named, AT_ONCE, read, tell)?.into_iter().flatten().collect())
}

/// Does it with each of these, so many at a time, and gives the results in the same order; stops at the first failure.
/// `tell` is called with how many are done, and of how many.
pub(super) fn at_once<T: Sync, R: Send>(
    items: &[T],
    most: usize,
    work: impl Fn(&T) -> Result<R, StoreError> + Sync,
    tell: &(dyn Fn(usize, usize) + Sync),
) -> Result<Vec<R>, StoreError> {
    let (next, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let fault: Mutex<Option<StoreError>> = Mutex::default();
    let results: Mutex<Vec<Option<R>>> = Mutex::new(items.iter().map(|_| None).collect());
    thread::scope(|scope| {
        for _ in 0..most.min(items.len()) {
            scope.spawn(|| {
                while lock(&fault).is_none() {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(item) = items.get(index) else { return };
                    match work(item) {
                        Ok(result) => lock(&results)[index] = Some(result),
                        Err(error) => *lock(&fault) = Some(error),
                    }
                    tell(done.fetch_add(1, Ordering::Relaxed) + 1, items.len());
                }
            });
        }
    });
    if let Some(error) = lock(&fault).take() {
        return Err(error);
    }
    Ok(std::mem::take(&mut *lock(&results)).into_iter().flatten().collect())
}
