//! What the journal of a run says of it (`events.jsonl`): how far a run at work is, and how one ended that is older than
//! `outcome.json`. Lines that cannot be read are left out.

use crate::ended::Ended;
use serde::Deserialize;
use serde_json::Value;
use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::Path;

/// How far a run is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Its nodes; 0 while it looks at its sources.
    pub nodes: usize,
    /// Those that have their outcome.
    pub done: usize,
}

fn events(run: &Path) -> impl Iterator<Item = Value> {
    let lines = File::open(run.join("events.jsonl")).ok().map(|file| BufReader::new(file).lines());
    // The last line may be on its way.
    lines.into_iter().flatten().map_while(Result::ok).filter_map(|line| serde_json::from_str(&line).ok())
}

impl Progress {
    /// How far the run in this folder is.
    pub fn in_folder(run: &Path) -> Self {
        let mut progress = Progress::default();
        for event in events(run) {
            match event["event"].as_str() {
                Some("begun") => progress.nodes = event["nodes"].as_u64().unwrap_or(0) as usize,
                Some("finished") => progress.done += 1,
                _ => {}
            }
        }
        progress
    }
}

/// How the run in this folder ended, as far as its journal says it.
pub(super) fn ended(run: &Path) -> Option<Ended> {
    let event = events(run).filter(|event| event["event"] == "ended").last()?;
    let counts = Deserialize::deserialize(&event["counts"]).ok()?;
    Some(Ended { counts, seconds: event["seconds"].as_f64().unwrap_or(0.0), ..Ended::default() })
}
