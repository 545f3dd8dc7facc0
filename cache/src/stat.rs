//! Digests of files from outside, remembered by what the file system says of them, so that a run that has nothing to do
//! need not read its data sets. An accelerator: `stat-v2/` can be deleted; each machine has a file of its own in it. Knows not
//! what the files are.

use crate::aside::Aside;
use crate::{Cache, CacheError, Digest, Stamp, disk};
use md5::Md5;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

/// How often a file may change under our hands before we give up.
const ATTEMPTS: usize = 3;

/// A checksum that publishers of data sets give, besides the BLAKE3 that is always computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// 32 hexadecimal digits.
    Md5,
    /// 64 hexadecimal digits.
    Sha256,
}

/// What a file held when it was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileSeen {
    /// BLAKE3, which names the content.
    pub digest: Digest,
    /// Its length.
    pub bytes: u64,
    /// Lower-case hexadecimal, if it was ever asked for.
    pub md5: Option<String>,
    /// Lower-case hexadecimal, if it was ever asked for.
    pub sha256: Option<String>,
}

impl FileSeen {
    fn has(&self, algorithm: &Algorithm) -> bool {
        match algorithm {
            Algorithm::Md5 => self.md5.is_some(),
            Algorithm::Sha256 => self.sha256.is_some(),
        }
    }
}

#[derive(Clone, Serialize, Deserialize)]
struct Remembered {
    stamp: Stamp,
    seen: FileSeen,
}

#[derive(Default)]
struct State {
    files: BTreeMap<String, Remembered>,
    changed: bool,
}

/// Digests of files by absolute path. Save it at the end; of two processes the last to save wins, which costs a read.
pub struct StatCache {
    cache: Cache,
    path: PathBuf,
    state: Mutex<State>,
}

impl StatCache {
    pub(crate) fn open(cache: &Cache) -> Self {
        let path = cache.layout().stat();
        let files = disk::read(&path).ok().and_then(|text| opened(&text)).unwrap_or_default();
        StatCache { cache: cache.clone(), path, state: Mutex::new(State { files, changed: false }) }
    }

    /// What the file holds, with at least these checksums; read in one pass, and only if it may have changed.
    ///
    /// # Errors
    /// The file cannot be read, or [`CacheError::Changing`].
    pub fn digest_of(&self, path: &Path, algorithms: &[Algorithm]) -> Result<FileSeen, CacheError> {
        // The file may lie elsewhere: the earlier of the two clocks costs a reading at most.
        self.digest_at(path, algorithms, SystemTime::now().min(self.cache.now()))
    }

    pub(crate) fn digest_at(
        &self,
        path: &Path,
        algorithms: &[Algorithm],
        now: SystemTime,
    ) -> Result<FileSeen, CacheError> {
        let path = &std::path::absolute(path).map_err(CacheError::io("find", path))?;
        for _ in 0..ATTEMPTS {
            let mut file = disk::open(path).map_err(CacheError::io("read", path))?;
            let stamp = stamp(&file, path)?;
            let name = path.to_str();
            let known = name.and_then(|name| self.state().files.get(name).cloned()).filter(|it| it.stamp == stamp);
            if let Some(known) = &known
                && algorithms.iter().all(|algorithm| known.seen.has(algorithm))
            {
                return Ok(known.seen.clone());
            }
            let wants = |algorithm| {
                algorithms.contains(&algorithm) || known.as_ref().is_some_and(|known| known.seen.has(&algorithm))
            };
            let seen = read(&mut file, path, wants(Algorithm::Md5), wants(Algorithm::Sha256))?;
            if self::stamp(&file, path)? != stamp || seen.bytes != stamp.bytes() {
                continue;
            }
            if let Some(name) = name
                && !stamp.is_racy(now)
            {
                let mut state = self.state();
                state.files.insert(name.to_string(), Remembered { stamp, seen: seen.clone() });
                state.changed = true;
            }
            return Ok(seen);
        }
        Err(CacheError::Changing { path: path.clone() })
    }

    /// What was last read from this path, whatever is there now.
    pub fn remembered(&self, path: &Path) -> Option<FileSeen> {
        let path = std::path::absolute(path).ok()?;
        Some(self.state().files.get(path.to_str()?)?.seen.clone())
    }

    /// Forgets what is known of a file, or of the files of a folder, because somebody found it to be otherwise: the next
    /// look reads it.
    pub fn forget(&self, path: &Path) {
        let Ok(path) = std::path::absolute(path) else { return };
        let mut state = self.state();
        let before = state.files.len();
        state.files.retain(|name, _| !Path::new(name).starts_with(&path));
        state.changed |= state.files.len() != before;
    }

    /// Writes what was learnt, if anything was. Files that are gone are forgotten.
    pub fn save(&self) -> Result<(), CacheError> {
        let mut state = self.state();
        if !state.changed {
            return Ok(());
        }
        state.files.retain(|path, _| disk::exists(Path::new(path)));
        let text = sealed(&state.files).map_err(|error| CacheError::io("write", &self.path)(error.into()))?;
        let mut aside = Aside::new(&self.cache.layout().records_tmp())?;
        aside.write(&text)?;
        aside.publish_accelerator(&self.path)?;
        state.changed = false;
        Ok(())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The text of the file: a line with its checksum, and JSON.
fn sealed(files: &BTreeMap<String, Remembered>) -> serde_json::Result<Vec<u8>> {
    let content = serde_json::to_vec(files)?;
    let mut text = format!("{}\n", Digest::of(&content)).into_bytes();
    text.extend_from_slice(&content);
    Ok(text)
}

/// What the file says; none where it is damaged or of another form, and then everything is read anew.
fn opened(text: &[u8]) -> Option<BTreeMap<String, Remembered>> {
    let line = text.iter().position(|byte| *byte == b'\n')?;
    let (line, content) = (std::str::from_utf8(&text[..line]).ok()?, &text[line + 1..]);
    (line == Digest::of(content).hex()).then(|| serde_json::from_slice(content).ok())?
}

fn stamp(file: &File, path: &Path) -> Result<Stamp, CacheError> {
    Stamp::of(file).map_err(CacheError::io("read", path))
}

fn read(file: &mut File, path: &Path, md5: bool, sha256: bool) -> Result<FileSeen, CacheError> {
    let mut blake3 = blake3::Hasher::new();
    let mut md5 = md5.then(Md5::new);
    let mut sha256 = sha256.then(Sha256::new);
    let mut buffer = vec![0u8; 1 << 20];
    let mut bytes = 0;
    loop {
        let read = disk::read_some(file, path, &mut buffer).map_err(CacheError::io("read", path))?;
        if read == 0 {
            break;
        }
        blake3.update(&buffer[..read]);
        md5.iter_mut().for_each(|hasher| hasher.update(&buffer[..read]));
        sha256.iter_mut().for_each(|hasher| hasher.update(&buffer[..read]));
        bytes += read as u64;
    }
    Ok(FileSeen {
        digest: blake3.finalize().into(),
        bytes,
        md5: md5.map(|hasher| hex(&hasher.finalize())),
        sha256: sha256.map(|hasher| hex(&hasher.finalize())),
    })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
#[path = "stat_tests.rs"]
mod tests;
