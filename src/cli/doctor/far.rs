//! `ddpipe doctor --on MACHINE`: a job that does nothing but say what a pilot would find there, started as a pilot would be.

use crate::cli::interrupts::{Manner, Signals};
use crate::cli::remote::RemoteArgs;
use crate::cli::run::on::On;
use crate::cli::{Done, print};
use crate::exit::{Exit, Fault};
use crate::fleet::{How, JobState, PilotOrder};
use crate::machine::HERE;
use crate::note::say;
use crate::schedule::Interrupts;
use crate::visible::visible;
use ddpipe_cache::Cache;
use ddpipe_cache::shared::{Patience, Remote};
use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

/// Between two looks.
const LOOK: Duration = Duration::from_millis(200);
/// The same where the words come through a remote.
const LOOK_FAR: Duration = Duration::from_secs(1);
/// The note in a remote that has the words.
const ANSWER: &str = "doctor.txt";
/// After a job is over, its words may take so long to be seen on this machine.
const LATE: Duration = Duration::from_secs(10);

/// In the job: puts what it has found where the asking command looks for it.
pub fn tell(name: &str, settings: &RemoteArgs, text: &str) -> Result<(), Fault> {
    let notes = remote(settings)?.notes(name);
    notes.put(ANSWER, text.as_bytes()).map_err(|error| notes.trouble(error))?;
    Ok(())
}

fn remote(settings: &RemoteArgs) -> Result<Remote, Fault> {
    let none = || {
        Fault::usage(
            "the nodes of the machine share no folder with this one (`local`), and no remote is named\n  name one with --remote \
             URL, or in the settings",
        )
    };
    settings.open(Patience::default())?.ok_or_else(none)
}

/// Has a job say what it finds, and says where and how.
pub fn run(named: &str, settings: &RemoteArgs, cache: &Path, verdicts: &[&str]) -> Done {
    let Some(on) = On::find(named, settings)? else {
        return Err(Fault::usage(format!("--on {HERE} is this machine; `ddpipe doctor` looks at it")));
    };
    // Made here, where there is none: the job would find a folder that is no cache.
    let cache = Cache::open(cache)?.root().to_path_buf();
    let failed = |error: std::io::Error| Fault::io("make a folder in", &cache, &error);
    let folder = tempfile::Builder::new().prefix("doctor-").tempdir_in(&cache).map_err(failed)?;
    let run = folder.path().file_name().unwrap_or_default().to_string_lossy().into_owned();
    let notes = match &on.machine.local {
        None => None,
        Some(_) => Some(remote(settings)?.notes(&run)),
    };
    let mut arguments = vec!["doctor".to_string()];
    match &on.machine.local {
        None => arguments.extend(["--cache".into(), cache.display().to_string()]),
        Some(local) => {
            let url = remote(settings)?.url().to_string();
            arguments.extend(["--tell".into(), run.clone(), "--local".into(), local.clone(), "--remote".into(), url]);
        }
    }
    let order = PilotOrder {
        number: 1,
        run: run.clone(),
        run_folder: folder.path().to_path_buf(),
        arguments,
        folder: std::env::current_dir()?,
        log: folder.path().join("1.log"),
    };
    if let Some(notes) = &notes {
        // What is wrong with the remote is said here, and costs no job.
        notes.get(ANSWER).map_err(|error| notes.trouble(error))?;
    }
    let interrupts = Interrupts::default();
    let signals = Signals::listen(&interrupts, Manner::Asks)?;
    let mut queue = on.queue(&run, folder.path());
    let (begun, job) = (Instant::now(), queue.submit(&order)?);
    say(format!("submitted to {} as {}: {}", on.name, job.id, on.pilot.words()));
    let words = || {
        let text = match &notes {
            Some(notes) => notes.get(ANSWER).ok().flatten().unwrap_or_default(),
            None => fs::read(&order.log).unwrap_or_default(),
        };
        String::from_utf8_lossy(&text).into_owned()
    };
    let look = if notes.is_some() { LOOK_FAR } else { LOOK };
    let is_told =
        |text: &str| text.lines().last().is_some_and(|line| verdicts.iter().any(|verdict| line.ends_with(verdict)));
    let (mut over, mut why, mut how) = (None::<Instant>, String::new(), String::new());
    loop {
        let text = words();
        if is_told(&text) {
            let seconds = begun.elapsed().as_secs_f64();
            if let Some(notes) = &notes {
                // It is of no use any more; a collection would remove it later.
                let _ = notes.remove(ANSWER);
            }
            print(&visible(&format!("{text}answered  after {seconds:.0} s\n")))?;
            return Ok(if text.trim_end().ends_with(verdicts[0]) { Exit::Ok } else { Exit::Stage });
        }
        if over.is_some_and(|over| over.elapsed() > LATE) {
            let text = if text.is_empty() { "it said nothing".to_string() } else { text };
            let message = format!("the job is over{how} and did not say what it found\n{}", text.trim_end());
            return Err(Fault { exit: Exit::Stage, message });
        }
        if interrupts.count() > 0 {
            queue.cancel(&job);
            return Ok(signals.first());
        }
        match queue.status(&job, true) {
            JobState::Ended(ended) => {
                over = over.or(Some(Instant::now()));
                if let How::Lost(words) = ended {
                    how = format!(" ({words})");
                }
            }
            JobState::Queued(reason) if reason != why && !reason.is_empty() && reason != "None" => {
                say(format!("it waits ({reason}); Ctrl-C cancels it"));
                why = reason;
            }
            _ => {}
        }
        thread::sleep(look);
    }
}
