//! Which record is the newest of a node: what `ddpipe why` compares with. `latest-v1/` is an accelerator. When it is
//! deleted it is made again from the records; then only nodes that ran their key first are known, until they run again.

use crate::aside::Aside;
use crate::{Cache, CacheError, Key, Record, disk};
use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};

/// Says that the folder knows of every record; without it, it is made again.
const COMPLETE: &str = "complete";

impl Cache {
    /// Notes that `key` is what this node gave last, whoever computed it.
    pub fn note_latest(&self, pipeline: &str, node: &str, key: Key) -> Result<(), CacheError> {
        self.complete_latest()?;
        let path = self.latest_path(pipeline, node);
        if read_key(&path) == Some(key) {
            return Ok(());
        }
        self.write_latest(&path, key.hex().as_bytes())
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

    fn complete_latest(&self) -> Result<(), CacheError> {
        let marker = self.layout().latest().join(COMPLETE);
        if disk::exists(&marker) {
            return Ok(());
        }
        let mut newest: HashMap<PathBuf, Record> = HashMap::new();
        for record in self.records()? {
            let path = self.latest_path(&record.pipeline, &record.node);
            if newest.get(&path).is_none_or(|other| by_start(other, &record).is_lt()) {
                newest.insert(path, record);
            }
        }
        for (path, record) in &newest {
            // An entry that is there was noted by a process at work, and is newer than any scan.
            if !disk::exists(path) {
                self.write_latest(path, record.key.hex().as_bytes())?;
            }
        }
        self.write_latest(&marker, b"")
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
}

fn read_key(path: &Path) -> Option<Key> {
    String::from_utf8(disk::read(path).ok()?).ok()?.trim().parse().ok()
}

fn by_start(a: &Record, b: &Record) -> std::cmp::Ordering {
    a.provenance.started_unix.total_cmp(&b.provenance.started_unix)
}
