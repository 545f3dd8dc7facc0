//! Runs on a real Slurm to which something happens: scenarios that take half a minute and more each, so that they run where
//! `DDPIPE_LONG` is set, as `tests/long/machines.sh` does. Each prints a line: its name, how often stages ran, how many of the
//! twelve had to run again, and how long the run took. In each, every node is on record at the end, whole, and nothing of the run
//! is left.

use crate::pilots::{assert_complete, noted};
use crate::project::{Project, Running};
use crate::slurm::{SETTINGS, sweep_on};
use crate::slurm_cluster::Slurm;
use std::time::{Duration, Instant};

/// How many stages the sweep has that note when they run.
const STAGES: usize = 12;

/// A run on a cluster.
struct Scene {
    name: &'static str,
    cluster: Slurm,
    project: Project,
    run: Running,
    begun: Instant,
}

/// A cluster, where long scenarios are asked for and there is Slurm.
fn cluster() -> Option<Slurm> {
    if std::env::var_os("DDPIPE_LONG").is_none() {
        eprintln!("skipped: it takes minutes; tests/long/machines.sh runs it");
        return None;
    }
    Slurm::start()
}

/// Starts the sweep, each stage of so many seconds, on so many pilots; none where there is no Slurm.
fn scene(name: &'static str, on: &str, pilots: &str, pause: f64, time: &str) -> Option<Scene> {
    let cluster = cluster()?;
    let project = sweep_on(&cluster, &SETTINGS.replace("10min", time));
    project.edit("pipelines/sweep.toml", "params = { log", &format!("params = {{ pause = {pause:?}, log"));
    let run = project.start_run("pipelines/sweep.toml", &["--on", on, "--pilots", pilots]);
    Some(Scene { name, cluster, project, run, begun: Instant::now() })
}

impl Scene {
    /// Waits until so many stages have begun.
    fn until_begun(&mut self, stages: usize) {
        while noted(&self.project).values().sum::<usize>() < stages {
            assert!(!self.run.has_ended(), "{}", self.run.out());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn running(&self) -> Vec<String> {
        self.cluster.jobs("RUNNING")
    }

    /// The run ends well, no more than `again` stages ran twice, and nothing is left.
    fn ends_well(self, again: usize) {
        let Scene { name, cluster, project, run, begun } = self;
        run.wait().ok();
        let seconds = begun.elapsed().as_secs();
        let ran: usize = noted(&project).values().sum();
        println!("scenario: {name}: {ran} stages ran, {} again, {seconds} s", ran - STAGES);
        assert!(ran <= STAGES + again, "{:?}", noted(&project));
        // What waited is cancelled; what ran is over.
        cluster.until("empty queue", |cluster| cluster.jobs("PENDING,RUNNING").is_empty());
        assert_complete(&project);
    }
}

#[test]
fn a_pilot_that_is_queued_again_goes_on() {
    let Some(mut scene) = scene("queued again", "slurm", "2", 2.0, "10min") else { return };
    scene.until_begun(3);
    scene.cluster.call("scontrol", &["requeue", &scene.running()[0]]);
    scene.ends_well(1);
}

#[test]
fn a_controller_that_is_away_for_twenty_seconds_costs_nothing() {
    let Some(mut scene) = scene("controller away for 20 s", "slurm", "2", 3.0, "10min") else { return };
    scene.until_begun(3);
    scene.cluster.end_controller();
    std::thread::sleep(Duration::from_secs(20));
    scene.cluster.start_controller();
    scene.ends_well(0);
}

/// Somebody's urgent job takes a node, and the pilots on it wait in the queue again.
#[test]
fn pilots_that_are_preempted_by_another_partition_are_queued_again() {
    let Some(mut scene) = scene("preempted", "slurm", "4", 3.0, "10min") else { return };
    scene.until_begun(4);
    let urgent = ["-p", "urgent", "-w", "n1", "-n", "1", "-c", "4", "--mem=100M", "-t", "1", "--output=/dev/null"];
    scene.cluster.call("sbatch", &[&urgent[..], &["--wrap", "sleep 8"]].concat());
    scene.ends_well(4);
}

#[test]
fn a_drained_node_leaves_its_work_to_the_other() {
    let Some(mut scene) = scene("drained node", "slurm", "4", 2.0, "10min") else { return };
    scene.until_begun(3);
    scene.cluster.call("scontrol", &["update", "nodename=n2", "state=drain", "reason=test"]);
    scene.ends_well(0);
}

#[test]
fn a_pilot_whose_time_is_up_is_queued_again_and_goes_on() {
    // One pilot and 72 s of work in jobs of a minute. Slurm would have it wait two minutes between them.
    let Some(mut scene) = scene("time limit of a minute", "slurm", "1", 6.0, "1min") else { return };
    while !scene.run.has_ended() {
        for job in scene.cluster.jobs("PENDING") {
            scene.cluster.call("scontrol", &["update", &format!("job={job}"), "StartTime=now"]);
        }
        std::thread::sleep(Duration::from_millis(500));
    }
    scene.ends_well(4);
}

/// The daemon is gone, and the job goes on: its results count.
#[test]
fn a_node_whose_daemon_dies_and_comes_back_costs_little() {
    let Some(mut scene) = scene("slurmd killed, back after 40 s", "slurm", "2", 8.0, "10min") else { return };
    scene.until_begun(2);
    scene.cluster.kill_node(1);
    std::thread::sleep(Duration::from_secs(40));
    scene.cluster.start_node(1);
    scene.ends_well(2);
}

/// The daemon and all processes of its jobs are gone, as when a node loses its power.
fn a_node_dies(name: &'static str, on: &str) {
    let Some(mut scene) = scene(name, on, "4", 8.0, "10min") else { return };
    scene.until_begun(4);
    scene.cluster.lose_node(1);
    scene.ends_well(4);
}

#[test]
fn a_node_that_dies_costs_what_it_had_begun() {
    a_node_dies("node dies", "slurm");
}

#[test]
fn a_node_that_dies_costs_what_it_had_begun_by_commands() {
    a_node_dies("node dies, by commands", "by_commands");
}

#[test]
fn a_pilot_that_waits_and_is_cancelled_is_not_missed() {
    // Four GPUs, six pilots.
    let Some(mut scene) = scene("waiting pilot cancelled", "slurm", "6", 2.0, "10min") else { return };
    scene.until_begun(4);
    scene.cluster.until("waiting pilots", |cluster| !cluster.jobs("PENDING").is_empty());
    scene.cluster.call("scancel", &[&scene.cluster.jobs("PENDING")[0]]);
    scene.ends_well(0);
}

#[test]
fn what_no_node_has_is_refused_at_once() {
    let Some(cluster) = cluster() else { return };
    let project = sweep_on(&cluster, &SETTINGS.replace("--gres=gpu:1", "--gres=gpu:9"));
    let begun = Instant::now();
    project.go("pipelines/sweep.toml", &["--on", "slurm"]).code(2).says("could not be submitted to slurm");
    println!("scenario: more GPUs than a node has: refused in {} s", begun.elapsed().as_secs());
}
