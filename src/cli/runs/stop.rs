//! `ddpipe runs stop`: a note in the run's folder, which every process of the run looks for a few times a second. So it works
//! from any machine that reaches the folder.

use crate::cli::{Done, print};
use crate::exit::{Exit, Fault};
use crate::history;
use crate::note::say;
use crate::peers::{PILOTS, Peers};
use ddpipe_cache::{Cache, RunSeen};
use std::thread;
use std::time::{Duration, Instant};

/// Between two looks whether it has stopped.
const LOOK: Duration = Duration::from_millis(50);
/// After so long it is not waited for any more: a stage may take long to save.
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) fn run(cache: &Cache, wanted: &str) -> Done {
    let run = history::find(cache, wanted)?;
    let processes = processes(cache, &run)?;
    if !at_work(&processes)? {
        return print(&format!("run {} is not at work\n", run.id));
    }
    Peers::watcher(&run.path).stop().map_err(|error| Fault::io("write a note into", &run.path, &error))?;
    let (begun, mut is_said) = (Instant::now(), false);
    while at_work(&processes)? {
        if begun.elapsed() > PATIENCE {
            say(format!(
                "run {} was asked to stop, and its stages have not saved yet; it stops when they have",
                run.id
            ));
            return Ok(Exit::Stage);
        }
        if begun.elapsed() > Duration::from_secs(1) && !std::mem::replace(&mut is_said, true) {
            say("its stages save their checkpoints");
        }
        thread::sleep(LOOK);
    }
    print(&format!("run {} has stopped; the same command continues it\n", run.id))
}

/// The run, and the runs of its pilots.
pub(super) fn processes(cache: &Cache, run: &RunSeen) -> Result<Vec<RunSeen>, Fault> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(run.path.join(PILOTS)).into_iter().flatten().flatten() {
        if entry.path().extension().is_some_and(|ending| ending == "run") {
            names.extend(std::fs::read_to_string(entry.path()));
        }
    }
    let is_pilot = |seen: &RunSeen| names.iter().any(|name| name.trim() == seen.id);
    Ok(std::iter::once(run.clone()).chain(cache.runs()?.into_iter().filter(is_pilot)).collect())
}

fn at_work(processes: &[RunSeen]) -> Result<bool, Fault> {
    for process in processes {
        if process.is_at_work()? {
            return Ok(true);
        }
    }
    Ok(false)
}
