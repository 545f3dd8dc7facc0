//! Files that come from outside: found, downloaded where the manifest declares a URL, digested and compared with the
//! declared digests, all before anything runs. Results are linked to the bytes that were there then. A file that is not
//! there keeps the digest that it had, where that is known: what was made of it can then be found without it.

pub mod lock;
mod remembered;
mod words;

pub use words::{left_out, stand_ins};

use crate::download::{Downloader, Offline};
use crate::event::{Event, Observer};
use crate::pipeline::{Endpoint, Pipeline, Source, SourceFile};
use ddpipe_cache::{Algorithm, Cache, CacheError, Digest, FileSeen, SourceSeen, StatCache, folder};
use indexmap::IndexMap;
use lock::Lock;
use remembered::Remembered;
use std::cell::Cell;
use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;

/// What is known about the source files that a run needs.
#[derive(Debug, Default)]
pub struct Sources {
    /// Those that are there, by the names of source and file: where, which bytes, and whether a declared digest held.
    found: IndexMap<(String, String), SourceSeen>,
    /// Files that are not there.
    pub missing: Vec<Missing>,
}

impl Sources {
    /// A source file that is there.
    pub fn get(&self, source: &str, file: &str) -> Option<&SourceSeen> {
        self.found.get(&(source.to_string(), file.to_string()))
    }

    /// A source file that is not there.
    pub fn missing(&self, source: &str, file: &str) -> Option<&Missing> {
        self.missing.iter().find(|missing| missing.source == source && missing.file == file)
    }

    /// The digest of a source file: that of its bytes, or the one that stands in while it is not there.
    pub fn digest(&self, source: &str, file: &str) -> Option<Digest> {
        match self.get(source, file) {
            Some(seen) => Some(seen.digest),
            None => self.missing(source, file)?.digest,
        }
    }

    /// All that are there, as `source/file`.
    pub fn iter(&self) -> impl Iterator<Item = (String, &SourceSeen)> {
        self.found.iter().map(|((source, file), seen)| (format!("{source}/{file}"), seen))
    }
}

/// A source file that is not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// The source.
    pub source: String,
    /// The file's name in it.
    pub file: String,
    /// The path at which it is expected.
    pub path: std::path::PathBuf,
    /// Whether the manifest says where to download it.
    pub downloadable: bool,
    /// The manifest's words on how to get it.
    pub obtain: Option<String>,
    /// Whether the rest of the pipeline may run without it.
    pub optional: bool,
    /// The digest of its bytes, as it is pinned or on record.
    pub digest: Option<Digest>,
}

impl Missing {
    /// Its name, `source/file`.
    pub fn name(&self) -> String {
        format!("{}/{}", self.source, self.file)
    }
}

/// Why sources cannot be used. All files at fault are told together.
#[derive(Debug, thiserror::Error)]
pub enum SourcesError {
    /// The cache, or reading a file.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// Files that are missing, cannot be downloaded, or differ from what the manifest pins.
    #[error("{}", .0.iter().map(|fault| fault.to_string()).collect::<Vec<_>>().join("\n"))]
    Faults(Vec<SourceFault>),
}

/// A source file that cannot be used as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceFault {
    /// What is wrong, place first.
    pub message: String,
    /// What the user can do about it.
    pub hint: String,
}

impl fmt::Display for SourceFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n  {}", self.message, self.hint)
    }
}

/// Looks at the source files that these nodes read, changing nothing: what `plan` and `why` do.
pub fn look(pipeline: &Pipeline, cache: &Cache, needed: &[bool]) -> Result<Sources, SourcesError> {
    let stats = cache.stat_cache();
    let mut sources = Sources::default();
    let mut faults = Vec::new();
    let remembered = Remembered::new(pipeline, cache, &stats);
    for (source, file) in read_by(pipeline, needed) {
        if !is_there(file) {
            sources.missing.push(Missing {
                source: source.name.clone(),
                file: file.name.clone(),
                path: file.path.clone(),
                downloadable: !file.url.is_empty(),
                obtain: source.obtain.clone(),
                optional: source.optional,
                digest: remembered.digest(source, file)?,
            });
            continue;
        }
        let seen = seen(file, &stats)?;
        match differs(file, &seen) {
            Some(fault) if source.verify => faults.push(SourceFault {
                hint: format!("replace the file, or accept this copy with --set sources.{}.verify=false", source.name),
                message: fault,
            }),
            fault => {
                let verified = pins(file) && fault.is_none();
                let FileSeen { digest, md5, sha256, .. } = seen;
                let seen = SourceSeen { path: file.path.clone(), digest, md5, sha256, verified };
                sources.found.insert((source.name.clone(), file.name.clone()), seen);
            }
        }
    }
    save(&stats);
    if faults.is_empty() { Ok(sources) } else { Err(SourcesError::Faults(faults)) }
}

/// What came of getting files.
#[derive(Debug, Default)]
pub struct Obtained {
    /// Whether a file was downloaded: then the sources are to be looked at anew.
    pub news: bool,
    /// The files that are still missing and whose source is not optional.
    pub faults: Vec<SourceFault>,
}

/// Downloads those of the missing files that nodes need and that are declared with a URL: what `run` does. `needed` has
/// the nodes that need a file, by its name. A file of an optional source that cannot be had is no fault. A downloaded file
/// without a declared digest has to have the one that it had the first time, which the lock file beside the manifest notes.
pub fn obtain(
    pipeline: &Pipeline,
    cache: &Cache,
    needed: &IndexMap<(String, String), Vec<String>>,
    offline: Offline,
    observer: &mut dyn Observer,
) -> Obtained {
    let stats = cache.stat_cache();
    let mut obtained = Obtained::default();
    for ((source, file), nodes) in needed {
        let Some(source) = pipeline.sources.get(source) else { continue };
        let Some(file) = source.files.get(file) else { continue };
        let fault = match file.url.is_empty() || offline == Offline(true) {
            true => Err(absent(source, file, nodes)),
            false => download(source, file, &pipeline.file, &stats, observer),
        };
        match fault {
            Ok(()) => obtained.news = true,
            // Why nothing came of its URLs is worth saying; that it is not there is said with what is left out.
            Err(fault) if source.optional && !file.url.is_empty() && offline == Offline(false) => {
                observer.on_event(&Event::Warning { text: fault.message });
            }
            Err(_) if source.optional => {}
            Err(fault) => obtained.faults.push(fault),
        }
    }
    obtained
}

/// Tells of copies that were accepted against their pinned digest.
pub fn warn_of_other_copies(pipeline: &Pipeline, sources: &Sources, observer: &mut dyn Observer) {
    for ((source, file), seen) in &sources.found {
        if pins(&pipeline.sources[source].files[file]) && !seen.verified {
            let text = format!(
                "{source}/{file}: the copy at {} is not the pinned file (blake3 {}); accepted because verify = false",
                seen.path.display(),
                seen.digest.short()
            );
            observer.on_event(&Event::Warning { text });
        }
    }
}

/// What to say about a file that is not there and is not downloaded.
fn absent(source: &Source, file: &SourceFile, nodes: &[String]) -> SourceFault {
    let name = format!("{}/{}", source.name, file.name);
    let obtain = in_words(source);
    let why = if file.url.is_empty() { "no URL is declared for it" } else { "--offline forbids downloading it" };
    let path = file.path.display();
    let (message, hint) = match (file.is_folder(), file.path.is_dir()) {
        (false, true) => (
            format!("{name}: {path} is a folder, where a file is expected"),
            format!("write {:?} to read all that is in it{obtain}", format!("{}/", file.name)),
        ),
        (true, _) => (format!("{name}: there is no folder {path}"), format!("put the folder there{obtain}")),
        _ => (format!("{name}: {path} is not there, and {why}"), format!("put the file there{obtain}")),
    };
    SourceFault { message: format!("{message}; {} it", words::needing(nodes)), hint }
}

/// What to say about a file that is not there and that these nodes read, which are to be computed again.
pub fn not_again(pipeline: &Pipeline, missing: &Missing, nodes: &[String]) -> SourceFault {
    let source = pipeline.sources.get(&missing.source);
    let urls = source.and_then(|source| source.files.get(&missing.file)).map_or(&[][..], |file| &file.url);
    let obtain = source.map_or(String::new(), in_words);
    let from = urls.first().map_or(String::new(), |url| format!(" from {url}"));
    let (name, path) = (missing.name(), missing.path.display());
    SourceFault {
        message: format!("{name}: {path} is not there; {} it to be computed again", words::needing(nodes)),
        hint: format!("put it there{from}{obtain}; the results on record need no file"),
    }
}

/// Downloads a file; one without a declared digest is compared with the lock file beside the manifest, or noted there.
fn download(
    source: &Source,
    file: &SourceFile,
    manifest: &Path,
    stats: &StatCache,
    observer: &mut dyn Observer,
) -> Result<(), SourceFault> {
    let name = format!("{}/{}", source.name, file.name);
    let mut hint = format!("put the file at {}{}", file.path.display(), in_words(source));
    let mut lock = None;
    if !pins(file) {
        let read = Lock::read(manifest).map_err(|message| SourceFault {
            message: format!("{name}: {message}"),
            hint: "mend the lock file, or remove it to trust what is downloaded next".into(),
        });
        lock = Some(read?);
    }
    let noted = lock.as_ref().and_then(|lock| lock.digest(&source.name, &file.name));
    if let (Some(_), Some(lock)) = (noted, &lock) {
        hint = format!(
            "{hint}\n  or, if the other bytes are right, declare their blake3 in the manifest, or remove the entry of the \
             file from {}",
            lock.path().display()
        );
    }
    let came = Cell::new(None);
    let check = |path: &Path| -> Result<(), String> {
        let seen = stats.digest_of(path, &algorithms(file)).map_err(|error| error.to_string())?;
        came.set(Some(seen.digest));
        let other = noted.filter(|noted| *noted != seen.digest);
        let other = other.zip(lock.as_ref()).map(|(noted, lock)| {
            let (found, lock) = (seen.digest.hex(), lock.path().display());
            format!("its blake3 is {found}, but it was {} when {lock} noted it", noted.hex())
        });
        match differs(file, &seen).or(other) {
            Some(fault) if source.verify => Err(fault),
            _ => Ok(()),
        }
    };
    let mut on_progress = |done, total| observer.on_event(&Event::Download { file: name.clone(), done, total });
    let told = source.verify && (pins(file) || noted.is_some());
    Downloader::new()
        .fetch(&file.url, &file.path, told, &check, &mut on_progress)
        .map_err(|message| SourceFault { message: format!("{name}: {message}"), hint })?;
    // Without a digest of the check, another process brought the file, which notes it.
    if let (None, Some(digest), Some(lock)) = (noted, came.get(), &mut lock) {
        let text = match lock.note(&source.name, &file.name, digest) {
            Ok(()) => format!("its digest is noted in {}", lock.path().display()),
            Err(message) => format!("its digest is noted nowhere ({message})"),
        };
        let pin = format!("pin it: blake3 = \"{}\"", digest.hex());
        observer
            .on_event(&Event::Warning { text: format!("{name}: downloaded without a declared digest; {text}; {pin}") });
    }
    Ok(())
}

/// The manifest's words on how to get the files of a source, to be put behind a hint.
fn in_words(source: &Source) -> String {
    source.obtain.as_ref().map_or(String::new(), |text| format!("; {text}"))
}

/// The source files that needed nodes read, each once, in the manifest's order.
fn read_by<'a>(pipeline: &'a Pipeline, needed: &[bool]) -> Vec<(&'a Source, &'a SourceFile)> {
    let mut wanted = BTreeSet::new();
    for node in pipeline.nodes.iter().filter(|node| needed[node.id.index()]) {
        for edge in node.inputs.values().flatten() {
            if let Endpoint::Source { source, file } = &edge.from {
                wanted.insert((source.as_str(), file.as_str()));
            }
        }
    }
    let all = pipeline.sources.values().flat_map(|source| source.files.values().map(move |file| (source, file)));
    all.filter(|(source, file)| wanted.contains(&(source.name.as_str(), file.name.as_str()))).collect()
}

fn is_there(file: &SourceFile) -> bool {
    if file.is_folder() { file.path.is_dir() } else { file.path.is_file() }
}

/// What a file holds, or a folder with all files in it.
fn seen(file: &SourceFile, stats: &StatCache) -> Result<FileSeen, CacheError> {
    if !file.is_folder() {
        return stats.digest_of(&file.path, &algorithms(file));
    }
    let found = folder::walk(&file.path)?;
    let mut bytes = 0;
    let mut digests = Vec::with_capacity(found.len());
    for entry in &found {
        let seen = entry.place.as_ref().ok().map(|path| stats.digest_of(path, &[])).transpose()?;
        bytes += seen.as_ref().map_or(0, |seen| seen.bytes);
        digests.push((entry.name.as_str(), seen.map(|seen| seen.digest)));
    }
    Ok(FileSeen { digest: folder::digest_of(digests), bytes, md5: None, sha256: None })
}

/// Whether the manifest says which bytes these have to be.
fn pins(file: &SourceFile) -> bool {
    file.md5.is_some() || file.sha256.is_some() || file.blake3.is_some()
}

fn algorithms(file: &SourceFile) -> Vec<Algorithm> {
    let md5 = file.md5.as_ref().map(|_| Algorithm::Md5);
    let sha256 = file.sha256.as_ref().map(|_| Algorithm::Sha256);
    md5.into_iter().chain(sha256).collect()
}

/// How a file differs from what the manifest pins, if it does.
fn differs(file: &SourceFile, seen: &FileSeen) -> Option<String> {
    let checks = [
        ("md5", &file.md5, seen.md5.clone()),
        ("sha256", &file.sha256, seen.sha256.clone()),
        ("blake3", &file.blake3, Some(seen.digest.hex())),
    ];
    for (algorithm, wanted, found) in checks {
        if let (Some(wanted), Some(found)) = (wanted, found)
            && *wanted != found
        {
            let path = file.path.display();
            return Some(format!("{path}: its {algorithm} is {found}, the manifest pins {wanted}"));
        }
    }
    None
}

fn save(stats: &StatCache) {
    // An accelerator: without it the next run reads the files again.
    if let Err(error) = stats.save() {
        tracing::warn!("{error}");
    }
}
