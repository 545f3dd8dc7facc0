//! What stays on the device between stages: artifacts by digest, within a budget of bytes, least recently used first
//! out. Pure bookkeeping: knows neither torch nor the cache. An entry that a stage still holds is never put out, since
//! forgetting it would free nothing.

use ddpipe_cache::Digest;
use std::collections::HashMap;
use std::sync::Arc;

/// Artifacts in memory, by digest.
#[derive(Debug)]
pub struct Residency<T> {
    budget: u64,
    entries: HashMap<Digest, Entry<T>>,
    clock: u64,
    stats: Stats,
}

/// What the residency did so far, for the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Look-ups that found the artifact.
    pub hits: u64,
    /// Look-ups that did not.
    pub misses: u64,
    /// Artifacts put out to make room.
    pub evicted: u64,
    /// Bytes held now.
    pub bytes: u64,
}

#[derive(Debug)]
struct Entry<T> {
    value: Arc<T>,
    bytes: u64,
    used: u64,
}

impl<T> Residency<T> {
    /// An empty one with this budget in bytes.
    pub fn new(budget: u64) -> Self {
        Residency { budget, entries: HashMap::new(), clock: 0, stats: Stats::default() }
    }

    /// The artifact, if it is here.
    pub fn get(&mut self, digest: &Digest) -> Option<Arc<T>> {
        self.clock += 1;
        match self.entries.get_mut(digest) {
            Some(entry) => {
                entry.used = self.clock;
                self.stats.hits += 1;
                Some(entry.value.clone())
            }
            None => {
                self.stats.misses += 1;
                None
            }
        }
    }

    /// Keeps an artifact if room can be made for it.
    pub fn keep(&mut self, digest: Digest, value: Arc<T>, bytes: u64) {
        if bytes > self.budget || self.entries.contains_key(&digest) {
            return;
        }
        while self.stats.bytes + bytes > self.budget {
            let idle = self.entries.iter().filter(|(_, entry)| Arc::strong_count(&entry.value) == 1);
            let Some(oldest) = idle.min_by_key(|(_, entry)| entry.used).map(|(digest, _)| *digest) else { return };
            self.remove(&oldest);
        }
        self.clock += 1;
        self.stats.bytes += bytes;
        self.entries.insert(digest, Entry { value, bytes, used: self.clock });
    }

    /// Puts out everything that no one holds, and says how many bytes that freed.
    pub fn clear(&mut self) -> u64 {
        let before = self.stats.bytes;
        let idle = self.entries.iter().filter(|(_, entry)| Arc::strong_count(&entry.value) == 1);
        for digest in idle.map(|(digest, _)| *digest).collect::<Vec<_>>() {
            self.remove(&digest);
        }
        before - self.stats.bytes
    }

    /// Bytes of all artifacts but these.
    pub fn bytes_beside(&self, digests: &[Digest]) -> u64 {
        let others = self.entries.iter().filter(|(digest, _)| !digests.contains(digest));
        others.map(|(_, entry)| entry.bytes).sum()
    }

    /// Hits, misses and evictions so far.
    pub fn stats(&self) -> Stats {
        self.stats
    }

    fn remove(&mut self, digest: &Digest) {
        if let Some(entry) = self.entries.remove(digest) {
            self.stats.bytes -= entry.bytes;
            self.stats.evicted += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(name: &str) -> Digest {
        Digest::of(name.as_bytes())
    }

    fn with(budget: u64, entries: &[(&str, u64)]) -> Residency<String> {
        let mut residency = Residency::new(budget);
        for (name, bytes) in entries {
            residency.keep(digest(name), Arc::new(name.to_string()), *bytes);
        }
        residency
    }

    fn has(residency: &Residency<String>, name: &str) -> bool {
        residency.entries.contains_key(&digest(name))
    }

    #[test]
    fn the_least_recently_used_goes_first() {
        let mut residency = with(100, &[("a", 40), ("b", 40)]);
        assert_eq!(residency.get(&digest("a")).as_deref().map(String::as_str), Some("a"));
        residency.keep(digest("c"), Arc::new("c".into()), 40);
        assert!(has(&residency, "a") && has(&residency, "c") && !has(&residency, "b"));
        assert_eq!((residency.bytes_beside(&[digest("c"), digest("b")]), residency.bytes_beside(&[])), (40, 80));
        assert_eq!(residency.stats(), Stats { hits: 1, misses: 0, evicted: 1, bytes: 80 });
    }

    #[test]
    fn what_is_in_use_stays_and_what_finds_no_room_is_not_kept() {
        let mut residency = with(100, &[("a", 60)]);
        let held = residency.get(&digest("a"));
        residency.keep(digest("b"), Arc::new("b".into()), 60);
        assert!(has(&residency, "a") && !has(&residency, "b"));
        assert_eq!(residency.clear(), 0);
        drop(held);
        residency.keep(digest("b"), Arc::new("b".into()), 60);
        assert!(!has(&residency, "a") && has(&residency, "b"));
        assert_eq!(residency.clear(), 60);
        assert_eq!(residency.stats().bytes, 0);
    }

    #[test]
    fn too_large_never_enters_and_twice_the_same_counts_once() {
        let residency = with(100, &[("large", 101), ("a", 30), ("a", 30)]);
        assert!(!has(&residency, "large"));
        assert_eq!(residency.stats().bytes, 30);
        let mut empty = with(0, &[("a", 1)]);
        assert!(empty.get(&digest("a")).is_none());
        assert_eq!(empty.stats().misses, 1);
    }
}
