//! Where everything lies under the cache's root, and the versions in the folder names. The only file that spells those
//! names; `docs/cache.md` shows them to people.

use crate::run::RUNNING;
use crate::{CacheError, Digest, Key, aside, disk, holder, walk};
use nix::sys::stat::{Mode, umask};
use std::ffi::OsString;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

const TAG_NAME: &str = "CACHEDIR.TAG";
const TAG: &str = "Signature: 8a477f597d28d172789f06886806bc55\n\
    # This folder is a ddpipe cache. Everything in it can be computed again.\n\
    # See https://bford.info/cachedir/ for what this file tells backup programs.\n";

/// Names with a version, as `(before the number, after it, the number in use)`.
const VERSIONED: [(&str, &str, u64); 9] = [
    ("blobs-v", "", 1),
    ("records-v", "", 1),
    ("claims-v", "", 1),
    ("latest-v", "", 1),
    ("index-v", "", 1),
    ("outbox-v", "", 1),
    ("there-v", "", 1),
    ("stat-v", "", 2),
    // One for all machines, as it was before.
    ("stat-v", ".json", 2),
];

/// A name without letters that mean something to a file system.
fn plain(name: &str) -> String {
    name.chars()
        .map(|letter| if letter.is_ascii_alphanumeric() || "-_".contains(letter) { letter } else { '_' })
        .collect()
}

/// Whether this is how the folders of runs are called: `20261128-042056-ea76`.
fn is_of_a_run(name: &str) -> bool {
    let mut parts = name.split('-').map(|part| part.bytes().all(|byte| byte.is_ascii_hexdigit()).then_some(part.len()));
    parts.next() == Some(Some(8)) && parts.next() == Some(Some(6))
}

/// The paths of one cache.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    root: PathBuf,
}

impl Layout {
    /// How the names of folders begin that hold a cache beside this one.
    pub const BESIDE: &str = "beside-";

    pub fn new(root: &Path) -> Result<Self, CacheError> {
        Ok(Layout { root: std::path::absolute(root).map_err(CacheError::io("find", root))? })
    }

    /// Makes the folders and the two files that keep backups and git out. The tag comes first: where two processes open a
    /// new cache at once, neither takes the other's beginnings for something else.
    ///
    /// # Errors
    /// [`CacheError::NotACache`]: the folder holds something else. I/O errors.
    pub fn create(&self) -> Result<(), CacheError> {
        self.refuse_other_folders()?;
        aside::make_folders_for_good(&self.root)?;
        self.add(TAG_NAME, TAG)?;
        let folders =
            [self.blobs_tmp(), self.records_tmp(), self.claims(), self.scratches(), self.runs(), self.damaged()];
        for folder in folders {
            aside::make_folders_for_good(&folder)?;
        }
        self.add(".gitignore", "*\n")
    }

    fn add(&self, name: &str, text: &str) -> Result<(), CacheError> {
        let path = self.root.join(name);
        if disk::exists(&path) {
            return Ok(());
        }
        let write = || disk::write_all(&mut disk::create_new(&path)?, &path, text.as_bytes());
        match write() {
            // Another process opens the new cache at the same moment.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            written => written.map_err(CacheError::io("write", &path)),
        }
    }

    /// A folder that is neither empty nor a cache: its owner would find it full of our folders, and hidden from git.
    fn refuse_other_folders(&self) -> Result<(), CacheError> {
        // What is no folder cannot be made one: that is said then.
        let is_folder = disk::look(&self.root).is_ok_and(|root| root.is_dir());
        if !is_folder || self.is_tagged() {
            return Ok(());
        }
        let names: Vec<String> = walk::entries(&self.root)?.into_iter().map(|entry| entry.name).collect();
        // A cache whose tag did not come along, or that is being made.
        let is_ours = |name: &String| name == RUNNING || VERSIONED.iter().any(|(before, ..)| name.starts_with(before));
        let is_nothing = |name: &&String| match name.as_str() {
            TAG_NAME | "lost+found" => true,
            // What a run writes whose cache was deleted under it.
            "runs" => walk::entries(&self.runs()).is_ok_and(|runs| runs.iter().all(|run| is_of_a_run(&run.name))),
            _ => false,
        };
        match names.iter().find(|name| !is_nothing(name)) {
            // Another process may have made the tag, and then everything else, while the names were read.
            Some(entry) if !names.iter().any(is_ours) && !self.is_tagged() => {
                Err(CacheError::NotACache { root: self.root.clone(), entry: entry.clone() })
            }
            _ => Ok(()),
        }
    }

    /// Whether the tag of a cache of ours is there; one without text is being written.
    fn is_tagged(&self) -> bool {
        let tag = disk::read(&self.root.join(TAG_NAME)).map(|tag| String::from_utf8_lossy(&tag).into_owned());
        tag.is_ok_and(|tag| tag.is_empty() || tag.contains("ddpipe cache"))
    }

    /// Lets the group write to new files and folders, where it may write to the root: several users share the cache.
    pub fn share(&self) {
        let shared = disk::look(&self.root).is_ok_and(|root| root.permissions().mode() & 0o020 != 0);
        if shared {
            let mask = umask(Mode::from_bits_truncate(0o077));
            umask(mask - Mode::S_IRWXG);
        }
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The folders of blobs and records in a store.
    pub const BLOBS: &str = "blobs-v1";
    pub const RECORDS: &str = "records-v1";

    /// The name of a blob in a store, which is that of its file in a cache.
    pub fn blob_name(digest: Digest) -> String {
        let hex = digest.hex();
        format!("{}/{}/{}", Self::BLOBS, &hex[..2], &hex[2..])
    }

    /// The name of a record in a store, which is that of its file in a cache.
    pub fn record_name(key: Key) -> String {
        let hex = key.hex();
        format!("{}/{}/{}.json", Self::RECORDS, &hex[..2], &hex[2..])
    }

    /// The digest of the blob that has this name in a store.
    pub fn named_blob(name: &str) -> Option<Digest> {
        name.strip_prefix(Self::BLOBS)?.strip_prefix('/')?.replacen('/', "", 1).parse().ok()
    }

    /// The key whose record has this name in a store.
    pub fn named_record(name: &str) -> Option<Key> {
        let name = name.strip_prefix(Self::RECORDS)?.strip_prefix('/')?.strip_suffix(".json")?;
        name.replacen('/', "", 1).parse().ok()
    }

    pub fn blobs(&self) -> PathBuf {
        self.root.join(Self::BLOBS)
    }

    pub fn blobs_tmp(&self) -> PathBuf {
        self.root.join("blobs-v1/tmp")
    }

    /// The lock under which a garbage collection removes a blob, and under which one that is there is counted on meanwhile.
    pub fn removal(&self, digest: Digest) -> PathBuf {
        self.blobs_tmp().join(format!("{digest}.lock"))
    }

    pub fn blob(&self, digest: Digest) -> PathBuf {
        self.sharded("blobs-v1/", &digest.hex(), "")
    }

    pub fn records(&self) -> PathBuf {
        self.root.join(Self::RECORDS)
    }

    pub fn records_tmp(&self) -> PathBuf {
        self.root.join("records-v1/tmp")
    }

    pub fn record(&self, key: Key) -> PathBuf {
        self.sharded("records-v1/", &key.hex(), ".json")
    }

    /// A path whose folder is named after the first digits.
    fn sharded(&self, folder: &str, hex: &str, ending: &str) -> PathBuf {
        let mut path = OsString::with_capacity(self.root.as_os_str().len() + folder.len() + hex.len() + 8);
        for part in [self.root.as_os_str(), "/".as_ref(), folder.as_ref(), hex[..2].as_ref(), "/".as_ref()] {
            path.push(part);
        }
        path.push(&hex[2..]);
        path.push(ending);
        path.into()
    }

    pub fn claims(&self) -> PathBuf {
        self.root.join("claims-v1")
    }

    pub fn claim(&self, key: Key) -> PathBuf {
        self.root.join("claims-v1").join(format!("{key}.lock"))
    }

    pub fn scratches(&self) -> PathBuf {
        self.root.join("scratch")
    }

    pub fn scratch(&self, key: Key) -> PathBuf {
        self.root.join("scratch").join(key.hex())
    }

    pub fn runs(&self) -> PathBuf {
        self.root.join("runs")
    }

    pub fn damaged(&self) -> PathBuf {
        self.root.join("damaged")
    }

    /// A copy of what records say.
    pub fn index_of_records(&self) -> PathBuf {
        self.root.join("index-v1/records")
    }

    /// What a pipeline's nodes were last noted to have given, as one digest.
    pub fn noted(&self, pipeline: &str) -> PathBuf {
        self.root.join("index-v1").join(format!("noted-{}", Digest::of(pipeline.as_bytes()).short()))
    }

    /// The lock of a garbage collection at work, and the mark that the last one left.
    pub fn collecting(&self) -> PathBuf {
        self.root.join("gc.lock")
    }

    pub fn collected(&self) -> PathBuf {
        self.root.join("gc.last")
    }

    pub fn latest(&self) -> PathBuf {
        self.root.join("latest-v1")
    }

    /// What this machine remembers of source files: another one may know the same folder by another device number.
    pub fn stat(&self) -> PathBuf {
        self.root.join("stat-v2").join(format!("{}.json", plain(&holder::host())))
    }

    /// The keys of records that are to be sent to a remote, which `remote` names, each an empty file.
    pub fn outbox(&self, remote: &str) -> PathBuf {
        self.outboxes().join(remote)
    }

    pub fn outboxes(&self) -> PathBuf {
        self.root.join("outbox-v1")
    }

    /// The keys of records that are complete in a remote, each an empty file.
    pub fn there(&self, remote: &str) -> PathBuf {
        self.theres().join(remote)
    }

    pub fn theres(&self) -> PathBuf {
        self.root.join("there-v1")
    }

    /// Moves a damaged file out of the way, for a person to look at; says where it is now.
    pub fn set_aside(&self, path: &Path, name: &str) -> Result<PathBuf, CacheError> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        let to = self.damaged().join(format!("{name}-{now}"));
        disk::make_folders(&self.damaged()).map_err(CacheError::io("create", &to))?;
        let moved = match disk::rename(path, &to) {
            // A part of the cache may lie on another device.
            Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
                disk::copy(path, &to).and_then(|()| disk::unlink(path))
            }
            moved => moved,
        };
        match moved {
            // Another process found the damage too.
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(CacheError::io("set aside", path)(error)),
            _ => Ok(to),
        }
    }

    /// Whether a name directly under the root is that of an older version. A newer version is not garbage: a newer
    /// ddpipe may be at work beside this one.
    pub fn is_older_version(name: &str) -> bool {
        VERSIONED.iter().any(|(before, after, version)| {
            name.strip_prefix(before)
                .and_then(|rest| rest.strip_suffix(after))
                .and_then(|number| number.parse::<u64>().ok())
                .is_some_and(|number| number < *version)
        })
    }
}
