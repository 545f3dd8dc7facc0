//! A garbage collection, and a run beside it: at one operation of the collection the run stores its outputs, at another one it
//! pins and commits, or it finds a record and counts on it. Whatever the two places are, what the run has pinned and was told
//! to be there is there when the collection is over.

use super::deeds::{BEFORE, NEW, content, key, record};
use super::scene::{age, furnish};
use super::watch::before_each;
use super::{folder, soak};
use crate::{Cache, CacheError, Claim, Digest, GcOptions, Lookup, RunDir};
use std::cell::{Cell, RefCell};
use std::fs;
use std::path::Path;
use std::rc::Rc;

/// So many operations lie between the two places, in turn; the long form tries all.
const APART: [usize; 7] = [0, 1, 2, 5, 10, 20, 40];

/// What a run does beside a collection, in two parts. A part that finds a claim held is tried again at the next operation.
struct Beside {
    cache: Cache,
    run: RunDir,
    node: &'static str,
    claim: Option<Claim>,
    /// Whether the run was told that its node is on record.
    counted: bool,
}

impl Beside {
    fn new(root: &Path, node: &'static str) -> Self {
        let cache = Cache::open(root).unwrap();
        Beside { run: cache.new_run("beside").unwrap(), cache, node, claim: None, counted: false }
    }

    /// Finds the record, and counts on it as a scheduler does; or stores the outputs.
    fn begin(&mut self) -> bool {
        // It would wait for a blob that is being removed at this operation.
        let is_removed = |bytes: &Vec<u8>| self.cache.layout().removal(Digest::of(bytes)).exists();
        if content(self.node).iter().any(is_removed) {
            return false;
        }
        let before = self.cache.collections().unwrap();
        let mut looked = self.look();
        if matches!(looked, Some(Lookup::Hit(_))) {
            self.run.pin(&[key(self.node)]).unwrap();
            if !self.cache.collections().unwrap().none_since(&before) {
                looked = self.look();
            }
        }
        match looked {
            None => return false,
            Some(Lookup::Hit(_)) => self.counted = true,
            Some(Lookup::Miss(claim)) => {
                for bytes in content(self.node) {
                    self.cache.blobs().put_bytes(&bytes).unwrap();
                }
                self.claim = Some(claim);
            }
        }
        true
    }

    fn look(&self) -> Option<Lookup> {
        match self.cache.lookup(key(self.node), self.node, &mut |_| false) {
            Ok(looked) => Some(looked),
            Err(CacheError::Interrupted { .. }) => None,
            Err(error) => panic!("{error}"),
        }
    }

    /// Pins, then commits.
    fn end(&mut self) {
        if let Some(claim) = self.claim.take() {
            self.run.pin(&[key(self.node)]).unwrap();
            let outputs = content(self.node).map(|bytes| (Digest::of(&bytes), bytes.len() as u64));
            claim.commit(record(self.node, outputs)).unwrap();
            self.counted = true;
        }
    }
}

/// Begins before the collection's `first` operation and ends `apart` later, or when the collection is over. Whether it had as
/// many operations.
fn one(node: &'static str, first: usize, apart: usize, prepare: fn(&Cache)) -> bool {
    let folder = folder();
    let root = folder.path().join("cache");
    prepare(&furnish(&root));
    let cache = Cache::open(&root).unwrap();
    let beside = Rc::new(RefCell::new(Beside::new(&root, node)));
    let begun: Rc<Cell<Option<usize>>> = Rc::default();
    let (at_work, place) = (beside.clone(), begun.clone());
    let other = move |before: usize| match place.get() {
        None if before >= first && at_work.borrow_mut().begin() => place.set(Some(before)),
        Some(since) if before >= since + apart => at_work.borrow_mut().end(),
        _ => {}
    };
    let options = GcOptions { max_size: Some(0), keep_runs: 1, dry_run: false, ..GcOptions::default() };
    before_each(other, || cache.gc(options)).unwrap();
    let mut beside = beside.borrow_mut();
    beside.end();
    if beside.counted {
        let kept = cache.peek(key(node)).unwrap();
        assert!(kept.is_some(), "{node} was lost: begun at operation {first}, ended {apart} later");
    }
    begun.get().is_some()
}

fn everywhere(node: &'static str, prepare: fn(&Cache)) -> usize {
    let mut tried = 0;
    for first in 1.. {
        let all: Vec<usize> = if soak() > 1 { APART.to_vec() } else { vec![APART[first % APART.len()]] };
        let met = all.iter().filter(|apart| one(node, first, **apart, prepare)).count();
        tried += met;
        if met == 0 {
            return tried;
        }
    }
    unreachable!("a collection ends")
}

#[test]
fn what_a_run_commits_beside_a_collection_is_there_afterwards() {
    let tried = everywhere(NEW, |_| {});
    println!("collecting: commits at {tried} pairs of places of a collection, 0 lost");
    assert!(tried > 150, "{tried}");
}

/// The record that the run finds is one that the collection is to remove.
#[test]
fn what_a_run_finds_beside_a_collection_is_there_afterwards() {
    let tried = everywhere("idle", |_| {});
    println!("collecting: finds at {tried} pairs of places of a collection, 0 lost");
    assert!(tried > 150, "{tried}");
}

/// The only other record of the same bytes is one that the collection is to remove.
#[test]
fn what_a_run_has_in_common_with_what_goes_is_there_afterwards() {
    let tried = everywhere(NEW, |cache| {
        let pinned = cache.layout().record(key("pinned"));
        fs::remove_file(pinned).unwrap();
        let [_, shared] = content(BEFORE[1]);
        age(&cache.blobs().path(Digest::of(&shared)));
    });
    println!("collecting: commits of the same bytes at {tried} pairs of places of a collection, 0 lost");
    assert!(tried > 150, "{tried}");
}
