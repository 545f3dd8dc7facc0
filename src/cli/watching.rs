//! `ddpipe watch`: a run of another terminal as it goes on, read from its folder in the cache. Influences nothing: the run does
//! not know that it is watched.

use super::place::CacheArgs;
use super::run::words;
use super::{Done, print};
use crate::ended::Ended;
use crate::event::{Event, Outcome};
use crate::exit::{Exit, Fault};
use crate::history::{self, Past, State};
use crate::note::say;
use crate::progress::{self, Ending};
use crate::terminal::Style;
use crate::told::Following;
use crate::visible::visible;
use crate::{command, when};
use clap_complete::engine::ArgValueCandidates;
use ddpipe_cache::{Cache, RunSeen};
use indexmap::IndexMap;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use std::io::IsTerminal as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Show a run of another terminal as it goes on. Ends with the run's own exit code; Ctrl-C ends the watching alone.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    cache: CacheArgs,
    /// The run: the first letters of its id, its name, or last [default: the newest that is at work]
    #[arg(add = ArgValueCandidates::new(super::complete::runs))]
    run: Option<String>,
}

/// How nodes ended, by address, in the order in which they first did.
type Outcomes = IndexMap<String, Outcome>;

/// Between two looks at what the run has told.
const LOOK: Duration = Duration::from_millis(100);

pub(super) fn run(args: Args) -> Done {
    let cache = args.cache.open()?;
    let run = match &args.run {
        Some(wanted) => history::find(&cache, wanted)?,
        None => at_work(&cache)?,
    };
    match follow(&run)? {
        Some(outcomes) => told_at_the_end(&cache, run, &outcomes.into_values().collect::<Vec<_>>()),
        None => {
            say(format!("run {} goes on; `ddpipe watch` shows it again", run.id));
            Ok(Exit::Interrupted)
        }
    }
}

/// The newest run that is at work.
fn at_work(cache: &Cache) -> Result<RunSeen, Fault> {
    let mut runs = history::whole(cache)?;
    let newest = runs.iter().rposition(|run| run.running.is_some());
    if let Some(newest) = newest {
        return Ok(runs.swap_remove(newest));
    }
    let root = cache.root().display();
    let last = match runs.last() {
        Some(_) => "`ddpipe watch last` tells how the last one ended, `ddpipe runs` lists all",
        None => "it has no runs yet",
    };
    Err(Fault { exit: Exit::Stage, message: format!("no run is at work in {root}\n  {last}") })
}

/// Shows what the run tells until it ends, and gives the outcomes of its nodes; none where the user had enough before. Of a
/// run that is over nothing is shown.
fn follow(run: &RunSeen) -> Result<Option<Outcomes>, Fault> {
    let mut following = Following::of(&run.path);
    let mut outcomes = Outcomes::new();
    let Some(holder) = &run.running else {
        gather(following.look(), &mut outcomes, |_, _| {});
        return Ok(Some(outcomes));
    };
    // The first signal ends the watching, and a second one the process, whatever it is doing.
    let enough = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        flag::register_conditional_default(signal, enough.clone())?;
        flag::register(signal, enough.clone())?;
    }
    let begun = when::since_1970(holder.since_unix);
    let mut observer = progress::of_another(begun);
    loop {
        // Asked first: what was told before the end is read after it.
        let goes_on = run.is_at_work()?;
        gather(following.look(), &mut outcomes, |event, at| observer.on_event_at(event, begun + at));
        if !goes_on {
            return Ok(Some(outcomes));
        }
        if enough.load(Ordering::SeqCst) {
            return Ok(None);
        }
        std::thread::sleep(LOOK);
    }
}

fn gather(told: Vec<(Duration, Event)>, outcomes: &mut Outcomes, mut show: impl FnMut(&Event, Duration)) {
    for (at, event) in told {
        show(&event, at);
        if let Event::Finished(outcome) = event {
            // One whose output was lost ends twice: the last time counts.
            outcomes.insert(outcome.node.clone(), outcome);
        }
    }
}

/// The last words of a run that is over, and its exit code.
fn told_at_the_end(cache: &Cache, mut run: RunSeen, outcomes: &[Outcome]) -> Done {
    run.running = None;
    let past = Past::of(run);
    let id = &past.seen.id;
    let ended = match &past.state {
        State::Ended(ended) => ended,
        State::Running(progress) | State::DidNotEnd(progress) => {
            let (done, nodes) = (progress.done, progress.nodes);
            let called = past.started().map(|started| started.command).unwrap_or_default();
            let again = command::again(cache, id, &called);
            let message = match history::pilots_at_work(cache, id)? {
                0 => format!(
                    "run {id} did not end: its process is gone, {done} of {nodes} nodes were done\n  `{again}` continues it"
                ),
                pilots => format!(
                    "the process that watched run {id} is gone, and {pilots} of its pilots are at work\n  `{again}` watches them, \
                     `ddpipe runs stop {id}` ends them"
                ),
            };
            return Err(Fault { exit: Exit::Stage, message });
        }
    };
    print(&visible(&results(ended)))?;
    ended.faults.iter().for_each(say);
    let ending = Ending { pipeline: &past.seen.pipeline, run: id, outcomes, seconds: ended.seconds };
    let in_a_pipe = !std::io::stdout().is_terminal();
    let style = if in_a_pipe { Style::of_stdout() } else { Style::of_stderr() };
    let mut text = ending.text(style, false);
    if text.is_empty() {
        // Everything was on record, or nothing came to run.
        text = visible(&format!("run {id} has ended; exit code {}", ended.exit)).into_owned();
    }
    match in_a_pipe {
        true => drop(print(&format!("{text}\n"))?),
        false => words::farewell(text, false),
    }
    Ok(Exit::of_code(ended.exit).unwrap_or(Exit::Stage))
}

/// What was expected, and where the results are.
fn results(ended: &Ended) -> String {
    let mut text: String = ended
        .expectations
        .iter()
        .map(|seen| words::expectation(&seen.what, seen.value, &seen.wanted, seen.met, &seen.place))
        .collect();
    let folder = ended.results.first().and_then(|file| file.parent());
    if let Some(folder) = folder {
        text.push_str(&format!("results in {}\n", near(folder).display()));
    }
    text
}

/// From the current folder, where it is below it.
fn near(path: &Path) -> &Path {
    std::env::current_dir().ok().and_then(|here| path.strip_prefix(here).ok()).unwrap_or(path)
}
