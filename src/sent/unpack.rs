//! In a pilot: what was sent comes out of the remote, into a folder of this node.

use super::send::SPEC;
use super::spec::{File, Spec};
use crate::catalog::Catalog;
use crate::exit::{Exit, Fault};
use crate::manifest::Overrides;
use ddpipe_cache::shared::Notes;
use ddpipe_cache::{Cache, Commit, Digest};
use rayon::prelude::*;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// So many files are brought at the same time.
const AT_ONCE: usize = 16;

/// A run as this node has it.
pub struct Unpacked {
    /// The manifest.
    pub manifest: PathBuf,
    /// What is laid over it.
    pub overrides: Overrides,
    /// `--select`, in order.
    pub select: Vec<String>,
    /// The state of the git repository that it comes from.
    pub commit: Option<Commit>,
    /// The project's folder.
    pub project: PathBuf,
}

/// The spec of this digest among the notes of a run. Nothing else is believed.
///
/// # Errors
/// It is not there, is another one, or is of another ddpipe.
pub fn fetch(notes: &Notes, digest: Digest) -> Result<Spec, Fault> {
    let text = notes.get(SPEC).map_err(|error| notes.trouble(error))?.filter(|text| Digest::of(text) == digest);
    let text = text.ok_or_else(|| Fault {
        exit: Exit::Cache,
        message: "what was sent to this pilot is not in the remote any more, or is another run's".into(),
    })?;
    Spec::read(&text, Catalog::digest_of_built_in())
}

impl Unpacked {
    /// Lays a run out below `place`, unless another pilot of this node has done it.
    ///
    /// # Errors
    /// A file cannot be had, or cannot be written.
    pub fn lay_out(spec: &Spec, digest: Digest, cache: &Cache, place: &Path) -> Result<Self, Fault> {
        let all = place.join("sent");
        fs::create_dir_all(&all).map_err(|error| Fault::io("create", &all, &error))?;
        is_mine(&all)?;
        let mut whole = all.join(&digest.hex()[..32]);
        if !is_as_sent(spec, &whole) {
            let begun = tempfile::tempdir_in(&all).map_err(|error| Fault::io("create a folder in", &all, &error))?;
            write(spec, cache, begun.path())?;
            match fs::rename(begun.path(), &whole) {
                Ok(()) => drop(begun.keep()),
                // Another pilot was faster, or what was there has lost files since.
                Err(_) if is_as_sent(spec, &whole) => {}
                Err(_) => whole = begun.keep(),
            }
        }
        let project = whole.join("project");
        let mut sets = spec.sets.clone();
        sets.extend(spec.sources.keys().map(|source| {
            let path = toml::Value::String(whole.join("sources").join(source).display().to_string());
            (format!("sources.{source}.path"), path.to_string())
        }));
        let mut env = spec.env.clone();
        env.push(("DDPIPE_DATA".into(), whole.join("sources").display().to_string()));
        let overrides = Overrides { profile: spec.profile.clone(), sets, env, ..Overrides::default() };
        let (select, commit) = (spec.select.clone(), spec.commit.clone());
        Ok(Unpacked { manifest: project.join(&spec.manifest), overrides, select, commit, project })
    }
}

/// Programs lie there that this pilot executes.
fn is_mine(folder: &Path) -> Result<(), Fault> {
    let seen = fs::metadata(folder).map_err(|error| Fault::io("read", folder, &error))?;
    let me = fs::metadata("/proc/self")?.uid();
    if seen.uid() == me && seen.mode() & 0o022 == 0 {
        return Ok(());
    }
    let message = format!(
        "others may write to {} on {}, where programs are laid out\n  name a folder of your own in the setting `local`",
        folder.display(),
        ddpipe_cache::host()
    );
    Err(Fault::usage(message))
}

/// Whether a folder has everything that was sent: programs by their bytes, source files by their lengths, since these are
/// digested anyway.
fn is_as_sent(spec: &Spec, whole: &Path) -> bool {
    let project = whole.join("project");
    let is_same =
        |file: &File| Digest::of_file(&project.join(&file.path)).is_ok_and(|(digest, _)| digest == file.digest);
    let is_there = |(source, files): (&String, &Vec<File>)| {
        let folder = whole.join("sources").join(source);
        files.iter().all(|file| fs::metadata(folder.join(&file.path)).is_ok_and(|seen| seen.len() == file.bytes))
    };
    let texts =
        |(name, text): (&String, &String)| fs::read_to_string(project.join(name)).is_ok_and(|there| there == *text);
    spec.own.iter().all(is_same) && spec.texts.iter().all(texts) && spec.sources.iter().all(is_there)
}

fn write(spec: &Spec, cache: &Cache, root: &Path) -> Result<(), Fault> {
    let project = root.join("project");
    for (name, text) in &spec.texts {
        let path = above(&project.join(name))?;
        fs::write(&path, text).map_err(|error| Fault::io("write", &path, &error))?;
    }
    let mut files: Vec<(&File, PathBuf)> = spec.own.iter().map(|file| (file, project.clone())).collect();
    for (source, of_source) in &spec.sources {
        let folder = root.join("sources").join(source);
        fs::create_dir_all(&folder).map_err(|error| Fault::io("create", &folder, &error))?;
        files.extend(of_source.iter().map(|file| (file, folder.clone())));
    }
    // Each waits for an answer most of the time.
    let pool = rayon::ThreadPoolBuilder::new().num_threads(AT_ONCE).build().map_err(std::io::Error::other)?;
    pool.install(|| files.par_iter().try_for_each(|(file, folder)| bring(file, cache, folder)))
}

fn bring(file: &File, cache: &Cache, folder: &Path) -> Result<(), Fault> {
    let path = above(&folder.join(&file.path))?;
    if !cache.bring(file.digest, file.bytes)? {
        let message = format!("{} is not in the remote any more\n  start the run again: that sends it anew", file.path);
        return Err(Fault { exit: Exit::Cache, message });
    }
    let blob = cache.blobs().open(file.digest)?;
    let copied = blob.ok_or_else(|| ErrorKind::NotFound.into()).and_then(|mut blob| {
        let mut copy = fs::File::create(&path)?;
        std::io::copy(&mut blob, &mut copy)?;
        let mode = if file.executable { 0o755 } else { 0o644 };
        copy.set_permissions(fs::Permissions::from_mode(mode))
    });
    copied.map_err(|error: std::io::Error| Fault::io("write", &path, &error))
}

/// Makes the folders above a path.
fn above(path: &Path) -> Result<PathBuf, Fault> {
    let folder = path.parent().unwrap_or(path);
    fs::create_dir_all(folder).map_err(|error| Fault::io("create", folder, &error))?;
    Ok(path.to_path_buf())
}
