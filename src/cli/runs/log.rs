//! `ddpipe runs log`: what a node said in a run. Of a run with pilots each attempt stands under the pilot that had it.

use super::stop::processes;
use crate::cli::{Done, logs, print};
use crate::exit::{Exit, Fault};
use crate::history;
use crate::selector::Selector;
use crate::told::{self, Told, Which};
use crate::visible::visible;
use ddpipe_cache::Cache;

pub fn run(cache: &Cache, wanted: &str, node: &str) -> Done {
    let selector: Selector = node.parse().map_err(|error| Fault::usage(format!("runs log {node}: {error}")))?;
    let run = history::find(cache, wanted)?;
    let of = |run: ddpipe_cache::RunSeen| Told { lines: told::of(&run.path, Which::Matching(&selector)), run };
    let mut told: Vec<Told> = processes(cache, &run)?.into_iter().map(of).collect();
    let is_by_pilots = told.len() > 1;
    // What pilots said is in the run itself too, as far as somebody watched.
    told.retain(|told| !told.lines.is_empty() && (!is_by_pilots || told.run.id != run.id || told.lines.len() > 1));
    if is_by_pilots && told.iter().any(|told| told.run.id != run.id) {
        told.retain(|told| told.run.id != run.id);
    }
    // A pilot that had it done by another says only that it was on record.
    if told.iter().any(Told::is_of_work) {
        told.retain(Told::is_of_work);
    }
    if told.is_empty() {
        let message =
            format!("run {} has told nothing of {node}\n  `ddpipe runs show {}` lists its nodes", run.id, run.id);
        return Err(Fault { exit: Exit::Stage, message });
    }
    print(&visible(&told.iter().map(logs::text).collect::<String>()))
}
