//! The remote of a cache folder: a store, and what this process knows of it. The first request looks whether it is the
//! remote that it was; until then none is made.

use super::asking::{Asking, Hurry};
use super::bring::Brought;
use super::folder::{self, Folder};
use super::leases::Leases;
use super::marks::Marks;
use super::packs::Packs;
use super::probe::Probe;
use super::sender::Sender;
use super::sign::Notary;
use super::store::{Store, StoreError};
use crate::layout::Layout;
use crate::{Cache, CacheError, Digest, Key, disk};
use serde::{Deserialize, Serialize};
use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The object that says what a store is.
pub(super) const MARK: &str = "ddpipe-cache.json";
/// The version of the layout that this program knows.
const LAYOUT: u64 = 1;
/// No such object is longer.
const MARK_LIMIT: u64 = 1 << 16;
/// How long it is believed that a record is not there.
const ABSENT: Duration = Duration::from_secs(10);

/// How long a store is waited for that does not answer.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// The first pause before a request is made again; each further one is twice as long.
    pub first: Duration,
    /// The longest pause.
    pub longest: Duration,
    /// All pauses of this process together, those of requests at the same time as one. Then it goes on without the store.
    pub in_all: Duration,
    /// Whether a store that has answered once is waited for also when it refuses, or is not there: where there is no way to do
    /// without it.
    pub stubborn: bool,
}

impl Default for Patience {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Patience { first: seconds(1), longest: seconds(30), in_all: seconds(30), stubborn: false }
    }
}

/// How often a process shows that it lives, and after how long without that it is taken for dead.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Between two heartbeats.
    pub interval: Duration,
    /// How long a heartbeat has to stay the same for its holder to be dead.
    pub ttl: Duration,
}

impl Pace {
    /// A pace with this time between heartbeats; six of them are missed before somebody is dead.
    pub fn every(interval: Duration) -> Self {
        Pace { interval, ttl: interval * 6 }
    }

    /// What the environment says in `DDPIPE_HEARTBEAT_SECONDS`, or 15 s.
    pub fn of_environment() -> Self {
        let said = std::env::var("DDPIPE_HEARTBEAT_SECONDS").ok().and_then(|text| text.parse().ok());
        let interval = said.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        Pace::every(interval.filter(|interval| !interval.is_zero()).unwrap_or(Duration::from_secs(15)))
    }
}

/// A store that a cache folder reads through and writes to, and how long to wait for it.
#[derive(Clone, Debug)]
pub struct Remote {
    store: Arc<dyn Store>,
    patience: Patience,
    pace: Pace,
    /// Whether it is tried out before it is relied on.
    tried_out: bool,
    hurry: Hurry,
    pub(super) notary: Option<Arc<dyn Notary>>,
}

impl Remote {
    /// The remote at a URL, `file:///folder` or `s3://bucket/prefix`. Makes no request.
    ///
    /// # Errors
    /// The URL is none that this program knows, or there is no such folder, or one that holds something else, or what
    /// reaches a bucket is missing.
    pub fn at(url: &str, patience: Patience) -> Result<Self, CacheError> {
        let refused = |why: String| CacheError::NoRemote { url: url.to_string(), why };
        if url.starts_with("s3://") {
            return Ok(Remote::over(bucket(url).map_err(refused)?, patience).tried_out());
        }
        let Some(path) = url.strip_prefix("file://") else {
            let why = "a remote is file:///FOLDER, with the folder's absolute path, or s3://BUCKET/PREFIX\n  a cache folder \
                       without a remote is named with `--cache DIR`";
            return Err(refused(why.into()));
        };
        let root = Path::new(path);
        if !root.is_absolute() {
            return Err(refused("the folder's path has to be absolute: file:///mnt/lab/ddpipe".into()));
        }
        if !root.is_dir() {
            let why = format!("there is no folder {path}\n  mount it, or make it once with `mkdir -p {path}`");
            return Err(refused(why));
        }
        match folder::is_usable(root) {
            Ok(None) => Ok(Remote::over(Arc::new(Folder::new(root)), patience).tried_out()),
            Ok(Some(entry)) => Err(refused(format!(
                "the folder holds {entry}, and is neither a remote nor a cache of ddpipe\n  name an empty folder"
            ))),
            Err(error) => Err(refused(error.to_string())),
        }
    }

    /// A remote over any store, of which it is believed that it shows at once what was written.
    pub fn over(store: Arc<dyn Store>, patience: Patience) -> Self {
        Remote {
            store,
            patience,
            pace: Pace::of_environment(),
            tried_out: false,
            hurry: Hurry::default(),
            notary: None,
        }
    }

    /// The same, which is tried out before leases there are relied on: how late it shows what was written.
    pub fn tried_out(self) -> Self {
        Remote { tried_out: true, ..self }
    }

    /// The same, whose records are signed and judged.
    pub fn with_notary(self, notary: Arc<dyn Notary>) -> Self {
        Remote { notary: Some(notary), ..self }
    }

    /// The same, which is not waited for much longer once the user wants to go.
    pub fn in_a_hurry(self, hurry: Hurry) -> Self {
        Remote { hurry, ..self }
    }

    /// Its URL.
    pub fn url(&self) -> &str {
        self.store.url()
    }

    /// Requests to it, outside of any cache folder.
    pub(super) fn asking(&self) -> Asking {
        Asking::new(self.store.clone(), self.patience)
    }

    /// The same with another pace.
    pub fn at_pace(self, pace: Pace) -> Self {
        Remote { pace, ..self }
    }
}

#[cfg(feature = "s3")]
fn bucket(url: &str) -> Result<Arc<dyn Store>, String> {
    use super::bucket::{Bucket, Settings};
    let settings = Settings::of(|name| std::env::var(name).ok())?;
    Ok(Arc::new(Bucket::new(url, settings)?))
}

#[cfg(not(feature = "s3"))]
fn bucket(_url: &str) -> Result<Arc<dyn Store>, String> {
    Err("this ddpipe was built without buckets\n  build it with `--features s3`, or name file:///FOLDER".into())
}

/// The leases of a cache folder that several machines open: one that has the mark of a store.
pub(crate) fn leases_in(layout: &Layout) -> Option<Arc<Leases>> {
    if !disk::exists(&layout.root().join(MARK)) {
        return None;
    }
    let asking = Arc::new(Asking::new(Arc::new(Folder::new(layout.root())), Patience::default()));
    Some(Arc::new(Leases::new(asking, Pace::of_environment(), None)))
}

/// What stands in a store's mark.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Mark {
    layout: u64,
    /// Drawn when it was made: a store that was emptied and filled anew is another.
    pub id: String,
    /// When it was made, in seconds since 1970, for people.
    #[serde(default)]
    made_unix: f64,
}

impl Mark {
    /// One for a store that has none, and its text.
    fn new() -> Result<(Self, Vec<u8>), StoreError> {
        let made_unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        let mark = Mark { layout: LAYOUT, id: drawn(), made_unix };
        let text = serde_json::to_vec(&mark).map_err(|error| StoreError::Other(error.to_string()))?;
        Ok((mark, text))
    }
}

impl Cache {
    /// Marks the folder as one that several machines open. Who opens it from now on takes leases beside locks.
    ///
    /// # Errors
    /// The mark cannot be written.
    pub fn share(&self) -> Result<(), CacheError> {
        let folder = Folder::new(self.root());
        if disk::exists(&self.root().join(MARK)) {
            return Ok(());
        }
        let made = Mark::new().and_then(|(_, text)| folder.put(MARK, text.len() as u64, &mut text.as_slice()));
        made.map(drop).map_err(|error| CacheError::NoRemote { url: folder.url().into(), why: error.to_string() })
    }
}

/// A remote as one cache folder and this process use it.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(super) asking: Arc<Asking>,
    pub leases: Arc<Leases>,
    pub(super) marks: Arc<Marks>,
    pub(super) probe: Arc<Probe>,
    pub(super) sender: Sender,
    pub(super) notary: Option<Arc<dyn Notary>>,
    pub(super) packs: Packs,
    /// Blobs that are not to be had there, whatever the marks say.
    doubted: Mutex<HashSet<Digest>>,
    /// Records that were not there, and when that was.
    absent: Mutex<HashMap<Key, Instant>>,
    /// What came from there.
    pub(super) brought: Mutex<Brought>,
    /// What has been said already.
    said: Mutex<HashSet<String>>,
    /// How many records from there were refused.
    refused: Mutex<u64>,
    /// Whether a folder that was emptied may be made a remote again.
    pub(super) begins_anew: AtomicBool,
    /// Its mark, once it was looked at.
    met: Mutex<Option<Option<Mark>>>,
}

impl Shared {
    pub fn new(remote: Remote, layout: &Layout) -> Result<Self, CacheError> {
        let Remote { store, patience, pace, tried_out, hurry, notary } = remote;
        let is_itself = |path: &Path| path.canonicalize().ok() == layout.root().canonicalize().ok();
        if let Some(path) = store.url().strip_prefix("file://")
            && is_itself(Path::new(path))
        {
            let why = "it is the cache folder itself\n  leave the remote out, or name another cache folder with `--cache DIR`";
            return Err(CacheError::NoRemote { url: store.url().into(), why: why.into() });
        }
        let marks = Arc::new(Marks::new(layout, store.url()));
        let asking = Arc::new(Asking::new(store, patience).in_a_hurry(hurry));
        let probe = Arc::new(Probe::new(asking.clone(), marks.clone()));
        let leases = Arc::new(Leases::new(asking.clone(), pace, tried_out.then(|| probe.clone())));
        Ok(Shared {
            asking,
            leases,
            marks,
            probe,
            sender: Sender::default(),
            notary,
            packs: Packs::default(),
            doubted: Mutex::default(),
            absent: Mutex::default(),
            brought: Mutex::default(),
            said: Mutex::default(),
            refused: Mutex::default(),
            begins_anew: AtomicBool::new(false),
            met: Mutex::default(),
        })
    }

    pub fn url(&self) -> &str {
        self.asking.url()
    }

    /// Looks at the store's mark before the first request. If it is another store than the one that was known under this
    /// URL, nothing that is remembered of it holds. Who writes makes a mark where there is none.
    pub(super) fn meet(&self, writes: bool) -> Result<Option<String>, StoreError> {
        let mut met = lock(&self.met);
        // Before one is made, another process may have made it.
        if met.is_none() || writes && matches!(*met, Some(None)) {
            let mark = self.asking.ask(|store| store.get(MARK, MARK_LIMIT))?;
            let mark = mark.map(|text| read(&text)).transpose()?;
            self.refuse_an_empty_folder(mark.is_some())?;
            self.marks.is_of(mark.as_ref().map(|mark| mark.id.as_str()).unwrap_or_default());
            *met = Some(mark);
        }
        if writes && matches!(*met, Some(None)) {
            let (mark, text) = Mark::new()?;
            self.asking.change(|store| store.put(MARK, text.len() as u64, &mut text.as_slice()))?;
            self.marks.is_of(&mark.id);
            *met = Some(Some(mark));
        }
        Ok(met.clone().flatten().map(|mark| mark.id))
    }

    /// A folder that was a remote and has nothing of one is more likely the place where its file system is mounted.
    fn refuse_an_empty_folder(&self, has_mark: bool) -> Result<(), StoreError> {
        let Some(path) = self.url().strip_prefix("file://") else { return Ok(()) };
        if has_mark || self.begins_anew.load(Ordering::Relaxed) || !self.marks.are_of_a_remote() {
            return Ok(());
        }
        let error = StoreError::NoSuchPlace(format!(
            "{path} was a remote and has no {MARK} any more: its file system may not be mounted\n  if it was emptied on purpose, \
             `ddpipe cache push --remote {}` makes it a remote again",
            self.url()
        ));
        self.asking.give_up(&error);
        Err(error)
    }

    /// Whether a record was found to be absent a moment ago.
    pub(super) fn is_absent(&self, key: Key) -> bool {
        lock(&self.absent).get(&key).is_some_and(|since| since.elapsed() < ABSENT)
    }

    pub(super) fn note_absent(&self, key: Key) {
        lock(&self.absent).insert(key, Instant::now());
    }

    pub(super) fn forget_absent(&self) {
        lock(&self.absent).clear();
    }

    /// Whether an output is believed to be there.
    pub fn has(&self, key: Key, digest: Digest) -> bool {
        if self.is_doubted(digest) {
            self.marks.forget(key);
            return false;
        }
        self.marks.is_there(key)
    }

    pub(super) fn is_doubted(&self, digest: Digest) -> bool {
        lock(&self.doubted).contains(&digest) || self.marks.is_doubted(digest)
    }

    pub(super) fn doubt(&self, digest: Digest) {
        lock(&self.doubted).insert(digest);
    }

    /// What is there was written by this process, and is whole.
    pub(super) fn trust(&self, digests: impl Iterator<Item = Digest>) {
        let mut doubted = lock(&self.doubted);
        digests.for_each(|digest| {
            doubted.remove(&digest);
            self.marks.trust(digest);
        });
    }

    /// Says something of the remote once.
    pub(super) fn say(&self, what: &str) {
        self.is_news(what);
    }

    fn is_news(&self, what: &str) -> bool {
        let is_new = lock(&self.said).insert(what.to_string());
        if is_new {
            tracing::warn!("the remote {}: {what}", self.url());
        }
        is_new
    }

    pub(super) fn refuse(&self, what: &str) {
        let is_new = self.is_news(what);
        *lock(&self.refused) += u64::from(is_new);
    }

    pub(super) fn refused(&self) -> u64 {
        *lock(&self.refused)
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Why the whole of a remote cannot be read: it does not answer, or holds what must be left alone.
pub(super) fn unusable(asking: &Asking, error: StoreError) -> CacheError {
    let url = asking.url().to_string();
    match error {
        StoreError::Other(why) => CacheError::NoRemote { url, why },
        error @ StoreError::Unavailable(_) => {
            CacheError::Remote { url, error, way_out: "the same command tries again" }
        }
        error => CacheError::Remote { url, error, way_out: "nothing was done there" },
    }
}

/// Looks whether a store is a remote, of a layout that this program knows.
pub(super) fn known(asking: &Asking) -> Result<(), StoreError> {
    match asking.ask(|store| store.get(MARK, MARK_LIMIT))? {
        Some(text) => read(&text).map(drop),
        None => Err(StoreError::Other(format!("nothing was ever sent there: it has no {MARK}"))),
    }
}

fn read(text: &[u8]) -> Result<Mark, StoreError> {
    let mark: Mark = serde_json::from_slice(text)
        .map_err(|error| {
        StoreError::Other(format!(
            "its {MARK} cannot be read: {error}\n  if nobody can mend it, remove it there: `ddpipe cache push` makes another"
        ))
    })?;
    if mark.layout > LAYOUT {
        let layout = mark.layout;
        return Err(StoreError::Other(format!("its layout {layout} belongs to a newer ddpipe than this one")));
    }
    Ok(mark)
}

/// A name that nobody else draws.
pub(super) fn drawn() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    let hasher = std::collections::hash_map::RandomState::new();
    let random = std::hash::BuildHasher::hash_one(&hasher, now);
    Digest::of(format!("{now} {random} {}", std::process::id()).as_bytes()).hex()[..32].to_string()
}
