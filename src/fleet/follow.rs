//! The pilots of a run while they work: what they tell becomes events of the run that watches them; lost ones are
//! replaced.

use super::{JobState, PilotJob, PilotOrder, Queue};
use crate::event::{Event, Observer, Status};
use crate::exit::Fault;
use crate::peers::{PILOTS, Peers};
use crate::schedule::Interrupts;
use crate::told::Following;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

/// Between two looks at the pilots.
const LOOK: Duration = Duration::from_millis(50);
/// So many pilots in a row, for each that was started first, may be lost without having settled a node.
const IN_VAIN: usize = 4;
/// Lines of a pilot's last words that are told.
const LINES: usize = 10;
/// The file in the run's folder that names the pilots.
const JOBS: &str = "jobs.json";

/// A pilot as it stands in that file.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Noted {
    number: usize,
    id: String,
    share: usize,
}

/// A pilot that is followed.
struct Pilot {
    job: PilotJob,
    /// Which part of the machine it has.
    share: usize,
    following: Option<Following>,
    is_over: bool,
}

/// What came of all pilots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// They ended by themselves.
    Over,
    /// The user does not watch any more; they go on.
    LeftAlone,
}

/// The pilots of one run.
pub struct Fleet<'a> {
    /// The notes in the run's folder.
    pub peers: &'a Peers,
    /// The folder of all runs.
    pub runs: PathBuf,
    /// What starts them.
    pub queue: &'a mut dyn Queue,
    /// Whether they go on after a failure.
    pub keep_going: bool,
    pilots: Vec<Pilot>,
    told: HashSet<String>,
    in_vain: usize,
}

impl<'a> Fleet<'a> {
    /// One without pilots.
    pub fn new(peers: &'a Peers, runs: PathBuf, queue: &'a mut dyn Queue, keep_going: bool) -> Self {
        let (pilots, told) = (Vec::new(), HashSet::new());
        Fleet { peers, runs, queue, keep_going, pilots, told, in_vain: 0 }
    }

    /// Takes over the pilots that another command started for this run. How many of them live.
    pub fn find(&mut self) -> usize {
        let noted: Vec<Noted> = fs::read(self.peers.folder().join(PILOTS).join(JOBS))
            .ok()
            .and_then(|text| serde_json::from_slice(&text).ok())
            .unwrap_or_default();
        for Noted { number, id, share } in noted {
            let job = PilotJob { number, id };
            if self.queue.status(&job) == JobState::Running {
                self.add(job, share);
            }
        }
        self.pilots.len()
    }

    /// Starts a pilot on this part of the machine.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start(&mut self, order: &PilotOrder, share: usize) -> Result<(), Fault> {
        let job = self.queue.submit(order)?;
        self.add(job, share);
        let note = |pilot: &Pilot| Noted { number: pilot.job.number, id: pilot.job.id.clone(), share: pilot.share };
        let noted: Vec<Noted> = self.pilots.iter().map(note).collect();
        let path = self.peers.folder().join(PILOTS).join(JOBS);
        let text = serde_json::to_vec(&noted).map_err(|error| Fault::io("write", &path, &error.into()))?;
        fs::write(&path, text).map_err(|error| Fault::io("write", &path, &error))
    }

    fn add(&mut self, job: PilotJob, share: usize) {
        self.pilots.push(Pilot { job, share, following: None, is_over: false });
    }

    /// Tells what the pilots do until all are over. `order` says how to start one of this number on this part of the machine,
    /// in place of a lost one.
    /// A first interrupt asks them to stop, a second ends them; a hangup leaves them alone.
    ///
    /// # Errors
    /// A pilot cannot be started.
    pub fn follow(
        &mut self,
        observer: &mut dyn Observer,
        interrupts: &Interrupts,
        leaves: &dyn Fn() -> bool,
        order: &dyn Fn(usize, usize) -> PilotOrder,
    ) -> Result<Ended, Fault> {
        let (mut asked, mut ended) = (false, false);
        loop {
            if leaves() {
                return Ok(Ended::LeftAlone);
            }
            if !asked && self.peers.is_asked_to_stop() {
                // By `ddpipe runs stop`.
                interrupts.raise();
            }
            if interrupts.count() > 0 && !asked {
                asked = true;
                self.ask_to_stop(observer);
            }
            if interrupts.count() > 1 && !ended {
                ended = true;
                self.pilots.iter().for_each(|pilot| self.queue.cancel(&pilot.job));
            }
            for index in 0..self.pilots.len() {
                // Asked first: what was told before the end is read after it.
                let state = match self.pilots[index].is_over {
                    true => continue,
                    false => self.queue.status(&self.pilots[index].job),
                };
                asked |= self.tell(index, observer);
                if let JobState::Ended(how) = state {
                    self.pilots[index].is_over = true;
                    if self.is_lost(index, how, asked, observer) {
                        let next = self.pilots.iter().map(|pilot| pilot.job.number).max().unwrap_or(0) + 1;
                        let share = self.pilots[index].share;
                        self.start(&order(next, share), share)?;
                    }
                }
            }
            if self.pilots.iter().all(|pilot| pilot.is_over) {
                return Ok(Ended::Over);
            }
            thread::sleep(LOOK);
        }
    }

    fn ask_to_stop(&self, observer: &mut dyn Observer) {
        if let Err(error) = self.peers.stop() {
            observer.on_event(&Event::Warning { text: format!("pilots could not be asked to stop: {error}") });
        }
    }

    /// Tells what a pilot said since the last look. True when the others have to stop because of it.
    fn tell(&mut self, index: usize, observer: &mut dyn Observer) -> bool {
        let pilot = &mut self.pilots[index];
        if pilot.following.is_none() {
            let name = run_of(self.peers.folder(), pilot.job.number);
            pilot.following = name.map(|name| Following::of(&self.runs.join(name)));
        }
        let events = pilot.following.as_mut().map(Following::look).unwrap_or_default();
        let mut stops = false;
        for (_, event) in events {
            match &event {
                Event::Finished(outcome) => {
                    let is_news = match outcome.status {
                        Status::Ran | Status::Failed => self.told.insert(outcome.node.clone()),
                        _ => false,
                    };
                    if !is_news {
                        continue;
                    }
                    self.in_vain = 0;
                    stops |= outcome.status == Status::Failed && !self.keep_going;
                }
                Event::Started { .. }
                | Event::Progress { .. }
                | Event::Metric { .. }
                | Event::Preview { .. }
                | Event::Log { .. }
                | Event::Silent { .. }
                | Event::Retried { .. }
                | Event::Warning { .. } => {}
                _ => continue,
            }
            observer.on_event(&event);
        }
        if stops {
            self.ask_to_stop(observer);
        }
        stops
    }

    /// Whether a pilot that is over was lost and another has to take its place.
    fn is_lost(&mut self, index: usize, how: Option<String>, stopped: bool, observer: &mut dyn Observer) -> bool {
        let pilot = &self.pilots[index];
        let number = pilot.job.number;
        let folder = run_of(self.peers.folder(), number).map(|name| self.runs.join(name));
        if folder.is_some_and(|folder| crate::ended::Ended::in_folder(&folder).is_some()) || stopped {
            return false;
        }
        let words = last_words(&self.peers.folder().join(PILOTS).join(format!("{number}.log")));
        let is_begun = run_of(self.peers.folder(), number).is_some();
        let mut text = match &how {
            None if !is_begun => format!("pilot {number} ended before it began"),
            _ => format!("pilot {number} was lost: {}; what it had begun is done again", told(&how)),
        };
        words.iter().for_each(|line| text.push_str(&format!("\n  | {line}")));
        observer.on_event(&Event::Warning { text });
        if how.is_none() && !is_begun {
            return false;
        }
        self.in_vain += 1;
        let first = self.pilots.iter().map(|pilot| pilot.share + 1).max().unwrap_or(1);
        self.in_vain <= IN_VAIN * first
    }
}

fn told(how: &Option<String>) -> &str {
    how.as_deref().unwrap_or("it is gone")
}

/// The run that a pilot has a folder for.
fn run_of(folder: &Path, number: usize) -> Option<String> {
    let text = fs::read_to_string(folder.join(PILOTS).join(format!("{number}.run"))).ok()?;
    Some(text.trim().to_string()).filter(|name| !name.is_empty())
}

fn last_words(log: &Path) -> Vec<String> {
    let text = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text).into_owned();
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    lines.iter().skip(lines.len().saturating_sub(LINES)).map(|line| line.to_string()).collect()
}
