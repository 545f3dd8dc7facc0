//! `ddpipe runs`: the runs that the cache remembers.

use super::{Done, print};
use crate::visible::visible;
use std::path::PathBuf;

/// List the runs.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The cache's folder
    #[arg(long, value_name = "DIR", env = "DDPIPE_CACHE", default_value = ".ddpipe")]
    cache: PathBuf,
}

pub(super) fn run(args: Args) -> Done {
    let cache = super::cache::open(&args.cache)?;
    let mut text = String::new();
    for run in cache.runs()? {
        let events = std::fs::read_to_string(run.path.join("events.jsonl")).unwrap_or_default();
        let ended = events.lines().rev().find_map(|line| {
            let event: serde_json::Value = serde_json::from_str(line).ok()?;
            (event["event"] == "ended")
                .then(|| format!("{}, {:.1} s", event["counts"], event["seconds"].as_f64().unwrap_or(0.0)))
        });
        let ended = ended.unwrap_or_else(|| "did not end".into());
        text.push_str(&format!("{}  {}  {ended}\n", run.id, run.pipeline));
    }
    print(&visible(&text))
}
