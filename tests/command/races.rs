//! Commands beside each other on one cache: runs of several projects, and garbage collection that wants everything gone.
//! `DDPIPE_SOAK` says how many runs.

use crate::dice::{Dice, times};
use crate::project::{Done, Project, Running};
use crate::slow::{self, Digests, NODES};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Projects that share a cache, and the folder in which their programs watch each other.
fn projects(count: usize) -> Vec<Project> {
    let projects: Vec<Project> = (0..count).map(|_| slow::project()).collect();
    let (cache, watch) = (projects[0].path(".ddpipe"), projects[0].path("watch"));
    let mut shared = Vec::new();
    for (index, mut project) in projects.into_iter().enumerate() {
        project.env("DDPIPE_CACHE", &cache.display().to_string());
        if index > 0 {
            std::fs::remove_dir_all(project.path("watch")).unwrap();
            std::os::unix::fs::symlink(&watch, project.path("watch")).unwrap();
        }
        shared.push(project);
    }
    shared
}

fn start(project: &Project) -> Running {
    project.start_run("pipelines/slow.toml", &["--jobs", "2", "--threads", "1"])
}

/// How many stages a run ran.
fn started(done: &Done) -> usize {
    done.events().iter().filter(|event| event["event"] == "started").count()
}

fn whole() -> Digests {
    let project = slow::project();
    start(&project).wait().ok();
    project.digests("slow", NODES)
}

/// Runs beside a `gc` that keeps nothing but what runs at work have reached.
#[test]
fn garbage_collection_beside_runs_costs_them_nothing_that_they_have_reached() {
    let whole = whole();
    let projects = projects(2);
    let cache = projects[0].path(".ddpipe");
    ddpipe_cache::Cache::open(&cache).unwrap();
    let (over, collected, left) = (AtomicBool::new(false), AtomicUsize::new(0), AtomicUsize::new(times(4)));
    let (runs, stages) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let begun = Instant::now();
    std::thread::scope(|scope| {
        let _end = Ends(&over);
        scope.spawn(|| collect(&projects[0], &over, &collected));
        let running: Vec<_> = projects.iter().map(|project| scope.spawn(|| beside(project, &left, &stages))).collect();
        for each in running {
            runs.fetch_add(each.join().unwrap(), Ordering::SeqCst);
            slow::assert_whole(&cache, &whole);
        }
    });
    slow::assert_one_at_a_time(&projects[0]);
    projects[0].run(&["cache", "verify"]).ok();
    let (runs, stages, collected) = (runs.into_inner(), stages.into_inner(), collected.into_inner());
    println!("soak: gc beside runs: {runs} runs with {stages} stages, {collected} gc, {} s", begun.elapsed().as_secs());
}

/// Collects garbage, again and again until it is over.
fn collect(project: &Project, over: &AtomicBool, collected: &AtomicUsize) {
    let folder = project.path(".ddpipe").display().to_string();
    let all = ["cache", "gc", "--cache", &folder, "--max-size", "0B", "--keep-runs", "0", "--yes"];
    while !over.load(Ordering::SeqCst) {
        project.run(&all).ok();
        collected.fetch_add(1, Ordering::SeqCst);
    }
}

/// Runs one project until nothing is left to run; how many runs that were.
fn beside(project: &Project, left: &AtomicUsize, stages: &AtomicUsize) -> usize {
    let mut runs = 0;
    while left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok() {
        let done = start(project).wait();
        done.ok();
        stages.fetch_add(started(&done), Ordering::SeqCst);
        assert!(Path::new(&project.path("results/slow/run.json")).is_file());
        runs += 1;
    }
    runs
}

/// Says that it is over, also when something fails.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Several commands of several projects begin within a moment. Together they run every stage once.
#[test]
fn engines_that_share_a_cache_run_every_stage_once_between_them() {
    let whole = whole();
    let mut dice = Dice::new();
    let (rounds, begun) = (times(6).div_ceil(3), Instant::now());
    for _ in 0..rounds {
        let projects = projects(3);
        let mut running = Vec::new();
        for project in &projects {
            running.push(start(project));
            std::thread::sleep(Duration::from_millis(dice.below(300) as u64));
        }
        let done: Vec<Done> = running.into_iter().map(Running::wait).collect();
        done.iter().for_each(|done| _ = done.ok());
        assert_eq!(done.iter().map(started).sum::<usize>(), NODES.len(), "seed {}", dice.seed());
        assert_eq!(projects[0].digests("slow", NODES), whole);
        slow::assert_one_at_a_time(&projects[0]);
        projects.iter().for_each(|project| slow::assert_nobody(project, Duration::ZERO));
        projects[0].run(&["cache", "verify"]).ok();
    }
    println!("soak: engines on one cache: {} runs in {rounds} rounds, {} s", rounds * 3, begun.elapsed().as_secs());
}
