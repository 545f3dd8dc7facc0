//! A store that fails as it is told to: at the request of a number, in one of several ways. It counts all requests.

#![allow(clippy::unwrap_used, dead_code)]

use ddpipe_cache::shared::{Memory, Seen, Store, StoreError};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

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
    late: Mutex<Late>,
    past: Mutex<Vec<Change>>,
}

/// How late a store shows what was written; noted from here on.
#[derive(Clone, Copy, Debug, Default)]
pub struct Late {
    pub listings: Duration,
    /// Objects that are read, as they were.
    pub readings: Duration,
    /// Whether a new object is not to be read at first either.
    pub at_first: bool,
}

/// When an object was written or removed, and what it was from then on.
type Change = (Instant, String, Option<(Vec<u8>, Seen)>);

impl Faulty {
    pub fn new() -> Arc<Self> {
        Arc::new(Faulty::default())
    }

    /// From the request `at` on (the first is 0), so many requests meet this fault.
    pub fn fail(&self, fault: Fault, at: usize, requests: usize) {
        self.requests.store(0, Ordering::SeqCst);
        *self.plan.lock().unwrap() = Some((fault, at, requests));
    }

    pub fn be_late(&self, late: Late) {
        *self.late.lock().unwrap() = late;
    }

    fn changed(&self, name: &str, seen: Option<Seen>) {
        let bytes = self.inner.objects().get(name).cloned().unwrap_or_default();
        self.past.lock().unwrap().push((Instant::now(), name.to_string(), seen.map(|seen| (bytes, seen))));
    }

    /// What an object was when it was first written.
    fn at_first(&self, name: &str) -> Vec<u8> {
        let past = self.past.lock().unwrap();
        past.iter().find(|(_, other, _)| other == name).and_then(|(.., object)| object.clone()).unwrap().0
    }

    /// All objects as they were so long ago.
    fn before(&self, time: Duration) -> BTreeMap<String, (Vec<u8>, Seen)> {
        let past = self.past.lock().unwrap();
        let mut objects = BTreeMap::new();
        for (_, name, object) in past.iter().filter(|(at, ..)| at.elapsed() >= time) {
            match object {
                Some(object) => objects.insert(name.clone(), object.clone()),
                None => objects.remove(name),
            };
        }
        objects
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
        let Late { readings: late, at_first, .. } = *self.late.lock().unwrap();
        if !late.is_zero() {
            let first = || self.before(Duration::ZERO).contains_key(name).then(|| self.at_first(name));
            let before = self.before(late).remove(name).map(|(bytes, _)| bytes);
            return Ok(if at_first { before } else { before.or_else(first) });
        }
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
        self.plain(fault, || {
            let seen = self.inner.put(name, bytes, body)?;
            self.changed(name, Some(seen));
            Ok(seen)
        })
    }

    fn head(&self, name: &str) -> Result<Option<Seen>, StoreError> {
        let fault = self.next();
        self.plain(fault, || self.inner.head(name))
    }

    fn list(&self, folder: &str) -> Result<Vec<(String, Seen)>, StoreError> {
        let fault = self.next();
        let late = self.late.lock().unwrap().listings;
        if !late.is_zero() {
            let below = format!("{folder}/");
            let objects = self.before(late).into_iter().filter(|(name, _)| name.starts_with(&below));
            return Ok(objects.map(|(name, (_, seen))| (name, seen)).collect());
        }
        self.plain(fault, || self.inner.list(folder))
    }

    fn delete(&self, names: &[String]) -> Result<(), StoreError> {
        let fault = self.next_change();
        self.plain(fault, || {
            self.inner.delete(names)?;
            names.iter().for_each(|name| self.changed(name, None));
            Ok(())
        })
    }
}
