//! `ddpipe doctor --on MACHINE`: a job that does nothing but say what a pilot would find there, started as a pilot would be.

use crate::cli::interrupts::Signals;
use crate::cli::remote::RemoteArgs;
use crate::cli::run::on::On;
use crate::cli::{Done, print};
use crate::exit::{Exit, Fault};
use crate::fleet::{JobState, PilotOrder};
use crate::machine::HERE;
use crate::note::say;
use crate::schedule::Interrupts;
use crate::visible::visible;
use ddpipe_cache::Cache;
use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

/// Between two looks.
const LOOK: Duration = Duration::from_millis(200);
/// After a job is over, its words may take so long to be seen on this machine.
const LATE: Duration = Duration::from_secs(10);

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
    let arguments = ["doctor".to_string(), "--cache".into(), cache.display().to_string()];
    let order = PilotOrder {
        number: 1,
        run: run.clone(),
        run_folder: folder.path().to_path_buf(),
        arguments: arguments.to_vec(),
        folder: std::env::current_dir()?,
        log: folder.path().join("1.log"),
    };
    let interrupts = Interrupts::default();
    let signals = Signals::listen(&interrupts)?;
    let mut queue = on.queue(&run);
    let (begun, job) = (Instant::now(), queue.submit(&order)?);
    say(format!("submitted to {} as {}: {}", on.name, job.id, on.pilot.words()));
    let words = || fs::read(&order.log).map(|text| String::from_utf8_lossy(&text).into_owned()).unwrap_or_default();
    let is_told =
        |text: &str| text.lines().last().is_some_and(|line| verdicts.iter().any(|verdict| line.ends_with(verdict)));
    let (mut over, mut why) = (None::<Instant>, String::new());
    loop {
        let text = words();
        if is_told(&text) {
            let seconds = begun.elapsed().as_secs_f64();
            print(&visible(&format!("{text}answered  after {seconds:.0} s\n")))?;
            return Ok(if text.trim_end().ends_with(verdicts[0]) { Exit::Ok } else { Exit::Stage });
        }
        if over.is_some_and(|over| over.elapsed() > LATE) {
            let text = if text.is_empty() { "it said nothing".to_string() } else { text };
            let message = format!("the job is over and did not say what it found\n{}", text.trim_end());
            return Err(Fault { exit: Exit::Stage, message });
        }
        if interrupts.count() > 0 {
            queue.cancel(&job);
            return Ok(signals.first());
        }
        match queue.status(&job, true) {
            JobState::Ended(_) => over = over.or(Some(Instant::now())),
            JobState::Queued(reason) if reason != why && !reason.is_empty() && reason != "None" => {
                say(format!("it waits ({reason}); Ctrl-C cancels it"));
                why = reason;
            }
            _ => {}
        }
        thread::sleep(LOOK);
    }
}
