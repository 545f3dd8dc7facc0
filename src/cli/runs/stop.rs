//! `ddpipe runs stop`: a note in the run's folder, which every process of the run looks for a few times a second. So it works
//! from any machine that reaches the folder.

use crate::cli::{Done, print};
use crate::ended::Ended;
use crate::exit::{Exit, Fault};
use crate::history;
use crate::note::say;
use crate::peers::{PILOTS, Peers, STOP};
use crate::sent::SentTo;
use ddpipe_cache::shared::{Patience, Remote};
use ddpipe_cache::{Cache, RunSeen};
use std::thread;
use std::time::{Duration, Instant};

/// Between two looks whether it has stopped.
const LOOK: Duration = Duration::from_millis(50);
/// After so long it is not waited for any more: a stage may take long to save.
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) fn run(cache: &Cache, wanted: &str) -> Done {
    let mut run = history::find(cache, wanted)?;
    if let Some(whole) = &run.part_of {
        // One of its pilots was named.
        run = history::find(cache, whole)?;
    }
    let processes = processes(cache, &run)?;
    let sent = SentTo::of(&run.path).filter(|_| is_open(&run));
    if sent.is_none() && !at_work(&processes)? {
        return print(&format!("run {} is not at work\n", run.id));
    }
    if let Some(sent) = &sent {
        let notes = Remote::at(&sent.remote, Patience::default())?.notes(&run.id);
        notes.put(STOP, b"").map_err(|error| notes.trouble(error))?;
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
    if sent.is_some() && is_open(&run) {
        // Nobody watches its pilots.
        return print(&format!("the pilots of run {} are asked to stop; the same command continues it\n", run.id));
    }
    print(&format!("run {} has stopped; the same command continues it\n", run.id))
}

/// Whether nobody has seen the end of it.
fn is_open(run: &RunSeen) -> bool {
    let over = |ended: Ended| !matches!(Exit::of_code(ended.exit), Some(Exit::Terminated | Exit::HungUp | Exit::Cache));
    !Ended::in_folder(&run.path).is_some_and(over)
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
