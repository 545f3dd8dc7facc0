//! Packs: every record that a run reached, as one object. Who begins with an empty cache folder reads the newest packs of its
//! pipeline in place of a request for each record. An accelerator: records lie there by themselves too, what a pack says is
//! checked as they are, and what none has is asked for. Knows no graph.

use super::asking::Asking;
use super::portable::portable;
use super::remote::{Shared, drawn, lock};
use super::sign;
use super::store::{Seen, StoreError};
use crate::sealed::{self, Opened};
use crate::{Cache, CacheError, Digest, Key, RunDir, disk};
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The folder of packs in a store.
pub const FOLDER: &str = "packs-v1";
/// So many of a pipeline's packs are read, the newest ones; older ones are removed by who writes another.
const NEWEST: usize = 3;
/// No pack is longer, packed or unpacked.
const LIMIT: u64 = 64 << 20;
/// So many records that are not here are worth a look at the packs, and so many that no pack has another one.
pub(super) const MANY: usize = 16;

/// What this process knows of packs.
#[derive(Debug, Default)]
pub(super) struct Packs {
    /// The texts of records, of each pipeline whose packs were read.
    read: Mutex<HashMap<String, HashMap<Key, Vec<u8>>>>,
    /// How many records a pack would have saved somebody requests for: those that were sent, or asked for one by one.
    news: AtomicUsize,
}

impl Packs {
    /// Notes that a record is there that the packs do not have.
    pub fn note_news(&self) {
        self.news.fetch_add(1, Ordering::Relaxed);
    }

    /// Takes the text of a record, if a pack that was read has it.
    pub fn take(&self, key: Key) -> Option<Vec<u8>> {
        lock(&self.read).values_mut().find_map(|records| records.remove(&key))
    }

    /// Reads the newest packs of a pipeline, once.
    pub fn look(&self, asking: &Asking, pipeline: &str) -> Result<(), StoreError> {
        let mut read = lock(&self.read);
        if read.contains_key(pipeline) {
            return Ok(());
        }
        let mut records = HashMap::new();
        for (name, _) in newest_first(asking, pipeline)?.into_iter().take(NEWEST) {
            match asking.ask(|store| store.get(&name, LIMIT)) {
                Ok(Some(pack)) => unpack(&pack, &mut records),
                Ok(None) | Err(StoreError::Other(_)) => {}
                Err(error) => return Err(error),
            }
        }
        read.insert(pipeline.to_string(), records);
        Ok(())
    }
}

impl Cache {
    /// Packs what a run has reached, for those who begin with nothing: where much of it is news there, and where the run is
    /// no part of another one.
    ///
    /// # Errors
    /// The remote does not take it.
    pub fn pack(&self, run: &RunDir) -> Result<(), CacheError> {
        let Some(shared) = self.shared() else { return Ok(()) };
        // Fewer are asked for one by one as quickly.
        if run.is_part() || shared.packs.news.swap(0, Ordering::Relaxed) < MANY {
            return Ok(());
        }
        let (pipeline, keys) = (run.pipeline(), run.reached());
        let packed = shared.packed(self, keys.into_iter().filter(|key| shared.marks.is_there(*key)))?;
        let Some(packed) = packed else { return Ok(()) };
        let send = || -> Result<(), StoreError> {
            let name = format!("{}/{}.{}.jsonl.gz", folder(pipeline), run.id(), &drawn()[..16]);
            shared.asking.change(|store| store.put(&name, packed.len() as u64, &mut packed.as_slice()))?;
            let older = newest_first(&shared.asking, pipeline)?.into_iter().skip(NEWEST);
            let older: Vec<String> = older.map(|(name, _)| name).collect();
            shared.asking.change(|store| store.delete(&older))
        };
        send().map_err(|error| super::remote::unusable(&shared.asking, error))
    }
}

impl Shared {
    /// The pack of these records, as they would be sent; none of fewer than a look at packs is worth.
    fn packed(&self, cache: &Cache, keys: impl Iterator<Item = Key>) -> Result<Option<Vec<u8>>, CacheError> {
        let failed = || CacheError::io("pack", cache.root());
        let mut pack = GzEncoder::new(Vec::new(), Compression::default());
        let (mut count, mut bytes) = (0, 0);
        for key in keys {
            let Ok(text) = disk::read(&cache.layout().record(key)) else { continue };
            let Some(mut text) = portable(&text) else { continue };
            if let Some(notary) = &self.notary {
                text = sign::signed(text, &**notary);
            }
            let line = serde_json::to_vec(&String::from_utf8_lossy(&text)).map_err(|error| failed()(error.into()))?;
            bytes += line.len() as u64 + 1;
            if bytes > LIMIT {
                break;
            }
            pack.write_all(&line).and_then(|()| pack.write_all(b"\n")).map_err(failed())?;
            count += 1;
        }
        let pack = pack.finish().map_err(failed())?;
        Ok((count >= MANY).then_some(pack))
    }
}

/// The folder of a pipeline's packs.
fn folder(pipeline: &str) -> String {
    format!("{FOLDER}/{}", &Digest::of(pipeline.as_bytes()).hex()[..32])
}

fn newest_first(asking: &Asking, pipeline: &str) -> Result<Vec<(String, Seen)>, StoreError> {
    let mut packs = asking.ask(|store| store.list(&folder(pipeline)))?;
    packs.sort_by(|(one, seen), (other, later)| later.written.cmp(&seen.written).then(other.cmp(one)));
    Ok(packs)
}

/// Adds the records of a pack that are not known yet. Lines that cannot be read are left out; the rest is checked when it is used.
fn unpack(pack: &[u8], records: &mut HashMap<Key, Vec<u8>>) {
    let lines = BufReader::new(GzDecoder::new(pack).take(LIMIT)).split(b'\n').map_while(Result::ok);
    for text in lines.filter_map(|line| serde_json::from_slice::<String>(&line).ok()) {
        if let Some(Opened::Record(record)) = sealed::open(text.as_bytes()) {
            records.entry(record.key).or_insert_with(|| text.into_bytes());
        }
    }
}
