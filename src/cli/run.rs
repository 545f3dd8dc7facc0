//! `ddpipe run`: obtain sources, plan, schedule, report, check expectations.

use super::allow::{self, Commands};
use super::interrupts::Signals;
use super::project::{Invocation, ManifestArgs, Project};
use super::{Done, print};
use crate::commit;
use crate::download::Offline;
use crate::event::{Event, Observer, Outcome, Status};
use crate::executor::{Local, LocalSettings};
use crate::exit::{Exit, Fault};
use crate::expect::{self, Checked};
use crate::memory;
use crate::mixed;
use crate::note::say;
use crate::pipeline::NodeId;
use crate::progress::{self, Ending};
use crate::results;
use crate::schedule::{Interrupts, Patience, Run, Scheduler, Summary};
use crate::slots::{self, Slots};
use crate::sources;
use crate::started::Started;
use crate::terminal::{self, Style};
use ddpipe_cache::Record;
use ddpipe_interface::protocol::Cause;
use indexmap::IndexMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long an interrupted run waits for whoever reads its last words.
const PATIENCE: Duration = Duration::from_secs(2);

/// Run a pipeline.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    manifest: ManifestArgs,
    /// Where to compute: auto, cpu, cuda, cuda:0, or several: cuda:0,cuda:1
    #[arg(long, value_name = "DEVICE", default_value = "auto", env = "DDPIPE_DEVICE")]
    device: String,
    /// How many stages run at once [default: one per GPU, two on a CPU]
    #[arg(long, short, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    jobs: Option<u16>,
    /// Computing threads per stage [default: the cores, divided among the jobs]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
    /// Tensors that a worker keeps on its device between stages, in bytes or as 512MiB [default: 4GiB, or the jobs' part
    /// of an eighth of the memory where that is less]
    #[arg(long, value_name = "SIZE", value_parser = crate::size::parse)]
    memory_budget: Option<u64>,
    /// Finish what does not depend on a failed node
    #[arg(long)]
    keep_going: bool,
    /// Stop a stage that takes longer than this: seconds, or 90min, 2h; a stage's own `timeout` comes first
    #[arg(long, value_name = "TIME", value_parser = crate::limits::parse_duration)]
    timeout: Option<Duration>,
    /// Download nothing
    #[arg(long)]
    offline: bool,
    /// Let kinds of the project's own run their programs: all, or only those accepted with `ddpipe allow`
    #[arg(long, value_name = "WHICH", num_args = 0..=1, require_equals = true, default_missing_value = "all")]
    allow_commands: Option<Commands>,
    /// Make a missed expectation an error (exit code 4)
    #[arg(long)]
    check: bool,
    /// Print events as JSON lines instead of progress
    #[arg(long)]
    json: bool,
    /// Print only what went wrong and the results
    #[arg(long, short)]
    quiet: bool,
}

pub(super) fn run(args: Args) -> Done {
    let begun = Instant::now();
    let slots = slots::find(&args.device, args.jobs.map(usize::from), args.threads.map(usize::from))?;
    slots.check_devices()?;
    let project = args.manifest.open(&slots)?;
    for warning in &project.pipeline.warnings {
        say(warning.render(false).trim_end());
    }
    let needed = project.needed();
    let nodes = project.pipeline.nodes.iter().map(|node| node.id).filter(|id| needed[id.index()]);
    allow::check(&project, args.allow_commands, nodes)?;

    let run = Rc::new(project.cache.new_run(&project.pipeline.name)?);
    let commit = commit::of(&project.pipeline.root);
    let Invocation { overrides, select, .. } = &project.invocation;
    Started::now(&project.pipeline, overrides, select, commit.clone()).write(&run)?;
    let pins = progress::Pins::new(run.clone());
    let mut observers: Vec<Box<dyn Observer>> = vec![Box::new(progress::Journal::new(&run)?), Box::new(pins.clone())];
    let interrupts = Interrupts::default();
    let (json, quiet) = (args.json, args.quiet);
    let shown = move || -> Box<dyn Observer> {
        match (json, quiet) {
            (true, _) => Box::new(progress::Json),
            (false, true) => Box::new(progress::Quiet),
            (false, false) => progress::for_people(),
        }
    };
    observers.push(Box::new(progress::Behind::new(shown, interrupts.clone())));

    let sources = sources::obtain(&project.pipeline, &project.cache, &needed, Offline(args.offline), &mut observers)?;
    let Project { pipeline, graph, cache, .. } = &project;
    let mut planner = project.planner(&sources)?;
    let plan = planner.plan();
    let (_, _, fresh) = plan.counts();
    pins.pin(&plan.fresh())?;
    let nodes = pipeline.nodes.iter().filter(|node| planner.needed(node.id)).count();
    observers.on_event(&Event::Begun { pipeline: pipeline.name.clone(), run: run.id().to_string(), nodes, fresh });
    let expected: IndexMap<NodeId, Option<f64>> =
        project.expected(&plan).into_iter().map(|(node, guess)| (node, guess.map(|guess| guess.seconds))).collect();
    if !expected.is_empty() {
        let seconds = expected.iter().map(|(node, seconds)| (pipeline.node(*node).address(), *seconds)).collect();
        observers.on_event(&Event::Expected { jobs: slots.names.len(), seconds });
    }

    let signals = Signals::listen(&interrupts)?;
    let mut executor = Local::new(local(&args, slots, &project));
    let seconds = |node: NodeId| longest_first(&expected, node);
    let scheduled = Run {
        pipeline,
        graph,
        planner: &mut planner,
        cache,
        sources: &sources,
        executor: &mut executor,
        observer: &mut observers,
        interrupts,
        keep_going: args.keep_going,
        commit,
        patience: Patience::of_environment(args.timeout),
    };
    let summary = Scheduler::new(scheduled, seconds).run();
    // What goes wrong from here on is said at the end: it must not keep the results of what is done from anybody.
    let mut faults: Vec<Fault> = Vec::new();
    let pinned = run.pin(&summary.records.iter().map(|(_, record)| record.key).collect::<Vec<_>>());
    faults.extend(pinned.err().map(Fault::from));
    faults.extend(note_names(&project, &summary.records).err());

    let over =
        results::Over { run: run.id(), called: args.called(&project), records: &summary.records, lost: lost(&summary) };
    let mut written = results::write(pipeline, graph, cache, over);
    for text in std::mem::take(&mut written.warnings) {
        observers.on_event(&Event::Warning { text });
    }
    faults.append(&mut written.faults);
    let mut counts: IndexMap<Status, usize> = IndexMap::new();
    for outcome in &summary.outcomes {
        *counts.entry(outcome.status).or_default() += 1;
    }
    let seconds = begun.elapsed().as_secs_f64();
    observers.on_event(&Event::Ended { counts, seconds });
    drop(observers);
    signals.over();
    terminal::over();

    let checked = expect::check(pipeline, &summary.records);
    for note in mixed::notes(pipeline, graph, &summary.records) {
        say(&note);
    }
    if args.json {
        // Standard output is for events alone.
        for missed in checked.iter().filter(|check| !check.met) {
            say(expectations(std::slice::from_ref(missed)).trim_end());
        }
    } else {
        // Standard error last: what went wrong stands where the eye is.
        let printed = print(&written.text(Style::of_stdout())).and_then(|_| print(&expectations(&checked)));
        faults.extend(printed.err());
    }
    faults.iter().for_each(say);
    if !args.json {
        let ending = Ending { pipeline: &pipeline.name, run: run.id(), outcomes: &summary.outcomes, seconds };
        farewell(ending.text(Style::of_stderr(), args.quiet), summary.interrupted);
    }
    Ok(exit(&args, &summary, &checked, &faults, signals.first()))
}

impl Args {
    /// How the run was called, for its results.
    fn called(&self, project: &Project) -> results::Called {
        let overrides = &project.invocation.overrides;
        let variables = overrides.env.iter().filter(|(name, _)| name.starts_with("DDPIPE_VAR_"));
        let variables = variables.map(|(name, value)| format!("{name}={value}"));
        let sets = overrides.sets.iter().map(|(path, value)| format!("{path}={value}"));
        let file = &project.pipeline.file;
        results::Called {
            manifest: file.strip_prefix(&project.pipeline.root).unwrap_or(file).to_path_buf(),
            profile: overrides.profile.clone(),
            set: variables.chain(sets).collect(),
            select: project.invocation.select.clone(),
            cache: project.cache.root().to_path_buf(),
        }
    }
}

/// Says the last words, whose parts are visible already. A run that was interrupted does not wait for a reader that does not
/// read.
fn farewell(text: String, interrupted: bool) {
    if text.is_empty() {
        return;
    }
    let said = std::thread::spawn(move || terminal::say(&text));
    let since = Instant::now();
    while !(said.is_finished() || interrupted && since.elapsed() > PATIENCE) {
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Why nodes have no result, by address.
fn lost(summary: &Summary) -> IndexMap<String, String> {
    let reason = |outcome: &Outcome| {
        let failure = outcome.failure.as_ref()?;
        Some((outcome.node.clone(), failure.message.lines().next().unwrap_or_default().to_string()))
    };
    summary.outcomes.iter().filter_map(reason).collect()
}

fn local(args: &Args, slots: Slots, project: &Project) -> LocalSettings {
    let seconds = std::env::var("DDPIPE_CHECKPOINT_SECONDS").ok().and_then(|text| text.parse().ok());
    let jobs = slots.names.len();
    LocalSettings {
        threads: slots.threads,
        slots: slots.names,
        cache: project.cache.root().to_path_buf(),
        memory_budget: args.memory_budget.unwrap_or_else(|| memory::budget(jobs)),
        checkpoint_seconds: seconds.unwrap_or(60),
    }
}

/// What decides which node starts first: the seconds that it is expected to take; one where nothing is known, none where
/// nothing has to run.
fn longest_first(expected: &IndexMap<NodeId, Option<f64>>, node: NodeId) -> f64 {
    expected.get(&node).map_or(0.0, |seconds| seconds.unwrap_or(1.0))
}

/// Notes what every node gave last, under the name that it has today: what `why` compares with the next time.
fn note_names(project: &Project, records: &[(NodeId, Arc<Record>)]) -> Result<(), Fault> {
    let pipeline = &project.pipeline;
    for (node, record) in records {
        project.cache.note_latest(&pipeline.name, &pipeline.node(*node).address(), record.key)?;
    }
    Ok(())
}

fn expectations(checked: &[Checked]) -> String {
    let mut text = String::new();
    for check in checked {
        let value = check.value.map_or("not measured".to_string(), |value| format!("{value:.4}"));
        let mark = if check.met { "met" } else { "MISSED" };
        text.push_str(&format!("expect {}: {value}, wanted {}: {mark} ({})\n", check.what, check.wanted, check.place));
    }
    text
}

/// The cache first: what it could not do is no fault of the stages.
fn exit(args: &Args, summary: &Summary, checked: &[Checked], faults: &[Fault], signal: Exit) -> Exit {
    let of_cache = |outcome: &Outcome| {
        let cause = outcome.failure.as_ref().and_then(|failure| failure.cause);
        outcome.status == Status::Failed && matches!(cause, Some(Cause::Cache | Cause::Store))
    };
    if summary.interrupted || summary.count(Status::Interrupted) > 0 {
        signal
    } else if summary.outcomes.iter().any(of_cache) || !faults.is_empty() {
        Exit::Cache
    } else if summary.count(Status::Failed) > 0 {
        Exit::Stage
    } else if args.check && checked.iter().any(|check| !check.met) {
        Exit::Missed
    } else {
        Exit::Ok
    }
}
