//! `ddpipe cache verify|gc --remote URL`: looking after a remote. Neither opens a cache folder.

use crate::cli::remote;
use crate::cli::{Done, print};
use crate::config::Config;
use crate::exit::{Exit, Fault};
use crate::note::say;
use crate::size;
use crate::visible::visible;
use ddpipe_cache::shared::{Collected, Inspection, Patience, Remote, Rules};
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Read everything.
#[derive(Debug, clap::Args)]
pub struct VerifyArgs {
    /// Read every result of a remote instead, and change nothing there: file:///FOLDER or s3://BUCKET/PREFIX
    #[arg(long, value_name = "URL")]
    pub remote: Option<String>,
    /// A file of settings, read after the site's and the user's, for the keys by which a remote's results are judged
    #[arg(long, value_name = "FILE", env = "DDPIPE_CONFIG")]
    config: Option<PathBuf>,
}

/// Remove what nobody needs.
#[derive(Clone, Debug, clap::Args)]
pub struct GcArgs {
    /// Collect the garbage of a remote instead: file:///FOLDER or s3://BUCKET/PREFIX. What is found is noted there, and
    /// a collection a day later removes it
    #[arg(long, value_name = "URL", conflicts_with_all = ["max_size", "runs", "verbose"])]
    pub remote: Option<String>,
    /// Keep what was written to the remote, or reached by a run, in the last N days
    #[arg(long, value_name = "N", default_value_t = 30, requires = "remote")]
    pub keep_days: u32,
}

/// Between two words about how far it is.
const BETWEEN: Duration = Duration::from_secs(5);
const DAY: u64 = 24 * 3600;

fn open(url: Option<&String>) -> Result<Remote, Fault> {
    Ok(Remote::at(url.map(String::as_str).unwrap_or_default(), Patience::default())?)
}

pub(super) fn verify(args: &VerifyArgs) -> Done {
    let told = Mutex::new(Instant::now());
    let config = Config::read(args.config.as_deref())?;
    let remote = remote::trusting(args.remote.as_deref().unwrap_or_default(), Patience::default(), &config)?;
    let inspection = remote.verify(&|done, of| {
        if let Ok(mut told) = told.lock()
            && told.elapsed() > BETWEEN
        {
            *told = Instant::now();
            say(format!("{done} of {of} objects are read"));
        }
    })?;
    print(&visible(&inspected(&inspection)))?;
    Ok(if inspection.is_clean() { Exit::Ok } else { Exit::Cache })
}

pub(super) fn collect(args: &GcArgs, keep_runs: usize, yes: bool) -> Done {
    let keep = Duration::from_secs(u64::from(args.keep_days) * DAY);
    let rules = Rules { keep_runs, keep, dry_run: !yes, ..Rules::default() };
    print(&visible(&collected(&open(args.remote.as_ref())?.collect(rules)?)))
}

fn inspected(inspection: &Inspection) -> String {
    let Inspection { url, records, blobs, unnamed, refused, newer, damaged, incomplete } = inspection;
    let mut text =
        format!("{url}: {} outputs are whole ({}), {records} records\n", blobs.files, size::show(blobs.bytes));
    for name in damaged {
        text.push_str(&format!("damaged: {name}\n"));
    }
    for record in incomplete {
        text.push_str(&format!("{} lost {}\n", record.node, record.lost.join(", ")));
    }
    for (node, why) in refused {
        text.push_str(&format!("not believed here: {node}: {why}\n"));
    }
    if *newer > 0 {
        text.push_str(&format!("{newer} records are of a newer ddpipe; nothing is said of them\n"));
    }
    if unnamed.files > 0 {
        text.push_str(&format!("{} outputs ({}) are named by no record\n", unnamed.files, size::show(unnamed.bytes)));
    }
    if !inspection.is_clean() {
        text.push_str("nothing of this is used: who needs it runs its stage again, and that replaces it\n");
    }
    text
}

fn collected(collected: &Collected) -> String {
    let Collected { url, dry_run, records, blobs, needed, noted, due, .. } = collected;
    let verb = |done: &'static str, would: &'static str| if *dry_run { would } else { done };
    let mut text = format!("{url}: {} records, {} outputs ({})\n", records.files, blobs.files, size::show(blobs.bytes));
    text.push_str(&format!("kept {needed} records that runs reach or that are young\n"));
    let (gone, freed) = (collected.removed_records, collected.removed_blobs);
    let bytes = size::show(gone.bytes + freed.bytes);
    let removed = verb("removed", "would remove");
    if gone.files + freed.files > 0 {
        text.push_str(&format!("{removed} {} records and {} outputs ({bytes})\n", gone.files, freed.files));
    }
    if collected.removed_notes > 0 {
        text.push_str(&format!(
            "{removed} {} leases, heartbeats and lists of processes that ended\n",
            collected.removed_notes
        ));
    }
    if noted.files > 0 {
        let (count, bytes) = (noted.files, size::show(noted.bytes));
        let hours = due.as_secs().div_ceil(3600);
        let noted = verb("noted", "would note");
        text.push_str(&format!("{noted} {count} records and outputs ({bytes}) that nobody needs"));
        text.push_str(&format!("; a collection in {hours} hours or later removes those that nobody needs then\n"));
    }
    let something = gone.files + freed.files + noted.files + collected.removed_notes > 0;
    if *dry_run && something {
        text.push_str("nothing was done; --yes does it\n");
    }
    text
}
