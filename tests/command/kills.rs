//! Runs whose processes are killed at random moments, and that are started again at once: the same bytes in the end, one
//! worker at a time, and nothing left behind. `DDPIPE_SOAK` says how many kills.

use crate::dice::{Dice, times};
use crate::processes::{self, Process};
use crate::project::{Done, Project, Running};
use crate::slow::{self, Digests, NODES};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Of so many kills, a project has most; then its run is finished and another begins.
const KILLS: usize = 4;
/// What processes that nobody ended may take to end by themselves: the others are gone when the command is.
const LAST_STEPS: Duration = Duration::from_secs(10);

/// What is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Victim {
    Engine,
    Worker,
    Both,
    Program,
    Grandchild,
}

const VICTIMS: &[Victim] = &[Victim::Engine, Victim::Worker, Victim::Both, Victim::Program, Victim::Grandchild];

impl Victim {
    /// Its processes in this run as it is now; empty where there are none yet.
    fn of(self, running: &Running, dice: &mut Dice) -> Vec<i32> {
        let workers = running.workers();
        let programs = || workers.iter().flat_map(|worker| processes::children(*worker)).collect::<Vec<Process>>();
        let numbers = |found: Vec<Process>| found.iter().map(|process| process.pid).collect::<Vec<i32>>();
        let one = |of: Vec<i32>, dice: &mut Dice| dice.among(&of).into_iter().collect::<Vec<i32>>();
        match self {
            Victim::Engine => vec![running.pid()],
            Victim::Worker => one(workers, dice),
            Victim::Both if workers.is_empty() => workers,
            Victim::Both => [vec![running.pid()], workers].concat(),
            Victim::Program => one(numbers(programs()), dice),
            Victim::Grandchild => {
                one(programs().iter().flat_map(|program| numbers(processes::below(program.pid))).collect(), dice)
            }
        }
    }

    /// Whether the command lives on and tells what happened.
    fn leaves_the_engine(self) -> bool {
        !matches!(self, Victim::Engine | Victim::Both)
    }
}

fn start(project: &Project) -> Running {
    project.start_run("pipelines/slow.toml", &["--jobs", "2", "--threads", "1"])
}

/// Kills the victim at some moment within `span`. How the command ended, and the processes of the run that were there
/// before; none when it ended too soon.
fn killed(project: &Project, victim: Victim, span: Duration, dice: &mut Dice) -> Option<(Done, Vec<Process>)> {
    let mut running = start(project);
    let moment = Instant::now() + span.mul_f64(dice.below(1000) as f64 / 1400.0);
    let found = loop {
        let found = victim.of(&running, dice);
        if Instant::now() >= moment && !found.is_empty() {
            break found;
        }
        if running.has_ended() {
            running.wait().ok();
            return None;
        }
        std::thread::sleep(Duration::from_millis(1));
    };
    let mut before = processes::below(running.pid());
    before.extend(Process::of(running.pid()));
    // The engine first, so that it sees nothing of what becomes of its workers.
    for pid in found {
        let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
    }
    Some((running.wait(), before))
}

/// What an uninterrupted run gives, and how long it takes.
fn reference() -> (Digests, Duration) {
    let project = slow::project();
    let begun = Instant::now();
    start(&project).wait().ok();
    let span = begun.elapsed();
    (project.digests("slow", NODES), span)
}

#[test]
fn whatever_is_killed_the_same_command_ends_with_the_same_bytes() {
    let (whole, span) = reference();
    let mut dice = Dice::new();
    let wanted = times(30);
    let begun = Instant::now();
    let (mut counted, mut runs, mut projects) = (BTreeMap::<Victim, usize>::new(), 0, 0);
    while counted.values().sum::<usize>() < wanted {
        let project = slow::project();
        projects += 1;
        let mut before: Vec<Process> = Vec::new();
        for _ in 0..1 + dice.below(KILLS) {
            let victim = VICTIMS[runs % VICTIMS.len()];
            runs += 1;
            let Some((done, seen)) = killed(&project, victim, span, &mut dice) else { continue };
            *counted.entry(victim).or_default() += 1;
            slow::assert_whole(&project.path(".ddpipe"), &whole);
            if victim.leaves_the_engine() {
                assert!(matches!(done.status.code(), Some(0 | 1)), "{victim:?}, seed {}: {done:?}", dice.seed());
                let left: Vec<String> = seen.iter().filter(|seen| seen.is_alive()).map(Process::said).collect();
                assert!(left.is_empty(), "{victim:?} was killed, the command is over, and there are {left:#?}");
            } else {
                before.extend(seen);
            }
        }
        runs += 1;
        start(&project).wait().ok();
        assert_eq!(project.digests("slow", NODES), whole, "seed {}", dice.seed());
        slow::assert_one_at_a_time(&project);
        let alive = || before.iter().copied().filter(Process::is_alive).collect();
        let left = processes::left_after(LAST_STEPS, alive);
        assert!(left.is_empty(), "of runs that were killed there are {left:#?}");
        slow::assert_nobody(&project, Duration::ZERO);
        project.run(&["cache", "verify"]).ok();
        start(&project).wait().ok().ran(&[]);
    }
    let kills: usize = counted.values().sum();
    let seconds = begun.elapsed().as_secs();
    println!("soak: kills: {kills} {counted:?}, {runs} runs of {projects} projects, {seconds} s, seed {}", dice.seed());
}
