//! The pilots of a run while they work: what they tell becomes events of the run that watches them; lost ones are
//! replaced.

use super::{How, JobState, PilotJob, PilotOrder, Queue};
use crate::ended::Ended as Outcome;
use crate::event::{Event, Observer, Status};
use crate::exit::{Exit, Fault};
use crate::machine::HERE;
use crate::peers::{PILOTS, Peers};
use crate::results::write_whole;
use crate::schedule::Interrupts;
use crate::sent::Mirror;
use crate::told::Following;
use ddpipe_cache::shared::Pace;
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

/// Between two looks at pilots of this machine.
const LOOK: Duration = Duration::from_millis(50);
/// Between two looks at what pilots of others have written.
const LOOK_FAR: Duration = Duration::from_millis(500);
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
    #[serde(default = "here")]
    machine: String,
}

fn here() -> String {
    HERE.into()
}

/// A pilot that is followed.
struct Pilot {
    job: PilotJob,
    /// Which part of the machine it has.
    share: usize,
    /// The run that it has a folder for, and what is read there.
    following: Option<(String, Following)>,
    state: JobState,
    /// How it said that it ended.
    exit: Option<Exit>,
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
    /// What carries their words here, where they share no folder with this machine.
    pub mirror: Option<&'a Mirror>,
    pilots: Vec<Pilot>,
    in_vain: usize,
    counted: Option<(usize, usize, Option<String>)>,
    /// When the first pilot left because all was done.
    done: Option<Instant>,
    /// So long after that the others have left too, or have died.
    dead_after: Duration,
}

impl<'a> Fleet<'a> {
    /// One without pilots.
    pub fn new(peers: &'a Peers, runs: PathBuf, queue: &'a mut dyn Queue, keep_going: bool) -> Self {
        // A pilot that waits for a lease of the dead notices after this time that all is done, and some more.
        let dead_after = Pace::of_environment().ttl * 2;
        let (pilots, mirror, counted, done) = (Vec::new(), None, None, None);
        Fleet { peers, runs, queue, keep_going, mirror, pilots, in_vain: 0, counted, done, dead_after }
    }

    /// Takes over the pilots that another command started for this run. How many of them live.
    pub fn find(&mut self) -> usize {
        let noted: Vec<Noted> = fs::read(self.peers.folder().join(PILOTS).join(JOBS))
            .ok()
            .and_then(|text| serde_json::from_slice(&text).ok())
            .unwrap_or_default();
        for Noted { number, id, share, machine } in noted {
            let job = PilotJob { number, id };
            let is_alive = |state| match state {
                JobState::Ended(_) => false,
                JobState::Unknown => outcome_of(&self.runs, self.peers.folder(), number).is_none(),
                JobState::Queued(_) | JobState::Running => true,
            };
            if machine == self.queue.machine() && is_alive(self.queue.status(&job, true)) {
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
        let machine = self.queue.machine().to_string();
        let note = |pilot: &Pilot| {
            let (job, machine) = (pilot.job.clone(), machine.clone());
            Noted { number: job.number, id: job.id, share: pilot.share, machine }
        };
        let noted: Vec<Noted> = self.pilots.iter().map(note).collect();
        let path = self.peers.folder().join(PILOTS).join(JOBS);
        let text = serde_json::to_vec(&noted).map_err(|error| Fault::io("write", &path, &error.into()))?;
        // Whole or not at all: who watches this run from elsewhere would start all pilots again.
        write_whole(&path, &text)
    }

    fn add(&mut self, job: PilotJob, share: usize) {
        self.pilots.push(Pilot { job, share, following: None, state: JobState::Unknown, exit: None, is_over: false });
    }

    /// Tells what the pilots do until all are over. `order` says how to start one of this number on this part of the machine,
    /// in place of a lost one.
    /// A first interrupt asks them to stop, a second ends them; a hangup leaves them alone.
    pub fn follow(
        &mut self,
        observer: &mut dyn Observer,
        interrupts: &Interrupts,
        leaves: &dyn Fn() -> bool,
        order: &dyn Fn(usize, usize) -> PilotOrder,
    ) -> Ended {
        let (mut asked, mut failed, mut ended) = (false, false, false);
        let pause = if self.queue.machine() == HERE { LOOK } else { LOOK_FAR };
        loop {
            if leaves() {
                return Ended::LeftAlone;
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
                self.pilots.iter().filter(|pilot| !pilot.is_over).for_each(|pilot| self.queue.cancel(&pilot.job));
            }
            for index in 0..self.pilots.len() {
                if !self.pilots[index].is_over {
                    failed |= self.look_at(index, asked || failed, observer, order);
                }
            }
            if self.pilots.iter().all(|pilot| pilot.is_over) {
                return Ended::Over;
            }
            self.leave_unneeded(asked || failed, observer);
            self.count(observer);
            thread::sleep(pause);
        }
    }

    /// Looks at one pilot, and starts another in its place if it was lost. True when nothing more is to be started because of it.
    fn look_at(
        &mut self,
        index: usize,
        asked: bool,
        observer: &mut dyn Observer,
        order: &dyn Fn(usize, usize) -> PilotOrder,
    ) -> bool {
        let job = self.pilots[index].job.clone();
        // Asked first: what was told before the end is read after it.
        let has_ended = self.look_whether_ended(index);
        let state = self.queue.status(&job, has_ended);
        let mut stops = self.tell(index, observer);
        let how = match &state {
            JobState::Ended(how) => how.clone(),
            JobState::Unknown if has_ended => How::Itself,
            _ => {
                self.pilots[index].state = state;
                return stops;
            }
        };
        if let Some(mirror) = self.mirror {
            // Its last words may still be on their way.
            mirror.carry();
            self.look_whether_ended(index);
            stops |= self.tell(index, observer);
        }
        self.pilots[index].is_over = true;
        if self.is_lost(index, how, asked || stops, observer) {
            let next = self.pilots.iter().map(|pilot| pilot.job.number).max().unwrap_or(0) + 1;
            let share = self.pilots[index].share;
            if let Err(fault) = self.start(&order(next, share), share) {
                let others = self.pilots.iter().any(|pilot| !pilot.is_over);
                let rest =
                    if others { "the other pilots go on" } else { "no pilot is left; the same command continues" };
                observer.on_event(&Event::Warning { text: format!("{fault}\n  {rest}") });
            }
        }
        stops
    }

    /// Looks whether a pilot has said that it ended, and how.
    fn look_whether_ended(&mut self, index: usize) -> bool {
        let outcome = outcome_of(&self.runs, self.peers.folder(), self.pilots[index].job.number);
        self.pilots[index].exit = outcome.and_then(|outcome| Exit::of_code(outcome.exit));
        self.pilots[index].exit.is_some()
    }

    /// Cancels pilots that still wait to be started when they would have nothing to do: the run is to stop, or another one has
    /// left because all was done that could be.
    ///
    /// One that should be at work and has said nothing for long after all was done has died, whatever its batch system says.
    fn leave_unneeded(&mut self, asked: bool, observer: &mut dyn Observer) {
        let is_done = self.is_done();
        if is_done && self.is_settled() {
            self.done.get_or_insert_with(Instant::now);
        }
        let is_late = self.done.is_some_and(|done| done.elapsed() > self.dead_after);
        for pilot in self.pilots.iter_mut().filter(|pilot| !pilot.is_over) {
            if matches!(pilot.state, JobState::Queued(_)) && (asked || is_done) {
                self.queue.cancel(&pilot.job);
                pilot.is_over = true;
            } else if is_late {
                let text = format!(
                    "pilot {} ({}) has not ended, though all was done {:.0} s ago; it is cancelled",
                    pilot.job.number,
                    pilot.job.id,
                    self.dead_after.as_secs_f64()
                );
                observer.on_event(&Event::Warning { text });
                self.queue.cancel(&pilot.job);
                pilot.is_over = true;
            }
        }
    }

    /// Whether a pilot has left because all was done that could be.
    fn is_done(&self) -> bool {
        self.pilots.iter().any(|pilot| matches!(pilot.exit, Some(Exit::Ok | Exit::Stage)))
    }

    /// Whether a pilot has left because every node has an outcome: others have nothing to be at work on.
    fn is_settled(&self) -> bool {
        let is_all = |exit| exit == Some(Exit::Ok) || exit == Some(Exit::Stage) && self.keep_going;
        self.pilots.iter().any(|pilot| is_all(pilot.exit))
    }

    /// Tells how many pilots do what, when that has changed.
    fn count(&mut self, observer: &mut dyn Observer) {
        if self.queue.machine() == HERE {
            return;
        }
        let at_work = self.pilots.iter().filter(|pilot| !pilot.is_over);
        let (mut working, mut queued, mut reason) = (0, 0, None);
        for pilot in at_work {
            match &pilot.state {
                JobState::Queued(why) => {
                    queued += 1;
                    reason = reason.or(Some(why.clone()).filter(|why| !why.is_empty() && why != "None"));
                }
                _ => working += 1,
            }
        }
        let counted = (working, queued, reason);
        if self.counted.as_ref() != Some(&counted) {
            let (working, queued, reason) = counted.clone();
            observer.on_event(&Event::Pilots { working, queued, reason });
            self.counted = Some(counted);
        }
    }

    fn ask_to_stop(&self, observer: &mut dyn Observer) {
        if let Err(error) = self.peers.stop() {
            observer.on_event(&Event::Warning { text: format!("pilots could not be asked to stop: {error}") });
        }
    }

    /// Tells what a pilot said since the last look. True when nothing more is to be started because of it.
    fn tell(&mut self, index: usize, observer: &mut dyn Observer) -> bool {
        let pilot = &mut self.pilots[index];
        if let Some(name) = run_of(self.peers.folder(), pilot.job.number)
            && pilot.following.as_ref().is_none_or(|(followed, _)| *followed != name)
        {
            // A job that is queued again has another folder.
            pilot.following = Some((name.clone(), Following::of(&self.runs.join(name))));
        }
        let events = pilot.following.as_mut().map(|(_, following)| following.look()).unwrap_or_default();
        let mut stops = false;
        for (_, event) in events {
            match &event {
                Event::Finished(outcome) => {
                    let is_news = match outcome.status {
                        Status::Ran | Status::Failed => self.peers.is_news(&outcome.node, outcome.seconds),
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
        // The pilots see it themselves, end what they have begun, and start nothing more.
        stops
    }

    /// Whether a pilot that is over was lost and another has to take its place.
    fn is_lost(&mut self, index: usize, how: How, stopped: bool, observer: &mut dyn Observer) -> bool {
        let number = self.pilots[index].job.number;
        if stopped {
            return false;
        }
        let exit = self.pilots[index].exit;
        let said = match exit {
            // Its time was up: it has ended well, and left work behind.
            Some(Exit::Terminated) if how != How::Cancelled => {
                let is_replaced = !self.is_done() && self.may_be_replaced(IN_VAIN);
                let goes_on = match is_replaced {
                    true => "another goes on where it saved",
                    false if self.is_done() => "nothing was left for it",
                    false => {
                        "and none of the last got a node done, so no other comes\n  a stage that takes longer than a pilot's `time` \
                         needs a type with more of it, or has to save checkpoints"
                    }
                };
                let text = format!("pilot {number} has left, since its time was up; {goes_on}");
                observer.on_event(&Event::Warning { text });
                return is_replaced;
            }
            Some(Exit::Interrupted) => Some("it only waited for what others are at".to_string()),
            Some(Exit::Cache | Exit::Usage) => {
                let outcome = outcome_of(&self.runs, self.peers.folder(), number);
                Some(outcome.map(|outcome| outcome.faults.join("\n")).unwrap_or_default())
            }
            _ => None,
        };
        if let Some(said) = said {
            let text = format!("pilot {number} has left: {said}");
            observer.on_event(&Event::Warning { text });
        }
        if exit.is_some_and(|exit| exit != Exit::Terminated) {
            return false;
        }
        let words = last_words(&self.peers.folder().join(PILOTS).join(format!("{number}.log")));
        let is_begun = run_of(self.peers.folder(), number).is_some();
        let again = "what it had begun is done again";
        let (mut text, is_replaced) = match &how {
            How::Itself if !is_begun => (format!("pilot {number} ended before it began"), false),
            How::Itself => (format!("pilot {number} was lost: it is gone; {again}"), true),
            How::Lost(how) if !is_begun => (format!("pilot {number} could not begin: {how}"), true),
            How::Lost(how) => (format!("pilot {number} was lost: {how}; {again}"), true),
            How::Cancelled => (format!("pilot {number} was cancelled; the others do its work"), false),
        };
        words.iter().for_each(|line| text.push_str(&format!("\n  | {line}")));
        observer.on_event(&Event::Warning { text });
        is_replaced && !self.is_done() && self.may_be_replaced(if is_begun { IN_VAIN } else { 1 })
    }

    /// Whether pilots still get something done before they are lost; so many of each may be lost in vain.
    fn may_be_replaced(&mut self, in_vain: usize) -> bool {
        self.in_vain += 1;
        let first = self.pilots.iter().map(|pilot| pilot.share + 1).max().unwrap_or(1);
        self.in_vain <= in_vain * first
    }
}

/// What came of a pilot, if it has said so itself.
fn outcome_of(runs: &Path, folder: &Path, number: usize) -> Option<Outcome> {
    Outcome::in_folder(&runs.join(run_of(folder, number)?))
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
