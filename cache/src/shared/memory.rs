//! A store in memory, for tests.

use super::store::{Seen, Store, StoreError};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

/// Objects by name.
#[derive(Debug, Default)]
pub struct Memory {
    objects: Mutex<BTreeMap<String, Vec<u8>>>,
    /// How many writings there were when an object was written, and when that was.
    versions: Mutex<BTreeMap<String, (u64, SystemTime)>>,
    /// How much time has passed that no clock has seen.
    passed: Mutex<Duration>,
}

impl Memory {
    /// The objects, to look at and to spoil.
    pub fn objects(&self) -> MutexGuard<'_, BTreeMap<String, Vec<u8>>> {
        self.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets so much time pass there.
    pub fn pass(&self, time: Duration) {
        *self.passed.lock().unwrap_or_else(PoisonError::into_inner) += time;
    }
}

impl Memory {
    fn seen(&self, name: &str, bytes: &[u8]) -> Seen {
        let versions = self.versions.lock().unwrap_or_else(PoisonError::into_inner);
        let (version, written) = versions.get(name).copied().unwrap_or((0, SystemTime::UNIX_EPOCH));
        Seen { bytes: bytes.len() as u64, version, written }
    }
}

impl Store for Memory {
    fn url(&self) -> &str {
        "memory://"
    }

    fn get(&self, name: &str, limit: u64) -> Result<Option<Vec<u8>>, StoreError> {
        match self.objects().get(name) {
            Some(bytes) if bytes.len() as u64 > limit => {
                Err(StoreError::Other(format!("{name}: longer than {limit} bytes")))
            }
            bytes => Ok(bytes.cloned()),
        }
    }

    fn read(&self, name: &str, from: u64, into: &mut dyn Write) -> Result<bool, StoreError> {
        let Some(bytes) = self.objects().get(name).cloned() else { return Ok(false) };
        let from = usize::try_from(from).unwrap_or(usize::MAX);
        let rest = bytes.get(from..).unwrap_or_default();
        into.write_all(rest).map_err(|error| StoreError::Other(error.to_string()))?;
        Ok(true)
    }

    fn put(&self, name: &str, bytes: u64, body: &mut dyn Read) -> Result<Seen, StoreError> {
        let mut content = Vec::new();
        body.read_to_end(&mut content).map_err(|error| StoreError::Other(error.to_string()))?;
        if content.len() as u64 != bytes {
            return Err(StoreError::Other(format!("{name}: {} bytes came instead of {bytes}", content.len())));
        }
        let mut versions = self.versions.lock().unwrap_or_else(PoisonError::into_inner);
        let version = versions.values().map(|(version, _)| *version).max().unwrap_or(0) + 1;
        let written = SystemTime::now() + *self.passed.lock().unwrap_or_else(PoisonError::into_inner);
        versions.insert(name.to_string(), (version, written));
        drop(versions);
        self.objects().insert(name.to_string(), content);
        Ok(Seen { bytes, version, written })
    }

    fn head(&self, name: &str) -> Result<Option<Seen>, StoreError> {
        Ok(self.objects().get(name).map(|bytes| self.seen(name, bytes)))
    }

    fn list(&self, folder: &str) -> Result<Vec<(String, Seen)>, StoreError> {
        let below = format!("{folder}/");
        let objects = self.objects();
        let found = objects.iter().filter(|(name, _)| name.starts_with(&below));
        Ok(found.map(|(name, bytes)| (name.clone(), self.seen(name, bytes))).collect())
    }

    fn delete(&self, names: &[String]) -> Result<(), StoreError> {
        let mut objects = self.objects();
        names.iter().for_each(|name| drop(objects.remove(name)));
        Ok(())
    }
}
