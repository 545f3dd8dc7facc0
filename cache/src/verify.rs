//! Verification of everything: every blob is hashed, damaged ones are set aside, and records that lost outputs are
//! named. Their stages run again the next time that they are needed.

use crate::record::{self, Found};
use crate::{Cache, CacheError, Digest, Key, shared, walk};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

/// A blob that was not what its name says.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DamagedBlob {
    /// The digest that it was stored under.
    pub digest: Digest,
    /// The path that its bytes were moved to.
    pub path: PathBuf,
}

/// A record whose outputs are not all there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IncompleteRecord {
    /// The key of the action.
    pub key: Key,
    /// The pipeline that ran it first.
    pub pipeline: String,
    /// The node that ran it first.
    pub node: String,
    /// The outputs that are lost.
    pub lost: Vec<String>,
}

/// What `ddpipe cache verify` shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VerifyReport {
    /// How many blobs were hashed and found whole.
    pub whole: u64,
    /// The sum of their lengths in bytes.
    pub bytes: u64,
    /// The damaged blobs that were set aside.
    pub damaged: Vec<DamagedBlob>,
    /// How many records were read.
    pub records: u64,
    /// Files among the records that were no records, now set aside.
    pub broken_records: u64,
    /// How many records have outputs that are in a remote alone.
    pub elsewhere: u64,
    /// Records that lost outputs, now or earlier.
    pub incomplete: Vec<IncompleteRecord>,
}

impl VerifyReport {
    /// Whether neither a blob nor a record is damaged or incomplete.
    pub fn is_clean(&self) -> bool {
        self.damaged.is_empty() && self.broken_records == 0 && self.incomplete.is_empty()
    }
}

impl Cache {
    /// Hashes every blob, on all processors, and sets damaged ones aside; then checks the records against what is left.
    pub fn verify(&self) -> Result<VerifyReport, CacheError> {
        let digests: Vec<Digest> = walk::blobs(self.layout())?.into_iter().map(|(digest, _)| digest).collect();
        let report = Mutex::new(VerifyReport::default());
        let next = AtomicUsize::new(0);
        let work = || -> Result<(), CacheError> {
            while let Some(&digest) = digests.get(next.fetch_add(1, Ordering::Relaxed)) {
                let verdict = self.blobs().verify_now(digest);
                let mut report = report.lock().unwrap_or_else(PoisonError::into_inner);
                match verdict {
                    Ok(bytes) => {
                        report.whole += 1;
                        report.bytes += bytes;
                    }
                    Err(CacheError::Damaged { digest, path }) => report.damaged.push(DamagedBlob { digest, path }),
                    // A concurrent gc took it.
                    Err(CacheError::Missing { .. }) => {}
                    Err(error) => return Err(error),
                }
            }
            Ok(())
        };
        thread::scope(|scope| {
            let threads = thread::available_parallelism().map_or(1, |count| count.get());
            let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
            workers.into_iter().try_for_each(|worker| match worker.join() {
                Ok(result) => result,
                Err(panic) => std::panic::resume_unwind(panic),
            })
        })?;
        let mut report = report.into_inner().unwrap_or_else(PoisonError::into_inner);
        report.damaged.sort();
        self.verify_records(&mut report)?;
        Ok(report)
    }

    fn verify_records(&self, report: &mut VerifyReport) -> Result<(), CacheError> {
        let elsewhere = shared::known_elsewhere(self.layout())?;
        for (key, _) in walk::records(self.layout())? {
            let record = match record::find(self.layout(), key)? {
                Found::Record(record) => *record,
                Found::Broken => {
                    record::set_aside(self.layout(), key)?;
                    report.broken_records += 1;
                    continue;
                }
                // A concurrent gc took it, or a newer ddpipe answers for it.
                Found::Absent | Found::Newer(_) => continue,
            };
            report.records += 1;
            let lost = self.lost_outputs(&record)?;
            if !lost.is_empty() && elsewhere.contains(&key) {
                report.elsewhere += 1;
            } else if !lost.is_empty() {
                report.incomplete.push(IncompleteRecord { key, pipeline: record.pipeline, node: record.node, lost });
            }
        }
        Ok(())
    }
}
