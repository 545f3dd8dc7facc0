//! `ddpipe run`: obtain sources, plan, schedule, report, check expectations.

mod after;
mod before;
mod carry_out;
mod cut_off;
mod detached;
mod ending;
mod live_report;
pub(super) mod on;
mod pilots;
mod reports;
mod sending;
mod sent;
pub(super) mod words;

use self::carry_out::Begun;
use self::cut_off::CutOff;
use self::live_report::LiveReport;
use self::on::On;
use self::reports::{ReportArgs, Reports};
use self::sent::LaidOut;
use super::Done;
use super::allow::{self, Commands};
use super::interrupts::{Manner, Signals};
use super::log;
use super::project::{Invocation, ManifestArgs};
use crate::commit;
use crate::ended::Ended;
use crate::exit::{Exit, Fault};
use crate::fleet::SESSION;
use crate::note::say;
use crate::peers::Peers;
use crate::schedule::Interrupts;
use crate::slots;
use crate::started::Started;
use ddpipe_cache::Digest;
use ddpipe_cache::shared::Hurry;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// Run a pipeline.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    manifest: ManifestArgs,
    /// Where to compute: auto, cpu, cuda, cuda:0, or several: cuda:0,cuda:1
    #[arg(long, value_name = "DEVICE", default_value = "auto", env = "DDPIPE_DEVICE")]
    device: String,
    /// How many stages run at once [default: two on a CPU; one per GPU, or up to four that are known to be small]
    #[arg(long, short, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    jobs: Option<u16>,
    /// Computing threads of each stage; they change no result [default: the cores]
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
    /// Have pilots compute: processes that share the work by the cache and go on when this command is gone. `here` starts
    /// them on this machine; other names are [machines.NAME] of the settings, NAME:TYPE if there are several types
    #[arg(long, value_name = "MACHINE")]
    on: Option<String>,
    /// So many pilots [default: here one for each job, else as many as the work fills]
    #[arg(long, value_name = "N", requires = "on", value_parser = clap::value_parser!(u16).range(1..=256))]
    pilots: Option<u16>,
    /// So many pilots that the work may be done in this time, where the longest path allows it [default: 15min]
    #[arg(long, value_name = "TIME", requires = "on", conflicts_with = "pilots", value_parser = crate::limits::parse_duration)]
    within: Option<Duration>,
    /// Go on in the background; print the run's id. `ddpipe watch` shows it, `ddpipe runs stop` ends it
    #[arg(long, conflicts_with_all = ["json", "verbose"])]
    detach: bool,
    /// The number of this pilot of the run that --from-run names
    #[arg(long, hide = true, value_name = "N", requires = "from_run", conflicts_with_all = ["on", "detach"])]
    pilot: Option<usize>,
    /// The digest of what was sent to this pilot, which shares no folder with the command that started it
    #[arg(long, hide = true, value_name = "DIGEST", requires_all = ["pilot", "local"])]
    sent: Option<Digest>,
    /// The folder of this node for that
    #[arg(long, hide = true, value_name = "DIR", requires = "sent")]
    local: Option<String>,
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

pub(super) fn run(mut args: Args) -> Done {
    if args.detach {
        return detached::start();
    }
    if args.pilot.is_some() && std::env::var_os(SESSION).is_some() {
        // Signals of the terminal are for the command that watches.
        let _ = nix::unistd::setsid();
    }
    if args.on.is_some() && !args.manifest.picks.force.is_empty() {
        let message = "--force does not go with --on: each pilot would run the node\n  run it without --on first";
        return Err(Fault::usage(message));
    }
    if args.json {
        log::tell_programs();
    }
    let laid_out = sent::lay_out(&mut args)?;
    let reports = Reports::new(&args.reports, &args.manifest, args.json);
    reports.end(reports.begin().and_then(|()| whole(&args, &reports, laid_out)))
}

/// From the command line to the record of what came of it.
fn whole(args: &Args, reports: &Reports, laid_out: Option<LaidOut>) -> Done {
    let begun = Instant::now();
    let (interrupts, stopped) = (Interrupts::default(), CutOff::new(begun, args.json));
    let words = stopped.clone();
    let manner = match (args.pilot, &args.on) {
        (Some(_), _) => Manner::Pilot,
        (None, Some(_)) => Manner::Watches,
        (None, None) => Manner::Computes,
    };
    let signals = Signals::listen_from_the_start(&interrupts, manner, move |exit| words.tell(exit))?;
    let on = args.on.as_deref().map(|named| On::find(named, &args.manifest.remote)).transpose()?.flatten();
    let slots = match &on {
        // What the nodes have is not looked for here.
        Some(on) => on.pilot.slots(),
        None => {
            let slots = slots::find(&args.device, args.jobs.map(usize::from), args.threads.map(usize::from))?;
            slots.check_devices()?;
            slots
        }
    };
    let commit = laid_out.as_ref().and_then(|laid_out| laid_out.commit.clone());
    let (invocation, far) = match laid_out {
        Some(LaidOut { invocation, run, .. }) => (Ok(invocation), Some(run)),
        None => (args.manifest.invocation(), None),
    };
    let mut manifest = args.manifest.clone();
    if args.pilot.is_none() {
        let interrupts = interrupts.clone();
        manifest.remote.hurry = Hurry::when(move || interrupts.count() > 0);
    }
    if sent::is_far(on.as_ref()) {
        manifest.remote.patience = Some(sent::PATIENCE);
    }
    let opened = invocation.and_then(|invocation| manifest.open_as(invocation, &slots));
    let project = opened.inspect_err(|_| {
        // They are found a second time, which only a program is worth.
        if reports.are_wanted() {
            reports.faulty(&args.manifest.faults());
        }
    })?;
    let project = super::kept(project);
    reports.warned(&project.pipeline.warnings);
    for warning in &project.pipeline.warnings {
        say(warning.render(false).trim_end());
    }
    let named = |name: &String| {
        let baseline = super::baseline::named(&project.pipeline, name).inspect_err(|report| reports.faulty(report))?;
        Ok::<_, Fault>((name.clone(), baseline))
    };
    let baseline = args.reports.baseline.as_ref().map(named).transpose()?;
    if on.is_some() {
        pilots::prepare(project, args, on.as_ref())?;
    }
    let needed = project.needed();
    let nodes = project.pipeline.nodes.iter().map(|node| node.id).filter(|id| needed[id.index()]);
    if let Some(text) = allow::check(project, args.allow_commands, nodes)? {
        if args.pilot.is_none() {
            say(&text);
        }
        reports.warn(text);
    }

    let name = &project.pipeline.name;
    let (run, peers, mirror) = match (args.pilot, &args.manifest.from_run) {
        (Some(number), Some(whole)) => {
            let part = pilots::Part { run: project.cache.new_part(name, whole)?, whole, number };
            match far.and_then(|run| project.cache.notes(&run)) {
                Some(notes) => part.begin_far(notes, &interrupts)?,
                None => part.begin(&project.cache)?,
            }
        }
        _ => {
            let run = project.cache.new_run(name)?;
            let peers = Peers::alone(run.path());
            (run, peers, None)
        }
    };
    let run = Rc::new(run);
    detached::begin(&run)?;
    let commit = commit.or_else(|| commit::of(&project.pipeline.root));
    let Invocation { overrides, select, .. } = &project.invocation;
    Started::now(&project.pipeline, overrides, select, commit.clone()).write(&run, &project.pipeline)?;
    let mut ended = Ended::begun();
    stopped.has_folder(&run, &ended);
    let live = reports.page().map(|file| LiveReport::begin(file, project, run.id()));
    let (run, needed) = (&run, needed.as_slice());
    let with = Begun { args, reports, project, run, needed, commit, baseline, begun, signals, interrupts, peers, on };
    let done = with.carry_out(slots, &mut ended).and_then(|exit| match &mirror {
        Some(mirror) if mirror.is_lost() => {
            Err(Fault { exit: Exit::Cache, message: "the remote that the run meets in was lost".into() })
        }
        _ => Ok(exit),
    });
    ended.seconds = begun.elapsed().as_secs_f64();
    ended.exit = done.as_ref().map_or_else(|fault| fault.exit, |exit| *exit) as u8;
    ended.faults.extend(done.as_ref().err().map(ToString::to_string));
    if let Err(error) = ended.write(run) {
        say(error);
    }
    // The others see how it ended before it is gone.
    drop(mirror);
    let Some(page) = live.map(LiveReport::finish) else { return done };
    match page {
        Ok(()) => {
            reports.page_is_written(args.quiet || args.json);
            done
        }
        Err(fault) => {
            say(&fault);
            done.map(|exit| if exit == Exit::Ok { fault.exit } else { exit })
        }
    }
}
