//! Ctrl-C, SIGTERM, killed engines and killed workers: nothing half done is trusted, and the same command continues.

use crate::project::{Project, Running};
use nix::sys::signal::Signal;
use std::collections::BTreeMap;
use std::time::Duration;

/// `a`, then slow `b`, then `c`.
fn slow() -> Project {
    let project = Project::counting();
    project.edit("pipelines/two.toml", "to = 4", "to = 40, pause = 0.05");
    let after = "\n[stages.c]\nkind = \"own.count\"\ninputs = { before = \"b\" }\n";
    project.file("pipelines/two.toml", format!("{}{after}", project.read("pipelines/two.toml")));
    project
}

fn at_work(project: &Project) -> Running {
    let mut running = project.start_run("pipelines/two.toml", &[]);
    assert!(running.until("\"node\":\"b\",\"step\":2"), "b never began");
    running
}

#[test]
fn ctrl_c_is_exit_code_130_and_the_same_command_continues() {
    let project = slow();
    let running = at_work(&project);
    running.signal_group(Signal::SIGINT);
    let stopped = running.wait();
    stopped.code(130).says("again to stop at once");
    assert_eq!(stopped.outcome("a")["status"], "ran");
    assert_eq!(stopped.outcome("b")["status"], "interrupted");
    assert_eq!(stopped.outcome("c")["status"], "skipped");
    project.go("pipelines/two.toml", &[]).ok().ran(&["b", "c"]);
}

#[test]
fn sigterm_stops_a_run_as_ctrl_c_does() {
    let project = slow();
    let running = at_work(&project);
    running.signal(Signal::SIGTERM);
    let stopped = running.wait();
    stopped.code(143);
    assert_eq!(stopped.outcome("b")["status"], "interrupted");
    project.go("pipelines/two.toml", &[]).ok().ran(&["b", "c"]);
}

#[test]
fn a_second_ctrl_c_stops_at_once() {
    let project = slow();
    let mut running = at_work(&project);
    running.signal_group(Signal::SIGINT);
    assert!(running.until("again to stop at once"));
    running.signal_group(Signal::SIGINT);
    running.wait().code(130);
    project.go("pipelines/two.toml", &[]).ok().ran(&["b", "c"]);
}

#[test]
fn a_killed_worker_is_one_stages_failure() {
    let project = slow();
    let running = at_work(&project);
    let worker = running.workers()[0];
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(worker), Signal::SIGKILL).unwrap();
    let failed = running.wait();
    failed.code(1);
    let outcome = failed.outcome("b");
    assert_eq!(outcome["failure"]["cause"], "worker_died");
    assert!(outcome["failure"]["message"].as_str().unwrap().contains("signal 9"), "{outcome}");
    assert_eq!(failed.outcome("c")["failure"]["message"], "b failed");
    project.go("pipelines/two.toml", &[]).ok().ran(&["b", "c"]);
}

/// Distils and trains on generated digits: seconds long, with a checkpoint after every step.
const TRAINING: &str = r#"[pipeline]
name = "training"

[stages.digits]
kind = "sample.digits"
params = { train = 200, test = 50 }

[stages.train_set]
kind = "decode.idx"
inputs = { images = "digits.train_images", labels = "digits.train_labels" }

[stages.start]
kind = "init.synthetic"
inputs = { real = "train_set" }
params = { ipc = 1 }

[stages.distill]
kind = "distill.dm"
inputs = { real = "train_set", start = "start" }
params = { networks = 250, batch_real = 8, width = 8 }

[stages.network]
kind = "train.classifier"
inputs = { train = "train_set" }
params = { arch = "mlp", epochs = 12, batch_size = 20 }
"#;

const NODES: &[&str] = &["digits", "train_set", "start", "distill", "network"];

fn training() -> Project {
    let mut project = Project::new();
    project.file("pipelines/training.toml", TRAINING);
    project.env("DDPIPE_CHECKPOINT_SECONDS", "0");
    project
}

fn train(project: &Project) -> Running {
    project.start_run("pipelines/training.toml", &["--threads", "1"])
}

/// What an uninterrupted run gives.
fn reference() -> BTreeMap<String, String> {
    let project = training();
    train(&project).wait().ok();
    project.digests("training", NODES)
}

/// Finishes what was stopped again and again. It has to give the same bytes, from a checkpoint.
fn finish(project: &Project, whole: &BTreeMap<String, String>) {
    train(project).wait().ok();
    assert_eq!(&project.digests("training", NODES), whole);
    let cache = ddpipe_cache::Cache::open(&project.path(".ddpipe")).unwrap();
    let continued = |record: &ddpipe_cache::Record| !record.provenance.note.is_empty();
    assert!(cache.records().unwrap().iter().any(continued), "no stage continued from a checkpoint");
    project.run(&["cache", "verify"]).ok();
    train(project).wait().ok().ran(&[]);
}

#[test]
fn runs_that_are_killed_at_random_moments_end_with_the_same_bytes() {
    let whole = reference();
    let project = training();
    let mut killed = 0;
    for attempt in 0..14u32 {
        let mut running = train(&project);
        if attempt % 2 == 0 {
            // In the middle of a stage, wherever that is by now.
            running.until("\"event\":\"progress\",\"node\":\"distill\"");
        }
        // Anywhere: while it plans, while the worker starts, between two stages.
        std::thread::sleep(Duration::from_millis(u64::from((attempt * 7919 + 13) % 97) * 4));
        running.signal(Signal::SIGKILL);
        killed += usize::from(running.wait().status.code().is_none());
    }
    assert!(killed >= 10, "only {killed} of 14 were killed before their end");
    finish(&project, &whole);
}

#[test]
fn runs_that_are_interrupted_again_and_again_end_with_the_same_bytes() {
    let whole = reference();
    let project = training();
    let mut stopped = 0;
    for attempt in 0..6u32 {
        let mut running = train(&project);
        running.until("\"event\":\"progress\",\"node\":\"distill\"");
        std::thread::sleep(Duration::from_millis(u64::from(attempt) * 20));
        running.signal_group(Signal::SIGINT);
        let done = running.wait();
        assert!(matches!(done.status.code(), Some(0 | 130)), "{done:?}");
        stopped += usize::from(done.status.code() == Some(130));
    }
    assert!(stopped >= 1, "no run was stopped before its end");
    finish(&project, &whole);
}
