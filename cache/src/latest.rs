//! Which record is the newest of a node, and which were before it: what `ddpipe why` compares with. `latest-v1/` is an
//! accelerator. When it is deleted it is made again from the records; then only nodes that ran their key first are known,
//! until they run again.

use crate::aside::Aside;
use crate::{Cache, CacheError, Digest, Key, Record, Stamp, disk};
use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};

/// They say that the folder knows of every record; without one of them, it is made again. Earlier versions write the first
/// alone, and know of no earlier records.
const COMPLETE: [&str; 2] = ["complete", "complete-earlier"];
/// The ending of the files that have the keys before the newest.
const EARLIER: &str = "earlier";
/// So many of them are kept for a node.
const KEPT: usize = 16;

impl Cache {
    /// Notes that `key` is what this node gave last, whoever computed it.
    pub fn note_latest(&self, pipeline: &str, node: &str, key: Key) -> Result<(), CacheError> {
        self.complete_latest()?;
        let path = self.latest_path(pipeline, node);
        let before = read_key(&path);
        if before == Some(key) {
            return Ok(());
        }
        if let Some(before) = before {
            let mut earlier = read_earlier(&path);
            earlier.insert(0, before);
            self.write_earlier(&path, &earlier, key)?;
        }
        self.write_latest(&path, key.hex().as_bytes())
    }

    /// Notes what nodes of a pipeline gave last, as [`Cache::note_latest`] does for one. Where the same was noted the last
    /// time, and nobody has noted anything since, no entry is opened.
    pub fn note_all_latest(&self, pipeline: &str, nodes: &[(String, Key)]) -> Result<(), CacheError> {
        let mut hasher = blake3::Hasher::new();
        for (node, key) in nodes {
            hasher.update(&(node.len() as u64).to_le_bytes());
            hasher.update(node.as_bytes());
            hasher.update(key.bytes());
        }
        let digest: Digest = hasher.finalize().into();
        let (folder, mark) = (self.layout().latest(), self.layout().noted(pipeline));
        let now = self.now();
        let stamp = || disk::look(&folder).ok().map(|metadata| Stamp::seen(&metadata));
        let before = stamp();
        let text = before.as_ref().map(|stamp| [digest.bytes().as_slice(), &stamp.to_bytes()].concat());
        if text.is_some() && disk::read(&mark).ok() == text {
            return Ok(());
        }
        nodes.iter().try_for_each(|(node, key)| self.note_latest(pipeline, node, *key))?;
        // A folder that changed a moment ago may change again within the same time stamp.
        let settled = before.as_ref().is_some_and(|before| !before.is_racy(now)) && stamp() == before;
        if let Some(text) = text.filter(|_| settled) {
            self.write_latest(&mark, &text)?;
        }
        Ok(())
    }

    /// The newest record of a node, whether or not its outputs are still there.
    pub fn newest_record(&self, pipeline: &str, node: &str) -> Result<Option<Record>, CacheError> {
        self.complete_latest()?;
        let path = self.latest_path(pipeline, node);
        if !disk::exists(&path) {
            return Ok(None);
        }
        if let Some(key) = read_key(&path)
            && let Some(record) = self.record(key)?
        {
            return Ok(Some(record));
        }
        // The record it names is gone. What is left decides, and is noted so that the next call is quick again.
        let of_node = |record: &Record| record.pipeline == pipeline && record.node == node;
        let newest = self.records()?.into_iter().filter(of_node).max_by(by_start);
        match &newest {
            Some(record) => self.write_latest(&path, record.key.hex().as_bytes())?,
            None => match disk::unlink(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(CacheError::io("remove", &path)(error));
                }
                _ => {}
            },
        }
        Ok(newest)
    }

    /// What a node gave before its newest record, newest first: at most 16 records, those that are still there.
    pub fn earlier_records(&self, pipeline: &str, node: &str) -> Result<Vec<Record>, CacheError> {
        self.complete_latest()?;
        let mut records = Vec::new();
        for key in read_earlier(&self.latest_path(pipeline, node)) {
            records.extend(self.record(key)?);
        }
        Ok(records)
    }

    fn complete_latest(&self) -> Result<(), CacheError> {
        let markers = COMPLETE.map(|name| self.layout().latest().join(name));
        if markers.iter().all(|marker| disk::exists(marker)) {
            return Ok(());
        }
        let mut by_node: HashMap<PathBuf, Vec<(f64, Key)>> = HashMap::new();
        for record in self.records()? {
            let path = self.latest_path(&record.pipeline, &record.node);
            by_node.entry(path).or_default().push((record.provenance.started_unix, record.key));
        }
        for (path, mut keys) in by_node {
            keys.sort_by(|(one, _), (other, _)| other.total_cmp(one));
            let mut keys = keys.into_iter().map(|(_, key)| key);
            let Some(newest) = keys.next() else { continue };
            // An entry that is there was noted by a process at work, and is newer than any scan.
            let noted = read_key(&path);
            let earlier: Vec<Key> = noted.map(|_| newest).into_iter().chain(keys).collect();
            self.write_earlier(&path, &earlier, noted.unwrap_or(newest))?;
            if noted.is_none() {
                self.write_latest(&path, newest.hex().as_bytes())?;
            }
        }
        markers.iter().try_for_each(|marker| self.write_latest(marker, b""))
    }

    fn latest_path(&self, pipeline: &str, node: &str) -> PathBuf {
        let name = blake3::hash(format!("{pipeline}\0{node}").as_bytes());
        self.layout().latest().join(name.to_hex().as_str())
    }

    fn write_latest(&self, path: &Path, content: &[u8]) -> Result<(), CacheError> {
        let mut aside = Aside::new(&self.layout().records_tmp())?;
        aside.write(content)?;
        aside.publish_accelerator(path)
    }

    /// Writes the keys before `newest`, newest first, each once.
    fn write_earlier(&self, path: &Path, earlier: &[Key], newest: Key) -> Result<(), CacheError> {
        let mut kept: Vec<Key> = Vec::new();
        for key in earlier {
            if *key != newest && !kept.contains(key) && kept.len() < KEPT {
                kept.push(*key);
            }
        }
        if kept.is_empty() {
            return Ok(());
        }
        let text: String = kept.iter().map(|key| format!("{key}\n")).collect();
        self.write_latest(&path.with_extension(EARLIER), text.as_bytes())
    }
}

fn read_key(path: &Path) -> Option<Key> {
    String::from_utf8(disk::read(path).ok()?).ok()?.trim().parse().ok()
}

/// The keys of a node before its newest. What cannot be read is left out.
fn read_earlier(path: &Path) -> Vec<Key> {
    let text = disk::read(&path.with_extension(EARLIER)).unwrap_or_default();
    String::from_utf8_lossy(&text).lines().filter_map(|line| line.trim().parse().ok()).collect()
}

fn by_start(a: &Record, b: &Record) -> std::cmp::Ordering {
    a.provenance.started_unix.total_cmp(&b.provenance.started_unix)
}
