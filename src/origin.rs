//! Where a file comes from: by `run.json` beside it, by its bytes among the outputs on record, or by the words that ddpipe
//! wrote into it. Reads; prints nothing.

use crate::catalog::Catalog;
use crate::lineage::{Lineage, Settings};
use crate::results::{Account, Called, FileAccount, Stamped};
use ddpipe_cache::{Cache, CacheError, Digest, Record, RunSeen};
use std::path::{Path, PathBuf};

/// A file of a results folder, with what the folder's account says of it.
#[derive(Clone, Debug)]
pub struct Accounted {
    /// The folder of the results.
    pub folder: PathBuf,
    /// How the last run into the folder was called.
    pub called: Called,
    /// That run.
    pub last_run: String,
    /// What is said of the file.
    pub file: FileAccount,
}

/// What is known of a file.
#[derive(Clone, Debug)]
pub struct Origin {
    /// BLAKE3 of its bytes now.
    pub digest: Digest,
    /// What the folder says of it.
    pub accounted: Option<Accounted>,
    /// What the words in it say, where nothing else is known of it.
    pub stamped: Option<Stamped>,
    /// The name of the output that it is.
    pub output: Option<String>,
    /// The record of the action that made it.
    pub record: Option<Record>,
    /// What was set on the way to it.
    pub settings: Settings,
    /// The run that made it: the one that wrote it, else the first that reached its record.
    pub run: Option<RunSeen>,
}

/// What the account of the folder of a file, or of the one above, says of the file.
pub fn accounted(file: &Path) -> Option<Accounted> {
    let file = std::path::absolute(file).ok()?;
    for folder in file.ancestors().skip(1).take(2) {
        let name = file.strip_prefix(folder).ok()?.to_str()?;
        if let Some(account) = Account::read(folder)
            && let Some(found) = account.files.get(name)
        {
            let (called, last_run, file) = (account.called, account.run, found.clone());
            return Some(Accounted { folder: folder.to_path_buf(), called, last_run, file });
        }
    }
    None
}

impl Origin {
    /// Looks up a file with these bytes in a cache. `stamped` is what the words in it say; the catalog tells defaults.
    ///
    /// # Errors
    /// Those of the cache.
    pub fn of(
        digest: Digest,
        accounted: Option<Accounted>,
        stamped: Option<Stamped>,
        cache: &Cache,
        catalog: &Catalog,
    ) -> Result<Self, CacheError> {
        let lineage = Lineage::of(cache)?;
        let maker = lineage.maker(digest);
        let stamped = stamped.filter(|_| accounted.is_none() && maker.is_none());
        let record = match (&accounted, &stamped) {
            (Some(accounted), _) => lineage.record(accounted.file.key),
            (None, Some(stamped)) => lineage.record(stamped.key),
            (None, None) => maker,
        };
        let of_bytes = || Some(record?.outputs.iter().find(|(_, output)| output.digest == digest)?.0.clone());
        let output = accounted.as_ref().map(|accounted| accounted.file.output.clone()).or_else(of_bytes);
        let runs = cache.runs()?;
        let run = match (&accounted, &stamped, record) {
            (Some(accounted), _, _) => runs.into_iter().find(|run| run.id == accounted.file.written_by),
            (None, Some(stamped), _) => runs.into_iter().find(|run| run.id == stamped.run),
            (None, None, Some(record)) => runs.into_iter().find(|run| run.reached.contains(&record.key)),
            (None, None, None) => None,
        };
        let settings = record.map(|record| lineage.settings(record, catalog)).unwrap_or_default();
        Ok(Origin { digest, accounted, stamped, output, record: record.cloned(), settings, run })
    }

    /// Whether the file is no longer the one that the run wrote.
    pub fn was_edited(&self) -> bool {
        self.accounted.as_ref().is_some_and(|accounted| accounted.file.digest != self.digest)
    }

    /// Whether anything is known of it.
    pub fn is_known(&self) -> bool {
        self.accounted.is_some() || self.stamped.is_some() || self.record.is_some()
    }
}
