//! The runs of a cache as a person looks at them: found by the first letters of an id, by name, or as `last`; what each was
//! started with, how far it is, and what came of it; and which of them only repeat an earlier one. Reads folders of runs and
//! nothing else.

mod journal;
mod settings;

pub use journal::Progress;
pub use settings::{Column, differing, of_nodes, shown};

use crate::ended::Ended;
use crate::event::Status;
use crate::exit::Fault;
use crate::started::Started;
use ddpipe_cache::{Cache, RunSeen};
use std::collections::HashMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The word for the newest run.
pub const LAST: &str = "last";

/// A run with what its folder says.
#[derive(Clone, Debug)]
pub struct Past {
    /// Its folder, and whether it is at work or kept.
    pub seen: RunSeen,
    /// Where it stands.
    pub state: State,
}

/// Where a run stands.
#[derive(Clone, Debug)]
pub enum State {
    /// Its process is at work.
    Running(Progress),
    /// It has ended, well or not.
    Ended(Box<Ended>),
    /// Its process died.
    DidNotEnd(Progress),
}

impl Past {
    /// What the folder of a run says.
    pub fn of(seen: RunSeen) -> Self {
        let state = match Ended::in_folder(&seen.path) {
            Some(ended) => State::Ended(Box::new(ended)),
            None if seen.running.is_some() => State::Running(Progress::in_folder(&seen.path)),
            None => match journal::ended(&seen.path) {
                Some(ended) => State::Ended(Box::new(ended)),
                None => State::DidNotEnd(Progress::in_folder(&seen.path)),
            },
        };
        Past { seen, state }
    }

    /// What came of it, once it has ended.
    pub fn ended(&self) -> Option<&Ended> {
        match &self.state {
            State::Ended(ended) => Some(ended),
            _ => None,
        }
    }

    /// What it was started with, where that can be read.
    pub fn started(&self) -> Option<Started> {
        Started::in_folder(&self.seen.path).ok()
    }

    /// When it began.
    pub fn begun(&self) -> SystemTime {
        let of_ended = self.ended().map(|ended| ended.begun_unix).filter(|begun| *begun > 0.0);
        let of_holder = self.seen.running.as_ref().map(|holder| holder.since_unix);
        match of_ended.or(of_holder) {
            Some(seconds) => UNIX_EPOCH + Duration::try_from_secs_f64(seconds).unwrap_or_default(),
            None => crate::when::of_run_id(&self.seen.id).unwrap_or(UNIX_EPOCH),
        }
    }

    /// Whether it ended well without running anything.
    fn only_looked(&self) -> bool {
        self.ended().is_some_and(Ended::only_looked) && !self.seen.reached.is_empty()
    }

    /// How many nodes ended so; 0 of a run that has not ended.
    pub fn count(&self, status: Status) -> usize {
        self.ended().map_or(0, |ended| ended.count(status))
    }
}

/// A run with those that came later, ran nothing and reached the same.
#[derive(Clone, Debug)]
pub struct Told {
    /// The run.
    pub past: Past,
    /// Those that repeat it, the newest first.
    pub repeats: Vec<Past>,
}

/// The runs of these pipelines (of all, if none is named), the newest first, each with those that repeat it.
///
/// # Errors
/// Those of the cache.
pub fn told(cache: &Cache, pipelines: &[String]) -> Result<Vec<Told>, Fault> {
    let of_these = |run: &RunSeen| pipelines.is_empty() || pipelines.contains(&run.pipeline);
    let mut told: Vec<Told> = Vec::new();
    let mut first: HashMap<(String, Vec<ddpipe_cache::Key>), usize> = HashMap::new();
    for past in whole(cache)?.into_iter().filter(of_these).map(Past::of) {
        let what = (past.seen.pipeline.clone(), past.seen.reached.clone());
        let repeated = first.get(&what).copied().filter(|_| past.only_looked() && !past.seen.kept);
        match repeated.and_then(|at| told.get_mut(at)) {
            Some(earlier) => earlier.repeats.insert(0, past),
            None => {
                if past.ended().is_some() {
                    first.insert(what, told.len());
                }
                told.push(Told { past, repeats: Vec::new() });
            }
        }
    }
    told.reverse();
    Ok(told)
}

/// How many pilots of a run are at work, as far as this cache shows: those on nodes that share no folder are not seen.
///
/// # Errors
/// Those of the cache.
pub fn pilots_at_work(cache: &Cache, run: &str) -> Result<usize, Fault> {
    let is_one = |seen: &RunSeen| seen.running.is_some() && seen.part_of.as_deref() == Some(run);
    Ok(cache.runs()?.iter().filter(|seen| is_one(seen)).count())
}

/// All runs, the oldest first, without what single pilots did of one: that is a part of its run.
///
/// # Errors
/// Those of the cache.
pub fn whole(cache: &Cache) -> Result<Vec<RunSeen>, Fault> {
    Ok(cache.runs()?.into_iter().filter(|run| run.part_of.is_none()).collect())
}

/// The run that is meant: by its name, as [`LAST`], or by the first letters of its id.
///
/// # Errors
/// There is no such run, or there are several.
pub fn find(cache: &Cache, wanted: &str) -> Result<RunSeen, Fault> {
    let mut runs = cache.runs()?;
    if let Some(at) = runs.iter().position(|run| run.name.as_deref() == Some(wanted) || run.id == wanted) {
        return Ok(runs.swap_remove(at));
    }
    runs.retain(|run| run.part_of.is_none());
    if wanted == LAST && !runs.is_empty() {
        return Ok(runs.swap_remove(runs.len() - 1));
    }
    let matching: Vec<&RunSeen> = runs.iter().filter(|run| run.id.starts_with(wanted)).collect();
    match matching.as_slice() {
        [run] => Ok((*run).clone()),
        [] => {
            let names = runs.iter().flat_map(|run| run.name.as_deref().into_iter().chain([run.id.as_str()]));
            let near = crate::diagnostic::did_you_mean(wanted, names);
            let root = cache.root().display();
            Err(Fault::usage(format!("there is no run {wanted:?} in {root}{near}\n  `ddpipe runs` lists them")))
        }
        several => {
            let names: Vec<&str> = several.iter().map(|run| run.id.as_str()).collect();
            Err(Fault::usage(format!("{wanted:?} may be any of the runs {}", names.join(", "))))
        }
    }
}
