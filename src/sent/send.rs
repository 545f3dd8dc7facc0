//! Sends what a run needs to the remote.

use super::spec::{File, Spec, Trust};
use crate::catalog::Catalog;
use crate::event::{Event, Observer};
use crate::exit::Fault;
use crate::load;
use crate::manifest::{Overrides, normal};
use crate::pipeline::Pipeline;
use crate::results::write_whole;
use crate::size;
use crate::sources::Sources;
use ddpipe_cache::shared::{FileHere, Notes};
use ddpipe_cache::{Cache, Commit, Digest, StatCache, folder};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// More files, or bytes, are not sent.
const MOST_FILES: usize = 100_000;
const MOST_BYTES: u64 = 10 << 30;
/// The note that has the spec.
pub const SPEC: &str = "spec.json";

/// Everything that a run is made of.
#[derive(Clone, Copy)]
pub struct Parcel<'a> {
    /// The pipeline.
    pub pipeline: &'a Pipeline,
    /// What is laid over its manifest.
    pub overrides: &'a Overrides,
    /// `--select`, in order.
    pub select: &'a [String],
    /// The files from outside that its nodes read.
    pub sources: &'a Sources,
    /// The state of the project's git repository.
    pub commit: Option<&'a Commit>,
    /// Whose records are believed.
    pub trust: Option<&'a Trust>,
    /// The cache whose remote gets it.
    pub cache: &'a Cache,
}

/// Where a run was sent to, kept in its folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SentTo {
    /// The remote.
    pub remote: String,
    /// The digest of the spec.
    pub spec: Digest,
}

impl SentTo {
    /// That of the run in this folder; none where its pilots share the folder.
    pub fn of(folder: &Path) -> Option<Self> {
        serde_json::from_slice(&fs::read(folder.join("sent.json")).ok()?).ok()
    }

    /// Notes it in the run's folder.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn note(&self, folder: &Path) -> Result<(), Fault> {
        write_whole(&folder.join("sent.json"), &serde_json::to_vec(self).map_err(std::io::Error::other)?)
    }
}

impl Parcel<'_> {
    /// Sends the files that are not there, and the spec; gives its digest.
    ///
    /// # Errors
    /// Something lies outside of the project, is not there or is too much; the remote does not take it.
    pub fn send(&self, notes: &Notes, observer: &mut dyn Observer) -> Result<Digest, Fault> {
        let mut files = Vec::new();
        let spec = self.spec(&mut files)?;
        let mut seen = HashSet::new();
        files.retain(|file| seen.insert(file.digest));
        let bytes = files.iter().map(|file| file.bytes).sum::<u64>();
        if files.len() > MOST_FILES || bytes > MOST_BYTES {
            return Err(Fault::usage(format!(
                "{} files of {} would be sent to the pilots, more than {MOST_FILES} or {}\n  use a machine whose nodes share \
                 the folder, without the setting `local`",
                files.len(),
                size::show(bytes),
                size::show(MOST_BYTES),
            )));
        }
        let sent = self.cache.send_files(notes, &files)?;
        let text = spec.text();
        notes.put(SPEC, &text).map_err(|error| notes.trouble(error))?;
        if sent.files > 0 {
            let (noun, were) = if sent.files == 1 { ("file", "was") } else { ("files", "were") };
            let text = format!("{} {noun} ({}) {were} sent to the pilots", sent.files, size::show(sent.bytes));
            observer.on_event(&Event::Warning { text });
        }
        Ok(Digest::of(&text))
    }

    fn spec(&self, files: &mut Vec<FileHere>) -> Result<Spec, Fault> {
        let Parcel { pipeline, overrides, select, commit, trust, .. } = *self;
        let mut spec = Spec::new(Catalog::digest_of_built_in(), self.below("the manifest", &pipeline.file)?);
        for (path, text) in &pipeline.files {
            spec.texts.insert(self.below("a file that the manifest includes", path)?, text.text.clone());
        }
        let stats = self.cache.stat_cache();
        for kinds in load::folders_of_kinds(&pipeline.file) {
            let kinds = normal(&kinds);
            let prefix = self.below("the folder of own kinds", &kinds)?;
            spec.own.extend(listed(&kinds, &prefix, &stats, files)?);
        }
        spec.own.sort_by(|one, other| one.path.cmp(&other.path));
        spec.own.dedup();
        self.add_sources(&mut spec, &stats, files)?;
        if let Err(error) = stats.save() {
            tracing::warn!("{error}");
        }
        spec.profile.clone_from(&overrides.profile);
        spec.sets.clone_from(&overrides.sets);
        spec.env = overrides.env.iter().filter(|(name, _)| name.starts_with("DDPIPE_VAR_")).cloned().collect();
        (spec.select, spec.commit, spec.trust) = (select.to_vec(), commit.cloned(), trust.cloned());
        Ok(spec)
    }

    fn add_sources(&self, spec: &mut Spec, stats: &StatCache, files: &mut Vec<FileHere>) -> Result<(), Fault> {
        for source in self.pipeline.sources.values() {
            let mut sent = Vec::new();
            for file in source.files.values() {
                if let Some(missing) = self.sources.missing(&source.name, &file.name)
                    && !missing.optional
                {
                    let path = missing.path.display();
                    return Err(Fault::usage(format!(
                        "{}: {path} is not there, and pilots that share no folder need it\n  put it there",
                        missing.name()
                    )));
                }
                let Some(seen) = self.sources.get(&source.name, &file.name) else { continue };
                if file.is_folder() {
                    sent.extend(listed(&file.path, file.name.trim_end_matches('/'), stats, files)?);
                    continue;
                }
                let bytes = fs::metadata(&file.path).map_err(|error| Fault::io("read", &file.path, &error))?.len();
                files.push(FileHere { path: file.path.clone(), digest: seen.digest, bytes });
                sent.push(File { path: file.name.clone(), digest: seen.digest, bytes, executable: false });
            }
            spec.sources.insert(source.name.clone(), sent);
        }
        Ok(())
    }

    /// A path below the project's folder.
    fn below(&self, what: &str, path: &Path) -> Result<String, Fault> {
        let (root, path) = (normal(&self.pipeline.root), normal(path));
        let below = path.strip_prefix(&root).ok().and_then(Path::to_str).filter(|below| !below.is_empty());
        below.map(str::to_string).ok_or_else(|| {
            Fault::usage(format!(
                "{what} is {}, not in the project's folder {}, of which pilots that share no folder get copies\n  move it there",
                path.display(),
                root.display()
            ))
        })
    }
}

/// All files of a folder, to be sent and as they are called there.
fn listed(root: &Path, prefix: &str, stats: &StatCache, files: &mut Vec<FileHere>) -> Result<Vec<File>, Fault> {
    let mut listed = Vec::new();
    for found in folder::walk(root)? {
        if found.name.split('/').any(|part| part == "__pycache__") {
            continue;
        }
        let path: PathBuf = found.place.map_err(|stray| {
            let path = root.join(&found.name);
            Fault::usage(format!("{}: {stray}, which cannot be sent to pilots\n  replace it by a file", path.display()))
        })?;
        let seen = stats.digest_of(&path, &[])?;
        let mode = fs::metadata(&path).map_err(|error| Fault::io("read", &path, &error))?.permissions().mode();
        let path_there = format!("{prefix}/{}", found.name);
        files.push(FileHere { path, digest: seen.digest, bytes: seen.bytes });
        let executable = mode & 0o111 != 0;
        listed.push(File { path: path_there, digest: seen.digest, bytes: seen.bytes, executable });
    }
    Ok(listed)
}
