//! A store that fails as it is told to: at the request of a number, in one of several ways. It counts all requests.

#![allow(clippy::unwrap_used, dead_code)]

use ddpipe_cache::shared::{Memory, Seen, Store, StoreError};
use std::io::{Read, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// 503: nothing is done.
    Unavailable,
    /// The request is carried out, and its reply is lost.
    ReplyLost,
    /// The connection breaks in the middle of an object.
    Broken,
    /// An object comes with its last bytes missing, and nobody says so.
    Cut,
    /// One byte of an object is another.
    WrongByte,
    /// A secret that is wrong.
    Denied,
    /// A secret that may read and nothing else.
    ReadOnly,
}

/// A store in memory with faults.
#[derive(Debug, Default)]
pub struct Faulty {
    pub inner: Memory,
    pub requests: AtomicUsize,
    /// The fault, and the number of the request that it comes with; with how many requests from there on.
    plan: Mutex<Option<(Fault, usize, usize)>>,
}

impl Faulty {
    pub fn new() -> Arc<Self> {
        Arc::new(Faulty::default())
    }

    /// From the request `at` on (the first is 0), so many requests meet this fault.
    pub fn fail(&self, fault: Fault, at: usize, requests: usize) {
        self.requests.store(0, Ordering::SeqCst);
        *self.plan.lock().unwrap() = Some((fault, at, requests));
    }

    pub fn heal(&self) {
        *self.plan.lock().unwrap() = None;
    }

    pub fn count(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }

    /// The fault of a request that reads.
    fn next(&self) -> Option<Fault> {
        self.next_change().filter(|fault| *fault != Fault::ReadOnly)
    }

    fn next_change(&self) -> Option<Fault> {
        let number = self.requests.fetch_add(1, Ordering::SeqCst);
        let plan = *self.plan.lock().unwrap();
        plan.filter(|(_, at, requests)| (*at..at.saturating_add(*requests)).contains(&number)).map(|(fault, ..)| fault)
    }

    /// A request that has no body to spoil.
    fn plain<T>(&self, fault: Option<Fault>, act: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
        match fault {
            None => act(),
            Some(Fault::Denied | Fault::ReadOnly) => Err(StoreError::Denied("the signature does not match".into())),
            Some(Fault::ReplyLost) => {
                act()?;
                Err(StoreError::Unavailable("timed out".into()))
            }
            Some(_) => Err(StoreError::Unavailable("503".into())),
        }
    }
}

impl Store for Faulty {
    fn url(&self) -> &str {
        "memory://faulty"
    }

    fn get(&self, name: &str, limit: u64) -> Result<Option<Vec<u8>>, StoreError> {
        let fault = self.next();
        match fault {
            Some(Fault::Cut) => Ok(self.inner.get(name, limit)?.map(|bytes| bytes[..bytes.len() / 2].to_vec())),
            Some(Fault::WrongByte) => Ok(self.inner.get(name, limit)?.map(|mut bytes| {
                let middle = bytes.len() / 2;
                bytes[middle] ^= 1;
                bytes
            })),
            fault => self.plain(fault, || self.inner.get(name, limit)),
        }
    }

    fn read(&self, name: &str, from: u64, into: &mut dyn Write) -> Result<bool, StoreError> {
        let fault = self.next();
        let mut bytes = Vec::new();
        if !self.plain(fault.filter(|fault| matches!(fault, Fault::Unavailable | Fault::Denied)), || {
            self.inner.read(name, from, &mut bytes)
        })? {
            return Ok(false);
        }
        match fault {
            Some(Fault::Broken | Fault::ReplyLost | Fault::Cut) => bytes.truncate(bytes.len() / 2),
            Some(Fault::WrongByte) if !bytes.is_empty() => bytes[0] ^= 1,
            _ => {}
        }
        into.write_all(&bytes).map_err(|error| StoreError::Other(error.to_string()))?;
        match fault {
            Some(Fault::Broken | Fault::ReplyLost) => Err(StoreError::Unavailable("connection reset".into())),
            _ => Ok(true),
        }
    }

    fn put(&self, name: &str, bytes: u64, body: &mut dyn Read) -> Result<Seen, StoreError> {
        let fault = self.next_change();
        self.plain(fault, || self.inner.put(name, bytes, body))
    }

    fn head(&self, name: &str) -> Result<Option<Seen>, StoreError> {
        let fault = self.next();
        self.plain(fault, || self.inner.head(name))
    }

    fn list(&self, folder: &str) -> Result<Vec<(String, Seen)>, StoreError> {
        let fault = self.next();
        self.plain(fault, || self.inner.list(folder))
    }

    fn delete(&self, names: &[String]) -> Result<(), StoreError> {
        let fault = self.next_change();
        self.plain(fault, || self.inner.delete(names))
    }
}
