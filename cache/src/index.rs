//! A copy of what records say, in one file, so that a run with nothing to do need not open a file for each of its nodes.
//! An accelerator: `index-v1/` can be deleted. What is taken from it is what the record's file said when it was read whole
//! and found right, and the file system says that nobody has written to that file or replaced it since (its [`Stamp`]).
//! Knows not what a description means.

mod packed;

use crate::aside::Aside;
use crate::layout::Layout;
use crate::{CacheError, Digest, Key, Record, Stamp, disk};
use packed::{Bytes, Texts};
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// The first bytes of the file.
const MAGIC: &[u8] = b"ddpipe index 1\n";
/// The bytes of an entry in the file's table: key, stamp, and where the record begins and ends.
const ENTRY: usize = 32 + Stamp::BYTES + 16;
/// The file is written anew when one record in so many is not in it as it is now.
const SHARE: usize = 64;

/// The index of one cache folder, as this process knows it.
#[derive(Debug)]
pub(crate) struct Index {
    path: PathBuf,
    tmp: PathBuf,
    state: RwLock<Option<State>>,
}

/// The content of the file, and what was learnt since.
#[derive(Debug, Default)]
struct State {
    file: Vec<u8>,
    /// Where in the file the entries are, sorted by key.
    entries: usize,
    count: usize,
    texts: Texts,
    learnt: HashMap<Key, (Stamp, Vec<u8>)>,
}

impl Index {
    pub fn new(layout: &Layout) -> Self {
        Index { path: layout.index_of_records(), tmp: layout.records_tmp(), state: RwLock::default() }
    }

    /// The record of a key that has this description, if the record's file is as it was when it was read. The description
    /// goes over to the record.
    pub fn find(&self, key: Key, description: &mut Vec<(String, String)>, stamp: &Stamp) -> Option<Record> {
        let state = self.read();
        let State { file, entries, count, texts, learnt } = state.as_ref()?;
        if let Some((seen, bytes)) = learnt.get(&key) {
            return (seen == stamp).then(|| packed::unpack(Bytes(bytes), texts, key, description))?;
        }
        let (seen, bytes) = lookup(file, *entries, *count, key)?;
        (seen == *stamp).then(|| packed::unpack(Bytes(bytes), texts, key, description))?
    }

    /// Notes what a record's file says. The stamp is from before it was read, and was the same afterwards.
    pub fn learn(&self, record: &Record, stamp: Stamp) {
        let mut state = self.write();
        let state = state.get_or_insert_with(|| self.load());
        if let Some(bytes) = packed::pack(record, &mut state.texts) {
            state.learnt.insert(record.key, (stamp, bytes));
        }
    }

    /// Writes the file anew, if enough was learnt. Of two processes the last to write wins; what the other learnt is
    /// learnt again.
    pub fn save(&self) -> Result<(), CacheError> {
        let mut state = self.write();
        let Some(state) = state.as_mut().filter(|state| state.learnt.len() > state.count / SHARE) else {
            return Ok(());
        };
        let text = state.text();
        let mut aside = Aside::new(&self.tmp)?;
        aside.write(&text)?;
        aside.publish_accelerator(&self.path)?;
        *state = State::of(text);
        Ok(())
    }

    /// Removes the file: most of what it says is gone.
    pub fn remove(&self) {
        *self.write() = None;
        if let Err(error) = disk::unlink(&self.path) {
            tracing::debug!(path = %self.path.display(), %error, "the index of records was not removed");
        }
    }

    fn load(&self) -> State {
        State::of(disk::read(&self.path).unwrap_or_default())
    }

    /// The state, which is read from the file the first time; many may look at it at once.
    fn read(&self) -> RwLockReadGuard<'_, Option<State>> {
        let known = self.state.read().unwrap_or_else(PoisonError::into_inner);
        if known.is_some() {
            return known;
        }
        drop(known);
        self.write().get_or_insert_with(|| self.load());
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Option<State>> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// What a file says; nothing where it is damaged or of another form.
    fn of(file: Vec<u8>) -> Self {
        match opened(&file) {
            Some((texts, entries, count)) => State { file, entries, count, texts, learnt: HashMap::new() },
            None => State::default(),
        }
    }

    /// The content of the file with what was learnt.
    fn text(&self) -> Vec<u8> {
        let table = self.file.get(self.entries..).unwrap_or_default();
        let kept = (0..self.count).filter_map(|place| {
            let (key, stamp, place) = entry(&self.file, self.entries, place)?;
            Some((key, stamp, record(table, self.count, place)?))
        });
        let kept = kept.filter(|(key, ..)| !self.learnt.contains_key(key));
        let learnt = self.learnt.iter().map(|(key, (stamp, bytes))| (*key, stamp.clone(), bytes.as_slice()));
        let mut all: Vec<(Key, Stamp, &[u8])> = kept.chain(learnt).collect();
        all.sort_by_key(|(key, ..)| *key);
        let mut content = Vec::with_capacity(self.file.len());
        self.texts.write(&mut content);
        packed::put(&mut content, all.len() as u64);
        let mut place = 0u64;
        for (key, stamp, bytes) in &all {
            content.extend_from_slice(key.bytes());
            content.extend_from_slice(&stamp.to_bytes());
            content.extend_from_slice(&place.to_le_bytes());
            place += bytes.len() as u64;
            content.extend_from_slice(&place.to_le_bytes());
        }
        all.iter().for_each(|(.., bytes)| content.extend_from_slice(bytes));
        [MAGIC, Digest::of(&content).bytes(), &content].concat()
    }
}

/// The texts of a file whose checksum is right, where its entries begin, and how many there are.
fn opened(file: &[u8]) -> Option<(Texts, usize, usize)> {
    let sealed = file.strip_prefix(MAGIC)?;
    let (check, content) = sealed.split_at_checked(32)?;
    if Digest::of(content).bytes() != check {
        return None;
    }
    let mut bytes = Bytes(content);
    let texts = Texts::read(&mut bytes)?;
    let count = usize::try_from(bytes.number()?).ok()?;
    let entries = file.len() - bytes.0.len();
    (bytes.0.len() >= count.checked_mul(ENTRY)?).then_some((texts, entries, count))
}

/// The entry at a place of the table.
fn entry(file: &[u8], entries: usize, place: usize) -> Option<(Key, Stamp, &[u8])> {
    let table = file.get(entries..)?;
    let mut bytes = Bytes(table.get(place * ENTRY..)?);
    let key = Key::from_bytes(bytes.array()?);
    let stamp = Stamp::from_bytes(bytes.array()?);
    Some((key, stamp, bytes.take(16)?))
}

/// The stamp and the record of a key.
fn lookup(file: &[u8], entries: usize, count: usize, key: Key) -> Option<(Stamp, &[u8])> {
    let table = file.get(entries..)?;
    let of = |place: usize| table.get(place * ENTRY..place * ENTRY + 32);
    let (mut low, mut high) = around(key, count, of)?;
    while low < high {
        let middle = low + (high - low) / 2;
        match of(middle)?.cmp(key.bytes()) {
            std::cmp::Ordering::Less => low = middle + 1,
            std::cmp::Ordering::Greater => high = middle,
            std::cmp::Ordering::Equal => {
                let (_, stamp, place) = entry(file, entries, middle)?;
                return Some((stamp, record(table, count, place)?));
            }
        }
    }
    None
}

/// A range of the table that has the key, if the table has it. Keys are hashes, spread evenly: the first bytes of one say
/// about where it is, and only few places are looked at, which lie beside each other.
fn around<'a>(key: Key, count: usize, of: impl Fn(usize) -> Option<&'a [u8]>) -> Option<(usize, usize)> {
    let key: &[u8] = key.bytes();
    let first = u64::from_be_bytes(*key.first_chunk()?);
    let guess = ((u128::from(first) * count as u128) >> 64) as usize;
    let (mut low, mut high, mut step) = (0, count, 4);
    if of(guess)? <= key {
        low = guess;
        while let Some(next) = low.checked_add(step).filter(|next| *next < count) {
            if of(next)? > key {
                high = next;
                break;
            }
            (low, step) = (next, step * 2);
        }
    } else {
        high = guess;
        while let Some(next) = high.checked_sub(step) {
            if of(next)? <= key {
                low = next;
                break;
            }
            (high, step) = (next, step * 2);
        }
    }
    Some((low, high))
}

/// The bytes of a record that begins and ends where an entry says.
fn record<'a>(table: &'a [u8], count: usize, place: &[u8]) -> Option<&'a [u8]> {
    let mut place = Bytes(place);
    let (begin, end) = (u64::from_le_bytes(place.array()?), u64::from_le_bytes(place.array()?));
    table.get(count * ENTRY..)?.get(usize::try_from(begin).ok()?..usize::try_from(end).ok()?)
}

#[cfg(test)]
#[path = "index_tests.rs"]
mod tests;
