//! `ddpipe run`: obtain sources, plan, schedule, report, check expectations.

mod ending;
mod reports;

use self::ending::{Ended, compared};
use self::reports::{ReportArgs, Reports};
use super::allow::{self, Commands};
use super::interrupts::Signals;
use super::project::{Invocation, ManifestArgs, Project};
use super::{Done, absence, print};
use crate::baseline::Comparison;
use crate::commit;
use crate::download::Offline;
use crate::event::{Event, Observer, Outcome, Status};
use crate::executor::{Local, LocalSettings};
use crate::exit::{Exit, Fault};
use crate::expect::{self, Checked, Checks};
use crate::memory;
use crate::mixed;
use crate::note::say;
use crate::pipeline::NodeId;
use crate::plan::Verdict;
use crate::progress::{self, Ending};
use crate::results;
use crate::run_report::RunReport;
use crate::schedule::{Interrupts, Patience, Run, Scheduler, Summary};
use crate::slots::{self, Slots};
use crate::sources::{self, Sources, SourcesError};
use crate::started::Started;
use crate::terminal::{self, Style};
use crate::visible::visible;
use ddpipe_cache::Record;
use ddpipe_interface::protocol::Cause;
use indexmap::IndexMap;
use std::path::PathBuf;
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
    /// The folder for results, each pipeline's in one of its own below it [default: results in the project's folder]
    #[arg(long, value_name = "DIR", env = "DDPIPE_RESULTS")]
    results: Option<PathBuf>,
    /// Make a missed expectation an error (exit code 4)
    #[arg(long)]
    check: bool,
    /// Print events as JSON lines instead of progress
    #[arg(long)]
    json: bool,
    /// Print only what went wrong and the results
    #[arg(long, short)]
    quiet: bool,
    /// Print the lines that stages log, as they come
    #[arg(long, short, conflicts_with_all = ["quiet", "json"])]
    verbose: bool,
    #[command(flatten)]
    reports: ReportArgs,
}

pub(super) fn run(args: Args) -> Done {
    let reports = Reports::new(&args.reports, &args.manifest, args.json);
    reports.end(reports.begin().and_then(|()| whole(&args, &reports)))
}

fn whole(args: &Args, reports: &Reports) -> Done {
    let begun = Instant::now();
    let slots = slots::find(&args.device, args.jobs.map(usize::from), args.threads.map(usize::from))?;
    slots.check_devices()?;
    let project = args.manifest.open(&slots).inspect_err(|_| reports.faulty(&args.manifest.faults()))?;
    reports.warned(&project.pipeline.warnings);
    for warning in &project.pipeline.warnings {
        say(warning.render(false).trim_end());
    }
    let named = |name: &String| {
        let baseline = super::baseline::named(&project.pipeline, name).inspect_err(|report| reports.faulty(report))?;
        Ok::<_, Fault>((name.clone(), baseline))
    };
    let baseline = args.reports.baseline.as_ref().map(named).transpose()?;
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
    let (json, quiet, verbose) = (args.json, args.quiet, args.verbose);
    let shown = move || -> Box<dyn Observer> {
        match (json, quiet) {
            (true, _) => Box::new(progress::Json),
            (false, true) => Box::new(progress::Quiet),
            (false, false) => progress::for_people(verbose),
        }
    };
    observers.push(Box::new(progress::Behind::new(shown, interrupts.clone())));
    let folder = results::folder_of(&project.pipeline, args.results.as_deref());
    let mut observers = progress::Previews::new(&folder, observers);

    let sources = obtained(args, &project, &needed, &mut observers)?;
    let Project { pipeline, graph, cache, .. } = &project;
    let mut planner = project.planner(&sources)?;
    let plan = planner.plan();
    absence::refuse(&project, &plan, &sources)?;
    for text in absence::notes(&project, &planner, &plan, &sources) {
        observers.on_event(&Event::Warning { text });
    }
    let (_, _, fresh) = plan.counts();
    pins.pin(&plan.fresh())?;
    if plan.verdicts.iter().any(|verdict| !matches!(verdict, Verdict::Fresh(_) | Verdict::NotSelected)) {
        results::try_folder(pipeline, graph, &folder)?;
    }
    let nodes = pipeline.nodes.iter().filter(|node| planner.needed(node.id)).count();
    observers.on_event(&Event::Begun { pipeline: pipeline.name.clone(), run: run.id().to_string(), nodes, fresh });
    let expected: IndexMap<NodeId, Option<f64>> =
        project.expected(&plan).into_iter().map(|(node, guess)| (node, guess.map(|guess| guess.seconds))).collect();
    if !expected.is_empty() {
        let seconds = expected.iter().map(|(node, seconds)| (pipeline.node(*node).address(), *seconds)).collect();
        observers.on_event(&Event::Expected { jobs: slots.names.len(), seconds });
    }

    let signals = Signals::listen(&interrupts)?;
    let mut executor = Local::new(local(args, slots, &project));
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
        commit: commit.clone(),
        patience: Patience::of_environment(args.timeout),
    };
    let summary = Scheduler::new(scheduled, seconds).run();
    // What goes wrong from here on is said at the end: it must not keep the results of what is done from anybody.
    let mut faults: Vec<Fault> = Vec::new();
    let pinned = run.pin(&summary.records.iter().map(|(_, record)| record.key).collect::<Vec<_>>());
    faults.extend(pinned.err().map(Fault::from));
    faults.extend(note_names(&project, &summary.records).err());

    let over = results::Over {
        folder,
        run: run.id(),
        called: args.called(&project),
        records: &summary.records,
        lost: lost(&summary),
    };
    let mut written = results::write(pipeline, graph, cache, over);
    for text in std::mem::take(&mut written.warnings) {
        observers.on_event(&Event::Warning { text });
    }
    faults.append(&mut written.faults);
    for text in mixed::notes(pipeline, graph, &summary.records) {
        observers.on_event(&Event::Warning { text });
    }
    let mut counts: IndexMap<Status, usize> = IndexMap::new();
    for outcome in &summary.outcomes {
        *counts.entry(outcome.status).or_default() += 1;
    }
    let seconds = begun.elapsed().as_secs_f64();
    observers.on_event(&Event::Ended { counts, seconds });
    let asked = |node: NodeId| needed.get(node.index()) == Some(&true);
    let records = [summary.records.clone(), on_record(&project, &asked).unwrap_or_default()].concat();
    let Checks { checked, unasked, left_out } =
        expect::check_asked(pipeline, &records, &asked, &self::left_out(&summary));
    let selected = &project.choice.select;
    let comparison =
        baseline.as_ref().map(|(name, baseline)| compared(pipeline, &summary, name, baseline, selected.is_empty()));
    let exit = |faults: &[Fault]| self::exit(args, &summary, &checked, comparison.as_ref(), faults, signals.first());
    let ended = Ended {
        pipeline,
        run: run.id(),
        summary: &summary,
        checked: &checked,
        written: &written,
        comparison: comparison.as_ref(),
    };
    let unwritten = reports.tell(ended.report(RunReport { commit, ..reports.blank() }, &faults, exit(&faults)));
    faults.extend(unwritten);
    ended.tell(&faults, exit(&faults), &mut observers);
    drop(observers);
    signals.over();
    terminal::over();

    if args.json {
        // Standard output is for events alone, which say it too.
        for missed in checked.iter().filter(|check| !check.met) {
            say(expectations(std::slice::from_ref(missed)).trim_end());
        }
    } else {
        // Standard error last: what went wrong stands where the eye is.
        let printed = print(&written.text(Style::of_stdout()))
            .and_then(|_| print(&expectations(&checked)))
            .and_then(|_| print(&not_checked(unasked)))
            .and_then(|_| print(&visible(&left_out.iter().map(|text| format!("{text}\n")).collect::<String>())))
            .and_then(|_| print(&visible(&comparison.as_ref().map_or(String::new(), Comparison::text))));
        faults.extend(printed.err());
    }
    faults.iter().for_each(say);
    if !args.json {
        let ending = Ending { pipeline: &pipeline.name, run: run.id(), outcomes: &summary.outcomes, seconds };
        farewell(ending.text(Style::of_stderr(), args.quiet), summary.interrupted);
    }
    Ok(exit(&faults))
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

/// The files from outside: what has to run and is declared with a URL is downloaded. What is on record needs no file.
fn obtained(args: &Args, project: &Project, needed: &[bool], observers: &mut dyn Observer) -> Result<Sources, Fault> {
    let Project { pipeline, cache, .. } = project;
    let mut found = sources::look(pipeline, cache, needed)?;
    if !found.missing.is_empty() {
        let mut planner = project.planner(&found)?;
        let plan = planner.plan();
        let demand = planner.demand(&plan, needed);
        let obtained = sources::obtain(pipeline, cache, &demand, Offline(args.offline), observers);
        if !obtained.faults.is_empty() {
            let fault = SourcesError::Faults(obtained.faults);
            if !args.keep_going {
                return Err(fault.into());
            }
            observers.on_event(&Event::Warning { text: fault.to_string() });
        }
        if obtained.news {
            found = sources::look(pipeline, cache, needed)?;
        }
    }
    sources::warn_of_other_copies(pipeline, &found, observers);
    Ok(found)
}

/// The nodes that are left out, each with the reason.
fn left_out(summary: &Summary) -> IndexMap<String, String> {
    let mut lost = lost(summary);
    let left = |node: &String| {
        summary.outcomes.iter().any(|outcome| outcome.node == *node && outcome.status == Status::LeftOut)
    };
    lost.retain(|node, _| left(node));
    lost
}

/// Says the last words, whose parts are visible already. A run that was interrupted does not wait for a reader that does not
/// read.
fn farewell(text: String, interrupted: bool) {
    if text.is_empty() {
        return;
    }
    let said = std::thread::spawn(move || terminal::say(&text));
    let since = Instant::now();
    while !said.is_finished() && !(interrupted && since.elapsed() > PATIENCE) {
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

/// The records of nodes that nobody asked for and that something is expected of, as far as they are there: an earlier run
/// may have made them. They are read only where an expectation speaks of such nodes.
fn on_record(project: &Project, asked: &dyn Fn(NodeId) -> bool) -> Result<Vec<(NodeId, Arc<Record>)>, Fault> {
    let expected: Vec<NodeId> = expect::unasked(&project.pipeline, asked).map(|node| node.id).collect();
    if expected.is_empty() {
        return Ok(Vec::new());
    }
    let plan = project.planned_in_full(expected.iter().copied())?;
    let fresh = expected.into_iter().filter_map(|node| match plan.verdicts.get(node.index()) {
        Some(Verdict::Fresh(record)) => Some((node, record.clone())),
        _ => None,
    });
    Ok(fresh.collect())
}

/// Says how many expectations speak of nodes that were not selected.
fn not_checked(unasked: usize) -> String {
    match unasked {
        0 => String::new(),
        1 => "expect: 1 not checked: its node was not selected and is not on record\n".into(),
        count => format!("expect: {count} not checked: their nodes were not selected and are not on record\n"),
    }
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
fn exit(
    args: &Args,
    summary: &Summary,
    checked: &[Checked],
    comparison: Option<&Comparison>,
    faults: &[Fault],
    signal: Exit,
) -> Exit {
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
    } else if args.check && checked.iter().any(|check| !check.met) || comparison.is_some_and(Comparison::is_worse) {
        Exit::Missed
    } else {
        Exit::Ok
    }
}
