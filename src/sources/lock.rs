//! Digests of files that were downloaded without a declared one, in `<manifest>.lock` beside the manifest: noted at the
//! first download, compared at every later one.

use ddpipe_cache::Digest;
use ddpipe_interface::is_too_deep;
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// What a lock file begins with.
const HEAD: &str = "# Written by ddpipe. Digests of files that were downloaded without a declared digest, as they were the first\n\
                    # time; a later download has to give the same bytes. Keep this file with the manifest.\n";

/// The digests that are noted for a manifest.
#[derive(Debug)]
pub struct Lock {
    path: PathBuf,
    noted: Noted,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Noted {
    #[serde(default)]
    sources: IndexMap<String, IndexMap<String, Entry>>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    blake3: Digest,
}

impl Lock {
    /// Reads the lock file beside a manifest; it may be absent.
    ///
    /// # Errors
    /// In words, when it is there and cannot be understood.
    pub fn read(manifest: &Path) -> Result<Self, String> {
        let path = manifest.with_extension("lock");
        let noted = read(&path)?;
        Ok(Lock { path, noted })
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The digest that a file had at its first download.
    pub fn digest(&self, source: &str, file: &str) -> Option<Digest> {
        Some(self.noted.sources.get(source)?.get(file)?.blake3)
    }

    /// Notes a file's digest and writes the lock file, with what other processes noted meanwhile.
    ///
    /// # Errors
    /// In words, when it cannot be written.
    pub fn note(&mut self, source: &str, file: &str, digest: Digest) -> Result<(), String> {
        let wrong = |error: std::io::Error| format!("could not write {}: {error}", self.path.display());
        let folder = self.path.parent().unwrap_or(Path::new("."));
        let one = fs::File::open(folder).map_err(wrong)?;
        one.lock().map_err(wrong)?;
        let mut noted = read(&self.path)?;
        noted.sources.entry(source.to_string()).or_default().insert(file.to_string(), Entry { blake3: digest });
        let text = toml::to_string(&noted).map_err(|error| format!("{}: {error}", self.path.display()))?;
        let mut aside = tempfile::Builder::new().permissions(readable()).tempfile_in(folder).map_err(wrong)?;
        aside.write_all(format!("{HEAD}\n{text}").as_bytes()).map_err(wrong)?;
        aside.persist(&self.path).map_err(|error| wrong(error.error))?;
        self.noted = noted;
        Ok(())
    }
}

fn readable() -> fs::Permissions {
    std::os::unix::fs::PermissionsExt::from_mode(0o644)
}

fn read(path: &Path) -> Result<Noted, String> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Noted::default()),
        Err(error) => return Err(format!("could not read {}: {error}", path.display())),
    };
    let fault = |why: &str| format!("{} is not a lock file of ddpipe: {why}", path.display());
    if is_too_deep(&text) {
        return Err(fault("brackets nest too deep"));
    }
    toml::from_str(&text).map_err(|error: toml::de::Error| fault(error.message()))
}
