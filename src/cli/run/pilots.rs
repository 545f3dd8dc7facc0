//! `ddpipe run --on here`, and `--pilot`, by which a pilot knows itself: the pilots of a run on this machine. Each is this
//! program on the same cache, with the manifest as it stands in the run's folder.

use super::Args;
use super::on::On;
use super::sent::{self, Sending};
use crate::cli::allow::Commands;
use crate::cli::interrupts::Signals;
use crate::cli::project::Project;
use crate::event::{Event, Observer};
use crate::exit::{Exit, Fault};
use crate::fleet::{Ended, Fleet, PilotOrder, Processes, Queue};
use crate::history;
use crate::peers::{Carrier, PILOTS, Peers};
use crate::pipeline::NumericsMode;
use crate::schedule::Interrupts;
use crate::sent::{Mirror, SentTo};
use crate::slots::Slots;
use crate::sources::Sources;
use crate::started::Started;
use ddpipe_cache::shared::{Notes, StoreError};
use ddpipe_cache::{Cache, Commit, Key, RunDir};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What a pilot does of a run.
pub struct Part<'a> {
    /// Its own folder.
    pub run: RunDir,
    /// The run.
    pub whole: &'a str,
    /// Its number.
    pub number: usize,
}

/// What a process of a run begins with: its folder, the notes of the run, and what carries them, where they share no folder.
type Began = (RunDir, Peers, Option<Mirror>);

impl Part<'_> {
    /// Says in the run's folder which folder is its own.
    pub fn begin(self, cache: &Cache) -> Result<Began, Fault> {
        let folder = history::find(cache, self.whole)?.path;
        self.note(&folder, self.run.id())?;
        Ok((self.run, Peers::pilot(&folder), None))
    }

    /// The same where the run's folder is on another machine: this one has a copy, which is carried through the remote.
    pub fn begin_far(self, notes: Notes, interrupts: &Interrupts) -> Result<Began, Fault> {
        let (folder, name) = sent::copies(self.run.path(), self.run.id(), self.number);
        let pilots = folder.join(PILOTS);
        fs::create_dir_all(&pilots).map_err(|error| Fault::io("create", &pilots, &error))?;
        self.note(&folder, &name)?;
        let interrupts = interrupts.clone();
        let lost = move |error: &StoreError| {
            tracing::warn!("the remote {error}; this pilot saves and ends");
            interrupts.raise();
        };
        let mirror = Mirror::of_pilot(notes, folder.clone(), self.run.path().to_path_buf(), name, lost);
        let carrier = Carrier(Arc::new(mirror.carrier()));
        Ok((self.run, Peers::pilot(&folder).carried_by(carrier), Some(mirror)))
    }

    fn note(&self, folder: &Path, name: &str) -> Result<(), Fault> {
        let path = folder.join(PILOTS).join(format!("{}.run", self.number));
        fs::write(&path, name).map_err(|error| Fault::io("write", &path, &error))
    }
}

/// The run that results are said to come from: that of a pilot's run, or one's own.
pub fn run_of(args: &Args, own: &RunDir) -> String {
    args.pilot.and(args.manifest.from_run.clone()).unwrap_or_else(|| own.id().to_string())
}

/// Makes sure that pilots of other machines plan what this command plans, and that they share the work.
pub fn prepare(project: &Project, args: &Args, on: Option<&On>) -> Result<(), Fault> {
    if project.choice.numerics.is_some() {
        let message = "numerics are strict, and those of the pilots are not known here\n  run it with --numerics loose, or as a job \
                       of its own without --on";
        return Err(Fault::usage(message));
    }
    if sent::is_far(on) {
        return sent::check(project, args);
    }
    Ok(project.cache.share()?)
}

/// The run of a folder.
fn name_of(folder: &Path) -> String {
    folder.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// What pilots are started with.
pub struct Pilots<'a> {
    pub args: &'a Args,
    pub project: &'a Project,
    /// The files from outside, the records that are to be built on, and the state of the repository, for pilots that share no
    /// folder.
    pub sources: &'a Sources,
    pub fresh: &'a [Key],
    pub commit: Option<&'a Commit>,
    pub run: &'a RunDir,
    /// The machine, where it is another one.
    pub on: Option<&'a On>,
    /// The slots of each pilot.
    pub shares: &'a [Slots],
    pub signals: &'a Signals,
    pub interrupts: &'a Interrupts,
}

impl Pilots<'_> {
    /// Has pilots compute the run, or watches those that another command started for the same; returns when they are over.
    pub fn carry_out(&self, observer: &mut dyn Observer) -> Result<Peers, Fault> {
        let found = self.find()?;
        let folder = found.clone().unwrap_or_else(|| self.run.path().to_path_buf());
        let peers = Peers::watcher(&folder);
        let runs = self.run.path().parent().unwrap_or(self.run.path()).to_path_buf();
        let mut queue = self.queue(&folder);
        let notes = self.project.cache.notes(&name_of(&folder)).filter(|_| sent::is_far(self.on));
        let sent = notes.as_ref().map(|notes| self.sent(notes, found.as_deref(), observer)).transpose()?;
        let lost = Arc::new(AtomicBool::new(false));
        let mirror = notes.map(|notes| {
            let lost = lost.clone();
            let give_up = move |error: &StoreError| {
                tracing::warn!("the remote {error}; the pilots are not seen any more");
                lost.store(true, Ordering::SeqCst);
            };
            Mirror::of_watcher(notes, folder.clone(), runs.clone(), give_up)
        });
        let mut fleet = Fleet::new(&peers, runs, &mut *queue, self.args.keep_going);
        fleet.mirror = mirror.as_ref();
        let order = |number: usize, share: usize| self.order(number, &folder, share, sent.as_ref());
        match &found {
            Some(folder) => {
                let pilots = fleet.find();
                let text = format!("{pilots} pilots of run {} are at work on this; they are watched", name_of(folder));
                observer.on_event(&Event::Warning { text });
            }
            None => {
                let path = folder.join(PILOTS);
                fs::create_dir_all(&path).map_err(|error| Fault::io("create", &path, &error))?;
                for share in 0..self.shares.len() {
                    match fleet.start(&order(share + 1, share), share) {
                        Err(fault) if share > 0 => {
                            let text =
                                format!("{fault}\n  the run goes on with {share} of {} pilots", self.shares.len());
                            observer.on_event(&Event::Warning { text });
                            break;
                        }
                        started => started?,
                    }
                }
            }
        }
        let is_lost = || lost.load(Ordering::SeqCst);
        let leaves = || is_lost() || matches!(self.signals.first(), Exit::HungUp | Exit::Terminated);
        match fleet.follow(observer, self.interrupts, &leaves, &order) {
            Ended::Over => {
                drop(mirror);
                self.project.cache.look_anew();
                Ok(peers)
            }
            Ended::LeftAlone => {
                if is_lost() {
                    let message = "the pilots are not seen any more, and end too if they do not reach the remote; the same command \
                                   looks for them again";
                    return Err(Fault { exit: Exit::Cache, message: message.into() });
                }
                let message = "the pilots go on; the same command watches them again, `ddpipe runs stop` ends them";
                Err(Fault { exit: self.signals.first(), message: message.into() })
            }
        }
    }

    /// What was sent to pilots that share no folder: now, or when the command that started them was called.
    fn sent(&self, notes: &Notes, found: Option<&Path>, observer: &mut dyn Observer) -> Result<SentTo, Fault> {
        if let Some(sent) = found.and_then(SentTo::of) {
            return Ok(sent);
        }
        let Pilots { project, sources, fresh, commit, args, .. } = *self;
        Sending { project, sources, fresh, commit, args }.send(notes, self.run.path(), observer)
    }

    /// The folder of another run of the same manifest whose pilots live.
    fn find(&self) -> Result<Option<PathBuf>, Fault> {
        let mine = Started::in_folder(self.run.path())?;
        let mut runs = self.project.cache.runs()?;
        runs.reverse();
        for run in runs.into_iter().filter(|run| run.path != self.run.path() && run.path.join(PILOTS).is_dir()) {
            if !Started::in_folder(&run.path).is_ok_and(|started| started.asks_for_the_same(&mine)) {
                continue;
            }
            let (peers, mut queue) = (Peers::watcher(&run.path), self.queue(&run.path));
            let runs = run.path.parent().unwrap_or(&run.path).to_path_buf();
            let alive = Fleet::new(&peers, runs, &mut *queue, false).find();
            if alive > 0 && !peers.is_asked_to_stop() {
                return Ok(Some(run.path));
            }
        }
        Ok(None)
    }

    /// What starts the pilots of the run in this folder.
    fn queue(&self, folder: &Path) -> Box<dyn Queue> {
        match self.on {
            Some(on) => on.queue(&name_of(folder), &folder.join(PILOTS)),
            None => Box::new(Processes::default()),
        }
    }

    fn order(&self, number: usize, folder: &Path, share: usize, sent: Option<&SentTo>) -> PilotOrder {
        let Args { keep_going, offline, timeout, allow_commands, memory_budget, manifest, .. } = self.args;
        let mut words: Vec<String> = vec!["run".into(), "--quiet".into()];
        let mut say = |name: &str, value: String| words.extend([name.to_string(), value]);
        say("--from-run", name_of(folder));
        say("--pilot", number.to_string());
        let local = self.on.and_then(|on| on.machine.local.clone());
        match (sent, local) {
            (Some(sent), Some(local)) => {
                say("--sent", sent.spec.hex());
                say("--local", local);
            }
            _ => say("--cache", self.project.cache.root().display().to_string()),
        }
        if let Some(share) = self.shares.get(share).or(self.shares.first()) {
            let mut devices = share.names.clone();
            devices.sort();
            devices.dedup();
            say("--device", devices.join(","));
            if !share.for_small {
                say("--jobs", share.names.len().to_string());
            }
            say("--threads", share.threads.to_string());
        }
        if let Some(second) = &manifest.cache_from {
            let second = std::path::absolute(second).unwrap_or_else(|_| second.clone());
            say("--cache-from", second.display().to_string());
        }
        say("--remote", self.project.cache.remote_url().unwrap_or("none").to_string());
        if let Some(numerics) = manifest.numerics {
            let mode = if numerics == NumericsMode::Strict { "strict" } else { "loose" };
            say("--numerics", mode.to_string());
        }
        if let Some(timeout) = timeout {
            say("--timeout", format!("{}", timeout.as_secs_f64()));
        }
        if let Some(budget) = memory_budget {
            say("--memory-budget", budget.to_string());
        }
        match allow_commands {
            // What was accepted here is part of the digest.
            _ if sent.is_some() => words.push("--allow-commands=all".into()),
            Some(Commands::Accepted) => words.push("--allow-commands=accepted".into()),
            Some(_) => words.push("--allow-commands=all".into()),
            None => {}
        }
        let outside = manifest.over.allow_outside && sent.is_none();
        let flags =
            [("--keep-going", *keep_going), ("--offline", *offline || sent.is_some()), ("--allow-outside", outside)];
        words.extend(flags.iter().filter(|(_, is_set)| *is_set).map(|(flag, _)| flag.to_string()));
        PilotOrder {
            number,
            run: name_of(folder),
            run_folder: folder.to_path_buf(),
            arguments: words,
            folder: self.project.pipeline.root.clone(),
            log: folder.join(PILOTS).join(format!("{number}.log")),
        }
    }
}
