//! A run from its folder in the cache to its last word.

use super::ending::{Told, compared};
use super::on::{self, On};
use super::reports::Reports;
use super::{Args, after, before, pilots, sending, words};
use crate::baseline::{Baseline, Comparison};
use crate::cli::interrupts::Signals;
use crate::cli::project::Project;
use crate::cli::{Done, absence, print};
use crate::ended::{Ended, Reasons};
use crate::estimate;
use crate::event::{Event, Observer};
use crate::executor::Local;
use crate::exit::Fault;
use crate::expect::{self, Checks};
use crate::mixed;
use crate::note::say;
use crate::peers::Peers;
use crate::pipeline::NodeId;
use crate::plan::Verdict;
use crate::progress::{self, Ending};
use crate::results;
use crate::run_report::{Attempts, RunReport};
use crate::schedule::{Interrupts, Patience, Run, Scheduler, Sharing};
use crate::slots::Slots;
use crate::terminal::{self, Style};
use crate::visible::visible;
use ddpipe_cache::{Commit, RunDir};
use indexmap::IndexMap;
use std::rc::Rc;
use std::time::Instant;

/// A run that has its folder.
pub struct Begun<'a> {
    /// The command line.
    pub args: &'a Args,
    /// The reports for CI systems.
    pub reports: &'a Reports,
    /// The manifest, its graph and the cache.
    pub project: &'a Project,
    /// The run's folder.
    pub run: &'a Rc<RunDir>,
    /// Per node, whether it is selected or needed by one that is.
    pub needed: &'a [bool],
    /// The state of the project's git repository.
    pub commit: Option<Commit>,
    /// What is compared with, and its name.
    pub baseline: Option<(String, Baseline)>,
    /// When the command was called.
    pub begun: Instant,
    /// The signals that it heeds.
    pub signals: Signals,
    /// How often they have asked it to stop.
    pub interrupts: Interrupts,
    /// What the processes of this run tell each other.
    pub peers: Peers,
    /// The machine that pilots compute on, where that is another one.
    pub on: Option<On>,
}

impl Begun<'_> {
    /// Everything that shows or keeps what happens.
    fn observers(
        &self,
        reasons: &Reasons,
        attempts: &Attempts,
        pins: &progress::Pins,
        interrupts: &Interrupts,
    ) -> Result<Vec<Box<dyn Observer>>, Fault> {
        let Args { json, quiet, verbose, .. } = *self.args;
        let shown = move || -> Box<dyn Observer> {
            match (json, quiet) {
                (true, _) => Box::new(progress::Json),
                (false, true) => Box::new(progress::Quiet),
                (false, false) => progress::for_people(verbose),
            }
        };
        let behind = progress::Behind::new(shown, interrupts.clone());
        let shows_fresh = json || !quiet && progress::is_live();
        let behind = if shows_fresh { behind } else { behind.without_fresh() };
        Ok(vec![
            Box::new(progress::Journal::new(self.run)?),
            Box::new(progress::Strip::new(self.run.path())),
            Box::new(pins.clone()),
            Box::new(reasons.clone()),
            Box::new(attempts.clone()),
            Box::new(behind),
        ])
    }

    /// Runs what has to run, and notes in `ended` what comes of it.
    pub fn carry_out(&self, slots: Slots, ended: &mut Ended) -> Done {
        let Begun { args, reports, project, run, needed, .. } = *self;
        let (signals, interrupts, pins) = (&self.signals, self.interrupts.clone(), progress::Pins::new(run.clone()));
        let (reasons, attempts) = (Reasons::default(), Attempts::default());
        // A pilot leaves no results: they are the run's.
        let of_pilot = args.pilot.map(|_| run.path());
        let folder = results::folder_of(&project.pipeline, of_pilot.or(args.results.as_deref()));
        let mut observers = progress::Previews::new(&folder, self.observers(&reasons, &attempts, &pins, &interrupts)?);

        let sources = before::obtained(args, project, needed, &mut observers)?;
        ended.note_sources(&sources);
        let Project { pipeline, graph, cache, .. } = project;
        let mut planner = project.planner(&sources)?;
        let before = cache.collections();
        let plan = planner.plan();
        absence::refuse(project, &plan, &sources)?;
        for text in absence::notes(project, &planner, &plan, &sources) {
            observers.on_event(&Event::Warning { text });
        }
        let (_, _, fresh) = plan.counts();
        pins.pin(&plan.fresh())?;
        // A collection that removed something before it could see the pins: then every record is looked for again.
        let mut is_certain = before.and_then(|before| Ok(cache.collections()?.none_since(&before))).unwrap_or(false);
        // What is damaged in a remote is noticed here, while its node can still run.
        is_certain &= of_pilot.is_some() || results::bring(pipeline, graph, cache, &plan)?;
        if !is_certain
            || plan.verdicts.iter().any(|verdict| !matches!(verdict, Verdict::Fresh(_) | Verdict::NotSelected))
        {
            results::try_folder(pipeline, graph, &folder)?;
        }
        let nodes = pipeline.nodes.iter().filter(|node| planner.needed(node.id)).count();
        let guesses = project.expected(&plan);
        let on = self.on.as_ref().map(|on| on.fit(pipeline, &guesses)).transpose()?;
        observers.on_event(&Event::Begun { pipeline: pipeline.name.clone(), run: run.id().to_string(), nodes, fresh });
        let mut sharing = Sharing::default();
        if slots.for_small {
            let mut memory = vec![None; pipeline.nodes.len()];
            guesses.iter().for_each(|(node, guess)| memory[node.index()] = guess.and_then(|guess| guess.memory));
            sharing = Sharing::of_small(memory);
        }
        let expected: IndexMap<NodeId, Option<f64>> =
            guesses.into_iter().map(|(node, guess)| (node, guess.map(|guess| guess.seconds))).collect();
        let shares = on::shares(on.as_ref(), args, &slots, on::work(graph, &expected));
        if !expected.is_empty() {
            let jobs =
                if args.on.is_some() { shares.iter().map(|share| share.names.len()).sum() } else { slots.names.len() };
            let seconds = expected.iter().map(|(node, seconds)| (pipeline.node(*node).address(), *seconds)).collect();
            observers.on_event(&Event::Expected { jobs, seconds });
        }

        signals.begin();
        let fresh = plan.fresh();
        let (peers, plan) = match args.on.is_some() && !expected.is_empty() {
            true => {
                let fleet = {
                    let (on, shares, sources) = (on.as_ref(), &shares, &sources);
                    let (fresh, commit) = (fresh.as_slice(), self.commit.as_ref());
                    let interrupts = &interrupts;
                    pilots::Pilots { args, project, sources, fresh, commit, run, on, shares, signals, interrupts }
                };
                let peers = fleet.carry_out(&mut observers)?;
                let before = cache.collections();
                planner = project.planner(&sources)?;
                let plan = planner.plan();
                pins.pin(&plan.fresh())?;
                is_certain = before.and_then(|before| Ok(cache.collections()?.none_since(&before))).unwrap_or(false);
                (peers, plan)
            }
            false => (self.peers.clone(), plan),
        };
        cache.send_waiting()?;
        let mut executor = Local::new(before::local(args, slots, project));
        let scheduled = Run {
            pipeline,
            graph,
            planner: &mut planner,
            cache,
            sources: &sources,
            executor: &mut executor,
            observer: &mut observers,
            interrupts,
            // Where others computed, all is told that came of it.
            keep_going: args.keep_going || peers.is_watcher(),
            name: Some(pilots::run_of(args, run)),
            commit: self.commit.clone(),
            patience: Patience::of_environment(args.timeout),
            sharing,
            peers: Some(peers),
        };
        let mut scheduler = Scheduler::new(scheduled, estimate::for_order(&expected));
        if is_certain {
            scheduler.start_from(plan);
        }
        let summary = crate::cli::kept(scheduler.run());
        ended.note_nodes(pipeline, &summary.outcomes, &reasons);
        // What goes wrong from here on is said at the end: it must not keep the results of what is done from anybody.
        let mut faults: Vec<Fault> = Vec::new();
        let pinned = run.pin(&summary.records.iter().map(|(_, record)| record.key).collect::<Vec<_>>());
        faults.extend(pinned.and_then(|()| run.settle()).err().map(Fault::from));
        cache.save_index();
        faults.extend(after::note_names(project, &summary.records).err());

        let over = results::Over {
            folder,
            run: run.id(),
            called: before::called(project),
            records: &summary.records,
            lost: after::lost(summary),
        };
        let mut written = match args.pilot {
            Some(_) => results::Written::nothing(over.folder),
            None => results::write(pipeline, graph, cache, over),
        };
        let warnings = std::mem::take(&mut written.warnings);
        for text in warnings.into_iter().chain(mixed::notes(pipeline, graph, &summary.records)) {
            observers.on_event(&Event::Warning { text });
        }
        faults.append(&mut written.faults);
        faults.extend(sending::finish(cache, run, &self.interrupts, &mut observers).err());
        let seconds = self.begun.elapsed().as_secs_f64();
        observers.on_event(&Event::Ended { counts: ended.counts.clone(), seconds });
        let asked = |node: NodeId| needed.get(node.index()) == Some(&true);
        let records = [summary.records.clone(), after::on_record(project, &asked).unwrap_or_default()].concat();
        let Checks { checked, unchecked } = expect::check_asked(pipeline, &records, &asked, &after::left_out(summary));
        let whole = project.choice.select.is_empty();
        let baseline = self.baseline.as_ref();
        let comparison = baseline.map(|(name, baseline)| compared(pipeline, summary, name, baseline, whole));
        let exit =
            |faults: &[Fault]| after::exit(args, summary, &checked, comparison.as_ref(), faults, signals.first());
        let comparison = comparison.as_ref();
        let told = Told {
            pipeline,
            run: run.id(),
            summary,
            checked: &checked,
            unchecked: &unchecked,
            written: &written,
            attempts: &attempts,
            comparison,
        };
        if reports.are_files() {
            let report = RunReport { commit: self.commit.clone(), ..reports.blank() };
            let unwritten = reports.tell(told.report(report, &faults, exit(&faults)));
            faults.extend(unwritten);
        }
        told.tell(&faults, exit(&faults), &mut observers);
        drop(observers);
        signals.over();
        terminal::over();

        if args.json {
            // Standard output is for events alone, which say it too.
            for missed in checked.iter().filter(|check| !check.met) {
                say(words::expectations(std::slice::from_ref(missed)).trim_end());
            }
        } else {
            // Standard error last: what went wrong stands where the eye is.
            let printed = print(&written.text(Style::of_stdout()))
                .and_then(|_| print(&words::expectations(&checked)))
                .and_then(|_| print(&words::not_checked(&unchecked)))
                .and_then(|_| print(&visible(&comparison.map_or(String::new(), Comparison::text))));
            faults.extend(printed.err());
        }
        ended.note_results(&checked, comparison, &written);
        ended.faults = faults.iter().map(ToString::to_string).collect();
        faults.iter().for_each(say);
        if !args.json && !args.quiet && args.on.is_none() {
            sending::brought(cache).into_iter().for_each(say);
        }
        if !args.json {
            let ending = Ending { pipeline: &pipeline.name, run: run.id(), outcomes: &summary.outcomes, seconds };
            words::farewell(ending.text(Style::of_stderr(), args.quiet), summary.interrupted);
        }
        Ok(exit(&faults))
    }
}
